"""What a detector takes for a face in annotated pictures, and what of it is one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facegate.training.data import Scene
from facegate.training.detection import SURE_SCORE, iou
from facegate.training.progress import Progress, quietly
from facegate.types import F32, I64, U8
from facegate.vision.detector import FaceDetector
from facegate.vision.preprocess import LETTERBOX_GREY

EAGER_SCORE = 0.09
"""Below the score from which the door asks the refiner: it meets its mistakes and some more."""

FACE_IOU, BACKGROUND_IOU = 0.4, 0.1
"""A candidate between the two shows half a face, and teaches nothing."""

VIEWS = 4
"""Each picture is searched as it is, mirrored, and twice in part or shrunk."""

MOST_A_VIEW = 40


@dataclass(frozen=True)
class Candidates:
    """Candidates in some pictures.

    Attributes:
        scene: int64 (K,), the picture of each.
        boxes: float32 (K, 4), in its coordinates.
        face: int64 (K,), the row of the face it shows; -1: none.
    """

    scene: I64
    boxes: F32
    face: I64


def candidates_in(
    detector: FaceDetector, scenes: list[Scene], seed: int, progress: Progress[Scene] = quietly
) -> Candidates:
    """Collect what a detector takes for faces, in several views of every picture.

    Args:
        detector: one that reports faces from `EAGER_SCORE` on.
        scenes: the pictures.
        seed: of the views.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, F32, int]] = []
    for number, scene in enumerate(progress(scenes, len(scenes), "candidates")):
        for view in range(VIEWS):
            pixels, back = _view(scene.pixels, view, rng)
            for found in detector.detect(pixels)[:MOST_A_VIEW]:
                x1, y1, x2, y2 = (found.box * back[[0, 1, 0, 1]] + back[[2, 3, 2, 3]]).tolist()
                box = np.array([min(x1, x2), y1, max(x1, x2), y2], np.float32)
                face = _shows(box, scene)
                if face is not None:
                    rows.append((number, box, face))
    return Candidates(
        np.array([r[0] for r in rows], np.int64),
        np.array([r[1] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[2] for r in rows], np.int64),
    )


def _view(pixels: U8, view: int, rng: np.random.Generator) -> tuple[U8, F32]:
    """Give a view and the way back: steps and shifts (x, y, x, y) to the picture's coordinates."""
    height, width = pixels.shape[:2]
    step_x = step_y = 1.0
    left = top = 0
    if view >= 2 and rng.random() < 0.6:
        share = rng.uniform(0.4, 0.9)
        part = (max(1, int(width * share)), max(1, int(height * share)))
        left = int(rng.integers(0, width - part[0] + 1))
        top = int(rng.integers(0, height - part[1] + 1))
        pixels = pixels[top : top + part[1], left : left + part[0]]
    elif view >= 2:
        share = rng.uniform(0.3, 0.8)
        size = (max(8, int(width * share)), max(8, int(height * share)))
        room = np.full_like(pixels, LETTERBOX_GREY)
        room[: size[1], : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        pixels, step_x, step_y = room, width / size[0], height / size[1]
    if view >= 2 and rng.random() < 0.3:
        pixels = (pixels * rng.uniform(0.2, 0.7)).astype(np.uint8)
    if view % 2 == 0:
        return pixels, np.array([step_x, step_y, left, top], np.float32)
    seen_px = pixels.shape[1]
    mirrored = np.ascontiguousarray(pixels[:, ::-1])
    return mirrored, np.array([-step_x, step_y, left + seen_px * step_x, top], np.float32)


def _shows(box: F32, scene: Scene) -> int | None:
    """Give the face that a box shows, -1 for background, None for something between."""
    if not len(scene.boxes):
        return -1
    overlap = iou(box[None], scene.boxes)[0]
    best = int(overlap.argmax())
    if overlap[best] >= FACE_IOU and scene.scores[best] >= SURE_SCORE:
        return best
    return -1 if overlap[best] < BACKGROUND_IOU else None
