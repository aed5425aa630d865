"""How good an embedder is at telling whether two faces are one person.

Everything runs through the shipped TFLite models and the runtime's own code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facegate.errors import DataError
from facegate.training.data import FaceCrops, Pairs, read_crops, read_pairs
from facegate.training.metrics import equal_error_rate, fold_accuracy, tar_at_far, threshold_at_far
from facegate.training.progress import Progress, quietly
from facegate.types import F32, U8
from facegate.vision.embedder import FaceEmbedder

FARS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}


@dataclass(frozen=True)
class Verification:
    """Similarities of pairs (cosine; NaN where a picture had no usable face), truth and folds."""

    similarity: F32
    same: np.ndarray
    fold: np.ndarray
    refused: int


def embedder_on_data(
    embedder: FaceEmbedder, data: Path, progress: Progress[Any] = quietly
) -> tuple[dict[str, Any], Verification, F32, FaceCrops]:
    """Measure an embedder on `faces-val.parquet` with `val-pairs.csv`.

    Returns:
        The figures, the pairs' similarities, and the embeddings (N, 128) of the crops.
    """
    pairs = read_pairs(data / "val-pairs.csv")
    crops = read_crops([data / "faces-val.parquet"])
    if max(pairs.a.max(), pairs.b.max()) >= len(crops.pixels):
        raise DataError(f"{data / 'val-pairs.csv'}: names rows that faces-val.parquet has not")
    vectors = embed_all(embedder, crops.pixels, progress)
    found = verification(vectors, pairs)
    result = figures(found)
    result["all_pairs"] = low_far(*all_pairs(vectors, crops))
    return result, found, vectors, crops


def embed_all(embedder: FaceEmbedder, crops: U8, progress: Progress[U8] = quietly) -> F32:
    """Embed aligned crops: uint8 (N, 160, 160, 3) → float32 (N, 128) of unit length."""
    return np.stack([embedder.embed(c).vector for c in progress(crops, len(crops), "faces")])


def verification(vectors: F32, pairs: Pairs) -> Verification:
    """Compare the pairs of a crop set."""
    similarity = (vectors[pairs.a] * vectors[pairs.b]).sum(1)
    return Verification(similarity, pairs.same, pairs.fold, 0)


def figures(v: Verification) -> dict[str, Any]:
    """Give the figures of a verification run, as fractions.

    A pair with a refused picture counts as an error in the accuracy, whether it shows one person or
    two; in EER and TAR it is a pair that is never accepted.
    """
    accuracy = fold_accuracy(v.similarity, v.same, v.fold)
    never = np.nan_to_num(v.similarity, nan=-np.inf)
    return {
        "accuracy": float(accuracy.mean()),
        "accuracy_std": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else 0.0,
        "eer": equal_error_rate(never, v.same),
        "tar_at_far": {name: tar_at_far(never, v.same, far) for name, far in FARS.items()},
        "comparisons": {"genuine": int(v.same.sum()), "impostor": int((~v.same).sum())},
        "refused": v.refused,
    }


def all_pairs(vectors: F32, crops: FaceCrops) -> tuple[F32, F32]:
    """Compare everybody with everybody: genuine and impostor cosines."""
    _, person = np.unique(crops.identity, return_inverse=True)
    genuine, impostor = [], []
    for start in range(0, len(vectors), 512):
        block = vectors[start : start + 512] @ vectors.T
        rows = np.arange(start, start + len(block))
        upper = np.arange(len(vectors))[None] > rows[:, None]
        same = person[rows][:, None] == person[None]
        genuine.append(block[upper & same])
        impostor.append(block[upper & ~same])
    return np.concatenate(genuine), np.concatenate(impostor)


def low_far(genuine: F32, impostor: F32) -> dict[str, Any]:
    """Give TAR at FARs that 3,000 pairs cannot measure."""
    rates = {"1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5}
    return {
        "tar_at_far": {
            name: float((genuine > threshold_at_far(impostor, far)).mean())
            for name, far in rates.items()
        },
        "comparisons": {"genuine": len(genuine), "impostor": len(impostor)},
    }
