"""How alike people are enrolled: how far one's looks are spread, and who else is near."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from facegate.access.gallery import Gallery
from facegate.access.matcher import by_person, distance_of, vectors_of
from facegate.types import F32

BLOCK = 64
"""People whose looks are compared with everybody at once: some 25 MB at ten thousand enrolled."""


@dataclass(frozen=True)
class Likeness:
    """What of one person's templates an administrator may know.

    Attributes:
        person_id: whose it is.
        spread: the greatest distance between two of their looks, 0 to 2; None with one look.
        nearest: the nearest other person, or None where there is none.
        distance: the least between a look of one of the two and the other person, as the matcher
            compares them, 0 to 2; None where there is nobody else.
        threshold: the greatest distance that is a match at the door.
        too_near: whether the nearest is within it.
    """

    person_id: int
    spread: float | None
    nearest: int | None
    distance: float | None
    threshold: float
    too_near: bool


def likenesses(gallery: Gallery, threshold: float) -> list[Likeness]:
    """Compare everybody who has templates with everybody else.

    Args:
        gallery: who is enrolled.
        threshold: the greatest distance that is a match at the door.

    Returns:
        By the number of the person.
    """
    rows, ids, starts = by_person(gallery)
    if not len(ids):
        return []
    people = vectors_of(rows, starts)
    ends = [*starts[1:], len(rows)]
    everybody = np.arange(len(ids))
    nearest, alike = np.zeros(len(ids), np.int64), np.full(len(ids), -np.inf, np.float32)
    for first in range(0, len(ids), BLOCK):
        block = everybody[first : first + BLOCK]
        looks = rows[starts[first] : ends[block[-1]]]
        # (P, B): how alike the most alike look of each in the block and each person are.
        most = np.maximum.reduceat(people @ looks.T, starts[block] - starts[first], axis=1)
        most[block, block - first] = -np.inf
        for whose, others, table in ((block, everybody, most.T), (everybody, block, most)):
            best = table.argmax(axis=1)
            found = table[np.arange(len(whose)), best]
            nearer = found > alike[whose]
            alike[whose[nearer]] = found[nearer]
            nearest[whose[nearer]] = others[best[nearer]]
    result = []
    for number, start, end, other, product in zip(ids, starts, ends, nearest, alike, strict=True):
        distance = distance_of(float(product)) if math.isfinite(product) else None
        result.append(
            Likeness(
                person_id=int(number),
                spread=_spread(rows[start:end]),
                nearest=None if distance is None else int(ids[other]),
                distance=distance,
                threshold=threshold,
                too_near=distance is not None and distance <= threshold,
            )
        )
    return result


def _spread(looks: F32) -> float | None:
    return distance_of(float((looks @ looks.T).min())) if len(looks) > 1 else None
