"""Whether the door stands unlocked now: by its hours, and by a clock that can be believed.

A clock without a battery goes on, after a power cut, from when the power failed: hours or days ago.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from facegate.access.schedule import Schedule

SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
"""There since systemd's time service first had the network's time after the start of the machine.
Source: systemd-timesyncd.service(8)."""


def wall_clock() -> datetime:
    """Give the time of day."""
    return datetime.now(UTC)


def clock_synchronised() -> bool:
    """Whether the time of day came from the network since this machine started."""
    return SYNCHRONISED.exists()


def clock_believed(battery_clock: bool) -> bool:
    """Whether the time of day can be believed now; `schedule.battery_clock` vouches for it."""
    return battery_clock or clock_synchronised()


class UnlockHours:
    """Looks at the clock.

    Args:
        unsure: called once when it is within unlock hours by a clock that cannot be believed.
        wall_clock: the time of day.
        synchronised: whether it can be believed.
    """

    def __init__(
        self,
        unsure: Callable[[], None],
        wall_clock: Callable[[], datetime] = wall_clock,
        synchronised: Callable[[], bool] = clock_synchronised,
    ) -> None:
        self._unsure, self._wall_clock, self._synchronised = unsure, wall_clock, synchronised
        self._believed = self._told = False

    def sure(self, schedule: Schedule) -> bool:
        """Whether the clock can be believed."""
        # Once is enough: the file is gone for a while when systemd-timesyncd is started again.
        self._believed = self._believed or self._synchronised()
        return self._believed or schedule.battery_clock

    def hold(self, schedule: Schedule) -> bool:
        """Whether it is within a schedule's unlock hours."""
        if not schedule.unlocked(self._wall_clock()):
            self._told = False
            return False
        if self.sure(schedule):
            return True
        if not self._told:
            self._told = True
            self._unsure()
        return False
