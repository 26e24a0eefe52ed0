"""Invoices, credit notes, their numbers, and the money that comes in for them, on both databases."""

import contextlib
import threading

import pytest

from gettone.domain.payments import Declined, PaymentState
from gettone.errors import Conflict, Forbidden, InvalidInput, NotFound
from gettone.gateways.agreement import AgreementProvider
from gettone.operations import agreements, invoice_numbers, invoicing, payments, profiles, sellers
from gettone.operations.billing import AGREEMENT, CUSTOMER_AGREEMENT
from gettone.operations.buying import BILLING_ADMIN, OPERATOR, Buyer
from gettone.operations.paging import LIMIT_MAX
from gettone.operations.paying import Paying
from gettone.operations.providers import DisputeNews
from gettone.storage.office import open_office
from tests.support.shop import ADMIN, UNITS, Shop

OPERATING = Buyer(OPERATOR, "the operator")
BILLING = Buyer(BILLING_ADMIN, "the bookkeeper")


@pytest.fixture
def shop(world):
    """An American organisation with a card, where 22 % are due on top."""
    world.organisation("contoso", time_zone="America/New_York")
    made = Shop(world)
    made.card()
    made.taxed("US", "sales tax", "22")
    yield made
    assert world.findings() == []


def numbered(shop) -> list:
    """Every invoice, oldest first, after numbers were given."""
    invoice_numbers.give_numbers(shop.office)
    return listed(shop)


def listed(shop) -> list:
    return list(reversed(invoicing.list_invoices(shop.office, shop.org_id, limit=LIMIT_MAX).items))


def invoice_of(shop, payment):
    return invoicing.get_invoice(shop.office, shop.org_id, invoicing.payment_invoice_id(payment.payment_id))


def confirming(shop) -> None:
    """Let agreements be asked as in earnest."""
    providers = {"card": shop.teller, AGREEMENT: AgreementProvider()}
    shop.paying = Paying(shop.office, providers, lambda: shop.now)


# -- issued ------------------------------------------------------------------------------------------------------------


def test_each_purchase_has_one_invoice_that_says_everything(shop):
    profiles.set_profile(
        shop.office,
        "contoso",
        ADMIN,
        shop.now,
        legal_name="Contoso Inc.",
        postal_address=" 1 Main Street \n\n Springfield ",
        tax_id="12-3456789",
    )
    sellers.set_seller(shop.office, "default", shop.now, name="Example Telecom", tax_id="99", email="pay@example.test")

    payment = shop.buy(50, purchase_order="PO-7")

    [invoice] = listed(shop)
    document = invoice_of(shop, payment).document
    assert (invoice.invoice_id, invoice.number, invoice.paid_at) == ("payment/00000001-1", "", shop.now)
    assert (document.net_micros, document.tax_micros, document.gross_micros) == (50 * UNITS, 11 * UNITS, 61 * UNITS)
    [line], [tax] = document.lines, document.taxes
    assert (line.text, line.amount_micros) == ("Communications Credits", 50 * UNITS)
    assert (tax.label, tax.millionths, tax.base_micros) == ("sales tax", 220_000, 50 * UNITS)
    assert document.buyer.name == "Contoso Inc."
    assert document.buyer.address == "1 Main Street\nSpringfield"
    assert (document.seller.name, document.seller.email) == ("Example Telecom", "pay@example.test")
    assert (document.purchase_order, document.method_label) == ("PO-7", "Visa card-1")
    assert document.lot_expires_at == shop.world.lots("contoso")[payment.payment_id].expires_at


def test_the_day_of_issue_is_the_day_where_the_organisation_is(shop):
    shop.world.now = shop.now.replace(hour=3)

    assert invoice_of(shop, shop.buy(50)).document.issued_on == "2026-11-22"


def test_no_invoice_comes_of_a_payment_that_was_declined(shop):
    shop.teller.says = [Declined("card_declined")]

    shop.buy(50)

    assert listed(shop) == []


def test_an_invoice_stays_as_it_was_issued(shop):
    payment = shop.buy(50)
    before = invoice_of(shop, payment).document

    profiles.set_profile(shop.office, "contoso", ADMIN, shop.now, legal_name="Contoso Ltd.", language="it")
    sellers.set_seller(shop.office, "default", shop.now, name="Another Telecom")
    shop.taxed("US", "sales tax", "25")

    assert invoice_of(shop, payment).document == before
    assert before.seller.name == "Gettone"


def test_without_tax_there_is_no_tax_line(world):
    world.organisation("contoso")
    shop = Shop(world)
    shop.card()

    document = invoice_of(shop, shop.buy(50)).document

    assert (document.taxes, document.tax_micros) == ((), 0)


def test_an_invoice_is_in_the_language_of_the_organisation(shop):
    profiles.set_profile(shop.office, "contoso", ADMIN, shop.now, language="it")
    payment = shop.buy(50)
    shop.refund(payment)

    [invoice, note] = listed(shop)

    assert (invoice.language, note.language) == ("it", "it")
    assert "parte non utilizzata" in note.document


# -- credit notes ------------------------------------------------------------------------------------------------------


def test_a_refund_has_a_credit_note_that_names_its_invoice(shop):
    payment = shop.buy(50)
    shop.refund(payment, amount_micros=10 * UNITS)

    [invoice, note] = numbered(shop)
    shown = invoicing.get_invoice(shop.office, "contoso", note.number)

    assert (note.kind, note.credits_invoice_id, shown.corrects_number) == ("credit_note", invoice.invoice_id, "1")
    assert (note.net_micros, note.tax_micros) == (10 * UNITS, 2_200_000)
    assert invoice_of(shop, payment).credited_micros == 12_200_000


def test_credit_notes_of_all_parts_come_to_the_invoice_to_the_coin(shop):
    shop.taxed("US", "sales tax", "7.7")
    payment = shop.buy(53)
    for micros in (17_010_000, 11_330_000, None):
        shop.wait(seconds=1)
        shop.refund(payment, amount_micros=micros)

    invoice, *notes = listed(shop)

    assert sum(note.net_micros for note in notes) == invoice.net_micros
    assert sum(note.tax_micros for note in notes) == invoice.tax_micros
    assert {(note.net_micros + note.tax_micros) % 10_000 for note in notes} == {0}


def test_a_dispute_that_is_lost_makes_no_credit_note(shop):
    payment = shop.buy(50)
    for stage in (payments.OPENED, payments.LOST):
        news = DisputeNews(
            event_id=stage,
            org_id="contoso",
            payment_id=payment.payment_id,
            stage=stage,
            gross_micros=payment.gross_micros,
        )
        payments.take_news(shop.office, "card", news, shop.now)

    assert [one.kind for one in listed(shop)] == ["credits"]


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_numbers_are_given_in_order_of_issue_without_a_gap(shop):
    for index in range(5):
        shop.wait(seconds=1)
        shop.buy(50, str(index))

    assert [one.number for one in numbered(shop)] == ["1", "2", "3", "4", "5"]
    assert invoice_numbers.give_numbers(shop.office) == 0


def test_each_seller_has_a_series_with_a_prefix_of_its_own(shop):
    shop.world.organisation("fabrikam")
    other = Shop(shop.world, "fabrikam")
    other.card()
    sellers.set_seller(shop.office, "europe", shop.now, name="Example Europe", prefix="EU-")
    profiles.set_profile(shop.office, "fabrikam", OPERATING, shop.now, seller_id="europe")
    for index in range(2):
        shop.wait(seconds=1)
        shop.buy(50, str(index))
        other.buy(50, str(index))

    assert [one.number for one in numbered(shop)] == ["1", "2"]
    assert [one.number for one in listed(other)] == ["EU-1", "EU-2"]


def test_a_number_that_was_claimed_and_not_written_is_written_the_next_time(shop):
    shop.buy(50, "one")
    shop.wait(seconds=1)
    shop.buy(50, "two")
    with shop.office.write_shared() as unit:
        claimed = unit.invoices.give_number("default", "contoso", "payment/00000001-1")

    assert claimed == 1
    assert [one.number for one in numbered(shop)] == ["1", "2"]


def test_many_processes_give_each_number_once(shop):
    for index in range(30):
        shop.wait(seconds=1)
        shop.buy(50, str(index))
    given: list[int] = []

    def give() -> None:
        with contextlib.closing(open_office(shop.world.url)) as office:
            given.append(invoice_numbers.give_numbers(office))

    threads = [threading.Thread(target=give) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(given) == 30
    assert [one.number for one in listed(shop)] == [str(number) for number in range(1, 31)]


def test_an_invoice_is_found_by_its_number(shop):
    payment = shop.buy(50)

    with pytest.raises(NotFound, match="'1'"):
        invoicing.get_invoice(shop.office, "contoso", "1")
    invoice_numbers.give_numbers(shop.office)

    assert invoicing.get_invoice(shop.office, "contoso", "1").document.payment_id == payment.payment_id


def test_invoices_are_listed_in_pages_newest_first(shop):
    for index in range(5):
        shop.wait(seconds=1)
        shop.buy(50, str(index))

    first = invoicing.list_invoices(shop.office, "contoso", limit=3)
    second = invoicing.list_invoices(shop.office, "contoso", limit=3, cursor=first.next_cursor)

    assert [one.payment_id[:8] for one in (*first.items, *second.items)] == [f"{n:08d}" for n in range(5, 0, -1)]
    assert second.next_cursor == ""
    with pytest.raises(InvalidInput, match="cursor"):
        invoicing.list_invoices(shop.office, "contoso", cursor="x")


# -- purchase orders ---------------------------------------------------------------------------------------------------


def test_a_purchase_order_may_change_later_and_the_invoice_shows_both(shop):
    payment = shop.buy(50, purchase_order="PO-1")
    shop.refund(payment, amount_micros=UNITS)

    changed = profiles.change_purchase_order(shop.office, "contoso", "PO-2", BILLING, shop.now, order_id="00000001")

    shown = invoice_of(shop, payment)
    assert (shown.purchase_order, shown.document.purchase_order) == ("PO-2", "PO-1")
    [change] = shown.purchase_order_changes
    assert (change.before, change.after, change.by, change.at) == ("PO-1", "PO-2", "the bookkeeper", shop.now)
    assert {one.kind for one in changed} == {"credits", "credit_note"}
    assert {one.purchase_order for one in listed(shop)} == {"PO-2"}
    with shop.office.read() as unit:
        assert unit.buying.order("contoso", "00000001").purchase_order == "PO-2"


def test_a_purchase_order_changes_by_the_invoice_as_well(shop):
    payment = shop.buy(50)
    invoice_numbers.give_numbers(shop.office)

    profiles.change_purchase_order(shop.office, "contoso", "PO-2", BILLING, shop.now, invoice="1")
    profiles.change_purchase_order(shop.office, "contoso", "PO-2", BILLING, shop.now, invoice="1")

    assert len(invoice_of(shop, payment).purchase_order_changes) == 1


def test_a_purchase_order_is_for_an_order_or_an_invoice_that_is_there(shop):
    for how, error in (({}, InvalidInput), ({"order_id": "7"}, NotFound), ({"invoice": "7"}, NotFound)):
        with pytest.raises(error):
            profiles.change_purchase_order(shop.office, "contoso", "PO-2", BILLING, shop.now, **how)
    with pytest.raises(Forbidden):
        profiles.change_purchase_order(shop.office, "contoso", "x", Buyer("read", "x"), shop.now, order_id="00000001")


# -- agreements --------------------------------------------------------------------------------------------------------


def test_an_order_on_confirmation_counts_once_the_operator_confirms_it(shop):
    confirming(shop)
    method = shop.agreement(number="EA-1", purchase_order="PO-9").method_id
    payment = shop.buy(50, method_id=method)
    assert (payment.state, shop.available) == (PaymentState.PENDING, 0)

    agreements.confirm(shop.office, "contoso", payment.payment_id, by="the operator", now=shop.now)
    again = agreements.confirm(shop.office, "contoso", payment.payment_id, by="the operator", now=shop.now)

    assert (again.state, shop.available) == (PaymentState.SUCCEEDED, 50 * UNITS)
    shown = invoice_of(shop, payment)
    assert (shown.paid_at, shown.purchase_order, shown.document.agreement_number) == (None, "PO-9", "EA-1")
    with pytest.raises(Conflict, match="succeeded already"):
        agreements.reject(shop.office, "contoso", payment.payment_id, by="the operator", now=shop.now)


def test_an_order_that_is_rejected_is_not_charged_and_says_why(shop):
    confirming(shop)
    payment = shop.buy(50, method_id=shop.agreement().method_id)

    agreements.reject(
        shop.office, "contoso", payment.payment_id, by="the operator", now=shop.now, reason="the agreement has ended"
    )

    assert (shop.available, listed(shop)) == (0, [])
    [told] = shop.told("purchase_failed")
    assert told.facts["reason"] == "the agreement has ended"
    with pytest.raises(Conflict, match="declined already"):
        agreements.confirm(shop.office, "contoso", payment.payment_id, by="the operator", now=shop.now)


def test_only_orders_by_agreement_are_confirmed(shop):
    payment = shop.buy(50)

    with pytest.raises(Conflict, match="not an order by agreement"):
        agreements.confirm(shop.office, "contoso", payment.payment_id, by="the operator", now=shop.now)
    with pytest.raises(NotFound, match="'7'"):
        agreements.confirm(shop.office, "contoso", "7", by="the operator", now=shop.now)


def test_money_that_comes_in_for_an_invoice_frees_the_limit_of_its_agreement(shop):
    method = shop.agreement(on_confirmation=False).method_id
    payment = shop.buy(50, method_id=method)
    ledger = shop.world.ledger("contoso")
    assert (ledger["invoiced"], ledger.get("funding", 0)) == (-61 * UNITS, 0)
    with shop.office.read() as unit:
        assert unit.buying.unpaid("contoso", method) == 61 * UNITS
    invoice_numbers.give_numbers(shop.office)

    collected_at = shop.now
    for _ in range(2):
        paid = agreements.collected(shop.office, "contoso", "1", by="the operator", now=shop.now)
        shop.wait(days=30)

    ledger = shop.world.ledger("contoso")
    assert (ledger["invoiced"], ledger["funding"]) == (0, -61 * UNITS)
    assert paid.paid_at == shop.payment(payment.payment_id).collected_at == collected_at
    with shop.office.read() as unit:
        assert unit.buying.unpaid("contoso", method) == 0


def test_what_a_credit_note_took_back_is_not_collected(shop):
    payment = shop.buy(50, method_id=shop.agreement(on_confirmation=False).method_id)
    shop.refund(payment, amount_micros=20 * UNITS)

    agreements.collected(shop.office, "contoso", "payment/00000001-1", by="the operator", now=shop.now)

    ledger = shop.world.ledger("contoso")
    assert (ledger["invoiced"], ledger["funding"]) == (0, -30 * UNITS - 6_600_000)


def test_an_invoice_that_credit_notes_cover_wholly_is_settled(shop):
    payment = shop.buy(50, method_id=shop.agreement(on_confirmation=False).method_id)
    shop.refund(payment)

    [invoice, note] = listed(shop)

    assert (invoice.paid_at, note.paid_at) == (shop.now, shop.now)
    assert shop.payment(payment.payment_id).collected_at == shop.now
    assert shop.world.ledger("contoso")["invoiced"] == 0
    with pytest.raises(Conflict, match="credit note"):
        agreements.collected(shop.office, "contoso", note.invoice_id, by="the operator", now=shop.now)


# -- profiles and sellers ----------------------------------------------------------------------------------------------


def test_the_profile_is_changed_by_who_may_buy_and_the_change_is_noted(shop):
    profiles.set_profile(shop.office, "contoso", BILLING, shop.now, legal_name="Contoso", tax_id="12")

    assert profiles.get_profile(shop.office, "contoso").legal_name == "Contoso"
    with shop.office.read() as unit:
        [noted] = unit.audit.audit("contoso", profiles.SUBJECT, None, 10)
    assert (noted.by, noted.changes) == ("the bookkeeper", {"legal_name": ("", "Contoso"), "tax_id": ("", "12")})
    with pytest.raises(Forbidden):
        profiles.set_profile(shop.office, "contoso", Buyer("read", "x"), shop.now, legal_name="x")


@pytest.mark.parametrize("field", ["agreement", "seller_id"])
def test_agreement_and_seller_are_the_operator_s_to_say(shop, field):
    with pytest.raises(Forbidden, match="operator"):
        profiles.set_profile(shop.office, "contoso", ADMIN, shop.now, **{field: "direct"})


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"language": "de"}, InvalidInput, "language 'de': write one of en, it"),
        ({"agreement": "handshake"}, InvalidInput, "write one of direct, enterprise, reseller"),
        ({"seller_id": "nobody"}, NotFound, "gettone billing seller nobody"),
        ({"postal_address": "x" * 501}, InvalidInput, "address"),
        ({"legal_name": "a\nb"}, InvalidInput, "legal_name"),
    ],
)
def test_a_profile_that_cannot_be_is_refused(shop, given, error, said):
    with pytest.raises(error, match=said):
        profiles.set_profile(shop.office, "contoso", OPERATING, shop.now, **given)
    assert profiles.get_profile(shop.office, "contoso") == profiles.Profile()


def test_nobody_becomes_billed_after_use_while_auto_recharge_goes_on_buying(shop):
    shop.recharge(50, 50)

    with pytest.raises(Conflict, match="gettone billing move contoso"):
        profiles.set_profile(shop.office, "contoso", OPERATING, shop.now, agreement=CUSTOMER_AGREEMENT)


def test_the_default_seller_is_there_before_anybody_names_it(shop):
    assert [one.name for one in sellers.list_sellers(shop.office, shop.now)] == ["Gettone"]

    sellers.set_seller(shop.office, "asia", shop.now, name="Example Asia")

    assert [one.seller_id for one in sellers.list_sellers(shop.office, shop.now)] == ["default", "asia"]
    with pytest.raises(InvalidInput, match="name"):
        sellers.set_seller(shop.office, "africa", shop.now, prefix="A-")
    with pytest.raises(InvalidInput, match="prefix"):
        sellers.set_seller(shop.office, "asia", shop.now, prefix=" A")
