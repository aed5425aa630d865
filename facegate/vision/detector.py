"""Find candidates in a picture: what may be faces, and their five landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, I64, U8, Detection
from facegate.vision.decoding import HEADS, STRIDES, Canvas, faces_in
from facegate.vision.preprocess import fit
from facegate.vision.tflite import TFLiteModel

CANDIDATE_SCORE = 0.15
"""From this confidence on a candidate is reported: the refiner has the last word."""


class FaceDetector(Protocol):
    """What finds faces."""

    def detect(self, pixels: U8) -> list[Detection]:
        """Find faces in an RGB picture, best first, in its own pixel coordinates."""
        ...


class TFLiteFaceDetector:
    """The shipped detector.

    Args:
        path: the `.tflite` file.
        min_score: faces below this confidence are not reported.
        threads: interpreter threads.

    Raises:
        ModelError: the model cannot be used, or has other outputs than a detector's.
    """

    def __init__(self, path: Path, min_score: float = CANDIDATE_SCORE, threads: int = 1) -> None:
        self.model = TFLiteModel(path, "detector", threads)
        self.min_score = min_score
        self._height, self._width, _ = self.model.input_shape
        names = self.model.card.raw.get("outputs", {})
        wanted = {f"{k}_{s}" for k in HEADS for s in STRIDES}
        if set(names) != wanted or set(names.values()) != set(self.model.output_shapes):
            raise ModelError(f"{path}: its card does not name the outputs {sorted(wanted)}")
        self._names: dict[str, str] = names
        self._room: U8 = np.empty((self._height, self._width, 3), np.uint8)

    def detect(self, pixels: U8) -> list[Detection]:
        """Find the faces in a picture.

        Nothing is allocated but the results, the scores, and what holds for the cells that answer.

        Args:
            pixels: uint8 (H, W, 3), RGB, any size.

        Returns:
            Detections, best first, in the coordinates of `pixels`. Boxes may reach over its border,
            which cuts faces off; what lies outside of it for the most part is none.
        """
        height, width = pixels.shape[:2]
        inside, scale = fit(pixels, self._room)
        self.model.feed(inside)
        canvas = Canvas(self._width, self._height, (width, height), scale)
        return faces_in(self._read, canvas, self.min_score)

    def heads(self, canvas: U8) -> dict[str, F32]:
        """Run on a picture of the input's size: head (`score_8` …) → float32 (h, w, channels)."""
        self.model.feed(canvas)
        return {head: self.model.output(name) for head, name in self._names.items()}

    @property
    def head_scales(self) -> dict[str, float]:
        """Head → quantisation scale of its output."""
        scales = self.model.output_scales
        return {head: scales[name] for head, name in self._names.items()}

    def _read(self, head: str, rows: I64 | None) -> F32:
        values = self.model.output(self._names[head], rows)
        return values.reshape(-1, values.shape[-1])
