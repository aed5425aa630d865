"""Lights and buzzer at the door: which pattern says what, and how it is played.

Three lights (or one of three colours) and a buzzer, each of which may be missing. Patterns that
invite stay blue, let-in is green, refusals are red; every state also differs by its rhythm, so that
it can be told without seeing colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from facegate.errors import LineError
from facegate.hardware.lines import OutputLine

Lamp = Literal["green", "red", "blue", "buzzer"]
LAMPS: tuple[Lamp, ...] = ("green", "red", "blue", "buzzer")


class PanelState(Enum):
    """What the panel says."""

    IDLE = "idle"
    LOOKING = "looking"
    COME_CLOSER = "come closer"
    TOO_DARK = "too dark"
    TURN_TO_ME = "turn to me"
    TURN_HEAD = "turn the head"
    GRANTED = "granted"
    DENIED = "denied"
    FACTOR = "second factor"
    ARMED = "armed"
    ENROLLING = "enrolling"
    ENROLLED = "enrolled"
    WARNING = "door open"
    ALARM = "alarm"
    ERROR = "error"


@dataclass(frozen=True)
class Step:
    """For so many seconds these lamps are on, all others off."""

    seconds: float
    on: frozenset[Lamp] = frozenset()


@dataclass(frozen=True)
class Pattern:
    """Steps, played again and again, or once: then the state before comes back."""

    steps: tuple[Step, ...]
    once: bool = False

    @property
    def seconds(self) -> float:
        """How long one round takes."""
        return sum(step.seconds for step in self.steps)

    def at(self, elapsed_s: float) -> tuple[frozenset[Lamp], float]:
        """Give the lamps that are on after so many seconds, and the seconds until that changes."""
        left_s = elapsed_s % self.seconds
        for step in self.steps:
            if left_s < step.seconds:
                return step.on, step.seconds - left_s
            left_s -= step.seconds
        return self.steps[0].on, self.steps[0].seconds  # rounding at the very end of a round


def _on(seconds: float, *lamps: Lamp) -> Step:
    return Step(seconds, frozenset(lamps))


PATTERNS: dict[PanelState, Pattern] = {
    PanelState.IDLE: Pattern((_on(0.05, "blue"), _on(3.95))),
    PanelState.LOOKING: Pattern((_on(1.0, "blue"),)),
    PanelState.COME_CLOSER: Pattern((_on(0.5, "blue"), _on(0.5))),
    PanelState.TOO_DARK: Pattern((_on(0.1, "blue"), _on(0.9))),
    PanelState.TURN_TO_ME: Pattern((_on(0.15, "blue"), _on(0.15), _on(0.15, "blue"), _on(0.55))),
    PanelState.TURN_HEAD: Pattern((_on(0.6, "green"), _on(0.2), _on(0.2, "green"), _on(0.2))),
    PanelState.GRANTED: Pattern((_on(0.1, "green", "buzzer"), _on(1.9, "green")), once=True),
    PanelState.DENIED: Pattern(
        (_on(0.1, "red", "buzzer"), _on(0.1, "red"), _on(0.1, "red", "buzzer"), _on(1.2, "red")),
        once=True,
    ),
    PanelState.FACTOR: Pattern(
        (*2 * (_on(0.15, "green", "blue"), _on(0.15)), _on(0.15, "green", "blue"), _on(0.75))
    ),
    PanelState.ARMED: Pattern((_on(0.5, "green", "blue"), _on(0.5, "blue"))),
    PanelState.ENROLLING: Pattern((_on(0.25, "green"), _on(0.25, "blue"))),
    PanelState.ENROLLED: Pattern(
        (
            *(_on(0.15, "green", "buzzer"), _on(0.15)),
            *(_on(0.15, "green", "buzzer"), _on(0.15)),
            _on(1.4, "green"),
        ),
        once=True,
    ),
    PanelState.WARNING: Pattern((_on(0.1, "red", "buzzer"), _on(0.9, "red"))),
    PanelState.ALARM: Pattern((_on(0.25, "red", "buzzer"), _on(0.25))),
    PanelState.ERROR: Pattern((_on(0.1, "red"), _on(0.1))),
}


class Panel:
    """Plays patterns; one thread drives it.

    Args:
        lines: the lamps that are wired.
        clock: monotonic seconds.
    """

    def __init__(self, lines: Mapping[Lamp, OutputLine], clock: Callable[[], float]) -> None:
        self._lines, self._clock = dict(lines), clock
        self._base, self._base_since_s = PanelState.IDLE, clock()
        self._once: tuple[PanelState, float] | None = None

    @property
    def state(self) -> PanelState:
        """What it says now."""
        return self._playing()[0]

    @property
    def deadline_s(self) -> float | None:
        """When the lamps change next, monotonic seconds; None without lamps."""
        if not self._lines:
            return None
        state, since_s = self._playing()
        now_s = self._clock()
        return now_s + PATTERNS[state].at(now_s - since_s)[1]

    def show(self, state: PanelState) -> None:
        """Say something: once, or until something else is said."""
        if PATTERNS[state].once:
            self._once = (state, self._clock())
        elif state is not self._base:
            self._base, self._base_since_s = state, self._clock()

    def tick(self) -> None:
        """Set the lamps as the pattern wants them now.

        Raises:
            LineError: a lamp cannot be driven. It is left alone from now on; the others go on.
        """
        state, since_s = self._playing()
        on, _ = PATTERNS[state].at(self._clock() - since_s)
        failed: list[LineError] = []
        for lamp, line in list(self._lines.items()):
            try:
                if line.active != (lamp in on):
                    line.set(lamp in on)
            except LineError as error:
                del self._lines[lamp]
                failed.append(error)
        if failed:
            raise LineError("; ".join(map(str, failed)))

    def _playing(self) -> tuple[PanelState, float]:
        once = self._once  # other threads ask for the state; what they see they never change
        if once is not None and self._clock() - once[1] < PATTERNS[once[0]].seconds:
            return once
        return self._base, self._base_since_s
