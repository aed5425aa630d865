"""May the enrolment button enrol? Only after an administrator was seen, or before there is one."""

from __future__ import annotations

from collections.abc import Callable


class Arming:
    """Pure state with an injected clock.

    Args:
        lasts_s: seconds after an administrator was recognised in which a press enrols.
        clock: monotonic seconds.
    """

    def __init__(self, lasts_s: float, clock: Callable[[], float]) -> None:
        self._lasts_s, self._clock = lasts_s, clock
        self._until_s = float("-inf")

    @property
    def armed(self) -> bool:
        """Whether an administrator was recognised a moment ago."""
        return self._clock() < self._until_s

    def admin_recognised(self) -> None:
        """Arm the button for a while."""
        self._until_s = self._clock() + self._lasts_s

    def disarm(self) -> None:
        """Forget that an administrator was recognised."""
        self._until_s = float("-inf")

    def press(self, has_admin: bool) -> bool:
        """Say whether a press may enrol; an arming is good for one press.

        Args:
            has_admin: whether anybody enrolled is an administrator. Before there is one, whoever
                reaches the button inside the door may enrol the first.
        """
        may = self.armed or not has_admin
        self.disarm()
        return may
