"""What following faces from frame to frame costs one core."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from facegate.types import Detection
from facegate.vision.tracker import Tracker

WIDTH_PX = 60.0
LANE_PX = 1280.0
PACES = (0.5, 3.0)
"""Face widths a second of the slowest and the fastest: 0.08 to 0.5 m/s of heads 0.16 m wide."""

JITTER, MISSED = 0.03, 0.08
"""Of a box, in face widths; and the share of sights in which the detector finds no face."""

WARM_UP_FRAMES = 15


def frame_costs(
    faces: int, seconds: float, fps: float, max_lost_frames: int
) -> tuple[float, float]:
    """Time the tracker on people who walk to and fro on one line, through each other.

    Args:
        faces: how many.
        seconds: how long the scene is.
        fps: frames a second.
        max_lost_frames: of the tracker.

    Returns:
        CPU microseconds a frame, at the 50th and the 99th percentile.
    """
    tracker = Tracker(max_lost_frames)
    spent_s = []
    for frame, found in enumerate(scene(faces, WARM_UP_FRAMES + round(seconds * fps), fps)):
        began_s = time.thread_time()
        tracker.update(found, frame / fps)
        spent_s.append(time.thread_time() - began_s)
    median, worst = np.percentile(np.array(spent_s[WARM_UP_FRAMES:]) * 1e6, (50, 99))
    return float(median), float(worst)


def scene(faces: int, frames: int, fps: float) -> Iterator[list[Detection]]:
    """Give what a detector reports of them, frame by frame."""
    rng = np.random.default_rng(0)
    landmarks = np.zeros((5, 2), np.float32)
    start, pace = rng.uniform(0, LANE_PX, faces), rng.uniform(*PACES, faces) * WIDTH_PX
    for frame in range(frames):
        gone = (start + pace * frame / fps) % (2 * LANE_PX)
        across = np.minimum(gone, 2 * LANE_PX - gone)
        corners = np.stack([across, np.full(faces, 200.0)], 1)
        boxes = np.concatenate([corners, corners + WIDTH_PX], 1)
        boxes += rng.normal(0, JITTER * WIDTH_PX, boxes.shape)
        there = rng.random(faces) >= MISSED
        yield [Detection(box, landmarks, 0.9) for box in boxes[there].astype(np.float32)]
