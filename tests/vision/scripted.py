"""Scripted people before a camera, with known truth: boxes that jitter, misses and occlusion."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from facegate.training.detection import iou
from facegate.types import Detection
from facegate.vision.tracker import Tracker

FPS = 15.0
NMS_IOU = 0.4
CROSSING_MEET_S = 2.0

Path = Callable[[float], tuple[float, float, float] | None]
"""Seconds → centre x, centre y and width of a face in pixels, or None while it is away."""


@dataclass(frozen=True)
class Noise:
    """What a detector does to the truth: jitter in face widths, misses, duplicates of one face."""

    jitter: float = 0.03
    size_jitter: float = 0.04
    miss: float = 0.08


def box_of(place):
    x, y, width = place
    half = np.array([width / 2, width * 0.62])
    middle = np.array([x, y])
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def detections_at(paths, t, rng, noise):
    """Give what a detector reports at a time, and who each box truly is.

    The person with the larger face stands in front: of two that overlap as much as the detector's
    suppression allows, only that one is seen.
    """
    there = [(who, place) for who, path in enumerate(paths) if (place := path(t)) is not None]
    there.sort(key=lambda item: -item[1][2])
    shown, truth = [], []
    for who, place in there:
        box = box_of(place)
        hidden = any(iou(box[None], box_of(p)[None])[0, 0] > NMS_IOU for p in shown)
        if hidden:
            continue
        shown.append(place)
        truth.append(who)
    found = []
    for place in shown:
        x, y, width = place
        dx, dy = rng.normal(0, noise.jitter, 2) * width
        box = box_of((x + dx, y + dy, width * np.exp(rng.normal(0, noise.size_jitter))))
        found.append(Detection(box, np.zeros((5, 2), np.float32), float(rng.uniform(0.6, 0.99))))
    kept = [k for k in rng.permutation(len(found)).tolist() if rng.random() >= noise.miss]
    return [found[k] for k in kept], [truth[k] for k in kept]


@dataclass
class Story:
    """Who carried which track numbers, in order of appearance.

    Attributes:
        numbers: person → track numbers, each once, in order.
        shown, tracked: sights of anybody, and those that had a number.
    """

    numbers: dict[int, list[int]]
    shown: int
    tracked: int

    @property
    def swaps(self) -> int:
        """How many track numbers were carried by more than one person."""
        carried = [n for numbers in self.numbers.values() for n in numbers]
        return len(carried) - len(set(carried))


def play(paths, seconds, seed, noise=Noise(), fps=FPS, tracker=None, late_s=0.0):
    """Run a tracker over a script."""
    rng = np.random.default_rng(seed)
    tracker = tracker or Tracker()
    numbers: dict[int, list[int]] = {who: [] for who in range(len(paths))}
    shown = tracked = 0
    stamp_s = 0.0
    for frame in range(int(seconds * fps)):
        t = frame / fps
        found, truth = detections_at(paths, t, rng, noise)
        who_is = {id(d): who for d, who in zip(found, truth, strict=True)}
        stamp_s = max(stamp_s + 0.001, 100 + t + rng.uniform(0, late_s))
        tracks = tracker.update(found, stamp_s)
        shown, tracked = shown + len(found), tracked + len(tracks)
        for track in tracks:
            carried = numbers[who_is[id(track.detection)]]
            if track.track_id not in carried:
                carried.append(track.track_id)
    return Story(numbers, shown, tracked)


def crossing(seed):
    """Two people who walk past each other, or who both brake, turn where they meet and go back."""
    rng = np.random.default_rng(seed)
    width = rng.uniform(30, 110)
    other = width * np.exp(rng.normal(0, 0.2))
    pace, other_pace = rng.uniform(1.0, 6.0, 2)  # face widths a second: 0.16 to 1 m/s
    height = rng.uniform(150, 250)
    apart = rng.normal(0, 0.25) * width
    braking = rng.uniform(4.0, 12.0) if rng.random() < 0.3 else None  # up to 2 m/s²
    grow, other_grow = rng.normal(0, 0.08, 2)

    def path(pace, y, size, growth):
        def at(t):
            since = t - CROSSING_MEET_S
            if braking is None:
                x = pace * since
            else:  # v = pace before braking, -pace after it, standing still at the meeting
                inner = min(abs(since), abs(pace) / braking)
                back = braking * inner**2 / 2 + abs(pace) * (abs(since) - inner)
                x = -np.sign(pace) * back
            sway = 0.03 * size * np.sin(2 * np.pi * 1.8 * t)
            return 320 + x * size, y + sway, size * np.exp(growth * since)

        at.turns_back = braking is not None
        return at

    paths = path(pace, height, width, grow), path(-other_pace, height + apart, other, other_grow)
    return paths, 2 * CROSSING_MEET_S
