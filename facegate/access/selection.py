"""Which of many looks at a person are kept as templates: good ones that differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facegate.types import F32

KEPT_AT_MOST = 10
"""Templates a person; more add little to their mean."""


def choose(
    vectors: Sequence[F32], qualities: Sequence[float] | None = None, keep: int = KEPT_AT_MOST
) -> list[int]:
    """Choose looks that cover the ways a person looks: greedy farthest point, weighed by quality.

    The best look is kept first (the one nearest to all others, where no qualities are given); then
    again and again the one whose distance to those kept, times its quality over the greatest, is
    greatest. A look equal to one kept adds nothing and goes last.

    Args:
        vectors: float32 (D,) each, unit length.
        qualities: positive figures, better ones greater; None weighs all alike.
        keep: at most so many.

    Returns:
        Their positions, rising.

    Source: T. F. Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985, for
        the greedy rule; the weights are ours.
    """
    count = len(vectors)
    if count <= keep:
        return list(range(count))
    matrix = np.stack(vectors).astype(np.float64)
    distances = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * matrix @ matrix.T))
    if qualities is None:
        weights = np.ones(count)
        first = int(distances.sum(axis=1).argmin())
    else:
        weights = np.asarray(qualities, np.float64) / max(qualities)
        first = int(weights.argmax())
    kept = [first]
    nearest = distances[first].copy()
    while len(kept) < keep:
        worth = nearest * weights
        worth[kept] = -1.0
        kept.append(int(worth.argmax()))
        nearest = np.minimum(nearest, distances[kept[-1]])
    return sorted(kept)
