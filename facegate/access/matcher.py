"""Who is nearest: exact search, one matrix-vector product."""

from __future__ import annotations

import math

import numpy as np

from facegate.access.gallery import Gallery
from facegate.errors import InputError
from facegate.types import F32, I64, Match

NOBODY = Match(None, 2.0, math.inf)
"""The answer of an empty gallery: the greatest distance two unit vectors can have."""


class Matcher:
    """Finds the nearest enrolled person and the nearest other one.

    Nothing in it changes, so any thread may match; whoever enrols makes a new one.

    Args:
        gallery: who is enrolled.
    """

    def __init__(self, gallery: Gallery) -> None:
        # Each person's rows side by side: everybody else is one slice before and one after.
        order = np.argsort(gallery.person_ids, kind="stable")
        self._matrix = np.ascontiguousarray(gallery.matrix[order], np.float32)
        ids: I64 = gallery.person_ids[order]
        self._person_ids: list[int] = ids.tolist()
        starts, stops = (ids.searchsorted(ids, side).tolist() for side in ("left", "right"))
        self._spans = list(zip(starts, stops, strict=True))

    def match(self, vector: F32) -> Match:
        """Compare with every template.

        Args:
            vector: float32 (D,), unit L2 norm. One with NaN in it matches nobody.

        Returns:
            The nearest person, their distance `sqrt(2 - 2 cos)`, and how much farther the nearest
            template of another person is. Exact up to float32 rounding of the cosine, about 1e-7.

        Raises:
            InputError: the vector has another size than those enrolled.
        """
        if not self._person_ids:
            return NOBODY
        if vector.shape != self._matrix.shape[1:]:
            raise InputError(
                f"an embedding has {self._matrix.shape[1]} numbers, not shape {vector.shape}"
            )
        cosines = self._matrix @ vector
        best = int(cosines.argmax())
        nearest = float(cosines[best])
        if not math.isfinite(nearest):
            return NOBODY
        start, stop = self._spans[best]
        others = [float(part.max()) for part in (cosines[:start], cosines[stop:]) if len(part)]
        distance = _distance(nearest)
        margin = _distance(max(others)) - distance if others else math.inf
        return Match(self._person_ids[best], distance, margin)


def _distance(cosine: float) -> float:
    """Turn the cosine of two unit vectors into their Euclidean distance."""
    return math.sqrt(max(0.0, 2.0 - 2.0 * cosine))
