"""Notices that the clock was set: what was recorded before and after is then told apart."""

from __future__ import annotations

import time
from collections.abc import Callable

STEP_S = 5.0
"""What a look finds less than this is the clock being corrected on the way."""


class ClockWatch:
    """Compares the time of day with a clock that nobody sets.

    Args:
        told: called with how many seconds it was set forward; below 0 is back.
        wall_clock: seconds since the epoch.
        clock: monotonic seconds; it stands still while the machine sleeps.
    """

    def __init__(
        self,
        told: Callable[[float], None],
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told, self._wall_clock, self._clock = told, wall_clock, clock
        self._off_s = self._off()

    def look(self) -> None:
        """Look whether it was set since the last look."""
        before_s, self._off_s = self._off_s, self._off()
        if abs(forward_s := self._off_s - before_s) >= STEP_S:
            self._told(forward_s)

    def _off(self) -> float:
        return self._wall_clock() - self._clock()
