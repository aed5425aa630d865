"""Look again at a far face, enlarged: landmarks found in a shrunken frame are too coarse for it.

Of a face 16 pixels wide in the detector's frame they are off by a quarter of the distance of its
eyes, and what is aligned by them is known less well than the picture would allow.
"""

from __future__ import annotations

import math

import numpy as np

from facegate.types import U8, Detection
from facegate.vision.decoding import iou
from facegate.vision.detector import FaceDetector

AROUND = (320 / 96, 256 / 96)
"""What is shown, in sides of the face: it is then 96 pixels wide for the shipped detector."""

LEAST_GAIN = 3.0
"""How many times larger the face has to become; for less the second look tells little that is new,
and the nearer the face, the more pixels there are to shrink."""

LEAST_SCORE = 0.2
"""That somebody is there is known already."""

SAME_FACE_IOU = 0.4


def look_closer(detector: FaceDetector, pixels: U8, detection: Detection) -> Detection:
    """Find a face once more in what is around it.

    Args:
        detector: one that reports faces from `LEAST_SCORE` on.
        pixels: uint8 (H, W, 3), the picture in all its pixels.
        detection: the face, found in the whole of it or in a smaller copy.

    Returns:
        Its box and landmarks as seen from near, with the score it had; `detection` itself where it
        would not be enlarged by much, or where nothing is found in its place.
    """
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = detection.box.tolist()
    side = math.sqrt(max((x2 - x1) * (y2 - y1), 1.0))
    across, down = (share * side for share in AROUND)
    if max(width / across, height / down) < LEAST_GAIN:
        return detection
    left, right = _span((x1 + x2) / 2, across, width)
    top, bottom = _span((y1 + y2) / 2, down, height)
    before = (x1 - left, y1 - top, x2 - left, y2 - top)
    for found in detector.detect(pixels[top:bottom, left:right]):
        if iou(tuple(found.box.tolist()), before) >= SAME_FACE_IOU:
            shift = np.array([left, top], np.float32)
            return Detection(
                found.box + np.tile(shift, 2), found.landmarks + shift, detection.score
            )
    return detection


def _span(middle: float, length: float, most: int) -> tuple[int, int]:
    """Give a span about a point, moved inside of 0 to `most`."""
    start = round(min(max(middle - length / 2, 0), max(most - length, 0)))
    return start, min(most, start + math.ceil(length))
