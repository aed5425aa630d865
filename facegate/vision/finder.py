"""Find faces: candidates by the detector, each judged and put right by the refiner."""

from __future__ import annotations

import numpy as np

from facegate.types import U8, Detection
from facegate.vision.decoding import NMS_IOU, suppress
from facegate.vision.detector import FaceDetector
from facegate.vision.refiner import FaceRefiner, region
from facegate.vision.tiling import find_in_tiles, merge

MOST_CANDIDATES = 64
"""So many, the best, are refined: no picture keeps the gate busy for longer than that."""


class FaceFinder:
    """Detector and refiner in one hand; a detector itself.

    Args:
        detector: finds candidates.
        refiner: has the last word about each.
        min_score: faces below this confidence are not reported.
        tiles: more than 1 also searches so many times so many parts of the main picture, for far
            faces; each costs as much as the whole.
    """

    def __init__(
        self,
        detector: FaceDetector,
        refiner: FaceRefiner,
        min_score: float,
        tiles: int = 1,
    ) -> None:
        self._detector, self._refiner = detector, refiner
        self.min_score, self._tiles = min_score, tiles

    def detect(self, pixels: U8, small: U8 | None = None) -> list[Detection]:
        """Find the faces in a picture.

        Args:
            pixels: uint8 (H, W, 3), RGB, the main picture.
            small: the same view in fewer pixels, to search instead; near faces, of which it has
                enough pixels, are refined in it too.

        Returns:
            Detections in the coordinates of `pixels`, best first.
        """
        candidates = self._candidates(pixels, small)[:MOST_CANDIDATES]
        found = [self._refined(c, pixels, small) for c in candidates]
        found = sorted((d for d in found if d.score >= self.min_score), key=lambda d: -d.score)
        boxes = [(x1, y1, x2, y2) for x1, y1, x2, y2 in (d.box.tolist() for d in found)]
        return [found[kept] for kept in suppress(boxes, NMS_IOU)]

    def _candidates(self, pixels: U8, small: U8 | None) -> list[Detection]:
        if small is None:
            found = self._detector.detect(pixels)
        else:
            steps = _steps(small, pixels)
            found = [_scaled(d, steps) for d in self._detector.detect(small)]
        if self._tiles > 1:
            found = merge(found + find_in_tiles(self._detector, pixels, self._tiles))
        return found

    def _refined(self, candidate: Detection, pixels: U8, small: U8 | None) -> Detection:
        if small is not None:
            smaller = _scaled(candidate, _steps(pixels, small))
            if region(smaller.box)[2] >= self._refiner.side_px:
                return _scaled(self._refiner.refine(small, smaller), _steps(small, pixels))
        return self._refiner.refine(pixels, candidate)


def _steps(source: U8, target: U8) -> tuple[float, float]:
    """Give how many pixels of `target` one of `source` is, across and down."""
    (height, width), (height_there, width_there) = source.shape[:2], target.shape[:2]
    return width_there / width, height_there / height


def _scaled(found: Detection, steps: tuple[float, float]) -> Detection:
    across_down = np.array(steps, np.float32)
    return Detection(
        found.box * np.tile(across_down, 2), found.landmarks * across_down, found.score
    )
