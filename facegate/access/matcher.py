"""Who is nearest: exact search, one matrix-vector product.

A person is the mean of all their looks: what one look has of its own, light and pose, is averaged
out. Made as long as one look, the mean of several would be nearer to strangers, too, than one look
is; left as short as it is, farther. It gets a length between (`LENGTH_POWER`): strangers then pass
at most as often as with one look, which is what the card's false-match rates were measured with.
Looks that are all alike count as one.
"""

from __future__ import annotations

import math
from copy import copy

import numpy as np

from facegate.access.gallery import Gallery
from facegate.errors import InputError
from facegate.types import F32, I64, LENGTH_POWER, Match

NOBODY = Match(None, 2.0, math.inf)
"""The answer of an empty gallery: the greatest distance two unit vectors can have."""


class Matcher:
    """Finds the nearest enrolled person and the runner-up.

    Nothing in it changes, so any thread may match; whoever enrols makes a new one.

    Args:
        gallery: who is enrolled.
    """

    def __init__(self, gallery: Gallery) -> None:
        rows, ids, starts = by_person(gallery)
        self._matrix = vectors_of(rows, starts)
        self._person_ids: list[int] = ids.tolist()

    def without(self, person_id: int) -> Matcher:
        """Give a matcher of everybody else."""
        return self._of([row for row, p in enumerate(self._person_ids) if p != person_id])

    def only(self, person_id: int) -> Matcher:
        """Give a matcher of one person alone."""
        return self._of([row for row, p in enumerate(self._person_ids) if p == person_id])

    def _of(self, rows: list[int]) -> Matcher:
        other = copy(self)
        other._matrix = self._matrix[rows]
        other._person_ids = [self._person_ids[row] for row in rows]
        return other

    def match(self, vector: F32) -> Match:
        """Compare with everybody.

        Args:
            vector: float32 (D,), unit L2 norm. One with NaN in it matches nobody.

        Returns:
            The nearest person, their distance `sqrt(2 - 2 s)` for the product `s` of both vectors
            (a cosine where a person has one look), who is next, and how much farther. Exact up to
            float32 rounding of the product, about 1e-7.

        Raises:
            InputError: the vector has another size than those enrolled.
        """
        if not self._person_ids:
            return NOBODY
        if vector.shape != self._matrix.shape[1:]:
            raise InputError(
                f"an embedding has {self._matrix.shape[1]} numbers, not shape {vector.shape}"
            )
        alike = self._matrix @ vector
        best = int(alike.argmax())
        nearest = float(alike[best])
        if not math.isfinite(nearest):
            return NOBODY
        distance = distance_of(nearest)
        if len(alike) == 1:
            return Match(self._person_ids[best], distance, math.inf)
        alike[best] = -math.inf
        second = int(alike.argmax())
        margin = distance_of(float(alike[second])) - distance
        return Match(self._person_ids[best], distance, margin, self._person_ids[second])


def by_person(gallery: Gallery) -> tuple[F32, I64, I64]:
    """Give all looks ordered by person, everybody's number, rising, and where theirs begin."""
    rows, of = gallery.matrix, gallery.person_ids
    if (np.diff(of) < 0).any():
        order = np.argsort(of, kind="stable")
        rows, of = rows[order], of[order]
    ids, starts = np.unique(of, return_index=True)
    return rows, ids, starts


def vectors_of(rows: F32, starts: I64) -> F32:
    """Give everybody's vector, float32 (P, D), at most of length 1; arguments as of `by_person`."""
    if not len(starts):
        return rows
    vectors: F32 = np.add.reduceat(rows, starts)
    vectors /= np.diff(starts, append=len(rows))[:, None].astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    # Looks that cancel each other out have no length, and resemble nobody.
    vectors *= (np.maximum(lengths, 1e-6) ** (LENGTH_POWER - 1))[:, None]
    return vectors


def distance_of(alike: float) -> float:
    """Turn the product of a look and a person's vector into a distance."""
    return math.sqrt(max(0.0, 2.0 - 2.0 * alike))
