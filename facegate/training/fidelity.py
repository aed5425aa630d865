"""What a network lost on its way from float to the file that ships."""

from __future__ import annotations

from typing import Any

import numpy as np

from facegate.training.data import Pairs
from facegate.training.metrics import fold_accuracy, tar_at_far, threshold_at_far
from facegate.types import F32

FAR = 1e-3


def fidelity(exact: F32, shipped: F32, pairs: Pairs) -> dict[str, Any]:
    """Compare the embeddings of one set of crops before and after.

    Args:
        exact: float32 (N, D), unit length, from the network in float.
        shipped: float32 (N, D), unit length, from the file that ships.
        pairs: over the N crops.

    Returns:
        `cosine` between the two (least and mean); `rank_flips`, the share of crops whose nearest
        other crop is another one now; `pair_flips`, the shares of genuine and of impostor pairs
        that are on the other side of the threshold at FAR 1e-3 (each network has its own); and the
        changes of accuracy and of TAR at that FAR, shipped less exact.
    """
    cosine = (exact * shipped).sum(1)
    before, after = ((v[pairs.a] * v[pairs.b]).sum(1) for v in (exact, shipped))
    accepted = [s > threshold_at_far(s[~pairs.same], FAR) for s in (before, after)]
    flipped = accepted[0] != accepted[1]
    accuracy = [float(fold_accuracy(s, pairs.same, pairs.fold).mean()) for s in (before, after)]
    tar = [tar_at_far(s, pairs.same, FAR) for s in (before, after)]
    return {
        "cosine": {"min": float(cosine.min()), "mean": float(cosine.mean()), "crops": len(cosine)},
        "rank_flips": float((nearest(exact) != nearest(shipped)).mean()),
        "pair_flips": {
            "genuine": float(flipped[pairs.same].mean()),
            "impostor": float(flipped[~pairs.same].mean()),
            "far": FAR,
        },
        "accuracy_change": accuracy[1] - accuracy[0],
        "tar_change": tar[1] - tar[0],
    }


def nearest(vectors: F32) -> np.ndarray:
    """Give for each unit vector the row of the nearest other one: int64 (N,)."""
    found = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), 512):
        block = vectors[start : start + 512] @ vectors.T
        rows = np.arange(len(block))
        block[rows, start + rows] = -np.inf
        found[start : start + 512] = block.argmax(1)
    return found


def fidelity_lines(f: dict[str, Any], what: str) -> list[str]:
    """Say it to people."""
    cosine, flips = f["cosine"], f["pair_flips"]
    return [
        f"{what} against float: cosine least {cosine['min']:.4f}, mean {cosine['mean']:.4f} over "
        f"{cosine['crops']:,} crops",
        f"  accuracy {100 * f['accuracy_change']:+.2f} points, TAR at FAR {FAR:g} "
        f"{100 * f['tar_change']:+.2f} points",
        f"  flips: nearest neighbour {f['rank_flips']:.2%}, genuine pairs {flips['genuine']:.2%}, "
        f"impostor pairs {flips['impostor']:.2%}",
    ]
