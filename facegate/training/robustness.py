"""What an embedder keeps of its accuracy when the visitor is badly seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facegate.training.data import read_crops, read_pairs, val_faces, val_pairs
from facegate.training.degradations import DEGRADATIONS, clean, roll_15
from facegate.training.intervals import hull, wilson
from facegate.training.metrics import fold_correct, fold_thresholds, threshold_at_far
from facegate.training.named_pairs import main_face
from facegate.training.progress import Progress, quietly
from facegate.types import F32, U8
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.faces import FaceReader

FAR = 1e-2
"""The lowest false-match rate that the impostors of the pairs can resolve."""
ALLOWED_LOSS = 0.05
ROOM_PX = 40
"""Picture added around a crop before the detector looks for the face in it."""


def robustness(
    reader: FaceReader, embedder: FaceEmbedder, data: Path, progress: Progress[Any] = quietly
) -> dict[str, Any]:
    """Measure an embedder on `val-pairs.csv` with one side of each pair degraded.

    As at a door, the enrolled picture (`a`) is clean and the visitor's (`b`) is not. The embedder
    sees the degraded crop as it is; a rolled one is first found and aligned again by the detector
    of `reader`, since that is what takes the roll out at the door: `roll_15` (and `realigned`, the
    same without a roll, tells what the shipped landmarks cost). What is left when
    nothing takes it out is `roll_15_unaligned`.

    Returns:
        For `clean` and each degradation: `accuracy` (10 folds) and its `change` against clean, an
        `interval` of it (95 %, Wilson's), `tar` and `fmr` at the threshold that has FAR 1e-2 on
        clean pairs, `lost` (visitors whose face was not found again: errors), and whether it stays
        `within` 5 points of clean. All with the thresholds of the clean pairs: a door keeps its
        threshold, whatever the weather. `refitted` is the accuracy if it knew, and had a threshold
        for each condition.
    """
    pixels = read_crops([val_faces(data)]).pixels
    pairs = read_pairs(val_pairs(data), len(pixels))
    rows, visitor = np.unique(pairs.b, return_inverse=True)
    enrolled_rows, enrolled = np.unique(pairs.a, return_inverse=True)

    def embed(crops: dict[int, U8 | None], what: str) -> F32:
        size = len(embedder.embed(pixels[0]).vector)
        nothing = np.full(size, np.nan, np.float32)
        return np.stack(
            [
                nothing if (crop := crops[int(row)]) is None else embedder.embed(crop).vector
                for row in progress(list(crops), len(crops), what)
            ]
        )

    template = embed({int(r): pixels[r] for r in enrolled_rows}, "enrolled")[enrolled]
    conditions: dict[str, Callable[[U8, int], U8 | None]] = {"clean": clean, **DEGRADATIONS}
    conditions["roll_15_unaligned"] = roll_15
    conditions["realigned"] = lambda crop, _number: realigned(reader, crop)
    conditions["roll_15"] = lambda crop, number: realigned(reader, roll_15(crop, number))
    result: dict[str, Any] = {}
    limit, thresholds = 0.0, dict[int, float]()
    for name, degrade in conditions.items():
        probe = embed({int(r): degrade(pixels[r], int(r)) for r in rows}, name)[visitor]
        similarity = (template * probe).sum(1)
        if name == "clean":
            limit = threshold_at_far(similarity[~pairs.same], FAR)
            thresholds = fold_thresholds(similarity, pairs.same, pairs.fold)
        correct = fold_correct(similarity, pairs.same, pairs.fold, thresholds)
        refitted = fold_correct(similarity, pairs.same, pairs.fold)
        accepted = similarity > limit  # NaN: never
        accuracy = float(correct.mean())
        change = accuracy - result["clean"]["accuracy"] if result else 0.0
        result[name] = {
            "accuracy": accuracy,
            "change": change,
            "refitted": float(refitted.mean()),
            "interval": hull(wilson(float(correct.sum()), len(correct)), None),
            "tar": float(accepted[pairs.same].mean()),
            "fmr": float(accepted[~pairs.same].mean()),
            "lost": int(np.isnan(probe[:, 0])[np.unique(visitor, return_index=True)[1]].sum()),
            "within": change >= -ALLOWED_LOSS,
        }
    return {"pairs": len(pairs.same), "threshold_far": FAR, "conditions": result}


def realigned(reader: FaceReader, crop: U8) -> U8 | None:
    """Find the face of a crop and align it anew, as the door does; None if it is not found."""
    room = cv2.copyMakeBorder(crop, ROOM_PX, ROOM_PX, ROOM_PX, ROOM_PX, cv2.BORDER_REPLICATE)
    picture = np.asarray(room, np.uint8)
    found = main_face(reader.find(picture), picture.shape[1], picture.shape[0])
    return None if found is None else reader.look(picture, found).aligned
