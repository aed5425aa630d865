"""What a person gains by being enrolled with several looks, at the thresholds that a door makes."""

from __future__ import annotations

from typing import Any

import numpy as np

from facegate.training.metrics import threshold_at_far
from facegate.types import F32, I64

COUNTS = (1, 3, 5)
RATES = {"1e-3": 1e-3, "1e-4": 1e-4}
LEFT = 3
"""Pictures of a person that must remain to be recognised by."""
DRAWS = 10
WAYS = ("mean", "nearest")
LENGTH_POWER = 1 / 3  # as in `access.matcher`, which training does not import; a test compares both


def means_of(looks: F32) -> F32:
    """Give what the door compares with: float32 (P, K, D), K looks each → (P, D)."""
    mean: F32 = looks.mean(1)
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return mean * np.maximum(length, 1e-6) ** (LENGTH_POWER - 1)


def several_looks(vectors: F32, person: I64, impostor: F32, seed: int = 0) -> dict[str, Any]:
    """Enrol people with 1, 3 and 5 of their pictures, and recognise them by the others.

    The threshold is the one at which two single looks are falsely matched with the rate wanted, as
    the door has it from the calibration.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.
        impostor: float32 (M,), cosines of single looks at two people.
        seed: of which pictures are enrolled.

    Returns:
        `people` enrolled, `rates`: rate wanted of a person → looks → for their `mean`, which is
        what the door compares with (`access.matcher`), and for the `nearest` of them, each of which
        may only err with the rate over their number: `tar`, and the false-match rate `fmr` that
        came of it. Empty where fewer than two people have enough pictures.
    """
    groups = [np.flatnonzero(person == p) for p in np.unique(person)]
    enough = [g for g in groups if len(g) >= max(COUNTS) + LEFT]
    if len(enough) < 2:
        return {}
    thresholds = {
        rate: threshold_at_far(impostor, rate)
        for rate in {wanted / count for wanted in RATES.values() for count in COUNTS}
    }
    rng = np.random.default_rng(seed)
    sums: dict[tuple[str, int, str], list[int]] = {}
    for _ in range(DRAWS):
        chosen = np.stack([rng.permutation(g)[: max(COUNTS)] for g in enough])
        free = np.ones(len(vectors), bool)
        free[chosen] = False
        own = person[chosen[:, 0]][:, None] == person[free][None]
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
                    found = [passed[own].sum(), own.sum(), passed[~own].sum(), (~own).sum()]
                    before = sums.setdefault((name, count, way), [0, 0, 0, 0])
                    sums[name, count, way] = [
                        a + int(b) for a, b in zip(before, found, strict=True)
                    ]
    return {
        "people": len(enough),
        "rates": {
            name: {
                str(count): {
                    way: {"tar": hits / genuine, "fmr": wrong / others}
                    for way in WAYS
                    for hits, genuine, wrong, others in [sums[name, count, way]]
                }
                for count in COUNTS
            }
            for name in RATES
        },
    }
