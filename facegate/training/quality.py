"""Whether what the quality gate refuses really verifies worst: error against share refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facegate.training.coverage import fit_coverage
from facegate.training.data import read_crops, read_sizes, train_faces, val_faces
from facegate.training.metrics import threshold_at_far
from facegate.training.progress import Progress, quietly
from facegate.training.sampling import labels_of
from facegate.types import F32, U8, Detection, Embedding
from facegate.vision.card import Lengths
from facegate.vision.coverage import Coverage
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.preprocess import TEMPLATE
from facegate.vision.quality import GateSettings, assess, assess_again

FAR = 1e-3
SHARES = tuple(k / 20 for k in range(11))
LENGTH_SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
TRAINING_CROPS = 2_000
SHUFFLES = 20


@dataclass(frozen=True)
class Comparisons:
    """All pairs of one person, and where a match begins.

    Attributes:
        a, b: rows, int64 (K,). similarity: cosines, float32 (K,).
        threshold: the cosine that one impostor pair in a thousand exceeds, with nobody refused.
    """

    a: np.ndarray
    b: np.ndarray
    similarity: F32
    threshold: float

    def misses(self, kept: np.ndarray) -> float:
        """Give the share of genuine pairs of `kept` (bool, a crop each) that do not match."""
        both = kept[self.a] & kept[self.b]
        return float((self.similarity[both] <= self.threshold).mean()) if both.any() else math.nan


def quality_on_data(
    embedder: FaceEmbedder, gate: GateSettings, data: Path, progress: Progress[Any] = quietly
) -> dict[str, Any]:
    """Measure the gate on `faces-val.parquet`.

    The quality of a crop is the length of its embedding before normalising. The threshold stays
    where it is while the worst are refused, as it does at a door.

    Returns:
        `error_versus_reject`: shares refused of the crops of people who have several, false
        non-match rates by quality, and the mean of refusing at random; `halved_at_20_percent`;
        `lengths` and `coverage`, which a card needs, from every other person: crops that a network
        was trained on get longer embeddings; `refused`, by those limits, of the other half:
        by reason of the gate, the share of crops and the rates of pairs with and without a crop
        refused for it.

    Source: Grother and Tabassi 2007, "Performance of Biometric Quality Measures", section 4.
    """
    crops = read_crops([val_faces(data)])
    found = [embedder.embed(c) for c in progress(crops.pixels, len(crops.pixels), "faces")]
    lengths = np.array([e.length for e in found])
    vectors = np.stack([e.vector for e in found])
    everybody = compare(vectors, crops.identity)
    curve = error_versus_reject(everybody, lengths)
    learnt = every_other_person(crops.identity)
    ordinary = [e for e, taken in zip(found, learnt, strict=True) if taken]
    lengths_known = lengths_of(ordinary)
    coverage = coverage_on_data(embedder, data, ordinary, progress)
    final = gate.limits_for(lengths_known, coverage)
    sizes = read_sizes(val_faces(data)).tolist()
    reasons = [
        assess_again(assess(c, aligned_detection(size), c, final), e, final).reasons
        for c, e, size, taken in zip(crops.pixels, found, sizes, learnt, strict=True)
        if not taken
    ]
    others = [name for name, taken in zip(crops.identity, learnt, strict=True) if not taken]
    pairs = compare(vectors[~learnt], others)
    at = SHARES.index(0.2)
    return {
        "far": FAR,
        "crops": len(lengths),
        "crops_not_learnt_from": len(others),
        "genuine_pairs": len(everybody.a),
        "error_versus_reject": curve,
        "halved_at_20_percent": curve["by_quality"][at] <= curve["by_quality"][0] / 2,
        "refused": by_reason(pairs, reasons),
        "lengths": lengths_known.to_card(),
        "coverage": coverage.to_card(),
    }


def aligned_detection(size_px: float) -> Detection:
    """Give what a detector would say of an aligned crop whose face had this width."""
    middle = TEMPLATE.mean(0)
    half = np.array([size_px, size_px]) / 2
    box = np.concatenate([middle - half, middle + half]).astype(np.float32)
    return Detection(box, TEMPLATE, 1.0)


def compare(vectors: F32, identity: Sequence[str]) -> Comparisons:
    """Compare everybody with everybody."""
    person = labels_of(identity)
    rows, columns = np.triu_indices(len(vectors), 1)
    same = person[rows] == person[columns]
    cosines = (vectors @ vectors.T)[rows, columns]
    threshold = threshold_at_far(cosines[~same], FAR)
    return Comparisons(rows[same], columns[same], cosines[same], threshold)


def error_versus_reject(pairs: Comparisons, quality: np.ndarray) -> dict[str, Any]:
    """Give the false non-match rate while more and more of the worst crops are refused.

    Of crops that are in a pair: without those of people who have one alone, which no pair misses.
    """
    rng = np.random.default_rng(0)
    by_quality, at_random = [], []
    paired = np.union1d(pairs.a, pairs.b)
    worst_first = paired[np.argsort(quality[paired], kind="stable")]
    orders = [rng.permutation(paired) for _ in range(SHUFFLES)]
    for share in SHARES:
        count = round(share * len(paired))
        by_quality.append(pairs.misses(_without(worst_first[:count], len(quality))))
        chance = [pairs.misses(_without(order[:count], len(quality))) for order in orders]
        at_random.append(float(np.mean(chance)))
    return {"refused": list(SHARES), "by_quality": by_quality, "at_random": at_random}


def _without(rows: np.ndarray, count: int) -> np.ndarray:
    kept = np.ones(count, bool)
    kept[rows] = False
    return kept


def by_reason(pairs: Comparisons, reasons: list[tuple[str, ...]]) -> dict[str, dict[str, Any]]:
    """Set the pairs with a crop that was refused for a reason beside all others."""
    result: dict[str, dict[str, Any]] = {}
    for name in [*sorted({r for given in reasons for r in given}), "any"]:
        good = np.array([not given if name == "any" else name not in given for given in reasons])
        poor = ~(good[pairs.a] & good[pairs.b])
        missed = pairs.similarity <= pairs.threshold
        result[name] = {
            "share": float((~good).mean()),
            "pairs": int(poor.sum()),
            "fnmr": float(missed[poor].mean()) if poor.any() else None,
            "fnmr_of_others": float(missed[~poor].mean()) if (~poor).any() else None,
        }
    return result


def every_other_person(identity: Sequence[str]) -> np.ndarray:
    """Choose half of the people at random: bool (N,), whether a row shows one of them."""
    person = labels_of(identity)
    number = int(person.max()) + 1
    chosen = np.random.default_rng(0).permutation(number) % 2 == 0
    return chosen[person]


def lengths_of(ordinary: Sequence[Embedding]) -> Lengths:
    """Say which share of ordinary faces has shorter embeddings than which."""
    lengths = np.quantile([e.length for e in ordinary], LENGTH_SHARES)
    return Lengths(LENGTH_SHARES, tuple(round(float(x), 4) for x in lengths))


def coverage_on_data(
    embedder: FaceEmbedder,
    data: Path,
    ordinary: list[Embedding],
    progress: Progress[U8] = quietly,
) -> Coverage:
    """Learn to tell covered faces from training crops, and how ordinary ones then look."""
    crops = read_crops(train_faces(data)[:1]).pixels
    rng = np.random.default_rng(0)
    crops = crops[rng.choice(len(crops), min(TRAINING_CROPS, len(crops)), replace=False)]
    plain = [embedder.embed(c) for c in progress(crops, len(crops), "faces to cover")]
    return fit_coverage(embedder.embed, crops, plain, ordinary, progress)
