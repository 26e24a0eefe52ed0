"""The organisation of the demo: its users, numbers and licences, and where they call. All of it made up.

The user numbers lie in ranges that numbering authorities keep free for fiction where there are such ranges; nothing is
ever dialled. *Gettone Sample* has users on a Domestic plan with and without Communications Credits, on Pay-As-You-Go,
one with no plan at all, a toll-free conference and a toll-free call queue, so that every payer and most refusals occur.
"""

from dataclasses import dataclass
from datetime import datetime

from gettone.catalogue.sample_rates import sample_deck_csv
from gettone.operations import directory, keys, numbers, rates, topups
from gettone.operations.office import Office

ORG_ID = "sample"
ORG_NAME = "Gettone Sample"
COUNTRY = "US"
CURRENCY = "USD"
FUNDS_MICROS = 250_000_000
TOP_UP = "200.00"

CONFERENCE = "+18005550100"
QUEUE = "+18885550123"

DOMESTIC, SMALL_DOMESTIC, CREDITS = "MCOPSTN1", "MCOPSTN5", "MCOPSTNC"
PAY_AS_YOU_GO_1, PAY_AS_YOU_GO_2 = "MCOPSTN_PAYG_1", "MCOPSTN_PAYG_2"

FULL = (DOMESTIC, CREDITS)
PAY = (PAY_AS_YOU_GO_1, CREDITS)
PAY_2 = (PAY_AS_YOU_GO_2, CREDITS)
SMALL = (SMALL_DOMESTIC, CREDITS)


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the sample organisation."""

    name: str
    location: str
    products: tuple[str, ...]
    number: str

    @property
    def upn(self) -> str:
        """Sign-in name."""
        return self.name.lower().replace(" ", ".") + "@gettone.example"


# Two letters stand for the line number.
_TEAMS: tuple[tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = (
    (
        "US",
        "+120255501##",
        (
            *(
                (name, FULL)
                for name in ("Ada Brook", "Ben Carter", "Cleo Diaz", "Dan Evers", "Eve Foster", "Finn Gray")
            ),
            *((name, FULL) for name in ("Gail Hart", "Hugh Ives", "Iris Jones")),
            *((name, (DOMESTIC,)) for name in ("Jack Kern", "Kate Lane", "Liam Moss")),
            ("Front Desk", ()),
        ),
    ),
    (
        "GB",
        "+4420794601##",
        (
            *((name, FULL) for name in ("Maud Neal", "Noel Orme", "Olive Pike", "Piers Quill")),
            *((name, (DOMESTIC,)) for name in ("Quinn Reed", "Rhys Shaw")),
        ),
    ),
    (
        "IT",
        "+3906555501##",
        (
            *((name, SMALL) for name in ("Sara Conti", "Tito Ferri", "Ugo Galli")),
            *((name, (SMALL_DOMESTIC,)) for name in ("Vera Longo", "Zeno Moro")),
            ("Anna Rossi", FULL),
        ),
    ),
    (
        "DE",
        "+49302312512##",
        (("Wim Adler", FULL), ("Xenia Braun", FULL), ("York Conrad", (DOMESTIC,)), ("Zita Dorn", PAY)),
    ),
    (
        "FR",
        "+331990012##",
        (("Aude Blanc", SMALL), ("Bruno Colin", SMALL), ("Celia Denis", (SMALL_DOMESTIC,)), ("Denis Faure", PAY)),
    ),
    ("CA", "+141655501##", (("Elsa Grant", FULL), ("Fred Hale", FULL), ("Gina Innes", (DOMESTIC,)))),
    ("AU", "+612555012##", (("Hal Jarvis", PAY_2), ("Ivy Kent", PAY_2), ("Joan Lloyd", PAY_2))),
    ("", "+120255509##", (("New Starter", FULL),)),
)

PEOPLE: tuple[Person, ...] = tuple(
    Person(name, location, products if location else (), pattern.replace("##", f"{10 + line}"))
    for location, pattern, team in _TEAMS
    for line, (name, products) in enumerate(team)
)

# Where people call: numbers of a country, each "#" any digit. Mobile numbers come second.
DESTINATIONS: dict[str, tuple[str, ...]] = {
    "US": ("+1202555####", "+1212555####"),
    "CA": ("+1416555####", "+1514555####"),
    "GB": ("+442079460###", "+447400######"),
    "IT": ("+390255#####", "+39333#######"),
    "DE": ("+4930231####", "+4915112######"),
    "FR": ("+331990#####", "+336123#####"),
    "AU": ("+6125550####", "+61491570###"),
    "ES": ("+3491123####", "+34612######"),
    "CH": ("+4144668####", "+4179123####"),
    "NL": ("+3120794####", "+316123#####"),
    "IN": ("+9111234#####", "+9198123#####"),
    "JP": ("+813123#####", "+819012######"),
    "BR": ("+551123######", "+55119876#####"),
    "ZA": ("+2721123####", "+2782123####"),
}
PREMIUM = "+1900555####"

EMERGENCY = {"US": "911", "CA": "911", "GB": "999", "IT": "112", "DE": "112", "FR": "112", "AU": "000"}


def prepare(office: Office, now: datetime) -> tuple[str, str]:
    """Fill an empty database; returns a charging key and an administrator's key of the organisation."""
    rates.import_deck(office, sample_deck_csv().encode(), now)
    directory.create_organisation(
        office, org_id=ORG_ID, name=ORG_NAME, country=COUNTRY, currency=CURRENCY, now=now, time_zone="UTC"
    )
    for person in PEOPLE:
        new = directory.NewUser(
            upn=person.upn,
            user_id=person.name.split()[0].lower(),
            display_name=person.name,
            usage_location=person.location,
            products=person.products,
            number=person.number,
        )
        directory.create_user(office, ORG_ID, new, now)
    numbers.assign_number(office, ORG_ID, CONFERENCE, use="conference", label="US toll-free conference")
    numbers.assign_number(office, ORG_ID, QUEUE, use="call_queue", label="US toll-free customer line")
    topups.add_funds(office, ORG_ID, FUNDS_MICROS, reference="demo", reason="to begin with", now=now)
    charging = keys.create_key(office, scope="charging", now=now, org_id=ORG_ID, label="demo switch")
    operator = keys.create_key(office, scope="operator", now=now, label="demo operator")
    return charging.token, operator.token
