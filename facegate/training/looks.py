"""What a person gains by being enrolled with several looks, at the thresholds that a door makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facegate.training.strangers import names_of, strangers
from facegate.types import F32, I64, LENGTH_POWER

COUNTS = (1, 3, 5)
RATES = {"1e-3": 1e-3, "1e-4": 1e-4}
LEFT = 3
"""Pictures of a person that must remain to be recognised by."""
DRAWS = 10
WAYS = ("mean", "nearest")
SELDOM = 0.8


def means_of(looks: F32) -> F32:
    """Give what the door compares with: float32 (P, K, D), K looks each → (P, D)."""
    mean: F32 = looks.mean(1)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return mean * np.maximum(length, 1e-6) ** (LENGTH_POWER - 1)


def several_looks(
    vectors: F32, person: I64, population: Sequence[str] | None = None, seed: int = 0
) -> dict[str, Any]:
    """Enrol people with 1, 3 and 5 of their pictures, and recognise them by the others.

    The threshold is the one at which single looks at two people of one population are falsely
    matched with the rate wanted, as the door has it from the calibration.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.
        population: N names; None where all are of one.
        seed: of which pictures are enrolled.

    Returns:
        `people` enrolled, `rates`: rate wanted of a person → looks → for their `mean`, which is
        what the door compares with (`access.matcher`), and for the `nearest` of them, each of which
        may only err with the rate over their number: `tar`, and the false-match rate `fmr` that
        came of it, by looks, with strangers of their population; and `people_seldom`, the share of
        the people of whom less than `SELDOM` of the looks are let in. Empty where fewer than two
        people have enough pictures.
    """
    groups = [np.flatnonzero(person == p) for p in np.unique(person)]
    enough = [g for g in groups if len(g) >= max(COUNTS) + LEFT]
    if len(enough) < 2:
        return {}
    impostor = strangers(vectors, person, population)
    thresholds = {
        rate: impostor.threshold(rate)
        for rate in {wanted / count for wanted in RATES.values() for count in COUNTS}
    }
    rng = np.random.default_rng(seed)
    lives = names_of(person, population)
    let_in: dict[tuple[str, int, str], np.ndarray] = {}
    for _ in range(DRAWS):
        chosen = np.stack([rng.permutation(g)[: max(COUNTS)] for g in enough])
        free = np.ones(len(vectors), bool)
        free[chosen] = False
        own = person[chosen[:, 0]][:, None] == person[free][None]
        others = ~own & (lives[chosen[:, 0]][:, None] == lives[free][None])
        for count in COUNTS:
            looks = vectors[chosen[:, :count]]
            alike = {
                "mean": means_of(looks) @ vectors[free].T,
                "nearest": np.max(
                    [look @ vectors[free].T for look in looks.swapaxes(0, 1)], axis=0
                ),
            }
            for way, cosine in alike.items():
                for name, wanted in RATES.items():
                    each = wanted / count if way == "nearest" else wanted
                    passed = cosine > thresholds[each]
                    found = [(passed & own), own, (passed & others), others]
                    sums = np.stack([mask.sum(1) for mask in found])
                    before = let_in.get((name, count, way), 0)
                    let_in[name, count, way] = before + sums
    return {
        "people": len(enough),
        "rates": {
            name: {
                str(count): {way: _said(let_in[name, count, way]) for way in WAYS}
                for count in COUNTS
            }
            for name in RATES
        },
    }


def _said(of_each: np.ndarray) -> dict[str, float]:
    """Say the sums of all: int64 (4, P), a person's hits, looks, false matches and strangers."""
    hits, genuine, wrong, others = of_each.sum(1).tolist()
    each = of_each[0] / of_each[1]
    return {
        "tar": hits / genuine,
        "fmr": wrong / others if others else 0.0,
        "people_seldom": float((each < SELDOM).mean()),
    }
