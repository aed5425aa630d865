"""Whom the embedder can leave out for a while: faces that show nobody, look after look."""

from __future__ import annotations

from collections.abc import Iterable

LOOKS_IN_VAIN = 30
"""So many looks in a row, 2 s at 15 frames a second, and a face is looked at less often."""

WAIT_S = 0.3
"""Whoever shows more only now, the hat off or come nearer, is noticed so much later, and a frame
more for everybody else who waits. Whoever has just come waits for nobody."""


class Patience:
    """Counts, for every track, the looks in a row that matched nobody or saw too little.

    Attributes:
        looks: so many, and the track can wait.
    """

    def __init__(self) -> None:
        self.looks = LOOKS_IN_VAIN
        self._in_vain: dict[int, int] = {}
        self._looked_s: dict[int, float] = {}

    def can_wait(self, track_id: int) -> bool:
        """Whether a track has shown nobody for long."""
        return self._in_vain.get(track_id, 0) >= self.looks

    def left_out(self, track_ids: Iterable[int], now_s: float) -> set[int]:
        """Say who of a frame is not looked at: all who can wait, but one whose time has come.

        Args:
            track_ids: everybody in the frame.
            now_s: monotonic time of its capture.
        """
        waiting = {t for t in track_ids if self.can_wait(t)}
        longest = min(waiting, key=self._looked_s.__getitem__, default=None)
        if longest is not None and now_s - self._looked_s[longest] >= WAIT_S:
            waiting.remove(longest)
        return waiting

    def look(self, track_id: int, now_s: float) -> None:
        """Take note that a track is looked at in a frame captured at `now_s`."""
        self._looked_s[track_id] = now_s

    def learn(self, track_id: int, in_vain: bool) -> None:
        """Take what a look brought; one that was not in vain restores the full rate."""
        self._in_vain[track_id] = self._in_vain.get(track_id, 0) + 1 if in_vain else 0

    def forget_all_but(self, alive: frozenset[int]) -> None:
        """Drop what is known about tracks that have ended."""
        for track_id in [t for t in self._looked_s if t not in alive]:
            del self._looked_s[track_id]
            self._in_vain.pop(track_id, None)
