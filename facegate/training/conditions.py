"""How much a detector loses where seeing is hard: darkness, a tilted head, a covered mouth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from facegate.training.data import Scene
from facegate.training.detection import SIZES, Looked, look_at
from facegate.training.progress import Progress, quietly
from facegate.training.scenes import cover_lower_face
from facegate.types import U8
from facegate.vision.detector import FaceDetector
from facegate.vision.preprocess import LETTERBOX_GREY, between_centres

DARK_GAIN, DARK_NOISE = 0.15, 4.0
TILT_DEG = 30.0
INSIDE_SHARE = 0.9
"""A face that turning the picture pushes out of it by more than the rest is left out."""

Condition = Callable[[Scene, np.random.Generator], Scene]


def darkened(scene: Scene, rng: np.random.Generator) -> Scene:
    """Take most of the light away, and let the sensor's noise stay."""
    noise = np.asarray(rng.normal(0, DARK_NOISE, scene.pixels.shape), np.float32)
    dark = np.clip(scene.pixels.astype(np.float32) * DARK_GAIN + noise, 0, 255)
    return replace(scene, pixels=dark.astype(np.uint8))


def tilted(scene: Scene, rng: np.random.Generator) -> Scene:
    """Turn the picture by 30 degrees to either side; faces that leave it are not counted."""
    height, width = scene.pixels.shape[:2]
    angle = TILT_DEG if rng.random() < 0.5 else -TILT_DEG
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    grey = (LETTERBOX_GREY,) * 3
    pixels: U8 = np.asarray(
        cv2.warpAffine(scene.pixels, between_centres(matrix), (width, height), borderValue=grey),
        np.uint8,
    )
    if not len(scene.boxes):
        return replace(scene, pixels=pixels)
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    middles = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
    turn, shift = matrix[:, :2].T, matrix[:, 2]
    middles = middles @ turn + shift
    boxes = np.concatenate([middles - sides / 2, middles + sides / 2], 1).astype(np.float32)
    seen = np.clip(boxes, 0, (width, height, width, height))
    share = (seen[:, 2:] - seen[:, :2]).prod(1) / np.maximum(sides.prod(1), 1e-6)
    scores = np.where(share < INSIDE_SHARE, 0, scene.scores).astype(np.float32)
    landmarks = (scene.landmarks @ turn + shift).astype(np.float32)
    return replace(scene, pixels=pixels, boxes=boxes, landmarks=landmarks, scores=scores)


def covered(scene: Scene, rng: np.random.Generator) -> Scene:
    """Draw a mask or scarf over every face; those without landmarks are not counted."""
    pixels = scene.pixels.copy()
    known = np.isfinite(scene.landmarks).all(axis=(1, 2))
    for marks in scene.landmarks[known]:
        cover_lower_face(pixels, marks, rng)
    scores = np.where(known, scene.scores, 0).astype(np.float32)
    return replace(scene, pixels=pixels, scores=scores)


CONDITIONS: dict[str, Condition] = {"dark": darkened, "tilted": tilted, "covered": covered}


def under_conditions(
    detector: FaceDetector, plain: list[Looked], progress: Progress[Scene] = quietly
) -> dict[str, dict[str, Any]]:
    """Measure recall under every condition, beside that of the same faces as they are.

    Args:
        plain: what the detector said of the scenes as they are.

    Returns:
        Condition → `recall` and `loss` by size, fractions of the faces that count there.
    """
    result = {}
    for name, change in CONDITIONS.items():
        rng = np.random.default_rng(0)
        looked = look_at(detector, [change(one.scene, rng) for one in plain], progress)
        recall, loss = {}, {}
        for size in SIZES:
            before, after = _hits(plain, looked, size)
            if len(after):
                recall[size] = float(after.mean())
                loss[size] = float(before.mean() - after.mean())
        result[name] = {"recall": recall, "loss": loss}
    return result


def _hits(plain: list[Looked], changed: list[Looked], size: str) -> tuple[np.ndarray, np.ndarray]:
    """Give which of the faces that count under both were found before and after."""
    before, after = [np.zeros(0, bool)], [np.zeros(0, bool)]
    for one, other in zip(plain, changed, strict=True):
        rows = one.sure & other.sure & (np.array(one.sizes, object) == size)
        before.append(one.hit[rows])
        after.append(other.hit[rows])
    return np.concatenate(before), np.concatenate(after)
