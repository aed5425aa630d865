"""False matches within and between groups of people: a threshold is not equally safe for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facegate.training.intervals import resolved, wilson
from facegate.training.metrics import threshold_at_far
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
    cosine = vectors @ vectors.T
    rows, columns = np.triu_indices(len(vectors), 1)
    impostor = person[rows] != person[columns]
    rows, columns = rows[impostor], columns[impostor]
    similarity = cosine[rows, columns]
    wrong = similarity > threshold_at_far(similarity, far)
    inside = code[rows] == code[columns]
    pairs = np.bincount(code[rows[inside]], minlength=len(names))
    errors = np.bincount(code[rows[inside & wrong]], minlength=len(names))
    return {
        "far": far,
        "within": {
            name: _rate(int(errors[k]), int(pairs[k]), far)
            for k, name in enumerate(names)
            if pairs[k]
        },
        "between": _rate(int((wrong & ~inside).sum()), int((~inside).sum()), far),
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
