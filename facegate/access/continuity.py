"""Notice that a track shows another person than before."""

from __future__ import annotations

from collections import deque

import numpy as np

from facegate.types import F32

LOOKS_KEPT = 5
CHECK_EVERY_S = 1.0
"""A face whose answer stands is still looked at so often, for somebody else may have stepped in."""


class Continuity:
    """Remembers the last looks at every track, and compares each new one with them.

    Args:
        one_person: greatest distance, 0 to 2, at which two looks at a track are taken for one
            person, from the embedder's calibration.
    """

    def __init__(self, one_person: float) -> None:
        self._one_person = one_person
        self._looks: dict[int, deque[F32]] = {}
        self._checked_s: dict[int, float] = {}
        self._over: set[int] = set()

    def over(self, track_id: int) -> bool:
        """Whether a track showed another person: its number, and every vote for it, is void."""
        return track_id in self._over

    def due(self, track_id: int, now_s: float) -> bool:
        """Whether a track whose answer stands should be looked at again."""
        return now_s - self._checked_s.get(track_id, float("-inf")) >= CHECK_EVERY_S

    def same(self, track_id: int, vector: F32, now_s: float) -> bool:
        """Take a look at a track, float32 (D,) of unit length.

        Returns:
            Whether it resembles any of the looks before it; the first always does. With one that
            does not, the track is over.
        """
        self._checked_s[track_id] = now_s
        looks = self._looks.setdefault(track_id, deque(maxlen=LOOKS_KEPT))
        same = not looks or min(float(np.linalg.norm(v - vector)) for v in looks) <= (
            self._one_person
        )
        looks.append(vector)
        if not same:
            self._over.add(track_id)
        return same

    def forget_all_but(self, alive: frozenset[int]) -> None:
        """Drop what is known about tracks that have ended."""
        for track_id in [t for t in self._looks if t not in alive]:
            del self._looks[track_id], self._checked_s[track_id]
        self._over &= alive
