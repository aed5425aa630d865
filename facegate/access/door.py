"""The door: locked until a fresh grant, and for at most the pulse after it.

Pure state with an injected clock; the act thread calls `apply` for decisions and `tick` at
`deadline_s`, so the relay is released on time whatever the other threads do.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from facegate.types import Decision, Verdict

MAX_PULSE_S = 30.0


class Relay(Protocol):
    """The line that releases the strike while it is active."""

    def set(self, active: bool) -> None:
        """Drive the line."""
        ...


class DoorState(Enum):
    """What the door is doing."""

    LOCKED = "locked"
    UNLOCKED = "unlocked"


class Outcome(Enum):
    """What a decision did to the door."""

    NOTHING = "nothing"
    UNLOCKED = "unlocked"
    PROLONGED = "prolonged"
    TOO_OLD = "too_old"


class Door:
    """Drive the relay.

    Args:
        relay: output line, inactive when handed over.
        pulse_s: seconds the strike stays released, at most `MAX_PULSE_S`.
        max_decision_age_s: a grant whose frame is older does not open.
        clock: monotonic seconds.

    A second grant during the pulse prolongs it, but never beyond `MAX_PULSE_S` after unlocking.
    """

    def __init__(
        self, relay: Relay, pulse_s: float, max_decision_age_s: float, clock: Callable[[], float]
    ) -> None:
        if not 0 < pulse_s <= MAX_PULSE_S:
            raise ValueError(f"pulse_s is {pulse_s}, must be above 0 and at most {MAX_PULSE_S}")
        self._relay, self._clock = relay, clock
        self._pulse_s, self._max_age_s = pulse_s, max_decision_age_s
        self._unlocked_at_s = 0.0
        self.state = DoorState.LOCKED
        self.deadline_s: float | None = None

    def apply(self, decision: Decision) -> Outcome:
        """Act on a decision; only a fresh grant does anything."""
        if decision.verdict is not Verdict.GRANT:
            return Outcome.NOTHING
        now_s = self._clock()
        if not 0 <= now_s - decision.captured_at_s <= self._max_age_s:
            return Outcome.TOO_OLD
        if self.state is DoorState.UNLOCKED:
            self.deadline_s = min(now_s + self._pulse_s, self._unlocked_at_s + MAX_PULSE_S)
            return Outcome.PROLONGED
        # The state changes first: should the line fail half way, `tick` still releases it.
        self.state = DoorState.UNLOCKED
        self._unlocked_at_s, self.deadline_s = now_s, now_s + self._pulse_s
        self._relay.set(True)
        return Outcome.UNLOCKED

    def tick(self) -> bool:
        """Lock when the pulse is over; returns whether it just did."""
        if self.deadline_s is None or self._clock() < self.deadline_s:
            return False
        self.lock()
        return True

    def lock(self) -> None:
        """Release the relay at once."""
        self._relay.set(False)
        self.state, self.deadline_s = DoorState.LOCKED, None
