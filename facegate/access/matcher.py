"""Who is nearest: exact search, one matrix-vector product."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from facegate.access.gallery import Gallery
from facegate.errors import InputError
from facegate.types import F32, I64, Match

NOBODY = Match(None, 2.0, math.inf)
"""The answer of an empty gallery: the greatest distance two unit vectors can have."""


@dataclass(frozen=True, eq=False)
class _Snapshot:
    """A gallery with each person's rows side by side.

    Attributes:
        matrix: float32 (N, D).
        person_ids: of each row, rising.
        spans: of each row, the first row of its person and the first one after.
    """

    matrix: F32
    person_ids: list[int]
    spans: list[tuple[int, int]]


class Matcher:
    """Finds the nearest enrolled person and the nearest other one.

    `match` may run in one thread while another replaces the gallery: each match sees the whole old
    or the whole new one.

    Args:
        gallery: who is enrolled.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._snapshot = _snapshot(gallery)

    def replace(self, gallery: Gallery) -> None:
        """Search this gallery from now on."""
        self._snapshot = _snapshot(gallery)

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
        snapshot = self._snapshot
        if not snapshot.person_ids:
            return NOBODY
        if vector.shape != snapshot.matrix.shape[1:]:
            raise InputError(
                f"an embedding has {snapshot.matrix.shape[1]} numbers, not shape {vector.shape}"
            )
        cosines = snapshot.matrix @ vector
        best = int(cosines.argmax())
        nearest = float(cosines[best])
        if not math.isfinite(nearest):
            return NOBODY
        # The person's rows lie side by side, so everybody else is one slice before and one after.
        start, stop = snapshot.spans[best]
        others = [float(part.max()) for part in (cosines[:start], cosines[stop:]) if len(part)]
        distance = _distance(nearest)
        margin = _distance(max(others)) - distance if others else math.inf
        return Match(snapshot.person_ids[best], distance, margin)


def _distance(cosine: float) -> float:
    """Turn the cosine of two unit vectors into their Euclidean distance."""
    return math.sqrt(max(0.0, 2.0 - 2.0 * cosine))


def _snapshot(gallery: Gallery) -> _Snapshot:
    order = np.argsort(gallery.person_ids, kind="stable")
    matrix = np.ascontiguousarray(gallery.matrix[order], np.float32)
    ids: I64 = gallery.person_ids[order]
    starts, stops = (ids.searchsorted(ids, side).tolist() for side in ("left", "right"))
    return _Snapshot(matrix, ids.tolist(), list(zip(starts, stops, strict=True)))
