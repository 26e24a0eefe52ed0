"""Buying credit over HTTP: orders and payments, methods, auto-recharge, who may, and what providers tell."""

from datetime import timedelta

import pytest

from gettone.domain.payments import ActionRequired, Declined, Processing, Succeeded, Unknown
from gettone.operations.billing import AGREEMENT, CARD, Method
from gettone.operations.paying import Paying
from gettone.operations.providers import Card, DisputeNews, PaymentNews
from tests.api.test_charging import problem
from tests.api.world import opened_api
from tests.support.shop import Teller

CONTOSO = "/v1/organisations/contoso"
ORDERS = f"{CONTOSO}/credits/orders"
METHODS = f"{CONTOSO}/payment-methods"
RECHARGE = f"{CONTOSO}/auto-recharge"
EVENTS = "/v1/providers/card/events"


@pytest.fixture
def teller(api) -> Teller:
    """The provider of cards and agreements of the served Gettone, with one card of contoso's."""
    made, services = Teller(), api.gettone.services
    services.paying = Paying(services.office, {CARD: made, AGREEMENT: made}, services.clock)
    card = Method(
        method_id="card-1",
        kind=CARD,
        provider=CARD,
        label="Visa 4242",
        provider_ref="pm/1",
        fingerprint="one",
        expires=203012,
        position=1,
        created_at=services.clock(),
    )
    with services.office.write("contoso") as unit:
        unit.buying.write_method("contoso", card)
    return made


@pytest.fixture
def billing(api) -> str:
    """A key of a billing administrator of contoso's."""
    return str(api.post("/v1/keys", {"scope": "billing", "label": "finance"}, key="admin").json()["token"])


def said(answer, status: int) -> str:
    """Return the words of a problem."""
    return str(problem(answer, status)["detail"])


def order(api, amount="50.00", reference="PO-1", key="admin", **body):
    return api.post(ORDERS, {"amount": amount, **body}, key=key, headers={"Idempotency-Key": reference})


def set_rule(api, path=RECHARGE, key="admin", headers=None, **body):
    rule = {"trigger": "50", "amount": "100"} | body
    return api.request("PUT", path, json=rule, key=key, headers=headers or {})


# -- orders ------------------------------------------------------------------------------------------------------------


def test_a_review_tells_what_an_order_comes_to(api, teller, billing):
    answer = api.post(f"{CONTOSO}/credits/review", {"amount": "50"}, key=billing)

    assert answer.status_code == 200
    assert answer.json() == {
        "currency": "USD",
        "amount": "50.00",
        "tax": "0.00",
        "tax_percent": "0",
        "tax_label": "",
        "total": "50.00",
        "method_id": "card-1",
        "method_label": "Visa 4242",
        "purchase_order": "",
        "available": "20.00",
        "available_after": "70.00",
        "expires_at": "2027-05-12T00:00:00Z",
        "obstacles": [],
    }
    assert teller.asked == []


def test_a_review_names_every_obstacle_for_programs_and_for_people(api):
    fabrikam = "/v1/organisations/fabrikam/credits/review"
    found = api.post(fabrikam, {"amount": "50"}, key="foreign").json()["obstacles"]

    assert [one["reason"] for one in found] == ["nothing_to_use_them", "no_payment_method"]
    assert found[1]["remedy"] == "Add one: gettone methods add-card fabrikam"


def test_an_order_is_paid_at_once(api, teller, billing):
    answer = order(api, key=billing)

    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["order"]["state"], shown["order"]["kind"], shown["link"]) == ("fulfilled", "purchase", "")
    assert shown["order"]["ordered_by"].endswith("(finance)")
    [payment] = shown["payments"]
    assert (payment["state"], payment["total"], payment["amount"], payment["method_id"]) == (
        *("succeeded", "50.00", "50.00"),
        "card-1",
    )
    assert api.available() == "70.00"
    assert len(teller.asked) == 1


def test_tax_is_shown_with_its_rate(api, teller):
    csv = "country,label,percent,effective_from,effective_until,source\nUS,sales tax,8.875,2017-10-01,,test\n"
    assert api.request("PUT", "/v1/catalogue/taxes", content=csv).status_code == 200
    shown = order(api, "80").json()

    assert shown["order"]["tax_percent"] == "8.875"
    assert (shown["order"]["tax"], shown["order"]["total"], shown["payments"][0]["total"]) == ("7.10", "87.10", "87.10")
    assert teller.asked[0][1].gross_micros == 87_100_000


def test_the_same_key_orders_once_and_gets_the_same_answer(api, teller):
    first, again = order(api), order(api)

    assert (again.status_code, again.json()) == (201, first.json())
    assert len(teller.asked) == 1
    assert said(order(api, "51"), 409).startswith("reference 'PO-1' was used for another order")


@pytest.mark.parametrize("said", [Processing("pi"), Unknown("lost"), ActionRequired("pi", "https://bank.example/3ds")])
def test_while_the_outcome_is_open_the_answer_is_202(api, teller, said):
    teller.says = [said]
    answer = order(api)
    link = getattr(said, "link", "")

    assert (answer.status_code, answer.json()["order"]["state"], answer.json()["link"]) == (202, "open", link)
    again = order(api)
    assert (again.status_code, len(teller.asked)) == (202, 1)


def test_an_order_that_is_declined_is_there_and_says_why(api, teller):
    teller.says = [Declined("insufficient_funds", "Your card has insufficient funds.")]
    answer = order(api)

    assert (answer.status_code, answer.json()["order"]["reason"]) == (201, "insufficient_funds")
    assert answer.json()["payments"][0]["detail"] == "Your card has insufficient funds."
    assert api.available() == "20.00"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": "49"}, "amount"),
        ({"amount": "50.50"}, "amount"),
        ({"amount": "fifty"}, "amount"),
        ({"amount": "50", "currency": "EUR"}, "currency"),
        ({"amount": "50", "method_id": "card-2"}, None),
        ({"amount": "50", "purchase_order": "a\nb"}, "purchase_order"),
        ({"amount": "50", "gift": True}, "gift"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_by_field(api, teller, body, field):
    answer = api.post(ORDERS, body, key="admin", headers={"Idempotency-Key": "a"})

    assert answer.status_code == (404 if field is None else 422)
    if field is not None:
        assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert teller.asked == []


def test_an_order_needs_an_idempotency_key(api, teller):
    answer = api.post(ORDERS, {"amount": "50"}, key="admin")

    assert answer.status_code == 422
    assert teller.asked == []


def test_orders_and_payments_are_looked_at(api, teller):
    teller.says = [Succeeded("pi-1")]
    order(api)
    listed = api.get(ORDERS, key="read").json()["items"]
    one = api.get(f"{ORDERS}/00000001", key="read").json()
    payments = api.get(f"{CONTOSO}/payments", key="read").json()["items"]
    answer = api.get(f"{CONTOSO}/payments/00000001-1", key="read")

    assert [listed[0], payments] == [one["order"], one["payments"]]
    assert answer.json()["payment"] == payments[0]
    assert [step["state"] for step in answer.json()["events"]] == ["requested", "pending", "succeeded"]
    assert answer.headers["ETag"] == f'"{payments[0]["version"]}"'
    assert (payments[0]["provider_ref"], payments[0]["lot_id"]) == ("pi-1", "000000000002")
    for path in (f"{ORDERS}/9", f"{CONTOSO}/payments/9"):
        assert "there is none" in said(api.get(path, key="read"), 404)


# -- refunds -----------------------------------------------------------------------------------------------------------


def test_the_operator_refunds_what_is_unused(api, teller):
    order(api)
    answer = api.post(f"{CONTOSO}/payments/00000001-1/refund", {})

    assert answer.status_code == 201
    assert (answer.json()["kind"], answer.json()["refund_of"], answer.json()["total"]) == (
        *("refund", "00000001-1"),
        "50.00",
    )
    assert api.available() == "20.00"
    assert sum(teller.books.values()) == 0


def test_a_part_is_refunded_once_whoever_asks_twice(api, teller):
    order(api)
    path, tag = f"{CONTOSO}/payments/00000001-1/refund", api.get(f"{CONTOSO}/payments/00000001-1").headers["ETag"]

    assert "If-Match" in said(api.post(path, {"amount": "10"}), 428)
    assert api.post(path, {"amount": "10"}, headers={"If-Match": tag}).status_code == 201
    again = api.post(path, {"amount": "10"}, headers={"If-Match": tag})

    assert (again.status_code, again.json()["current"]["refunded"]) == (412, "10.00")
    assert again.headers["ETag"] == f'"{again.json()["current"]["version"]}"'
    assert api.available() == "60.00"
    assert "are unused" in said(api.post(path, {"amount": "41"}, headers={"If-Match": again.headers["ETag"]}), 409)


def test_a_refund_on_its_way_is_202(api, teller):
    order(api)
    teller.says = [Processing("re-1")]

    assert api.post(f"{CONTOSO}/payments/00000001-1/refund", {}).status_code == 202


# -- methods -----------------------------------------------------------------------------------------------------------


def test_a_card_is_added_and_removed(api, teller, billing):
    begun = api.post(f"{METHODS}/cards", {}, key=billing)
    assert (begun.status_code, begun.json()["link"]) == (201, "https://cards.example/1")
    assert begun.json()["method"]["state"] == "setting_up"
    teller.cards["setup-1"] = Card(
        provider_ref="pm/2", customer_ref="c", fingerprint="two", label="Mastercard 4444", expires=203101
    )
    done = api.post(f"{METHODS}/card-2/finish", key=billing)
    assert (done.status_code, done.json()["label"], done.json()["expires"]) == (200, "Mastercard 4444", 203101)
    assert "pm/2" not in done.text

    swapped = api.request("PUT", METHODS, json={"method_ids": ["card-2", "card-1"]}, key=billing).json()["items"]
    assert [one["method_id"] for one in swapped] == ["card-2", "card-1"]
    assert swapped == api.get(METHODS, key="read").json()["items"]
    gone = api.request("DELETE", f"{METHODS}/card-1", key=billing)
    assert (gone.status_code, gone.json()["state"]) == (200, "removed")


def test_an_agreement_is_the_administrators_to_add_and_its_credit_the_operators_to_give(api, teller, billing):
    body = {"number": "E1", "billing_country": "US", "purchase_order": "PO-1"}
    assert api.post(f"{METHODS}/agreements", body, key=billing).status_code == 403
    added = api.post(f"{METHODS}/agreements", body, key="admin").json()
    assert (added["method_id"], added["on_confirmation"], added["credit_limit"]) == ("agreement-2", True, None)

    path = f"{METHODS}/agreement-2"
    told = said(api.request("PATCH", path, json={"credit_limit": "500"}, key="admin"), 403)
    assert told.startswith("what credit an agreement gives is the operator's to say")
    given = api.request("PATCH", path, json={"credit_limit": "500", "on_confirmation": False}).json()
    assert (given["credit_limit"], given["on_confirmation"]) == ("500.00", False)
    api.request("PATCH", path, json={"purchase_order": "PO-2"}, key=billing)
    order(api, key=billing, method_id="agreement-2")

    shown = api.get(path, key="read").json()
    assert (shown["unpaid"], shown["purchase_order"]) == ("50.00", "PO-2")
    history = api.get(f"{path}/history", key="read").json()["items"]
    assert [one["action"] for one in history] == ["change", "change", "add"]
    assert history[0]["changes"] == {"purchase_order": ["PO-1", "PO-2"]}


def test_what_cannot_be_done_with_methods_is_said_in_the_words_of_the_body(api, teller):
    added = {"number": "E1", "billing_country": "US"}
    wrong = api.post(f"{METHODS}/agreements", added | {"credit_limit": "-1"})
    assert [one["field"] for one in wrong.json()["errors"]] == ["credit_limit"]
    assert "it takes no cards" in said(api.post(f"{METHODS}/cards", {"provider": "bank"}), 422)
    assert "name each of these once" in said(api.request("PUT", METHODS, json={"method_ids": []}), 422)
    assert said(api.get(f"{METHODS}/card-9"), 404)


# -- auto-recharge -----------------------------------------------------------------------------------------------------


def test_an_auto_recharge_that_charges_at_once_has_to_be_confirmed(api, teller, billing):
    nothing = api.get(RECHARGE, key="read")
    assert (nothing.json()["rule"], nothing.headers["ETag"]) == (None, '"0"')

    asked = set_rule(api, key=billing)
    assert asked.status_code == 409
    told = asked.json()
    assert told["type"] == "urn:gettone:problem:confirmation_needed"
    assert (told["preview"]["would_buy"], told["preview"]["available"]) == ("100.00", "20.00")
    assert api.get(RECHARGE, key="read").json()["rule"] is None

    done = set_rule(api, f"{RECHARGE}?confirm=true", key=billing, headers={"If-Match": '"0"'})
    assert (done.status_code, done.headers["ETag"], done.json()["paused"]) == (200, '"1"', "recharge_open")
    api.gettone.services.paying.work(api.clock())
    assert api.available() == "120.00"
    [bought] = api.get(f"{RECHARGE}/history", key="read").json()["items"]
    assert (bought["kind"], bought["state"], bought["available"]) == ("recharge", "fulfilled", "20.00")


def test_a_rule_is_set_as_it_is_sent(api, teller):
    order(api, "500")
    sent = {"trigger": "60.00", "amount": "70.00", "enabled": True, "method_id": "card-1", "purchase_order": "PO-9"}
    caps = {"day_count": 2, "day_amount": "200.00", "month_count": None, "month_amount": "1000.00"}

    shown = set_rule(api, **sent, **caps).json()["rule"]

    assert {name: shown[name] for name in (*sent, *caps)} == sent | caps
    assert (shown["declines"], shown["suspended_at"], shown["version"]) == (0, None, 1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"trigger": "49"}, "trigger"),
        ({"amount": "50.5"}, "amount"),
        ({"day_amount": "99"}, "day_amount"),
        ({"month_amount": "x"}, "month_amount"),
        ({"day_count": 0}, "day_count"),
        ({"method_id": "card-9"}, "method_id"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_field(api, teller, body, field):
    assert [one["field"] for one in set_rule(api, **body).json()["errors"]] == [field]


def test_a_rule_that_somebody_changed_meanwhile_is_shown_as_it_is(api, teller):
    order(api, "500")
    set_rule(api)
    answer = set_rule(api, amount="200", headers={"If-Match": '"0"'})

    assert (answer.status_code, answer.headers["ETag"]) == (412, '"1"')
    assert answer.json()["current"]["rule"]["amount"] == "100.00"


def test_an_auto_recharge_is_turned_off_suspended_and_resumed(api, teller, billing):
    teller.says = [Declined("stolen_card", final=True)]
    set_rule(api, f"{RECHARGE}?confirm=true")
    api.gettone.services.paying.work(api.clock())
    shown = api.get(RECHARGE, key="read").json()
    assert (shown["paused"], shown["rule"]["suspended_because"]) == ("suspended", "stolen_card")

    resumed = api.post(f"{RECHARGE}/resume", key=billing)
    assert (resumed.status_code, resumed.json()["paused"]) == (200, "recharge_open")
    off = api.request("DELETE", RECHARGE, key=billing).json()
    assert off["rule"]["enabled"] is False
    assert said(api.post("/v1/organisations/fabrikam/auto-recharge/resume", key="foreign"), 404)


# -- who may -----------------------------------------------------------------------------------------------------------

CHANGES = [
    ("POST", f"{CONTOSO}/credits/review", {"amount": "50"}),
    ("POST", ORDERS, {"amount": "50"}),
    ("PUT", METHODS, {"method_ids": ["card-1"]}),
    ("POST", f"{METHODS}/cards", {}),
    ("POST", f"{METHODS}/card-1/finish", None),
    ("PATCH", f"{METHODS}/card-1", {"purchase_order": "x"}),
    ("PUT", f"{RECHARGE}?confirm=true", {"trigger": "50", "amount": "50"}),
    ("POST", f"{RECHARGE}/resume", None),
    ("DELETE", RECHARGE, None),
    ("DELETE", f"{METHODS}/card-1", None),
]


@pytest.mark.parametrize("key", ["read", "charging", "foreign", "charging_everywhere"])
def test_who_does_not_buy_is_refused(api, teller, key):
    for method, path, body in CHANGES:
        answer = api.request(method, path, json=body, key=key, headers={"Idempotency-Key": "a"})
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"

    assert teller.asked == []
    assert [one["state"] for one in api.get(METHODS).json()["items"]] == ["ready"]


def test_a_billing_administrator_does_all_of_it(api, teller, billing):
    for method, path, body in CHANGES:
        answer = api.request(method, path, json=body, key=billing, headers={"Idempotency-Key": "a"})
        assert answer.status_code in {200, 201, 409}, f"{method} {path}: {answer.text}"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{CONTOSO}/users", {"upn": "x@contoso.example"}),
        ("POST", f"{CONTOSO}/subscriptions", {"product": "MCOEV"}),
        ("PATCH", CONTOSO, {"name": "x"}),
        ("POST", f"{CONTOSO}/wallet/funds", {"amount": "50"}),
        ("POST", f"{CONTOSO}/payments/00000001-1/refund", {}),
        ("POST", "/v1/keys", {"scope": "read"}),
        ("PATCH", f"{CONTOSO}/policies", {}),
    ],
)
def test_a_billing_administrator_changes_neither_people_nor_licences_nor_the_books(api, billing, method, path, body):
    answer = api.request(method, path, json=body, key=billing, headers={"Idempotency-Key": "a"})

    assert (answer.status_code, "scope 'billing'" in answer.text) == (403, True)


def test_a_billing_key_is_for_one_organisation(api):
    assert "name the organisation" in said(api.post("/v1/keys", {"scope": "billing", "org_id": "*"}), 422)


# -- what providers tell -----------------------------------------------------------------------------------------------


def tell(api, body: bytes = b"1", signature: str = "mine", path: str = EVENTS):
    return api.request("POST", path, key=None, content=body, headers={"Teller-Signature": signature})


def test_a_message_that_is_signed_rightly_is_taken_in_once(api, teller):
    teller.says = [Processing("pi-1")]
    order(api)
    teller.messages[b"1"] = PaymentNews(
        event_id="e", org_id="contoso", payment_id="00000001-1", outcome=Succeeded("pi-1")
    )

    answers = [tell(api) for _ in range(3)]

    assert [(one.status_code, one.json()) for one in answers] == [
        *((200, {"news": True}), (200, {"news": False}), (200, {"news": False}))
    ]
    assert api.available() == "70.00"


def test_a_dispute_is_told_the_same_way(api, teller):
    order(api)
    teller.messages[b"1"] = DisputeNews(
        event_id="d", org_id="contoso", payment_id="00000001-1", stage="opened", gross_micros=50_000_000
    )

    assert tell(api).json() == {"news": True}
    assert api.get(f"{CONTOSO}/payments/00000001-1").json()["payment"]["disputed"] == "50.00"
    assert api.available() == "20.00"


def test_a_message_about_nothing_of_ours_is_taken_so_that_it_is_not_sent_again(api, teller):
    stray = {"outcome": Succeeded("x"), "payment_id": "00000009-1"}
    teller.messages = {
        b"1": None,
        b"2": PaymentNews(event_id="a", org_id="contoso", **stray),
        b"3": PaymentNews(event_id="b", org_id="elsewhere", **stray),
    }

    for body in teller.messages:
        answer = tell(api, body)
        assert (answer.status_code, answer.json()) == (200, {"news": False})


def test_a_message_of_somebody_else_is_refused(api, teller):
    order(api)
    teller.messages[b"1"] = PaymentNews(event_id="e", org_id="contoso", payment_id="x", outcome=Succeeded("x"))

    answer = tell(api, signature="forged")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:gettone:problem:bad_message")
    assert said(tell(api, path="/v1/providers/nobody/events"), 404)
    assert tell(api, b"x" * (1024 * 1024 + 1)).status_code == 413


def test_a_key_is_not_what_lets_a_message_in(api, teller):
    teller.messages[b"1"] = None
    answer = api.request("POST", EVENTS, key="operator", content=b"1")

    assert answer.status_code == 400


def test_time_passes_and_an_open_payment_is_asked_about_by_the_jobs(api, teller):
    teller.says = [Unknown("lost")]
    order(api)
    api.clock.now += timedelta(minutes=1)
    api.gettone.services.paying.work(api.clock())

    assert order(api).status_code == 201
    assert api.available() == "70.00"


# -- the provider that ships with the product --------------------------------------------------------------------------


def test_a_card_is_entered_charged_and_told_about_by_the_simulator_that_ships(database, tokens):
    with opened_api(f"sqlite:///{database}", tokens, payments="simulator") as api:
        begun = api.post(f"{METHODS}/cards", {}, key="admin").json()["method"]["method_id"]
        assert api.post(f"{METHODS}/{begun}/finish", key="admin").json()["state"] == "ready"
        assert order(api).json()["order"]["state"] == "fulfilled"

        simulator = api.gettone.services.paying.providers["simulator"]
        messages = simulator.messages(api.clock())
        answers = [
            api.request("POST", "/v1/providers/simulator/events", key=None, content=body, headers=headers)
            for body, headers in messages * 2
        ]

        assert messages
        assert {one.status_code for one in answers} == {200}
        assert api.available() == "70.00"
        assert order(api, "1000", reference="PO-2").json()["order"]["state"] == "fulfilled"
        refund = api.post(f"{CONTOSO}/payments/00000002-1/refund", {})
        assert (refund.status_code, refund.json()["total"]) == (201, "1000.00")
