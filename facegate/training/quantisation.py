"""What INT8 costs a detector: recall at equal false alarms, and the error of every head."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facegate.training.data import Scene
from facegate.training.detection import rank_detections, recall_at_alarms
from facegate.types import F32, U8, Detection
from facegate.vision.detector import TFLiteFaceDetector

QUANTISED_PICTURES = 64
LOWEST_SCORE = 0.05


class InFloat(Protocol):
    """The network before quantisation."""

    min_score: float

    def heads(self, canvas: U8) -> dict[str, F32]:
        """Give the output of every head, float32 (h, w, channels)."""
        ...

    def detect(self, pixels: U8) -> list[Detection]:
        """Find faces."""
        ...


def equal_alarms(
    shipped: TFLiteFaceDetector, path: Path, in_float: InFloat, scenes: list[Scene]
) -> dict[str, Any]:
    """Compare recall where both let as many false alarms through as the shipped model does.

    Returns:
        `false_alarms` over all pictures at the shipped threshold, and `int8` and `float`: recall.
    """
    found = rank_detections(TFLiteFaceDetector(path, LOWEST_SCORE), scenes)
    usual = in_float.min_score
    in_float.min_score = LOWEST_SCORE
    before = rank_detections(in_float, scenes)
    in_float.min_score = usual
    alarms = int((~found.hits & (found.scores >= shipped.min_score)).sum())
    return {
        "false_alarms": alarms,
        "int8": recall_at_alarms(found, alarms),
        "float": recall_at_alarms(before, alarms),
    }


def head_report(
    shipped: TFLiteFaceDetector, in_float: InFloat, pictures: list[U8]
) -> dict[str, dict[str, float]]:
    """Set every head's INT8 output beside the float one.

    Args:
        pictures: uint8 (H, W, 3), of the input's size.

    Returns:
        Head → `scale` of its INT8 output, `sqnr_db` (signal power over error power), `max_error`.
    """
    power: dict[str, float] = {}
    noise: dict[str, float] = {}
    worst: dict[str, float] = {}
    for picture in pictures:
        wanted, given = in_float.heads(picture), shipped.heads(picture)
        for head, values in wanted.items():
            error = given[head].reshape(values.shape) - values
            power[head] = power.get(head, 0.0) + float(np.square(values).sum())
            noise[head] = noise.get(head, 0.0) + float(np.square(error).sum())
            worst[head] = max(worst.get(head, 0.0), float(np.abs(error).max()))
    scales = shipped.head_scales
    return {
        head: {
            "scale": scales[head],
            "sqnr_db": float(10 * np.log10(power[head] / max(noise[head], 1e-12))),
            "max_error": worst[head],
        }
        for head in sorted(power)
    }
