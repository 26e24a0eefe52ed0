"""``gettone credits``, ``methods`` and ``recharge``: exact words, questions before money moves, and exit statuses."""

import json

import pytest
from typer.testing import CliRunner

from gettone.bootstrap import paying
from gettone.cli import app, buying
from gettone.domain.payments import ActionRequired, Declined, Processing, Unknown
from gettone.operations.billing import AGREEMENT, CARD
from gettone.operations.providers import Card
from tests.support.shop import Teller


@pytest.fixture
def teller(monkeypatch) -> Teller:
    """The provider of cards in every command's process."""
    made = Teller()
    whole = paying.providers_of

    def providers_of(settings, **how):
        return {AGREEMENT: whole(settings, **how)[AGREEMENT], CARD: made}

    monkeypatch.setattr(paying, "providers_of", providers_of)
    return made


def enter(gettone, teller, number: int = 1, label: str = "Visa 4242", expires: int = 203012) -> str:
    """Begin a card, enter it at the teller's, and finish it."""
    begun = gettone.json("methods", "add-card", "acme")
    teller.cards[f"setup-{number}"] = Card(
        provider_ref=f"pm/{number}", customer_ref="c", fingerprint=label, label=label, expires=expires
    )
    return gettone("methods", "finish-card", "acme", begun["method"]["method_id"]).stdout


@pytest.fixture
def ready(gettone, teller):
    """The command line over an organisation with a card."""
    enter(gettone, teller)
    return gettone


def lines(text: str) -> dict[str, str]:
    """What is printed below each other, by name."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("  ") for line in text.splitlines())}


def at_the_terminal(monkeypatch, answer: str, *words: str):
    """Run a command where somebody is there to answer."""
    monkeypatch.setattr(buying, "on_terminal", lambda: True)
    return CliRunner().invoke(app, list(words), input=f"{answer}\n")


def available(gettone) -> int:
    return gettone.json("wallet", "balance", "acme")["available_micros"]


# -- credits -----------------------------------------------------------------------------------------------------------


def test_a_review_shows_what_an_order_comes_to(ready):
    shown = lines(ready("credits", "review", "acme", "50", "--purchase-order", "PO-1").stdout)

    assert (shown["credit"], shown["total"], shown["payment method"]) == ("50.00 USD", "50.00 USD", "Visa 4242")
    assert (shown["purchase order"], shown["available now"], shown["available after"]) == (
        *("PO-1", "50.00 USD"),
        "100.00 USD",
    )


def test_a_review_shows_the_tax_and_numbers_what_stands_in_the_way(gettone, teller):
    csv = "country,label,percent,effective_from,effective_until,source\nIT,IVA,22,2017-10-01,,test\n"
    (gettone.folder / "taxes.csv").write_text(csv)
    gettone("catalogue", "import", "taxes.csv")
    told = gettone("credits", "review", "acme", "50").stdout

    assert lines(told)["IVA 22 %"] == "11.00 USD"
    assert lines(told)["total"] == "61.00 USD"
    assert told.splitlines()[-1] == ("1. There is no payment method. Add one: gettone methods add-card acme")


def test_credit_is_bought_and_paid_at_once(ready, teller):
    told = ready("credits", "buy", "acme", "50", "--reference", "PO-1", "--yes").stdout
    again = ready("credits", "buy", "acme", "50", "--reference", "PO-1", "--yes").stdout

    assert told == "order 00000001: 50.00 USD of credit bought, 50.00 USD paid by Visa 4242\n"
    assert again == f"this reference was ordered before: {told}"
    assert available(ready) == 100_000_000
    assert len(teller.asked) == 1


def test_somebody_at_a_terminal_is_asked_before_money_moves(ready, teller, monkeypatch):
    no = at_the_terminal(monkeypatch, "n", "credits", "buy", "acme", "50")
    assert (no.exit_code, teller.asked) == (1, [])
    assert "This charges 50.00 USD to Visa 4242." in no.stderr

    yes = at_the_terminal(monkeypatch, "y", "credits", "buy", "acme", "50")
    assert (yes.exit_code, len(teller.asked)) == (0, 1)


def test_a_program_has_to_say_yes_itself(ready, teller):
    told = ready.refuses("credits", "buy", "acme", "50", expect=2)

    assert told == (
        "error: This charges 50.00 USD to Visa 4242. Nothing was done: give --yes to go on without being asked\n"
    )
    assert teller.asked == []


@pytest.mark.parametrize(
    ("said", "words", "status"),
    [
        (
            Declined("card_declined", "Your card was declined."),
            "order 00000001: declined (Your card was declined.); nothing was charged",
            1,
        ),
        (
            ActionRequired("pi", "https://bank.example/3ds"),
            "order 00000001: 50.00 USD have to be confirmed by a person: https://bank.example/3ds",
            0,
        ),
        (
            Processing("pi"),
            "order 00000001: the payment of 50.00 USD is on its way; look: gettone credits payment acme 00000001-1",
            0,
        ),
        (Unknown("the line went dead"), "nobody knows yet whether 50.00 USD were paid (the line went dead)", 0),
    ],
)
def test_what_became_of_it_is_said_in_one_sentence(ready, teller, said, words, status):
    teller.says = [said]
    done = ready("credits", "buy", "acme", "50", "--yes", expect=status)

    assert words in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message", "status"),
    [
        (["49"], "amount '49.00': write a whole number of USD, at least 50.00", 2),
        (["fifty"], "amount 'fifty'", 2),
        (["50", "--method", "card-9"], "payment method 'card-9': there is none", 1),
        (["50", "--reference", "/a"], "reference '/a': begin it with something else than a slash", 2),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_in_one_line(ready, teller, words, message, status):
    assert message in ready.refuses("credits", "buy", "acme", *words, "--yes", expect=status)
    assert teller.asked == []


def test_what_stands_in_the_way_is_said_with_its_remedy(gettone, teller):
    told = gettone.refuses("credits", "buy", "acme", "50", "--yes")

    assert told == "error: There is no payment method. Add one: gettone methods add-card acme\n"


def test_orders_and_payments_are_listed_and_shown(ready, teller):
    teller.says = [Declined("card_declined")]
    ready("credits", "buy", "acme", "50", "--yes", expect=1)
    ready("credits", "buy", "acme", "60", "--purchase-order", "PO-2", "--yes")

    second, first = ready.json("credits", "orders", "acme")
    assert (first["state"], first["reason"], second["state"], second["purchase_order"]) == (
        *("failed", "card_declined"),
        *("fulfilled", "PO-2"),
    )
    assert first["ordered_by"] == "the command line"
    assert "card_declined" in ready("credits", "orders", "acme").stdout
    assert [one["payment_id"] for one in ready.json("credits", "payments", "acme")] == ["00000002-1", "00000001-1"]
    assert "60.00 USD" in ready("credits", "payments", "acme").stdout
    shown = ready("credits", "payment", "acme", "00000001-1").stdout
    assert lines(shown)["why"] == "card_declined"
    assert [line.split()[3] for line in shown.splitlines()[-3:]] == ["requested", "pending", "declined"]


def test_what_is_unused_is_refunded(ready, teller, monkeypatch):
    ready("credits", "buy", "acme", "50", "--yes")
    no = at_the_terminal(monkeypatch, "n", "credits", "refund", "acme", "00000001-1", "--amount", "20")
    assert (no.exit_code, len(teller.asked)) == (1, 1)
    assert "This pays back 20.00 USD of payment 00000001-1." in no.stderr

    part = ready("credits", "refund", "acme", "00000001-1", "--amount", "20", "--yes").stdout
    rest = ready("credits", "refund", "acme", "00000001-1", "--yes").stdout

    assert part == "refund 00000001-1-refund-1: 20.00 USD paid back for 20.00 USD of credit\n"
    assert rest == "refund 00000001-1-refund-2: 30.00 USD paid back for 30.00 USD of credit\n"
    assert sum(teller.books.values()) == 0
    assert "are unused" in ready.refuses("credits", "refund", "acme", "00000001-1", "--yes")


def test_a_refund_that_is_refused_says_where_the_credit_is(ready, teller):
    ready("credits", "buy", "acme", "50", "--yes")
    teller.says = [Declined("too_old", "The charge is too old.")]
    told = ready("credits", "refund", "acme", "00000001-1", "--yes", expect=1).stdout

    assert told == ("refund 00000001-1-refund-1: refused (The charge is too old.); 50.00 USD are in the wallet again\n")
    assert available(ready) == 100_000_000


# -- methods -----------------------------------------------------------------------------------------------------------


def test_a_card_is_entered_at_its_provider(gettone, teller):
    begun = gettone("methods", "add-card", "acme")
    assert lines(begun.stdout)["enter it at"] == "https://cards.example/1"
    assert begun.stderr == "then: gettone methods finish-card acme card-1\n"
    teller.cards["setup-1"] = Card(
        provider_ref="pm/1", customer_ref="c", fingerprint="f", label="Visa 4242", expires=203012
    )

    assert gettone("methods", "finish-card", "acme", "card-1").stdout == "card-1: Visa 4242 is ready\n"
    assert "12/2030" in gettone("methods", "list", "acme").stdout


def test_without_a_provider_of_cards_the_setting_is_named(gettone):
    assert "set GETTONE_PAYMENTS" in gettone.refuses("methods", "add-card", "acme")


def test_an_agreement_pays_within_its_limit_and_on_confirmation_when_so_agreed(gettone, teller):
    added = gettone(
        *("methods", "add-agreement", "acme", "E1", "--country", "DE", "--purchase-order", "PO-1"),
        *("--credit-limit", "120", "--at-once"),
    )
    assert added.stdout == "agreement-1: agreement E1 is ready\n"
    bought = gettone("credits", "buy", "acme", "100", "--yes").stdout
    assert bought == "order 00000001: 100.00 USD of credit bought, 100.00 USD to be paid by agreement E1\n"
    over = gettone("credits", "buy", "acme", "50", "--yes", expect=1).stdout
    assert "100.00 USD of the agreement are unpaid" in over

    gettone("methods", "credit", "acme", "agreement-1", "--credit-limit", "none", "--on-confirmation")
    waits = gettone("credits", "buy", "acme", "50", "--yes").stdout
    assert "50.00 USD of credit count once the operator has confirmed the order" in waits
    [shown] = gettone.json("methods", "list", "acme")
    assert shown["unpaid_micros"] == 100_000_000
    table = gettone("methods", "list", "acme").stdout
    assert "on confirmation" in table
    assert "100.00 USD" in table


def test_methods_are_ordered_renamed_and_removed(ready, teller):
    enter(ready, teller, 2, "Mastercard 4444")
    ordered = ready.json("methods", "order", "acme", "card-2", "card-1")
    assert [one["method"]["label"] for one in ordered] == ["Mastercard 4444", "Visa 4242"]
    assert "name each of these once: card-2 card-1" in ready.refuses("methods", "order", "acme", "card-1", expect=2)

    changed = ready("methods", "purchase-order", "acme", "card-1", "PO-7").stdout
    assert changed == "card-1: Visa 4242, purchase order PO-7\n"
    [entry, *_] = ready.json("methods", "history", "acme", "card-1")
    assert (entry["by"], entry["changes"]) == ("the command line", {"purchase_order": ["", "PO-7"]})
    assert "PO-7" in ready("methods", "history", "acme", "card-1").stdout

    assert ready("methods", "remove", "acme", "card-1").stdout == "card-1: Visa 4242 removed\n"
    assert [one["method"]["method_id"] for one in ready.json("methods", "list", "acme")] == ["card-2"]


# -- auto-recharge -----------------------------------------------------------------------------------------------------


def test_an_auto_recharge_is_set_shown_and_turned_off(ready):
    assert lines(ready("recharge", "show", "acme").stdout)["auto-recharge"] == "off (never set)"
    ready("wallet", "credit", "acme", "500")

    shown = lines(ready("recharge", "set", "acme", "--trigger", "100", "--amount", "200").stdout)
    assert shown["auto-recharge"] == "on"
    assert (shown["when balance falls below"], shown["recharge with"]) == ("100.00 USD", "200.00 USD")
    assert (shown["in a day at most"], shown["in a month at most"]) == ("4", "none")
    assert (shown["payment method"], shown["bought today"]) == ("the first", "0 for 0.00 USD")

    changed = lines(ready("recharge", "set", "acme", "--trigger", "150", "--method", "card-1").stdout)
    assert (changed["when balance falls below"], changed["recharge with"]) == ("150.00 USD", "200.00 USD")
    assert changed["payment method"] == "card-1"

    caps = ready("recharge", "caps", "acme", "--day-count", "2", "--day-amount", "400", "--month-amount", "1000")
    assert lines(caps.stdout)["in a day at most"] == "2 and 400.00 USD"
    freed = lines(ready("recharge", "caps", "acme", "--day-count", "none", "--day-amount", "none").stdout)
    assert (freed["in a day at most"], freed["in a month at most"]) == ("none", "1000.00 USD")

    assert lines(ready("recharge", "off", "acme").stdout)["auto-recharge"] == "off"
    rule = ready.json("recharge", "show", "acme")["rule"]
    assert (rule["enabled"], rule["trigger_micros"], rule["month_micros"]) == (False, 150_000_000, 1_000_000_000)


def test_a_rule_that_charges_at_once_is_asked_about(ready, teller, monkeypatch):
    words = ("recharge", "set", "acme", "--trigger", "100", "--amount", "200")
    told = ready.refuses(*words, expect=2)
    assert told.startswith(
        "error: Saving this charges 200.00 USD at once: 50.00 USD are available, less than 100.00 USD."
    )
    no = at_the_terminal(monkeypatch, "n", *words)
    assert (no.exit_code, ready.json("recharge", "show", "acme")["rule"]) == (1, None)

    yes = at_the_terminal(monkeypatch, "y", *words)
    assert yes.exit_code == 0
    assert "order 00000001: 200.00 USD of credit bought, 200.00 USD paid by Visa 4242" in yes.stderr
    assert lines(yes.stdout)["available"] == "250.00 USD"
    [bought] = ready.json("recharge", "history", "acme")
    assert (bought["state"], bought["available_micros"]) == ("fulfilled", 50_000_000)
    assert "fulfilled" in ready("recharge", "history", "acme").stdout


def test_a_suspended_auto_recharge_is_resumed(ready, teller):
    teller.says = [Declined("stolen_card", final=True)]
    ready("recharge", "set", "acme", "--trigger", "100", "--amount", "200", "--yes")
    shown = lines(ready("recharge", "show", "acme").stdout)
    assert shown["auto-recharge"] == "suspended (stolen_card); resume it: gettone recharge resume acme"

    assert "This charges 200.00 USD at once." in ready.refuses("recharge", "resume", "acme", expect=2)
    resumed = ready("recharge", "resume", "acme", "--yes")
    assert lines(resumed.stdout)["auto-recharge"] == "on"
    assert available(ready) == 250_000_000


def test_after_a_decline_it_says_until_when_it_waits(ready, teller):
    teller.says = [Declined("card_declined")]
    shown = lines(ready("recharge", "set", "acme", "--trigger", "100", "--amount", "200", "--yes").stdout)

    assert shown["auto-recharge"].startswith("on, waiting until 20")
    assert shown["auto-recharge"].endswith(" after 1 declined")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["set", "acme"], "auto-recharge was never set: give --trigger and --amount"),
        (["caps", "acme"], "nothing to change: give at least one of the options"),
        (["caps", "acme", "--day-count", "2"], "auto-recharge was never set"),
        (["set", "acme", "--trigger", "49", "--amount", "50"], "trigger '49.00': write a whole number of USD"),
        (["set", "acme", "--trigger", "x", "--amount", "50"], "trigger 'x'"),
        (
            ["set", "acme", "--trigger", "50", "--amount", "50", "--day-count", "1.5"],
            "day-count '1.5': write a whole number, or none for no limit",
        ),
        (["set", "acme", "--trigger", "50", "--amount", "50", "--day-amount", "x"], "day-amount 'x'"),
        (["set", "acme", "--trigger", "50", "--amount", "50", "--month-count", "0"], "month_count 0: write a whole"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_in_one_line(ready, words, message):
    assert message in ready.refuses("recharge", *words, expect=2)


def test_every_command_prints_json(ready, teller):
    for words in (
        ("credits", "review", "acme", "50"),
        ("credits", "buy", "acme", "50", "--yes"),
        ("credits", "payment", "acme", "00000001-1"),
        ("methods", "purchase-order", "acme", "card-1", "PO"),
        ("recharge", "set", "acme", "--trigger", "50", "--amount", "50"),
        ("recharge", "off", "acme"),
    ):
        assert json.loads(ready(*words, "--json").stdout)
