"""Grants that let nobody in: whoever stays before the camera is judged again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from facegate.access.door_events import DoorEvent, DoorEventName

AGAIN_S: dict[DoorEventName, float] = {
    "decision_too_old": 5.0,
    "second_factor_refused": 0.0,
    "second_factor_expired": 0.0,
    "grant_refused": 10.0,
    "door_locked": 5.0,
}
"""Seconds from a grant that came to nothing until the same face, still there, is judged again."""

MOST_LINGERING = 2
"""So often whoever was let in and did not open the door is let in again while they stay. More would
hold the door open for as long as somebody stands in view of it."""


@dataclass
class _Track:
    from_s: float | None = None
    lingered: int = 0


class UnusedGrants:
    """Tells the identify thread of tracks to judge again; the act thread notes them.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._noted: SimpleQueue[tuple[int, DoorEventName, float]] = SimpleQueue()
        self._let_in: set[int] = set()
        self._tracks: dict[int, _Track] = {}

    # The act thread.

    def note(self, event: DoorEvent, track_id: int | None) -> None:
        """Take an event of the door, and the track that it is about, if any.

        A door that locks again and was not seen to open let nobody in; without a contact nobody
        knows.
        """
        about = set() if track_id is None else {track_id}
        if event.name == "granted":
            self._let_in |= about
        elif event.name in ("door_opened", "door_locked"):
            about, self._let_in = self._let_in, set()
        for track in about if event.name in AGAIN_S else ():
            self._noted.put((track, event.name, self._clock() + AGAIN_S[event.name]))

    # The identify thread.

    def due(self, alive: frozenset[int]) -> list[int]:
        """Give the tracks whose votes begin anew now; those that have ended are forgotten."""
        while True:
            try:
                track_id, name, from_s = self._noted.get_nowait()
            except Empty:
                break
            track = self._tracks.setdefault(track_id, _Track())
            track.lingered += name == "door_locked"
            if track.lingered <= MOST_LINGERING:
                track.from_s = from_s
        self._tracks = {t: track for t, track in self._tracks.items() if t in alive}
        now_s = self._clock()
        found = [
            track_id
            for track_id, track in self._tracks.items()
            if track.from_s is not None and track.from_s <= now_s
        ]
        for track_id in found:
            self._tracks[track_id].from_s = None
        return found
