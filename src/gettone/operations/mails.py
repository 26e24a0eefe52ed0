"""Mails as people read them: a notice in the words of a language, as text and as HTML.

The layouts are data too (``gettone/messages``). Everything that comes from outside, names above all, is escaped in the
HTML and kept on one line in the subject. What is rendered is kept with the delivery, so that a repeat is the same mail.
"""

import textwrap
from functools import cache

import jinja2
import msgspec

from gettone.operations.views import NoticeView, OrganisationView
from gettone.operations.wording import KindWords, Teller, Wording, message_file, wording

WIDTH = 76


class Mail(msgspec.Struct, frozen=True):
    """A mail but for who it is from and to."""

    subject: str
    text: str
    html: str
    language: str


def of_notice(
    told: NoticeView, organisation: OrganisationView, language: str, link: str, *, role: str = "", name: str = ""
) -> Mail:
    """The mail that tells of a notice, to somebody for the title of a *role*, or a chosen address when it is empty.

    *name* is what the notice's subject is called (`notices.name_of`).
    """
    teller = Teller(told, organisation.currency, language, organisation.time_zone, name)
    texts = teller.texts
    said = KindWords(
        sentence=teller.say(texts.sentence),
        subject=teller.say(texts.subject),
        text=tuple(map(teller.say, texts.text)),
        do=teller.say(texts.do),
    )
    return _rendered(said, organisation, language, link, role=role, action=told.facts.get("link", ""))


def of_test(organisation: OrganisationView, language: str, link: str) -> Mail:
    """The mail that shows whether mails arrive."""
    words = wording(language).mail
    said = KindWords(words["test_sentence"], words["test_subject"], (words["test_text"],), "")
    return _rendered(said, organisation, language, link)


def _rendered(
    said: KindWords, organisation: OrganisationView, language: str, link: str, *, role: str = "", action: str = ""
) -> Mail:
    """The mail; *action* is an address at the end of the sentence that somebody is to open."""
    words = wording(language)
    subject = " ".join(f"{organisation.name}: {said.subject}".split())
    facts = {
        "subject": subject,
        "heading": said.subject,
        "sentence": said.sentence,
        "text": said.text,
        "do": said.do,
        "organisation": organisation.name,
        "because": _because(words, role, organisation.name),
        "words": words.mail,
        "language": language,
        "link": link,
        # Names must not become links: somebody could call a department like a trap.
        "action": action if action.startswith(("https://", "http://")) and said.sentence.endswith(action) else "",
    }
    text, html = _layouts()
    return Mail(subject, text.render(facts), html.render(facts), language)


def _because(words: Wording, role: str, organisation: str) -> str:
    return words.mail["role" if role else "chosen"].format(role=role, organisation=organisation)


@cache
def _layouts() -> tuple[jinja2.Template, jinja2.Template]:
    """The layouts of text and HTML."""
    plain = _environment(escaping=False)
    html = _environment(escaping=True)
    plain.filters["fold"] = _folded
    return (
        plain.from_string(message_file("layout.txt.jinja")),
        html.from_string(message_file("layout.html.jinja")),
    )


def _environment(*, escaping: bool) -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=escaping,  # noqa: S701 - plain text is shown as it is
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _folded(text: str) -> str:
    """Lines that fit everywhere; addresses stay whole."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
