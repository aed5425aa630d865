"""Is the gate alive? Whatever must move has moved lately."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

STALL_S = 6.0
"""So long a camera may take to start, and a hot Pi for one frame."""


class Health:
    """Watches numbers that rise while the gate works.

    Args:
        gauges: by the name of the part whose work they count.
        clock: monotonic seconds.
        stall_s: a number that stood still for longer is a stalled part.
        chain: parts that live on what the one before them gives: where one stands still, those
            after it do too, and are not named.
    """

    def __init__(
        self,
        gauges: Mapping[str, Callable[[], int]],
        clock: Callable[[], float],
        stall_s: float = STALL_S,
        chain: Sequence[str] = (),
    ) -> None:
        self._gauges, self._clock, self._stall_s = gauges, clock, stall_s
        self._chain = chain
        self._last = {name: (gauge(), clock()) for name, gauge in gauges.items()}

    def stalled(self) -> list[str]:
        """Name the parts that stand still."""
        now_s = self._clock()
        names = []
        for name, gauge in self._gauges.items():
            value, since_s = self._last[name]
            if (current := gauge()) != value:
                self._last[name] = (current, now_s)
            elif now_s - since_s > self._stall_s:
                names.append(name)
        waiting = [name for name in self._chain if name in names][1:]
        return [name for name in names if name not in waiting]
