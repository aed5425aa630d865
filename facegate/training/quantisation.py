"""What INT8 costs in finding faces: recall at equal false alarms, and the error of every head."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from facegate.training.data import Scene
from facegate.training.detection import LOWEST_SCORE, Ranking, rank_detections, recall_at_alarms
from facegate.types import F32, U8
from facegate.vision.detector import FaceDetector

QUANTISED_PICTURES = 64


class Heads(Protocol):
    """A network with several outputs."""

    def heads(self, canvas: U8) -> dict[str, F32]:
        """Give the output of every head, float32, channels last."""
        ...


class QuantisedHeads(Heads, Protocol):
    """The same after quantisation."""

    @property
    def head_scales(self) -> dict[str, float]:
        """Head → quantisation scale of its output."""
        ...


class Limited(FaceDetector, Protocol):
    """A detector with a least score."""

    min_score: float


def equal_alarms(shipped: Limited, in_float: Limited, scenes: list[Scene]) -> dict[str, Any]:
    """Compare recall where both let as many false alarms through as the shipped one does.

    Args:
        shipped, in_float: with the network as it ships, and with the one before quantisation.

    Returns:
        `false_alarms` over all pictures at the shipped threshold, and `int8` and `float`: recall.
    """
    found, before = (_ranking(detector, scenes) for detector in (shipped, in_float))
    alarms = int((~found.hits & (found.scores >= shipped.min_score)).sum())
    return {
        "false_alarms": alarms,
        "int8": recall_at_alarms(found, alarms),
        "float": recall_at_alarms(before, alarms),
    }


def _ranking(detector: Limited, scenes: list[Scene]) -> Ranking:
    usual = detector.min_score
    detector.min_score = LOWEST_SCORE
    try:
        return rank_detections(detector, scenes)
    finally:
        detector.min_score = usual


def head_report(
    shipped: QuantisedHeads, in_float: Heads, pictures: list[U8]
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
