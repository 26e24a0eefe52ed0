"""Who takes part in a call: organisations, users, the numbers they are served on, and what was dialled."""

import enum
from dataclasses import dataclass
from datetime import datetime, tzinfo

from gettone.domain.numbers import Number


class CallType(enum.Enum):
    """The kinds of call of the PSTN usage report, by their report names.

    ``emergency`` is ours: a call to an emergency number, from whoever and wherever.
    """

    USER_IN = "user_in"
    USER_OUT = "user_out"
    USER_OUT_CONF = "user_out_conf"
    USER_OUT_TRANSFER = "user_out_transfer"
    USER_OUT_FORWARDING = "user_out_forwarding"
    CONF_IN = "conf_in"
    CONF_OUT = "conf_out"
    VOICE_APP_IN = "ucap_in"
    VOICE_APP_OUT = "ucap_out"
    EMERGENCY = "emergency"
    SMS_OUT = "sms_out"

    @property
    def inbound(self) -> bool:
        """Whether the called number is the organisation's."""
        return self in {CallType.USER_IN, CallType.CONF_IN, CallType.VOICE_APP_IN}


class NumberUse(enum.Enum):
    """What an organisation's number rings."""

    USER = "user"
    CONFERENCE = "conference"
    AUTO_ATTENDANT = "auto_attendant"
    CALL_QUEUE = "call_queue"


@dataclass(frozen=True, slots=True)
class Organisation:
    """What deciding about a call needs to know of an organisation."""

    org_id: str
    name: str
    country: str
    currency: str
    zone: tzinfo
    price_list: str
    closed: bool = False
    post_usage: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A person with a telephone; *usage_location* is a country, empty until set; *products* are the licences held."""

    user_id: str
    usage_location: str
    products: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServedNumber:
    """A number of the organisation's; *user* for numbers of users."""

    digits: str
    use: NumberUse
    user: User | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """A call as it is asked for: who, what, when. *called* is None only for an emergency number.

    *priced_number* decides the price: the number called, or for a toll-free number of ours that is rung, that number.
    """

    call_type: CallType
    called: Number | None
    at: datetime
    organisation: Organisation
    user: User | None = None
    served: ServedNumber | None = None
