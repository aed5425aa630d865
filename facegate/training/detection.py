"""How many faces a detector finds, and how often it sees one where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facegate.training.data import Scene, without_faces
from facegate.training.progress import Progress, quietly
from facegate.types import F32, U8, Detection
from facegate.vision.detector import FaceDetector

FRAME_WIDTH_PX, FRAME_HEIGHT_PX = 320, 256
MATCH_IOU = 0.5
SURE_SCORE = 0.5
LOWEST_SCORE = 0.05
"""Where a precision-recall curve ends: below it there are only false alarms."""

SIZES = ("ge24", "16to24", "lt16")


@dataclass
class _Tally:
    found: int = 0
    all: int = 0


@dataclass(frozen=True)
class Looked:
    """What a detector said of a scene, and which face each detection found (-1: none)."""

    scene: Scene
    found: list[Detection]
    taken: list[int]

    @property
    def sure(self) -> np.ndarray:
        """Which annotations count as faces: bool (K,)."""
        return self.scene.scores >= SURE_SCORE

    @property
    def hit(self) -> np.ndarray:
        """Which annotations were found: bool (K,)."""
        hit = np.zeros(len(self.scene.boxes), bool)
        hit[[face for face in self.taken if face >= 0]] = True
        return hit

    @property
    def sizes(self) -> list[str]:
        """The size class of every annotation."""
        return [size_class(box, self.scene.pixels) for box in self.scene.boxes]


def detector_on_scenes(
    detector: FaceDetector, scenes: list[Scene], progress: Progress[Scene] = quietly
) -> dict[str, Any]:
    """Measure a detector on annotated scenes; see `figures`."""
    return figures(look_at(detector, scenes, progress))


def look_at(
    detector: FaceDetector, scenes: list[Scene], progress: Progress[Scene] = quietly
) -> list[Looked]:
    """Run a detector over scenes and match what it says with the annotations."""
    looked = []
    for scene in progress(scenes, len(scenes), "scenes"):
        found = detector.detect(scene.pixels)
        looked.append(Looked(scene, found, match_boxes(found, scene.boxes)))
    return looked


def size_class(box: F32, pixels: U8) -> str:
    """Name a face's size: the square root of its box's area in the 320×256 frame."""
    height, width = pixels.shape[:2]
    scale = min(FRAME_WIDTH_PX / width, FRAME_HEIGHT_PX / height)
    size = float(np.sqrt(max(0.0, np.prod(box[2:] - box[:2])))) * scale
    return "ge24" if size >= 24 else "16to24" if size >= 16 else "lt16"


def figures(looked: list[Looked]) -> dict[str, Any]:
    """Give what a detector reached, as fractions.

    A face's size is the square root of its box's area in the 320×256 frame that the picture is
    letterboxed into. Annotations scored below 0.5 are neither faces nor background. Matching is
    one to one, best detection first, at IoU 0.5.

    Returns:
        `recall` by size (`ge24`, `16to24`, `lt16`), `false_alarms_per_image` on pictures without
        any annotated face, `false_alarms_believed` on those of them in which `data.without_faces`
        believes that there is none, `false_alarms_with_faces` on the others, `landmark_nme` (mean
        landmark error over the distance of the eyes, over the faces found), `landmark_median` of
        the same, by size too (`landmark_by_size`), `faces`, `images`.
    """
    recall = {name: _Tally() for name in SIZES}
    alarms = {True: [0, 0], False: [0, 0]}  # faceless → alarms, pictures
    believed = {id(scene) for scene in without_faces([one.scene for one in looked])}
    alarms_believed = 0
    errors: dict[str, list[float]] = {name: [] for name in SIZES}
    for one in looked:
        sure, hit, sizes = one.sure, one.hit, one.sizes
        for face in np.flatnonzero(sure).tolist():
            recall[sizes[face]].all += 1
            recall[sizes[face]].found += int(hit[face])
        for detection, face in zip(one.found, one.taken, strict=True):
            if face >= 0 and sure[face]:
                truth = one.scene.landmarks[face]
                eyes = float(np.linalg.norm(truth[0] - truth[1]))
                off = np.linalg.norm(detection.landmarks - truth, axis=1).mean()
                errors[sizes[face]].append(float(off) / max(eyes, 1e-6))
        faceless = not len(one.scene.boxes)
        wrong = sum(face < 0 for face in one.taken)
        alarms[faceless][0] += wrong
        alarms_believed += wrong if id(one.scene) in believed else 0
        alarms[faceless][1] += 1
    all_errors = [e for name in SIZES for e in errors[name] if np.isfinite(e)]
    return {
        "recall": {k: t.found / t.all if t.all else float("nan") for k, t in recall.items()},
        "false_alarms_per_image": alarms[True][0] / max(1, alarms[True][1]),
        "false_alarms_believed": alarms_believed / max(1, len(believed)),
        "false_alarms_with_faces": alarms[False][0] / max(1, alarms[False][1]),
        "landmark_nme": float(np.mean(all_errors)) if all_errors else float("nan"),
        "landmark_median": float(np.median(all_errors)) if all_errors else float("nan"),
        "landmark_by_size": {
            name: {"mean": float(np.nanmean(e)), "median": float(np.nanmedian(e))}
            for name, e in errors.items()
            if np.isfinite(e).any()
        },
        "faces": {k: t.all for k, t in recall.items()},
        "images": {"with_faces": alarms[False][1], "faceless": alarms[True][1]},
    }


def match_boxes(found: list[Detection], boxes: F32) -> list[int]:
    """Give for each detection the row of the box it finds, or -1; no box is found twice."""
    if not found or not len(boxes):
        return [-1] * len(found)
    overlap = iou(np.stack([d.box for d in found]), boxes)
    taken = []
    for row in range(len(found)):
        best = int(overlap[row].argmax())
        if overlap[row, best] >= MATCH_IOU:
            taken.append(best)
            overlap[:, best] = -1
        else:
            taken.append(-1)
    return taken


@dataclass(frozen=True)
class Ranking:
    """Detections over many pictures, and how many faces there were to find.

    Attributes:
        scores: float32 (K,). hits: bool (K,), whether each found a face of its own.
        faces: how many annotated faces there were.
    """

    scores: F32
    hits: np.ndarray
    faces: int


def rank(looked: list[Looked]) -> Ranking:
    """Collect detections for a precision-recall curve; those of unsure annotations are left out."""
    scores: list[float] = []
    hits: list[bool] = []
    for one in looked:
        for detection, face in zip(one.found, one.taken, strict=True):
            if face < 0 or one.sure[face]:
                scores.append(detection.score)
                hits.append(face >= 0)
    faces = sum(int(one.sure.sum()) for one in looked)
    return Ranking(np.array(scores, np.float32), np.array(hits, bool), faces)


def rank_detections(
    detector: FaceDetector, scenes: list[Scene], progress: Progress[Scene] = quietly
) -> Ranking:
    """Collect a detector's detections on scenes for a precision-recall curve."""
    return rank(look_at(detector, scenes, progress))


def recall_at_alarms(found: Ranking, alarms: int) -> float:
    """Give the recall over all sizes at the score where so many false alarms are let through."""
    order = np.argsort(-found.scores, kind="stable")
    wrong = np.cumsum(~found.hits[order])
    count = int(np.searchsorted(wrong, alarms, side="right"))
    return float(found.hits[order][:count].sum() / max(1, found.faces))


def iou(a: F32, b: F32) -> F32:
    """Give the intersection over union of all pairs of boxes (K, 4) and (L, 4) as (K, L)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a = np.prod(a[:, 2:] - a[:, :2], axis=1)
    area_b = np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = area_a[:, None] + area_b[None] - shared
    return (shared / np.maximum(union, 1e-9)).astype(np.float32)
