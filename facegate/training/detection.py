"""How many faces a detector finds, and how often it sees one where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facegate.training.data import Scene, read_scenes
from facegate.training.progress import Progress, quietly
from facegate.types import F32, Detection
from facegate.vision.detector import FaceDetector, TFLiteFaceDetector
from facegate.vision.tracker import iou

FRAME_WIDTH_PX, FRAME_HEIGHT_PX = 320, 256
MATCH_IOU = 0.5
SURE_SCORE = 0.5


@dataclass
class _Tally:
    found: int = 0
    all: int = 0


def detector_on_data(
    detector: TFLiteFaceDetector, data: Path, progress: Progress[Scene] = quietly
) -> dict[str, Any]:
    """Measure a detector on `scenes-val.parquet`."""
    result = detector_on_scenes(detector, read_scenes(data / "scenes-val.parquet"), progress)
    return {**result, "min_score": detector.min_score}


def detector_on_scenes(
    detector: FaceDetector, scenes: list[Scene], progress: Progress[Scene] = quietly
) -> dict[str, Any]:
    """Measure a detector on annotated scenes, as fractions.

    A face's size is the square root of its box's area in the 320×256 frame that the picture is
    letterboxed into. Annotations scored below 0.5 are neither faces nor background. Matching is
    one to one, best detection first, at IoU 0.5.

    Returns:
        `recall` by size (`ge24`, `16to24`, `lt16`), `false_alarms_per_image` on pictures without
        any face, `false_alarms_with_faces` on the others, `landmark_nme` (mean landmark error over
        the distance of the eyes, over the faces found), `faces`, `images`.
    """
    recall = {"ge24": _Tally(), "16to24": _Tally(), "lt16": _Tally()}
    alarms = {True: [0, 0], False: [0, 0]}  # faceless → alarms, pictures
    errors: list[float] = []
    for scene in progress(scenes, len(scenes), "scenes"):
        found = detector.detect(scene.pixels)
        height, width = scene.pixels.shape[:2]
        canvas_scale = min(FRAME_WIDTH_PX / width, FRAME_HEIGHT_PX / height)
        sure = scene.scores >= SURE_SCORE
        taken = match_boxes(found, scene.boxes)
        hit = {face for face in taken if face >= 0}
        for face in np.flatnonzero(sure).tolist():
            box = scene.boxes[face]
            size = float(np.sqrt(max(0.0, np.prod(box[2:] - box[:2])))) * canvas_scale
            tally = recall["ge24" if size >= 24 else "16to24" if size >= 16 else "lt16"]
            tally.all += 1
            tally.found += int(face in hit)
        for detection, face in zip(found, taken, strict=True):
            if face >= 0 and sure[face]:
                truth = scene.landmarks[face]
                eyes = float(np.linalg.norm(truth[0] - truth[1]))
                off = np.linalg.norm(detection.landmarks - truth, axis=1).mean()
                errors.append(float(off) / max(eyes, 1e-6))
        faceless = not len(scene.boxes)
        alarms[faceless][0] += sum(face < 0 for face in taken)
        alarms[faceless][1] += 1
    return {
        "recall": {k: t.found / t.all if t.all else float("nan") for k, t in recall.items()},
        "false_alarms_per_image": alarms[True][0] / max(1, alarms[True][1]),
        "false_alarms_with_faces": alarms[False][0] / max(1, alarms[False][1]),
        "landmark_nme": float(np.mean(errors)) if errors else float("nan"),
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


def rank_detections(
    detector: FaceDetector, scenes: list[Scene], progress: Progress[Scene] = quietly
) -> Ranking:
    """Collect detections for a precision-recall curve; those of unsure annotations are left out."""
    scores: list[float] = []
    hits: list[bool] = []
    for scene in progress(scenes, len(scenes), "scenes"):
        found = detector.detect(scene.pixels)
        for detection, face in zip(found, match_boxes(found, scene.boxes), strict=True):
            if face < 0 or scene.scores[face] >= SURE_SCORE:
                scores.append(detection.score)
                hits.append(face >= 0)
    faces = sum(int((s.scores >= SURE_SCORE).sum()) for s in scenes)
    return Ranking(np.array(scores, np.float32), np.array(hits, bool), faces)
