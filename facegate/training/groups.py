"""False matches within and between groups of people: a threshold is not equally safe for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facegate.training.intervals import hull, resolved, wilson
from facegate.training.strangers import PeoplePairs, populations, strangers
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
        groups) the false-match rate, in which each person counts once, its 95 % interval, the false
        matches, and the impostor pairs. Nothing within where each group is one person.
    """
    limit = strangers(vectors, person, group).threshold(far)
    within = {
        name: _said(PeoplePairs.of(vectors[rows], person[rows], limit), far)
        for name, rows in populations(person, group).items()
    }
    between = PeoplePairs.of(vectors, person, limit, group)
    if np.isnan(limit):  # nothing is more alike: it would look as if nobody was
        between = PeoplePairs(between.share, np.zeros_like(between.kin), 0, 0)
    return {"far": far, "within": within, "between": _said(between, far)}


def _said(found: PeoplePairs, far: float) -> dict[str, Any]:
    # Pairs of people stand behind the rate: several pictures of one add little.
    rate, pairs = found.rate, found.pairs_of_people
    interval = hull(wilson((rate or 0.0) * pairs, pairs), found.interval())
    return {
        "false_match_rate": rate,
        "interval": interval,
        "false_matches": found.false_matches,
        "impostors": found.pairs,
        "resolved": resolved(far, pairs),
    }
