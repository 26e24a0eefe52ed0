"""Who takes part in a call: organisations, users, the numbers they are served on, and what was dialled."""

import enum
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from gettone.domain.numbers import Number
from gettone.domain.policies import Block, Policies


class CallType(enum.Enum):
    """The kinds of call of the PSTN usage report, by their report names.

    ``emergency`` is ours: a call to an emergency number, from whoever and wherever.
    """

    # Members are one of a kind: their identity is their hash, and takes no call of Python.
    __hash__ = object.__hash__

    USER_IN = "user_in"
    USER_OUT = "user_out"
    USER_OUT_CONF = "user_out_conf"
    USER_OUT_TRANSFER = "user_out_transfer"
    USER_OUT_FORWARDING = "user_out_forwarding"
    CONF_IN = "conf_in"
    CONF_OUT = "conf_out"
    VOICE_APP_IN = "ucap_in"
    VOICE_APP_OUT = "ucap_out"
    UNASSIGNED_IN = "unassigned_in"
    EMERGENCY = "emergency"
    SMS_OUT = "sms_out"

    @property
    def inbound(self) -> bool:
        """Whether the called number is the organisation's."""
        return self in _INBOUND


_INBOUND = frozenset({CallType.USER_IN, CallType.CONF_IN, CallType.VOICE_APP_IN, CallType.UNASSIGNED_IN})


class NumberUse(enum.Enum):
    """What an organisation's number rings."""

    # Members are one of a kind: their identity is their hash, and takes no call of Python.
    __hash__ = object.__hash__

    USER = "user"
    CONFERENCE = "conference"
    AUTO_ATTENDANT = "auto_attendant"
    CALL_QUEUE = "call_queue"
    UNASSIGNED = "unassigned"


class NumberSource(enum.Enum):
    """Where an organisation's number comes from: with a plan, ported in (no quota counts it), or by Direct Routing.

    A number that came with a plan or was ported rings a user only while the user has a calling plan.
    """

    PLAN = "plan"
    PORTED = "ported"
    DIRECT = "direct"


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
    policies: Policies = field(default_factory=Policies)


@dataclass(frozen=True, slots=True)
class User:
    """A person with a telephone, or a *resource* account, which answers and calls for a voice application.

    *usage_location* is a country, empty until set. *licences* are the products held, each with the service plans that
    are switched off in it (`catalogue.SEPARATOR`). *limit_micros* is the user's own spending limit a month.
    """

    user_id: str
    usage_location: str
    licences: frozenset[str]
    resource: bool = False
    department: str = ""
    cost_centre: str = ""
    dial_out_policy: str = ""
    limit_micros: int | None = None
    block: Block | None = None

    @property
    def groups(self) -> tuple[str, ...]:
        """The subjects, beside the user, that the user's spending counts for."""
        department = (f"department/{self.department}",) if self.department else ()
        return (*department, f"cost_centre/{self.cost_centre}") if self.cost_centre else department


@dataclass(frozen=True, slots=True)
class ServedNumber:
    """A number of the organisation's; *user* for numbers of users, and of voice applications with an account."""

    digits: str
    use: NumberUse
    user: User | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """A call as it is asked for: who, what, when. *called* is None only for an emergency number.

    *user* is who calls or is called; of a conference it is the organiser. *calling* are the digits of the caller.
    """

    call_type: CallType
    called: Number | None
    at: datetime
    calling: str
    organisation: Organisation
    user: User | None = None
    served: ServedNumber | None = None
