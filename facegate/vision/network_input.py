"""How pixels become what a network wants: ours takes one XOR, other people's may want anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, U8
from facegate.vision.preprocess import PIXEL_MEAN, PIXEL_SCALE, to_float, to_int8

INPUT_SCALE, INPUT_ZERO_POINT = 1 / 128, -1

FIXED = "fixed"
PER_PICTURE = "standardised"
LEVELS: dict[str, tuple[float, float]] = {
    FIXED: (PIXEL_MEAN, PIXEL_SCALE),
    "symmetric": (127.5, 127.5),
    "unit": (0.0, 255.0),
    "raw": (0.0, 1.0),
}
"""Normalisation → (mean, scale) of `(pixel - mean) / scale`."""
NORMALISATIONS = (*LEVELS, PER_PICTURE)
"""`standardised` takes each picture's own mean and deviation, as the first public FaceNets do.

Source: D. Sandberg, facenet, `prewhiten`.
"""


@dataclass(frozen=True)
class NetworkInput:
    """What a network wants for a picture.

    Attributes:
        shape: batch, height, width, channels.
        dtype: int8, uint8 or float32.
        scale, zero_point: of an integer input.
        normalisation: one of `NORMALISATIONS`; None where the card says none, so that only the
            quantisation of our own networks will do.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int
    normalisation: str | None

    @classmethod
    def of(cls, detail: dict[str, Any], normalisation: str | None) -> NetworkInput:
        """Read an interpreter's description of its input."""
        scale, zero_point = detail["quantization"]
        shape = tuple(int(n) for n in detail["shape"])
        return cls(shape, np.dtype(detail["dtype"]), float(scale), int(zero_point), normalisation)

    @property
    def is_xor(self) -> bool:
        """Whether `pixel ^ 0x80` is the input."""
        return (
            self.dtype == np.int8
            and self.normalisation in (None, FIXED)
            and self.zero_point == INPUT_ZERO_POINT
            and abs(self.scale / INPUT_SCALE - 1) < 0.005
        )

    def check(self, where: str) -> None:
        """Check that pictures can be given to it.

        Raises:
            ModelError: they cannot.
        """
        if len(self.shape) != 4 or self.shape[0] != 1 or self.shape[3] != 3:
            raise ModelError(f"{where}: input is {list(self.shape)}; needed: [1, h, w, 3]")
        if self.normalisation is None and not self.is_xor:
            raise ModelError(
                f"{where}: input is {self.dtype.name} {list(self.shape)}, scale {self.scale}, zero "
                f"point {self.zero_point}; needed: int8 [1, h, w, 3], scale {INPUT_SCALE}, zero "
                f"point {INPUT_ZERO_POINT}, or a card that says the input's normalisation"
            )
        if self.normalisation not in (None, *NORMALISATIONS):
            raise ModelError(
                f"{where}: its card says normalisation {self.normalisation!r}; known are "
                f"{', '.join(NORMALISATIONS)}"
            )
        integer = self.dtype in (np.dtype(np.int8), np.dtype(np.uint8))
        if self.dtype != np.float32 and not (integer and self.scale > 0):
            raise ModelError(
                f"{where}: input is {self.dtype.name}, scale {self.scale}; needed: float32, or "
                "quantised int8 or uint8"
            )

    def encode(self, pixels: U8) -> np.ndarray:
        """Turn uint8 (H, W, 3) RGB into the network's input without the batch axis."""
        if self.is_xor:
            return to_int8(pixels)
        values = normalised(pixels, self.normalisation or FIXED)
        if self.dtype == np.float32:
            return values
        limits = np.iinfo(self.dtype)
        steps = np.rint(values / np.float32(self.scale)) + self.zero_point
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)


def normalised(pixels: U8, normalisation: str) -> F32:
    """Give float32 network input for uint8 pixels of one picture."""
    if normalisation == FIXED:
        return to_float(pixels)
    values = pixels.astype(np.float32)
    if normalisation == PER_PICTURE:
        # Not below the deviation of one grey level in all: a picture of one colour stays finite.
        deviation = max(float(values.std()), 1 / np.sqrt(values.size))
        return np.asarray((values - values.mean()) / np.float32(deviation), np.float32)
    mean, scale = LEVELS[normalisation]
    return np.asarray((values - np.float32(mean)) / np.float32(scale), np.float32)
