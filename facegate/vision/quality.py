"""Decide whether a face is good enough to be compared, and say why not."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from facegate.types import U8, Detection, Embedding, Quality
from facegate.vision.card import Lengths
from facegate.vision.coverage import Coverage, CoverageLimit


@dataclass(frozen=True)
class QualityLimits:
    """Limits of the gate; units as in `facegate.types.Quality`.

    `min_length` is of the embedding before normalising: a network that saw little of a face answers
    with a short one. Source: Ranjan et al. 2017, "L2-constrained Softmax Loss"; Meng et al. 2021,
    "MagFace".
    """

    min_size_px: float
    min_sharpness: float
    min_brightness: float
    max_brightness: float
    max_yaw: float
    max_roll_deg: float
    min_length: float = 0.0
    coverage: CoverageLimit | None = None


@dataclass(frozen=True)
class GateSettings:
    """What the quality gate is set to, before an embedder's own limits are known.

    Attributes:
        limits: those that go by the picture alone.
        shortest_refused, covered_refused: shares of ordinary faces, 0 to 1, that are refused
            because their embedding is short, or mouth or eyes look covered.
    """

    limits: QualityLimits
    shortest_refused: float
    covered_refused: float

    def limits_for(self, lengths: Lengths | None, coverage: Coverage | None) -> QualityLimits:
        """Give all limits, with those of an embedder; what is not known of it refuses nobody."""
        limits = self.limits
        if lengths is not None:
            limits = replace(limits, min_length=lengths.below(self.shortest_refused))
        if coverage is not None:
            scores = coverage.limits(self.covered_refused)
            limits = replace(limits, coverage=CoverageLimit(coverage, scores))
        return limits


ADVICE = {
    "too_small": "come closer",
    "cut_off": "step into the picture",
    "turned_away": "look at the camera",
    "too_dark": "more light is needed",
    "too_bright": "the light is too strong",
    "blurred": "hold still",
    "occluded": "uncover mouth and eyes",
    "short_embedding": "look straight at the camera, with nothing before your face",
}
"""What a refused visitor can do, by reason."""


FACE = np.s_[40:140, 30:130]
"""The part of an aligned face, rows and columns, without hair, ears and background."""

SMOOTHING = cv2.getGaussianKernel(7, 1.0, cv2.CV_32F)
"""Before edges are measured, so that the sensor's noise is not taken for them."""


def assess(pixels: U8, detection: Detection, aligned: U8, limits: QualityLimits) -> Quality:
    """Measure a face and compare it with the limits.

    Args:
        pixels: uint8 (H, W, 3), the picture the detection belongs to.
        detection: the face.
        aligned: uint8 (160, 160, 3), the face cut out by `preprocess.align`.

    Returns:
        The measurements, with the reasons for refusing it, if any.
    """
    marks = detection.landmarks.tolist()
    (lx, ly), (rx, ry), (nose_x, nose_y), *_ = marks
    across_x, across_y = rx - lx, ry - ly
    eye_distance = max(math.hypot(across_x, across_y), 1e-6)
    # The nose's distance from the middle of eyes and mouth, along the line of the eyes.
    middle_x, middle_y = (sum(axis) / 4 for axis in zip(*marks[:2], *marks[3:], strict=True))
    yaw = ((nose_x - middle_x) * across_x + (nose_y - middle_y) * across_y) / eye_distance**2
    roll = math.degrees(math.atan2(across_y, across_x))
    face = cv2.cvtColor(aligned[FACE], cv2.COLOR_RGB2GRAY)
    edges = cv2.Laplacian(cv2.sepFilter2D(face, -1, SMOOTHING, SMOOTHING), cv2.CV_32F)
    _, deviation = cv2.meanStdDev(edges)
    sharpness, brightness = float(deviation[0, 0]) ** 2, cv2.mean(face)[0]
    height, width = pixels.shape[:2]
    inside = all(0 <= x < width and 0 <= y < height for x, y in marks)

    reasons = []
    if detection.size_px < limits.min_size_px:
        reasons.append("too_small")
    if not inside:
        reasons.append("cut_off")
    if abs(yaw) > limits.max_yaw or abs(roll) > limits.max_roll_deg:
        reasons.append("turned_away")
    if brightness < limits.min_brightness:
        reasons.append("too_dark")
    if brightness > limits.max_brightness:
        reasons.append("too_bright")
    if sharpness < limits.min_sharpness:
        reasons.append("blurred")
    return Quality(detection.size_px, sharpness, brightness, yaw, roll, tuple(reasons))


def assess_again(quality: Quality, embedding: Embedding, limits: QualityLimits) -> Quality:
    """Judge a face once more, now that the network has seen it."""
    reasons = list(quality.reasons)
    if limits.coverage is not None and limits.coverage.exceeded(embedding):
        reasons.append("occluded")
    if embedding.length < limits.min_length:
        reasons.append("short_embedding")
    return replace(quality, reasons=tuple(reasons))
