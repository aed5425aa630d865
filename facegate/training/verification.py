"""How good an embedder is at telling whether two faces are one person.

Everything runs through the shipped TFLite models and the runtime's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facegate.training.data import FaceCrops, Pairs, read_crops, read_pairs, val_faces, val_pairs
from facegate.training.groups import false_matches_by_group
from facegate.training.intervals import (
    METHOD,
    RankedPairs,
    bootstrap,
    hull,
    resolved,
    wilson,
)
from facegate.training.looks import several_looks
from facegate.training.metrics import (
    cosine_blocks,
    equal_error_rate,
    fold_correct,
    fold_thresholds,
    tar_at_far,
    threshold_at_far,
)
from facegate.training.progress import Progress, quietly
from facegate.training.sampling import labels_of
from facegate.types import F32, I64, U8
from facegate.vision.embedder import FaceEmbedder

FARS = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
LOW_FARS = {"1e-3": 1e-3, "1e-4": 1e-4, "1e-5": 1e-5}
BOOTSTRAPPED_FAR = 1e-2
"""Of all impostor pairs only those alike enough for this FAR take part in every draw."""


@dataclass(frozen=True)
class Verification:
    """What verification gave, pair by pair.

    Attributes:
        similarity: float32 (N,), cosine; NaN where a picture had no usable face.
        same: bool (N,), the truth.
        fold: int64 (N,).
        refused: pictures without a usable face.
        people: int64 (N, 2), who is in each pair, numbered from 0; None if not known.
    """

    similarity: F32
    same: np.ndarray
    fold: np.ndarray
    refused: int
    people: I64 | None = None


def embedder_on_data(
    embedder: FaceEmbedder, data: Path, progress: Progress[Any] = quietly
) -> tuple[dict[str, Any], Verification, F32, FaceCrops]:
    """Measure an embedder on `faces-val.parquet` with `val-pairs.csv`.

    Returns:
        The figures, the pairs' similarities, the embeddings (N, 128) of the crops, and the crops.
    """
    crops = read_crops([val_faces(data)])
    pairs = read_pairs(val_pairs(data), len(crops.pixels))
    vectors = embed_all(embedder, crops.pixels, progress)
    person = labels_of(crops.identity)
    found = verification(vectors, pairs, person)
    result = figures(found)
    result |= everybody(vectors, person, crops.source)
    result["groups"] = false_matches_by_group(vectors, person, crops.source)
    return result, found, vectors, crops


def embed_all(embedder: FaceEmbedder, crops: U8, progress: Progress[U8] = quietly) -> F32:
    """Embed aligned crops: uint8 (N, 160, 160, 3) → float32 (N, 128) of unit length."""
    return np.stack([embedder.embed(c).vector for c in progress(crops, len(crops), "faces")])


def verification(vectors: F32, pairs: Pairs, person: I64 | None = None) -> Verification:
    """Compare the pairs of a crop set; `person` numbers who is in each crop."""
    similarity = (vectors[pairs.a] * vectors[pairs.b]).sum(1)
    people = None if person is None else np.stack([person[pairs.a], person[pairs.b]], axis=1)
    return Verification(similarity, pairs.same, pairs.fold, 0, people)


def figures(v: Verification) -> dict[str, Any]:
    """Give the figures of a verification run, as fractions.

    A pair with a refused picture counts as an error in the accuracy, whether it shows one person or
    two; in EER and TAR it is a pair that is never accepted.

    Returns:
        `accuracy` (of all pairs; where folds are equally large, the mean over folds),
        `accuracy_std` (between folds), each of the `folds` with its
        threshold, `eer`, `tar_at_far`; 95 %
        `intervals` of them, and which FARs so many impostor pairs have `resolved`. Where one is
        not, the TAR is that with as many false matches as the rate allows: few, or none.
    """
    correct = fold_correct(v.similarity, v.same, v.fold)
    accuracy = np.array([correct[v.fold == f].mean() for f in np.unique(v.fold)])
    right = float(correct.mean())
    never = np.nan_to_num(v.similarity, nan=-np.inf)
    tar = {name: tar_at_far(never, v.same, far) for name, far in FARS.items()}
    eer = equal_error_rate(never, v.same)
    genuine, impostor = int(v.same.sum()), int((~v.same).sum())
    drawn = {}
    if v.people is not None:
        ranked = RankedPairs.of(never, v.same, v.people, correct.astype(np.float32))
        drawn = bootstrap(ranked, FARS)
    few = min(genuine, impostor)
    return {
        "accuracy": right,
        "accuracy_std": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else 0.0,
        "folds": {
            "accuracy": accuracy.tolist(),
            "cosine": list(fold_thresholds(v.similarity, v.same, v.fold).values()),
        },
        "eer": eer,
        "tar_at_far": tar,
        "comparisons": {"genuine": genuine, "impostor": impostor},
        "refused": v.refused,
        "intervals": {
            "accuracy": hull(wilson(correct.sum(), len(correct)), drawn.get("accuracy")),
            "eer": hull(wilson(eer * few, few), drawn.get("eer")),
            "tar_at_far": {
                name: hull(wilson(rate * genuine, genuine), drawn.get(name))
                for name, rate in tar.items()
            },
            "method": METHOD,
        },
        "resolved": {name: resolved(far, impostor) for name, far in FARS.items()},
    }


def genuine_pairs(vectors: F32, person: I64) -> F32:
    """Give the cosines of each person's pictures among themselves."""
    rows = (np.flatnonzero(person == p) for p in np.unique(person))
    found = [(vectors[r] @ vectors[r].T)[np.triu_indices(len(r), 1)] for r in rows]
    return np.concatenate(found)


def all_pairs(vectors: F32, person: I64) -> tuple[F32, F32]:
    """Compare everybody with everybody: genuine and impostor cosines."""
    blocks = cosine_blocks(vectors, person)
    impostor = [block[upper & ~same] for block, same, upper, _ in blocks]
    return genuine_pairs(vectors, person), np.concatenate(impostor)


def everybody(vectors: F32, person: I64, population: Sequence[str] | None = None) -> dict[str, Any]:
    """Compare everybody with everybody.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.
        population: N names; None where all are of one.

    Returns:
        `all_pairs`: TAR at FARs that few pairs cannot measure; `looks`, what enrolling several
        looks gains (`looks.several_looks`), where people have so many pictures.
    """
    genuine, impostor = all_pairs(vectors, person)
    looks = several_looks(vectors, person, population)
    return {"all_pairs": _low_far(vectors, person, genuine, impostor)} | (
        {"looks": looks} if looks else {}
    )


def _low_far(vectors: F32, person: I64, genuine: F32, impostor: F32) -> dict[str, Any]:
    tar = {
        name: float((genuine > threshold_at_far(impostor, far)).mean())
        for name, far in LOW_FARS.items()
    }
    drawn = bootstrap(
        _alike(vectors, person, threshold_at_far(impostor, BOOTSTRAPPED_FAR)), LOW_FARS
    )
    return {
        "tar_at_far": tar,
        "comparisons": {"genuine": len(genuine), "impostor": len(impostor)},
        "people": len(np.unique(person)),
        "intervals": {
            "tar_at_far": {
                name: hull(wilson(rate * len(genuine), len(genuine)), drawn.get(name))
                for name, rate in tar.items()
            },
            "method": METHOD,
        },
        "resolved": {name: resolved(far, len(impostor)) for name, far in LOW_FARS.items()},
    }


def _alike(vectors: F32, person: I64, least: float) -> RankedPairs:
    """Rank all genuine pairs, and the impostor pairs at least so alike."""
    cosine, same, people = [], [], []
    for block, one_person, upper, rows in cosine_blocks(vectors, person):
        at, other = np.nonzero(upper & (one_person | (block >= least)))
        cosine.append(block[at, other])
        same.append(one_person[at, other])
        people.append(np.stack([person[rows[at]], person[other]], axis=1))
    similarity, same_, people_ = map(np.concatenate, (cosine, same, people))
    order = np.argsort(-similarity, kind="stable")
    pictures = np.bincount(person).astype(np.float64)

    def weight(count: np.ndarray) -> float:
        each = count * pictures
        return float((each.sum() ** 2 - (each**2).sum()) / 2)

    return RankedPairs(same_[order], people_[order], len(pictures), None, weight)
