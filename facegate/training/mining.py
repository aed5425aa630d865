"""Which triplets of a batch are worth learning from.

Pure array code: a matrix of squared distances and the labels go in, row numbers come out.

Source: Schroff et al. 2015, "FaceNet", section 3.2 (semi-hard negatives); Hermans et al. 2017, "In
Defense of the Triplet Loss", section 2 (batch-hard).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Triplets = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Rows of anchors, positives and negatives: int64 (T,) each."""


def squared_distances(embedding: torch.Tensor) -> torch.Tensor:
    """Give the squared Euclidean distances, (N, N) in [0, 4], of unit embeddings (N, D)."""
    return (2 - 2 * embedding @ embedding.T).clamp(min=0)


def batch_hard(distance: torch.Tensor, label: torch.Tensor) -> Triplets:
    """Take for every anchor its farthest positive and its nearest negative.

    Args:
        distance: float (N, N), squared distances.
        label: int (N,), who each row is. Anchors without a positive or a negative are left out.
    """
    same, other = _pairs(label)
    far, positive = distance.masked_fill(~same, -torch.inf).max(1)
    near, negative = distance.masked_fill(~other, torch.inf).min(1)
    anchor = torch.nonzero(torch.isfinite(far) & torch.isfinite(near)).flatten()
    return anchor, positive[anchor], negative[anchor]


def semi_hard(distance: torch.Tensor, label: torch.Tensor) -> Triplets:
    """Take for every pair of one person the nearest negative that is farther than the positive.

    Where no negative is farther, the farthest one is taken: harder ones early in training lead to
    a collapsed embedding.

    Args:
        distance: float (N, N), squared distances.
        label: int (N,), who each row is.
    """
    same, other = _pairs(label)
    anchor, positive = torch.nonzero(same & other.any(1, keepdim=True), as_tuple=True)
    reach = distance[anchor, positive][:, None]
    rows, stranger = distance[anchor], other[anchor]
    near, nearest = rows.masked_fill(~stranger | (rows <= reach), torch.inf).min(1)
    farthest = rows.masked_fill(~stranger, -torch.inf).argmax(1)
    return anchor, positive, torch.where(torch.isfinite(near), nearest, farthest)


def _pairs(label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tell which pairs are two pictures of one person, and which are of two people."""
    equal = label[:, None] == label[None]
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    return equal & ~itself, ~equal


MINING: dict[str, Callable[[torch.Tensor, torch.Tensor], Triplets]] = {
    "semi-hard": semi_hard,
    "batch-hard": batch_hard,
}
