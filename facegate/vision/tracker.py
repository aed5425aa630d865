"""Follow faces from frame to frame by the overlap of their boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facegate.types import F32, Detection, Track


@dataclass
class _Followed:
    track_id: int
    detection: Detection
    hits: int
    first_seen_s: float
    lost_frames: int = 0


class Tracker:
    """Give every face a number that stays with it.

    Args:
        min_iou: least overlap with the last box to be the same face.
        max_lost_frames: frames a face may be missing before its track ends.
    """

    def __init__(self, min_iou: float = 0.3, max_lost_frames: int = 5) -> None:
        self._min_iou, self._max_lost = min_iou, max_lost_frames
        self._followed: list[_Followed] = []
        self._next_id = 1

    @property
    def alive(self) -> frozenset[int]:
        """Numbers of the tracks that have not ended, seen in the last frame or not."""
        return frozenset(f.track_id for f in self._followed)

    def update(self, detections: list[Detection], now_s: float) -> list[Track]:
        """Take the faces of the next frame.

        Returns:
            The tracks seen in this frame, in the order of `detections`.
        """
        taken = self._assign(detections)
        seen: list[Track] = []
        for index, detection in enumerate(detections):
            followed = taken.get(index)
            if followed is None:
                followed = _Followed(self._next_id, detection, 0, now_s)
                self._next_id += 1
                self._followed.append(followed)
            followed.detection, followed.lost_frames = detection, 0
            followed.hits += 1
            seen.append(Track(followed.track_id, detection, followed.hits, followed.first_seen_s))
        numbers = {t.track_id for t in seen}
        for followed in self._followed:
            if followed.track_id not in numbers:
                followed.lost_frames += 1
        self._followed = [f for f in self._followed if f.lost_frames <= self._max_lost]
        return seen

    def _assign(self, detections: list[Detection]) -> dict[int, _Followed]:
        """Pair detections with tracks, the best overlap first."""
        if not detections or not self._followed:
            return {}
        new = np.stack([d.box for d in detections])
        old = np.stack([f.detection.box for f in self._followed])
        overlap = iou(new, old)
        pairs: dict[int, _Followed] = {}
        while overlap.size and overlap.max() >= self._min_iou:
            d, f = (int(i) for i in np.unravel_index(int(overlap.argmax()), overlap.shape))
            pairs[d] = self._followed[f]
            overlap[d, :] = -1
            overlap[:, f] = -1
        return pairs


def iou(a: F32, b: F32) -> F32:
    """Give the intersection over union of all pairs of boxes (K, 4) and (L, 4) as (K, L)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a = np.prod(a[:, 2:] - a[:, :2], axis=1)
    area_b = np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None] - shared
    return (shared / np.maximum(union, 1e-9)).astype(np.float32)
