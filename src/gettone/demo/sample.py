"""The organisation of the demo: its licences, users and numbers, and where they call. All of it made up.

The user numbers lie in ranges that numbering authorities keep free for fiction where there are such ranges; nothing is
ever dialled. *Gettone Sample* has users on Domestic, International and Pay-As-You-Go plans with and without
Communications Credits, with minutes of their own, and with nothing but Audio Conferencing where no plan is sold; a
toll-free conference and a call queue with a resource account; so that every payer and most refusals occur.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from gettone.catalogue.sample_rates import sample_deck_csv
from gettone.demo.billing import prepare_billing
from gettone.operations import directory, keys, numbers, rates, subscriptions, topups
from gettone.operations.office import Office

ORG_ID = "sample"
ORG_NAME = "Gettone Sample"
COUNTRY = "US"
CURRENCY = "USD"
FUNDS_MICROS = 250_000_000

CONFERENCE = "+18005550100"
QUEUE = "+18885550123"

QUEUE_ACCOUNT = "customer.line@gettone.example"

PHONE, CREDITS, RESOURCE = "MCOEV", "MCOPSTNC", "PHONESYSTEM_VIRTUALUSER"
DOMESTIC, SMALL_DOMESTIC, INTERNATIONAL = "MCOPSTN1", "MCOPSTN5", "MCOPSTN2"
ZONE_1 = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_1)"
ZONE_2 = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_2)"
# Both contain Phone System and Audio Conferencing.
E5, E5_MINUTES = "SPE_E5", "SPE_E5_CALLINGMINUTES"

PLANS = frozenset({DOMESTIC, SMALL_DOMESTIC, INTERNATIONAL, ZONE_1, ZONE_2, E5_MINUTES})
CONFERENCING = frozenset({E5, E5_MINUTES})
SPARE = 2
"""So many licences of each product are left over."""

LOCAL = (PHONE, DOMESTIC)
SMALL_LOCAL = (PHONE, SMALL_DOMESTIC)
FULL = (*LOCAL, CREDITS)
SMALL = (*SMALL_LOCAL, CREDITS)
WORLD = (PHONE, INTERNATIONAL, CREDITS)
PAY = (PHONE, ZONE_1, CREDITS)
PAY_2 = (PHONE, ZONE_2, CREDITS)
BUNDLE = (E5, DOMESTIC, CREDITS)
OWN = (E5_MINUTES, CREDITS)
MEETINGS = (E5, CREDITS)


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

    @property
    def calls(self) -> bool:
        """Whether there is a plan to call with."""
        return not PLANS.isdisjoint(self.products)

    @property
    def meets(self) -> bool:
        """Whether there is a licence to hold conferences with."""
        return not CONFERENCING.isdisjoint(self.products)


# Two letters stand for the line number.
_TEAMS: tuple[tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = (
    (
        "US",
        "+120255501##",
        (
            *((name, FULL) for name in ("Ada Brook", "Ben Carter", "Cleo Diaz", "Dan Evers")),
            *((name, WORLD) for name in ("Eve Foster", "Finn Gray")),
            *((name, BUNDLE) for name in ("Gail Hart", "Hugh Ives")),
            ("Iris Jones", OWN),
            *((name, LOCAL) for name in ("Jack Kern", "Kate Lane", "Liam Moss")),
            ("Front Desk", ()),
        ),
    ),
    (
        "GB",
        "+4420794601##",
        (
            *((name, FULL) for name in ("Maud Neal", "Noel Orme")),
            ("Olive Pike", WORLD),
            ("Piers Quill", BUNDLE),
            ("Quinn Reed", LOCAL),
            ("Rhys Shaw", PAY),
        ),
    ),
    (
        "IT",
        "+3906555501##",
        (
            *((name, SMALL) for name in ("Sara Conti", "Tito Ferri", "Ugo Galli")),
            *((name, SMALL_LOCAL) for name in ("Vera Longo", "Zeno Moro")),
            ("Anna Rossi", BUNDLE),
        ),
    ),
    (
        "DE",
        "+49302312512##",
        (("Wim Adler", FULL), ("Xenia Braun", OWN), ("York Conrad", LOCAL), ("Zita Dorn", PAY_2)),
    ),
    (
        "FR",
        "+331990012##",
        (("Aude Blanc", SMALL), ("Bruno Colin", SMALL), ("Celia Denis", SMALL_LOCAL), ("Denis Faure", PAY_2)),
    ),
    ("CA", "+141655501##", (("Elsa Grant", FULL), ("Fred Hale", PAY), ("Gina Innes", LOCAL))),
    # No Calling Plan is sold there: these hold conferences.
    ("AU", "+612555012##", (("Hal Jarvis", MEETINGS), ("Ivy Kent", MEETINGS), ("Joan Lloyd", MEETINGS))),
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
    _buy(office, now)
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
    line = directory.NewUser(
        upn=QUEUE_ACCOUNT, display_name="Customer line", usage_location=COUNTRY, products=(RESOURCE,), resource=True
    )
    directory.create_user(office, ORG_ID, line, now)
    numbers.assign_number(office, ORG_ID, CONFERENCE, now, use="conference", label="US toll-free conference")
    numbers.assign_number(
        office, ORG_ID, QUEUE, now, user=QUEUE_ACCOUNT, use="call_queue", label="US toll-free customer line"
    )
    topups.add_funds(office, ORG_ID, FUNDS_MICROS, reference="demo", reason="to begin with", now=now)
    prepare_billing(office, ORG_ID, now)
    charging = keys.create_key(office, scope="charging", now=now, org_id=ORG_ID, label="demo switch")
    operator = keys.create_key(office, scope="operator", now=now, label="demo operator")
    return charging.token, operator.token


def _buy(office: Office, now: datetime) -> None:
    """Buy what is going to be assigned, and a little more."""
    wanted = Counter(product for person in PEOPLE for product in person.products)
    for product, count in sorted(wanted.items()):
        quantity = None if product == CREDITS else count + SPARE
        subscriptions.buy(office, ORG_ID, product, now, reference=f"demo {product}", quantity=quantity)
