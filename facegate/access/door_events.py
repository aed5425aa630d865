"""What the door is told to be, what it can be doing, and what it says about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from facegate.types import MAX_PULSE_S

DoorEventName = Literal[
    "granted",
    "grant_refused",
    "decision_too_old",
    "duress",
    "second_factor_wanted",
    "second_factor_refused",
    "second_factor_expired",
    "door_unlocked",
    "door_kept_unlocked",
    "door_prolonged",
    "door_locked",
    "door_opened",
    "door_closed",
    "door_authorised",
    "door_held_open_warning",
    "door_held_open",
    "door_forced_open",
    "tamper_began",
    "tamper_ended",
    "lockdown_began",
    "lockdown_ended",
    "lockout_began",
    "lockout_ended",
]


class DoorState(Enum):
    """What the door is doing; without a contact it is only ever locked or unlocked."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"
    OPEN = "open"
    HELD_OPEN_WARNING = "held-open-warning"
    HELD_OPEN = "held-open"
    FORCED_OPEN = "forced-open"


STANDS_OPEN = frozenset(DoorState) - {DoorState.LOCKED, DoorState.UNLOCKED}
ALARMS = frozenset({DoorState.HELD_OPEN, DoorState.FORCED_OPEN})


@dataclass(frozen=True)
class DoorSettings:
    """How the door behaves.

    Attributes:
        pulse_s: seconds the strike stays released, at most `MAX_PULSE_S`.
        max_decision_age_s: a grant whose frame is older does not open.
        relock_on_close: whether the strike is held again as soon as the door closes.
        held_open_warning_s, held_open_alarm_s: seconds the door may stand open until either.
        second_factor: what must follow a face before the door opens.
        second_factor_s: seconds within which it must.
        lockout_attempts: so many refusals in a row lock faces out; None never does.
        lockout_within_s: seconds within which they count.
        lockout_s: seconds that faces stay locked out.
        duress: keys (`names.same_name_key`) of people whose coming means that they are threatened.
    """

    pulse_s: float
    max_decision_age_s: float
    relock_on_close: bool
    held_open_warning_s: float
    held_open_alarm_s: float
    second_factor: Literal["button", "pin"] | None
    second_factor_s: float
    lockout_attempts: int | None
    lockout_within_s: float
    lockout_s: float
    duress: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < self.pulse_s <= MAX_PULSE_S:
            raise ValueError(
                f"pulse_s is {self.pulse_s}, must be above 0 and at most {MAX_PULSE_S}"
            )


@dataclass(frozen=True)
class DoorEvent:
    """Something that happened at the door.

    Attributes:
        name: which event of the journal it is.
        at_s: monotonic seconds.
        before, after: the door's state; equal when the event changed only strike, rules or nothing.
        cause: stable machine-readable name of why.
        person: whose face it was, when it was one.
        for_s: how long the door is kept unlocked.
    """

    name: DoorEventName
    at_s: float
    before: DoorState
    after: DoorState
    cause: str
    person: str | None = None
    for_s: float | None = None
