"""What notices say: both languages tell every kind with the same facts, and mails are whole and safe."""

import string
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gettone.domain.refusals import Refusal
from gettone.operations import mails
from gettone.operations.billing import LANGUAGES
from gettone.operations.notices import (
    ACTION_REQUIRED,
    BALANCE_ZERO,
    BLOCK_REASONS,
    CREDIT_EXPIRING,
    GUARD_REFUSED,
    KINDS,
    PAYMENT_DISPUTED,
    PURCHASE_FAILED,
    RECHARGE_CAPPED,
    RECHARGE_SUCCEEDED,
    SPEND_WARNING,
    USER_BLOCKED,
    USER_UNBLOCKED,
    named,
    notice,
    sentence,
)
from gettone.operations.wording import ENGLISH, moment, wording
from tests.support.documentation import headings
from tests.support.rows import MIDDAY, organisation

ITALIAN = "it"
LINK = "https://calls.example"
DOCS = Path(__file__).parent.parent.parent / "docs" / "reference"

# A fact of every name, as it is written.
FACTS = {
    "percent": "80",
    "limit": "1250000000",
    "committed": "1000500000",
    "month": "202611",
    "until": "2026-11-24T12:30:00+00:00",
    "reason": "insufficient_funds",
    "by": "Anna",
    "called": "+442079460123",
    "refusal": "international_spend_limit",
    "deck": "standard-7",
    "error": "row 3 is damaged",
    "session": "s-1",
    "country": "GB",
    "changes": "user limit from none to 5.00 EUR",
    "left": "-1500000",
    "used_minutes": "1200",
    "size_minutes": "1500",
    "amount": "1234560000",
    "available": "20000000",
    "retry_at": "2026-11-24T12:30:00+00:00",
    "cap": "month",
    "link": "https://pay.example/confirm?a=1&b=2",
    "paid_on": "2026-11-08",
    "stage": "opened",
    "expires_on": "2027-01-31",
    "days": "60",
}


def written(kind: str, subject: str = "user/anna", **facts: str):
    return notice(kind, subject, "1", facts or {name: FACTS[name] for name in KINDS[kind]}, MIDDAY)


def said(kind: str, language: str, subject: str = "user/anna", **facts: str) -> str:
    return sentence(written(kind, subject, **facts), "EUR", language, "Europe/Rome")


def mail(told, language: str = ENGLISH, role: str = "Billing Administrator", **settings) -> mails.Mail:
    contoso = organisation("contoso", **({"currency": "EUR", "time_zone": "Europe/Rome"} | settings))
    return mails.of_notice(told, contoso, language, LINK, role=role)


def placeholders(*texts: str) -> set[str]:
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


class Text(HTMLParser):
    """The text of a page, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.links, self.tags = "", [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data):
        self.text += data


# -- the two languages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_tells_every_kind_and_no_other(language):
    assert list(wording(language).kinds) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_told_with_its_facts_in_every_language(kind):
    subjects = {"who", "of_who"}
    for language in LANGUAGES:
        texts = wording(language).kinds[kind]
        assert placeholders(texts.sentence) - subjects == set(KINDS[kind])
        assert placeholders(texts.subject, *texts.text, texts.do) <= {*KINDS[kind], *subjects}
        assert texts.subject
        assert texts.do.endswith(".")


def test_the_languages_have_the_same_words():
    english, italian = (wording(language) for language in (ENGLISH, ITALIAN))
    for table in ("subjects", "words", "caps", "stages", "by", "reasons", "mail"):
        assert getattr(english, table).keys() == getattr(italian, table).keys()


def test_italian_has_words_for_every_refusal_of_the_guard_and_reason_of_a_block():
    guard = {Refusal.TOO_MANY_CALLS, Refusal.NEW_DESTINATION_LIMIT, Refusal.INTERNATIONAL_SPEND_LIMIT}

    assert wording(ITALIAN).refusals.keys() == {one.value for one in guard}
    assert BLOCK_REASONS.keys() <= wording(ITALIAN).reasons.keys()


def test_an_unknown_language_is_english():
    assert said(BALANCE_ZERO, "fr", left="0") == said(BALANCE_ZERO, ENGLISH, left="0")


# -- facts in words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "kind", "facts", "expected"),
    [
        (
            "en",
            SPEND_WARNING,
            {"percent": "80", "limit": "1250000000", "committed": "1000500000", "month": "202611"},
            (
                "User anna has used 80 % of the spending limit of 1,250.00 EUR for November 2026: "
                "1,000.50 EUR are spent or held by running calls."
            ),
        ),
        (
            "it",
            SPEND_WARNING,
            {"percent": "80", "limit": "1250000000", "committed": "1000500000", "month": "202611"},
            (
                "L'utente anna è a quota 80 % del limite di spesa di 1.250,00 EUR per novembre 2026: "
                "1.000,50 EUR sono spesi o impegnati da chiamate in corso."
            ),
        ),
        (
            "it",
            USER_BLOCKED,
            {"reason": "high_international_spend", "until": "2026-11-24T12:30:00+00:00"},
            (
                "L'utente anna non può chiamare fino a martedì 24 novembre 2026 alle 13:30 (Europe/Rome). "
                "In un'ora le chiamate internazionali sono costate quanto consente la protezione dalle frodi."
            ),
        ),
        (
            "it",
            USER_BLOCKED,
            {"reason": "tenant_requested", "until": ""},
            (
                "L'utente anna non può chiamare finché qualcuno non rimuove il blocco. "
                "Lo ha chiesto un amministratore dell'organizzazione."
            ),
        ),
        (
            "en",
            CREDIT_EXPIRING,
            {"amount": "500000", "expires_on": "2027-01-31", "days": "1"},
            "0.50 EUR of credit expire on 31 January 2027, in 1 day, unless they are used before.",
        ),
        (
            "it",
            CREDIT_EXPIRING,
            {"amount": "500001", "expires_on": "2027-01-31", "days": "60"},
            "0,500001 EUR di credito scadono domenica 31 gennaio 2027, tra 60 giorni, se non vengono usati prima.",
        ),
        (
            "it",
            RECHARGE_CAPPED,
            {"cap": "day", "retry_at": "2026-11-24T23:00:00+00:00"},
            (
                "La ricarica automatica è in attesa: il suo limite giornaliero è raggiunto. "
                "Riprende: mercoledì 25 novembre 2026 alle 00:00 (Europe/Rome)."
            ),
        ),
        (
            "it",
            PAYMENT_DISPUTED,
            {"amount": "50000000", "paid_on": "2026-11-08", "stage": "won"},
            (
                "Il pagamento di 50,00 EUR di domenica 8 novembre 2026 è contestato: "
                "la contestazione è stata respinta e il credito è stato restituito."
            ),
        ),
        ("it", USER_UNBLOCKED, {"by": "system"}, "L'utente anna può chiamare di nuovo; blocco rimosso da: il sistema."),
        (
            "it",
            GUARD_REFUSED,
            {"called": "+882123", "refusal": "too_many_calls", "limit": "10"},
            (
                "Una chiamata dell'utente anna verso +882123 è stata rifiutata dalla protezione dalle frodi. "
                "L'utente ha tante chiamate contemporanee quante ne consente la protezione dalle frodi. Il limite è 10."
            ),
        ),
    ],
)
def test_facts_are_written_the_language_s_way(language, kind, facts, expected):
    assert said(kind, language, **facts) == expected


@pytest.mark.parametrize(
    ("currency", "expected"), [("JPY", "1.235 JPY"), ("KWD", "1.235,000 KWD"), ("EUR", "1.235,00 EUR")]
)
def test_an_amount_has_the_decimals_of_its_currency(currency, expected):
    told = notice(RECHARGE_SUCCEEDED, "", "1", {"amount": "1235000000", "available": "0"}, MIDDAY)

    assert f"aggiunto {expected};" in sentence(told, currency, ITALIAN)


def test_what_a_provider_says_in_its_own_words_stands_as_it_is():
    facts = {"amount": "50000000", "reason": "Your card was declined."}

    assert said(PURCHASE_FAILED, ENGLISH, **facts) == (
        "The payment of 50.00 EUR was declined: Your card was declined. Nothing was charged."
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_facts_that_are_not_what_they_should_be_stand_as_they_are(kind, language):
    odd = said(kind, language, **dict.fromkeys(KINDS[kind], "{odd}"))

    assert "{odd}" in odd


def test_a_time_without_an_offset_is_utc():
    at = datetime(2026, 11, 24, 12)

    assert moment(at, ZoneInfo("UTC"), wording(ENGLISH)) == moment(
        at.replace(tzinfo=UTC), ZoneInfo("UTC"), wording("en")
    )


def test_a_subject_is_named_in_both_languages():
    assert named("department/Sales") == "department Sales"
    assert named("cost_centre/4711", ITALIAN) == "il centro di costo 4711"
    assert named("", ITALIAN) == "l'organizzazione"
    assert named("moon_base/1") == "moon base 1"


# -- mails -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_mail_of_every_kind_says_what_happened_and_what_to_do(kind, language):
    told = written(kind)
    made = mail(told, language)
    page = Text(made.html)
    texts, flat = wording(language).kinds[kind], " ".join(made.text.split())

    assert made.subject.startswith("contoso: ")
    for unsaid in ("{", "}", "?"):
        assert unsaid not in (made.subject + made.text.replace(FACTS["link"], ""))
    assert sentence(told, "EUR", language, "Europe/Rome") in flat
    assert sentence(told, "EUR", language, "Europe/Rome") in page.text
    assert wording(language).mail["next"] in made.text
    assert wording(language).mail["next"] in page.text
    for paragraph in texts.text:
        assert paragraph.partition("{")[0] in flat
        assert paragraph.partition("{")[0] in page.text
    assert LINK in made.text
    assert LINK in page.links
    assert f'<html lang="{language}">' in made.html
    assert "Billing Administrator" in made.text
    assert max(map(len, made.text.splitlines())) <= 76


def test_a_chosen_address_reads_why_it_is_written_to():
    assert "because this address was chosen" in mail(written(BALANCE_ZERO), role="").text
    assert "perché questo indirizzo è stato scelto" in mail(written(BALANCE_ZERO), ITALIAN, role="").text


def test_names_cannot_write_into_the_html():
    told = written(SPEND_WARNING, 'department/<img src="https://evil.example/x">', limit="1")
    page = Text(mail(told, name="<b>Contoso</b> & Sons").html)

    assert '<img src="https://evil.example/x">' in page.text
    assert "<b>Contoso</b> & Sons" in page.text
    assert {"img", "b"}.isdisjoint(page.tags)


def test_names_do_not_become_links():
    told = written(SPEND_WARNING, "department/https://evil.example")

    assert Text(mail(told).html).links == [LINK]


def test_the_address_where_a_payment_is_confirmed_is_a_link():
    page = Text(mail(written(ACTION_REQUIRED)).html)

    assert page.links == [FACTS["link"], LINK]
    assert page.text.count(FACTS["link"]) == 1


def test_a_link_that_is_none_is_only_text():
    told = written(ACTION_REQUIRED, amount="1", link="javascript:alert(1)")

    assert Text(mail(told).html).links == [LINK]


def test_a_subject_is_one_line():
    told = written(PURCHASE_FAILED, "user/anna\nBcc: all@example.com", amount="1", reason="no\r\nway")

    assert "\n" not in mail(msgspec.structs.replace(told, kind=SPEND_WARNING)).subject


def test_a_notice_of_a_newer_kind_makes_a_mail_too():
    made = mail(notice("moon_full", "", "1", {"at": "{noon}"}, MIDDAY))

    assert made.subject == "contoso: moon_full"
    assert "moon_full of the organisation: at {noon}." in made.text
    assert wording(ENGLISH).mail["next"] not in made.text


# -- the documentation -------------------------------------------------------------------------------------------------


def test_every_kind_has_a_heading_in_the_reference():
    assert not KINDS.keys() - set(headings(DOCS / "notices.md"))


def test_the_reference_shows_the_sentences_that_are_said():
    page = (DOCS / "notices.md").read_text()

    assert [kind for kind in KINDS if f"> {wording(ENGLISH).kinds[kind].sentence}\n" not in page] == []
