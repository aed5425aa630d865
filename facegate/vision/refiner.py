"""Look at every candidate once more, by itself: is it a face, and where exactly?

A detector sees a whole frame with few channels a pixel, so it is coarse where a face is far, and
takes a lamp for a face now and then. A second network that is shown nothing but the candidate, in
all the pixels the camera has of it, decides better and costs little, for candidates are few.

Source: Zhang et al. 2016, "Joint Face Detection and Alignment Using Multi-task Cascaded
Convolutional Networks", the output network.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, U8, Detection
from facegate.vision.decoding import HEADS
from facegate.vision.preprocess import LETTERBOX_GREY, between_centres, cut
from facegate.vision.tflite import TFLiteModel

AROUND = 2.0
"""Side of what is shown, in sides of the candidate's box."""

DETECTOR_WEIGHT = 0.5
"""Of the detector's log-odds beside the refiner's own."""

LANDMARK_SHARE = 0.75
"""Of the refiner's landmarks beside the detector's: the two err differently, and what is aligned by
their mean is known better than what is aligned by either's."""

LEAST_SIDE_PX = 1.0


class FaceRefiner(Protocol):
    """What has the last word about a candidate."""

    @property
    def side_px(self) -> int:
        """Side of the square that it is shown."""
        ...

    def refine(self, pixels: U8, candidate: Detection) -> Detection:
        """Judge a candidate in an RGB picture and put it right."""
        ...


class TFLiteFaceRefiner:
    """The shipped refiner.

    Args:
        path: the `.tflite` file.
        threads: interpreter threads.

    Raises:
        ModelError: the model cannot be used, or has other outputs than a refiner's.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.model = TFLiteModel(path, "refiner", threads)
        height, width, _ = self.model.input_shape
        names = self.model.card.raw.get("outputs", {})
        if (
            set(names) != set(HEADS)
            or set(names.values()) != set(self.model.output_shapes)
            or width != height
        ):
            raise ModelError(f"{path}: its card does not name the outputs {sorted(HEADS)}")
        self._names: dict[str, str] = names

    @property
    def side_px(self) -> int:
        """Side of the square that it is shown."""
        return self.model.input_shape[0]

    def refine(self, pixels: U8, candidate: Detection) -> Detection:
        """Judge a candidate and put it right.

        Args:
            pixels: uint8 (H, W, 3), RGB, the picture it was found in.
            candidate: in the coordinates of `pixels`.

        Returns:
            Box, landmarks and score after this look; the score, of both networks together, may be
            very low.
        """
        return refined(candidate, self.heads(shown(pixels, candidate.box, self.side_px)))

    def heads(self, square: U8) -> dict[str, F32]:
        """Run on a square of the input's size: head → float32 (channels,)."""
        self.model.feed(square)
        return {head: self.model.output(name).ravel() for head, name in self._names.items()}

    @property
    def head_scales(self) -> dict[str, float]:
        """Head → quantisation scale of its output."""
        scales = self.model.output_scales
        return {head: scales[name] for head, name in self._names.items()}


def region(box: F32) -> tuple[float, float, float]:
    """Give the middle (x, y) and the side of the square that is shown of a candidate, pixels."""
    x1, y1, x2, y2 = box.tolist()
    size = math.sqrt(max((x2 - x1) * (y2 - y1), LEAST_SIDE_PX))
    return (x1 + x2) / 2, (y1 + y2) / 2, AROUND * size


def shown(pixels: U8, box: F32, side_px: int) -> U8:
    """Cut out what the network is shown of a candidate.

    Args:
        pixels: uint8 (H, W, 3).
        box: float32 (4,), pixels.
        side_px: of the network's input.

    Returns:
        uint8 (side_px, side_px, 3), grey outside of the picture.
    """
    x, y, side = region(box)
    scale = side_px / side
    matrix = np.array(
        [[scale, 0, side_px / 2 - scale * x], [0, scale, side_px / 2 - scale * y]], np.float32
    )
    return cut(pixels, between_centres(matrix), side_px, LETTERBOX_GREY)


def refined(candidate: Detection, answers: dict[str, F32]) -> Detection:
    """Give what the heads say of a candidate.

    Args:
        candidate: what the detector said.
        answers: head → float32 (channels,): `score`, log-odds; `box` (x1 y1 x2 y2) and `landmarks`
            (five points), from the middle of the square, in units of its side.
    """
    x, y, side = region(candidate.box)
    middle = np.array([x, y], np.float32)
    box = answers["box"] * np.float32(side) + np.tile(middle, 2)
    seen = answers["landmarks"].reshape(5, 2) * np.float32(side) + middle
    landmarks = candidate.landmarks + LANDMARK_SHARE * (seen - candidate.landmarks)
    before = min(max(candidate.score, 1e-6), 1 - 1e-6)
    odds = float(answers["score"][0]) + DETECTOR_WEIGHT * math.log(before / (1 - before))
    score = 1 / (1 + math.exp(-min(max(odds, -60.0), 60.0)))
    return Detection(box.astype(np.float32), landmarks.astype(np.float32), score)
