"""Which of many looks at a person are kept as templates: those that differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facegate.types import F32

KEPT_AT_MOST = 10
"""Templates a person; more add little to their mean."""


def choose(vectors: Sequence[F32], keep: int = KEPT_AT_MOST) -> list[int]:
    """Choose looks that cover the ways a person looks: greedy farthest point.

    The look nearest to all others is kept first; then again and again the one whose distance to
    those kept is greatest. A look equal to one kept adds nothing and goes last.

    Args:
        vectors: float32 (D,) each, unit length.
        keep: at most so many.

    Returns:
        Their positions, rising.

    Source: T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
    """
    count = len(vectors)
    if count <= keep:
        return list(range(count))
    matrix = np.stack(vectors).astype(np.float64)
    distances = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * matrix @ matrix.T))
    kept = [int(distances.sum(axis=1).argmin())]
    nearest = distances[kept[0]].copy()
    while len(kept) < keep:
        nearest[kept] = -1.0
        kept.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distances[kept[-1]])
    return sorted(kept)
