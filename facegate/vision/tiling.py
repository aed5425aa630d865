"""Look for far faces: the picture in overlapping tiles, each enlarged to the detector's input."""

from __future__ import annotations

import numpy as np

from facegate.types import F32, U8, Detection
from facegate.vision.detector import FaceDetector

OVERLAP = 0.2
"""Of a tile's side that the next one shows too: a face on the seam is whole in one of them."""

SAME_FACE = 0.5
"""Share of the smaller of two boxes inside the other that makes them one face."""

EDGE = 0.02
"""A box nearer to an inner seam than this share of the tile's side is cut off by it."""


def find_in_tiles(detector: FaceDetector, pixels: U8, tiles: int) -> list[Detection]:
    """Search `tiles` × `tiles` overlapping parts of a picture.

    Returns:
        Detections in the picture's coordinates; those that a seam cuts off are left out, for the
        next tile or the whole picture shows them.
    """
    height, width = pixels.shape[:2]
    found = []
    for top, bottom in _spans(height, tiles):
        for left, right in _spans(width, tiles):
            margin_x, margin_y = EDGE * (right - left), EDGE * (bottom - top)
            shift = np.array([left, top], np.float32)
            for d in detector.detect(pixels[top:bottom, left:right]):
                box = d.box + np.tile(shift, 2)
                cut = (
                    (left > 0 and box[0] < left + margin_x)
                    or (right < width and box[2] > right - margin_x)
                    or (top > 0 and box[1] < top + margin_y)
                    or (bottom < height and box[3] > bottom - margin_y)
                )
                if not cut:
                    found.append(Detection(box, d.landmarks + shift, d.score))
    return found


def merge(found: list[Detection]) -> list[Detection]:
    """Keep one detection a face, best first.

    Boxes of one face from different scales differ more than those that one scale gives, so it is
    the share of the smaller box inside the other that counts.
    """
    kept: list[Detection] = []
    for one in sorted(found, key=lambda d: -d.score):
        if all(_shared(one.box, other.box) <= SAME_FACE for other in kept):
            kept.append(one)
    return kept


def _shared(a: F32, b: F32) -> float:
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return float(sides.prod() / max(smaller, 1e-6))


def _spans(length: int, tiles: int) -> list[tuple[int, int]]:
    """Cut a length into overlapping spans of equal size."""
    side = length / (tiles - (tiles - 1) * OVERLAP)
    starts = [round(k * side * (1 - OVERLAP)) for k in range(tiles)]
    return [(start, min(length, start + round(side))) for start in starts]
