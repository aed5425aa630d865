"""What found landmarks cost: crops found and aligned again, against the crops as given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from facegate.training.data import Pairs, read_crops, read_pairs, val_faces, val_pairs
from facegate.training.metrics import fold_accuracy
from facegate.training.progress import Progress, quietly
from facegate.types import F32, U8
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.faces import FaceReader
from facegate.vision.preprocess import FACE_PX, LETTERBOX_GREY

FRAME_PX = (320, 256)
CROP_SIDES_PX = (27, 40, 64, 128)
"""Sides of a crop in the detector's frame; the face in it is about six tenths as wide."""


def landmark_cost(
    reader: FaceReader, embedder: FaceEmbedder, data: Path, progress: Progress[Any] = quietly
) -> dict[str, Any]:
    """Measure accuracy on `val-pairs.csv` with the given crops, and with those found again.

    Every crop is set into a grey picture, found there, and aligned by the landmarks found. A crop
    in which nothing is found is an error in all of its pairs.

    Args:
        reader: finds faces and aligns them.
        embedder: the network.

    Returns:
        `given`: its accuracy; `detected`: for each face width in the detector's frame, the
        accuracy, what it costs against `given`, what the landmarks' noise alone costs (a crop that
        is not found stays as given), and the share of crops found.
    """
    crops = read_crops([val_faces(data)]).pixels
    pairs = read_pairs(val_pairs(data), len(crops))
    rows = np.unique(np.concatenate([pairs.a, pairs.b]))
    given = _embed(embedder, crops, {r: crops[r] for r in progress(rows, len(rows), "given")})
    accuracy = _accuracy(given, pairs)

    detected = {}
    for side in CROP_SIDES_PX:
        again: dict[int, U8] = {}
        for row in progress(rows, len(rows), f"{side} px"):
            crop = realign(reader, crops[row], side)
            if crop is not None:
                again[row] = crop
        vectors = _embed(embedder, crops, again)
        reached = _accuracy(vectors, pairs)
        missing = np.isnan(vectors).any(axis=1, keepdims=True)
        detected[str(round(0.6 * side))] = {
            "accuracy": reached,
            "cost": accuracy - reached,
            "cost_of_noise": accuracy - _accuracy(np.where(missing, given, vectors), pairs),
            "found": len(again) / len(rows),
        }
    return {"given": {"accuracy": accuracy, "crops": len(rows)}, "detected": detected}


def realign(reader: FaceReader, crop: U8, side_px: int) -> U8 | None:
    """Find an aligned crop in a grey picture and align it again.

    Args:
        crop: uint8 (160, 160, 3).
        side_px: its side in the detector's frame; the pixels that are aligned are all of them.

    Returns:
        The new crop, or None where no face is found.
    """
    zoom = FACE_PX / side_px
    width, height = (round(px * zoom) for px in FRAME_PX)
    picture = np.full((height, width, 3), LETTERBOX_GREY, np.uint8)
    x, y = (width - FACE_PX) // 2, (height - FACE_PX) // 2
    picture[y : y + FACE_PX, x : x + FACE_PX] = crop
    found = reader.find(picture)
    return reader.look(picture, found[0]).aligned if found else None


def _embed(embedder: FaceEmbedder, crops: U8, chosen: dict[int, U8]) -> F32:
    """Embed some crops; the rows of the others are NaN."""
    vectors: F32 | None = None
    for row, crop in chosen.items():
        vector = embedder.embed(crop).vector
        if vectors is None:
            vectors = np.full((len(crops), len(vector)), np.nan, np.float32)
        vectors[row] = vector
    return vectors if vectors is not None else np.full((len(crops), 1), np.nan, np.float32)


def _accuracy(vectors: F32, pairs: Pairs) -> float:
    similarity = (vectors[pairs.a] * vectors[pairs.b]).sum(1)
    return float(fold_accuracy(similarity, pairs.same, pairs.fold).mean())
