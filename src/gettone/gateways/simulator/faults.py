"""What goes wrong between the simulated provider and us, by name or drawn from a seed.

A question can get lost before it arrives or its answer after it was done; messages can get lost, come twice, late or
in another order. Named faults come first, one a question; then they are drawn, if there is a seed.
"""

import enum
import random
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final, TypeVar


class Question(enum.Enum):
    """What becomes of a question."""

    ANSWERED = "answered"
    QUESTION_LOST = "question lost"
    ANSWER_LOST = "answer lost"
    ANSWER_LATE = "answer late"
    SERVER_ERROR = "server error"
    RATE_LIMITED = "rate limited"
    IN_PROGRESS = "in progress"


class Message(enum.Enum):
    """What becomes of a message."""

    SENT = "sent"
    LOST = "lost"
    TWICE = "twice"
    LATE = "late"
    REORDERED = "reordered"


QUESTION_ODDS: Final[Mapping[Question, int]] = MappingProxyType(
    {
        Question.QUESTION_LOST: 60,
        Question.ANSWER_LOST: 60,
        Question.ANSWER_LATE: 30,
        Question.SERVER_ERROR: 20,
        Question.RATE_LIMITED: 20,
        Question.IN_PROGRESS: 10,
    }
)
MESSAGE_ODDS: Final[Mapping[Message, int]] = MappingProxyType(
    {Message.LOST: 100, Message.TWICE: 100, Message.LATE: 100, Message.REORDERED: 100}
)
"""In a thousand."""

_Fault = TypeVar("_Fault", Question, Message)

_DELAYS: Final[Mapping[Message, tuple[timedelta, ...]]] = MappingProxyType(
    {
        Message.SENT: (timedelta(),),
        Message.LOST: (),
        Message.TWICE: (timedelta(), timedelta(seconds=7)),
        Message.LATE: (timedelta(hours=3),),
        # Behind whatever is announced in the next seconds.
        Message.REORDERED: (timedelta(seconds=20),),
    }
)


class Faults:
    """What goes wrong from now on; nothing without a seed and a plan."""

    def __init__(
        self,
        seed: int | None = None,
        questions: Mapping[Question, int] = QUESTION_ODDS,
        messages: Mapping[Message, int] = MESSAGE_ODDS,
    ) -> None:
        """Draw from *seed*, each fault so many times in a thousand."""
        self._random = None if seed is None else random.Random(seed)  # noqa: S311 - a replay, not a secret
        self._question_odds, self._message_odds = questions, messages
        self._questions: deque[Question] = deque()
        self._messages: deque[Message] = deque()

    def plan(self, *faults: Question | Message) -> None:
        """Let the next questions and messages meet these, in order."""
        for fault in faults:
            if isinstance(fault, Question):
                self._questions.append(fault)
            else:
                self._messages.append(fault)

    def of_question(self) -> Question:
        """What becomes of the next question."""
        if self._questions:
            return self._questions.popleft()
        return self._drawn(self._question_odds, Question.ANSWERED)

    def of_message(self) -> tuple[timedelta, ...]:
        """After how long the next message is delivered, each time that it is."""
        planned = self._messages.popleft() if self._messages else self._drawn(self._message_odds, Message.SENT)
        return _DELAYS[planned]

    def _drawn(self, odds: Mapping[_Fault, int], none: _Fault) -> _Fault:
        if self._random is None:
            return none
        drawn = self._random.randrange(1000)
        for fault, chance in odds.items():
            drawn -= chance
            if drawn < 0:
                return fault
        return none
