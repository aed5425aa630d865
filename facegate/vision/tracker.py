"""Follow faces from frame to frame: where each should be by its motion, and whose box is nearest.

An identity is never guessed. Where one box may be either of two faces that pass each other, nobody
gets it: both are carried on by their motion until they are apart again, or lost.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from facegate.types import Detection, Track

Place = tuple[float, float, float, float]
"""Centre x, centre y, logarithm of the width, logarithm of the height. Plain numbers: a frame shows
so few faces that numpy's calls would cost more than the sums."""

LEAST_GAINS = (0.5, 0.2)
"""The filter's gains for place and velocity never fall below these, so that it follows a turn."""

LEAST_STEP_S = 1 / 20
"""Frames stamped closer together were delivered late or early: no pace is taken from such a gap."""

JITTER = 0.25
"""No box lies farther off its face's true place, in face widths, nor misses its size by more."""

PACE_LAG = 2.0
"""Face widths a second by which the filter's pace lags behind a walker who brakes: 16 / 15 × 2, of
`ACCELERATION`, 15 frames a second, and (2g - h) / 2h of `LEAST_GAINS`."""

ACCELERATION = 16.0
"""Face widths per second squared that a walker can brake and turn back with: 2.5 m/s², a head being
about 0.16 m wide."""

START_PACE = 9.0
"""Face widths a second of a face whose pace is not known yet: 1.5 m/s, a brisk walk."""

MAX_RESIZE = 0.5
"""Natural logarithm; no face grows or shrinks by more from one sight to the next."""

CLEAR_LEAD = 0.35
"""An assignment counts only if it costs so much less than the next best, in units of `_costs`:
about 0.14 face widths of distance, four times what a detector's boxes jitter."""

HIDES_WITHIN, HIDES_S = 1.0, 1.0
"""A face may hide another that was lost within so many face widths of it, for so long."""

STRICT_JITTER = 0.2
"""A face that may hide another keeps its number only so near to where it is expected, for the box
may be the other's; in face widths, and for the logarithm of the size."""

MAX_GAP_S = 2.0
"""A face unseen for longer is nobody's any more, however few frames that were."""


@dataclass(eq=False)
class _Followed:
    """One face: where it was last, and its change a second."""

    track_id: int
    place: Place
    velocity: Place
    placed_at_s: float
    hits: int
    first_seen_s: float
    lost_frames: int = 0
    rivals: set[int] = field(default_factory=set)

    def expected(self, now_s: float) -> Place:
        since_s = max(0.0, now_s - self.placed_at_s)
        (x, y, w, h), (dx, dy, dw, dh) = self.place, self.velocity
        return x + dx * since_s, y + dy * since_s, w + dw * since_s, h + dh * since_s

    def see(self, place: Place, now_s: float) -> None:
        """Correct place and velocity by what was seen.

        Source: the g-h filter whose gains fall as its memory grows, Brookner 1998, "Tracking and
        Kalman Filtering Made Easy", section 1.2.10.
        """
        n, since_s = self.hits, now_s - self.placed_at_s
        gain = max(LEAST_GAINS[0], 2 * (2 * n + 1) / ((n + 1) * (n + 2)))
        pace_gain = min(1.0, max(LEAST_GAINS[1], 6 / ((n + 1) * (n + 2))))
        expected = self.expected(now_s)
        x, y, w, h = (a - e for a, e in zip(place, expected, strict=True))
        ex, ey, ew, eh = expected
        self.place = ex + gain * x, ey + gain * y, ew + gain * w, eh + gain * h
        if since_s > 0:
            pull = pace_gain / max(since_s, LEAST_STEP_S)
            dx, dy, dw, dh = self.velocity
            self.velocity = dx + pull * x, dy + pull * y, dw + pull * w, dh + pull * h
        self.placed_at_s, self.lost_frames = now_s, 0
        self.rivals.clear()
        self.hits += 1


class Tracker:
    """Give every face a number that stays with it, and with nobody else.

    Args:
        max_lost_frames: frames a face may be missing before its track ends.
    """

    def __init__(self, max_lost_frames: int = 5) -> None:
        self._max_lost = max_lost_frames
        self._followed: list[_Followed] = []
        self._gone: list[_Followed] = []
        self._changed: deque[int] = deque()
        self._next_id = 1

    @property
    def alive(self) -> frozenset[int]:
        """Numbers of the tracks that have not ended, seen in the last frame or not."""
        return frozenset(f.track_id for f in self._followed)

    def end(self, track_id: int) -> None:
        """Say that a track shows another person than before: what it shows gets a new number.

        May be called from another thread; the next `update` does it.
        """
        self._changed.append(track_id)

    def update(self, detections: list[Detection], now_s: float) -> list[Track]:
        """Take the faces of the next frame.

        Args:
            detections: of one frame.
            now_s: monotonic time of its capture.

        Returns:
            The tracks seen in this frame, in the order of `detections`; a face of which it is not
            certain whose it is has none.
        """
        while self._changed:
            track_id = self._changed.popleft()
            for wrong in [f for f in self._followed if f.track_id == track_id]:
                self._renumber(wrong, now_s)
        self._drop(lambda f: now_s - f.placed_at_s > MAX_GAP_S)
        self._gone = [f for f in self._gone if now_s - f.placed_at_s <= HIDES_S]
        places = [_place(d) for d in detections]
        owners, unclear = self._assign(places, now_s)
        seen: list[Track] = []
        for row, detection in enumerate(detections):
            if row in unclear:
                continue
            followed = owners.get(row)
            if followed is None:
                followed = self._begin(places[row], now_s)
            else:
                if self._doubtful(followed, places[row], now_s):
                    self._renumber(followed, now_s)
                followed.see(places[row], now_s)
            seen.append(Track(followed.track_id, detection, followed.hits, followed.first_seen_s))
        numbers = {t.track_id for t in seen}
        for followed in self._followed:
            if followed.track_id not in numbers:
                followed.lost_frames += 1
        self._drop(lambda f: f.lost_frames > self._max_lost)
        return seen

    def _drop(self, over: Callable[[_Followed], bool]) -> None:
        """End tracks, and with each those that it was taken for: whose is left may be either's."""
        ended = {f.track_id for f in self._followed if over(f)}
        gone = [f for f in self._followed if f.track_id in ended or f.rivals & ended]
        self._followed = [f for f in self._followed if f not in gone]
        self._gone += gone

    def _begin(self, place: Place, now_s: float) -> _Followed:
        followed = _Followed(self._next_id, place, (0.0, 0.0, 0.0, 0.0), now_s, 1, now_s)
        self._next_id += 1
        self._followed.append(followed)
        return followed

    def _renumber(self, followed: _Followed, now_s: float) -> None:
        """End a track, and go on with another from the same place."""
        followed.track_id, followed.first_seen_s, followed.hits = self._next_id, now_s, 0
        self._next_id += 1

    def _assign(self, places: list[Place], now_s: float) -> tuple[dict[int, _Followed], set[int]]:
        """Pair detections with tracks, the cheapest first.

        Returns:
            Row → track, and the rows that may be either of two tracks.
        """
        cost = self._costs(places, now_s)
        ranked = sorted(
            (c, row, column)
            for row, line in enumerate(cost)
            for column, c in enumerate(line)
            if c < math.inf
        )
        pairs: dict[int, int] = {}
        for _, row, column in ranked:
            if row not in pairs and column not in pairs.values():
                pairs[row] = column
        owner_row = {column: row for row, column in pairs.items()}
        unclear: set[int] = set()
        for row, column in pairs.items():
            for rival in range(len(self._followed)):
                if rival == column:
                    continue
                other = owner_row.get(rival)
                swapped, kept = cost[row][rival], cost[row][column]
                if other is not None:
                    swapped, kept = swapped + cost[other][column], kept + cost[other][rival]
                was_hidden = self._followed[column].lost_frames > 0
                if swapped - kept < CLEAR_LEAD or (was_hidden and swapped < math.inf):
                    unclear |= {row} if other is None else {row, other}
                    ours, theirs = self._followed[column], self._followed[rival]
                    ours.rivals.add(theirs.track_id)
                    theirs.rivals.add(ours.track_id)
        return {r: self._followed[c] for r, c in pairs.items()}, unclear

    def _costs(self, places: list[Place], now_s: float) -> list[list[float]]:
        """Give what each detection costs as each track, infinite where nobody gets so far.

        The cost is lack of overlap, plus distance in face widths, plus logarithm of the size ratio,
        each against where the track is expected now.

        Source: the terms of ByteTrack's and DeepSORT's association (Zhang et al. 2022, Wojke et al.
        2017), for few faces and without an appearance network.
        """
        expected = [f.expected(now_s) for f in self._followed]
        reaches = []
        for followed in self._followed:
            since_s = now_s - followed.placed_at_s
            pace = PACE_LAG if followed.hits > 1 else START_PACE
            reaches.append(JITTER + pace * since_s + ACCELERATION / 2 * since_s**2)
        costs = []
        for place in places:
            line = []
            for where, reach in zip(expected, reaches, strict=True):
                distance, resize = _off(place, where)
                near = distance <= reach and resize <= MAX_RESIZE
                line.append(1 - _overlap(place, where) + distance + resize if near else math.inf)
            costs.append(line)
        return costs

    def _doubtful(self, followed: _Followed, place: Place, now_s: float) -> bool:
        """Say whether a box may be that of a face that stood hidden behind this one."""
        if max(_off(place, followed.expected(now_s))) <= STRICT_JITTER:
            return False
        return self._may_hide(followed)

    def _may_hide(self, front: _Followed) -> bool:
        """Say whether a face that was lost lately may stand behind this one."""
        lost = [f for f in self._followed if f.lost_frames and f is not front] + self._gone
        return any(_off(f.place, front.place)[0] < HIDES_WITHIN for f in lost)


def _place(detection: Detection) -> Place:
    x1, y1, x2, y2 = detection.box.tolist()
    return (x1 + x2) / 2, (y1 + y2) / 2, math.log(max(1.0, x2 - x1)), math.log(max(1.0, y2 - y1))


def _off(place: Place, where: Place) -> tuple[float, float]:
    """Give the distance in widths of the second, and the logarithm of the size ratio."""
    width = math.exp((where[2] + where[3]) / 2)
    distance = math.hypot(place[0] - where[0], place[1] - where[1]) / width
    return distance, abs(place[2] + place[3] - where[2] - where[3]) / 2


def _overlap(a: Place, b: Place) -> float:
    """Give the intersection over union of two boxes."""
    aw, ah, bw, bh = math.exp(a[2]), math.exp(a[3]), math.exp(b[2]), math.exp(b[3])
    across = min(a[0] + aw / 2, b[0] + bw / 2) - max(a[0] - aw / 2, b[0] - bw / 2)
    down = min(a[1] + ah / 2, b[1] + bh / 2) - max(a[1] - ah / 2, b[1] - bh / 2)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (aw * ah + bw * bh - shared)
