"""False matches within and between groups of people: a threshold is not equally safe for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facegate.training.intervals import resolved, wilson
from facegate.training.metrics import cosine_blocks, threshold_at_far
from facegate.types import F32, I64

GROUPS_FAR = 1e-3


def false_matches_by_group(
    vectors: F32, person: I64, group: Sequence[str], far: float = GROUPS_FAR
) -> dict[str, Any]:
    """Count the false matches in each group at the one threshold that gives `far` over all.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.
        group: N names: the set a picture comes from, or what a user sorts people by.

    Returns:
        `far`; and for `within` (each group's people among themselves) and `between` (people of two
        groups) the false-match rate with its interval (Wilson's; pairs that share a person err
        together, so it is at least as wide as this), the false matches and the impostor pairs.
    """
    label = np.array(group)
    names = sorted(set(group))
    code = np.searchsorted(names, label)
    impostors = [b[upper & ~same] for b, same, upper, _ in cosine_blocks(vectors, person)]
    limit = threshold_at_far(np.concatenate(impostors), far)
    counted = np.zeros((2, len(names) ** 2), np.int64)  # all, and those taken for one person
    for block, same, upper, rows in cosine_blocks(vectors, person):
        at, other = np.nonzero(upper & ~same)
        both = code[rows[at]] * len(names) + code[other]
        for k, those in enumerate((both, both[block[at, other] > limit])):
            counted[k] += np.bincount(those, minlength=len(names) ** 2)
    everywhere, everywhere_wrong = counted.sum(1).tolist()
    pairs, errors = counted.reshape(2, len(names), len(names)).diagonal(axis1=1, axis2=2)
    return {
        "far": far,
        "within": {
            name: _rate(int(errors[k]), int(pairs[k]), far)
            for k, name in enumerate(names)
            if pairs[k]
        },
        "between": _rate(everywhere_wrong - int(errors.sum()), everywhere - int(pairs.sum()), far),
    }


def _rate(errors: int, pairs: int, far: float) -> dict[str, Any]:
    low, high = wilson(errors, pairs)
    return {
        "false_match_rate": errors / pairs if pairs else None,
        "interval": [low, high],
        "false_matches": errors,
        "impostors": pairs,
        "resolved": resolved(far, pairs),
    }
