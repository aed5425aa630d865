"""False matches within and between groups of people: a threshold is not equally safe for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facegate.training.intervals import hull, resolved, wilson
from facegate.training.metrics import cosine_blocks
from facegate.training.strangers import (
    people_matrix,
    populations,
    rate_interval,
    rate_of,
    strangers,
)
from facegate.types import F32, I64

GROUPS_FAR = 1e-3


def false_matches_by_group(
    vectors: F32, person: I64, group: Sequence[str], far: float = GROUPS_FAR
) -> dict[str, Any]:
    """Count the false matches in each group at the threshold that gives `far` within groups.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.
        group: N names: the set a picture comes from, or what a user sorts people by.

    Returns:
        `far`; and for `within` (each group's people among themselves) and `between` (people of two
        groups) the false-match rate, in which each person counts once, its 95 % interval (between
        groups Wilson's alone), the false matches, and the impostor pairs.
    """
    limit = strangers(vectors, person, group).threshold(far)
    within: dict[str, Any] = {}
    for name, rows in populations(person, group).items():
        matrix, errors, pairs = people_matrix(vectors[rows], person[rows], limit)
        interval = hull(wilson(errors, pairs), rate_interval(matrix))
        within[name] = _said(rate_of(matrix), interval, errors, pairs, far)
    errors, pairs, rate = _between(vectors, person, np.array(group), limit)
    between = _said(rate, list(wilson(errors, pairs)), errors, pairs, far)
    return {"far": far, "within": within, "between": between}


def _between(vectors: F32, person: I64, group: np.ndarray, limit: float) -> tuple[int, int, float]:
    """Give the false matches and the pairs of people of two groups, and their rate by people."""
    weight = 1 / np.bincount(person)[person]
    errors = pairs = 0
    wrong = all_ = 0.0
    for block, same, upper, rows in cosine_blocks(vectors, person):
        other = upper & ~same & (group[rows][:, None] != group[None])
        passed = other & (block > limit)
        errors, pairs = errors + int(passed.sum()), pairs + int(other.sum())
        wrong += float(weight[rows] @ (passed @ weight))
        all_ += float(weight[rows] @ (other @ weight))
    return errors, pairs, wrong / all_ if all_ else 0.0


def _said(
    rate: float, interval: list[float], errors: int, pairs: int, far: float
) -> dict[str, Any]:
    return {
        "false_match_rate": rate if pairs else None,
        "interval": interval,
        "false_matches": errors,
        "impostors": pairs,
        "resolved": resolved(far, pairs),
    }
