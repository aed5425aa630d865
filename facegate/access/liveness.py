"""Tell a head from a picture of one by a turn of it: on paper the nose stays where it is.

When a head turns, its nose moves against eyes and mouth, by half the distance of the eyes and more
from one side to the other. On a picture that is flat or bent, however it is moved, it hardly does.
What this does not stop is a picture that is creased along the nose, many pictures from many sides
one after another, or a film of somebody who turns, on a screen.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from facegate.types import HEAD_TURN

STEP = 0.15
"""No greater step may be missing between two of the looks, so that it is one head that moves, not
one picture that is changed for another."""

WITHIN_S = 10.0
"""A turn takes no longer than that, whatever the head does before and after."""

OUTERMOST = 1
"""So many looks on each side are not believed: a landmark that is off by far is rarely so twice."""


class HeadTurn:
    """How far a face turned, over the looks that show one person."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, float]] = deque()

    def look(self, yaw: float, at_s: float) -> None:
        """Take a look.

        Args:
            yaw: the nose's offset over the distance of the eyes, as in `facegate.types.Quality`.
            at_s: monotonic seconds of its capture.
        """
        self._looks.append((at_s, yaw))
        while at_s - self._looks[0][0] > WITHIN_S:
            self._looks.popleft()

    @property
    def turned(self) -> float:
        """How far, in distances of the eyes, from one side to the other; 0 with too few looks."""
        yaws = sorted(yaw for _, yaw in self._looks)[OUTERMOST : len(self._looks) - OUTERMOST]
        if not yaws or any(b - a > STEP for a, b in pairwise(yaws)):
            return 0.0
        return yaws[-1] - yaws[0]

    @property
    def seen(self) -> bool:
        """Whether it turned far enough."""
        return self.turned >= HEAD_TURN
