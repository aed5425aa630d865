"""Verification figures from similarities of pairs; pure arrays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from facegate.types import F32, I64

Bools = np.ndarray
BLOCK_ROWS = 512
SAME_DISTANCE = 0.005
"""Where nearly all strangers are equally far apart by so much, they were not told apart at all."""
FEW_STRANGERS = 10


def fold_accuracy(similarity: F32, same: Bools, fold: I64) -> F32:
    """Give the accuracy on each fold with the threshold that is best on the others.

    Args:
        similarity: float (N,), larger means more alike; NaN marks a pair that could not be
            compared: an error, whichever the truth, and no part of any threshold.
        same: bool (N,).
        fold: int (N,).

    Returns:
        float32 (F,), one accuracy a fold, in [0, 1]. A single fold has no others: its threshold is
        the best on itself, and the accuracy a little flattered.

    Source: the protocol of Labeled Faces in the Wild (Huang et al. 2007), view 2.
    """
    correct = fold_correct(similarity, same, fold)
    return np.array([correct[fold == f].mean() for f in np.unique(fold)], np.float32)


def fold_correct(
    similarity: F32, same: Bools, fold: I64, thresholds: dict[int, float] | None = None
) -> Bools:
    """Say of each pair whether `fold_accuracy` counts it as right: bool (N,).

    Args:
        similarity, same, fold: as of `fold_accuracy`.
        thresholds: of each fold, where they come from other pairs than these.
    """
    correct = np.zeros(len(similarity), bool)
    if thresholds is None:
        thresholds = fold_thresholds(similarity, same, fold)
    for f, threshold in thresholds.items():
        test = fold == f
        right = (similarity[test] >= threshold) == same[test]
        correct[test] = ~np.isnan(similarity[test]) & right
    return correct


def fold_thresholds(similarity: F32, same: Bools, fold: I64) -> dict[int, float]:
    """Give each fold's threshold: the best on the others, or on itself if it is alone."""
    usable = ~np.isnan(similarity)
    folds = np.unique(fold)
    found = {}
    for f in folds:
        others = usable if len(folds) == 1 else usable & (fold != f)
        found[int(f)] = best_threshold(similarity[others], same[others]) if others.any() else 0.0
    return found


def best_threshold(similarity: F32, same: Bools) -> float:
    """Find the threshold with the highest accuracy, half way between neighbouring values."""
    order = np.argsort(-similarity, kind="stable")
    ranked, truth = similarity[order], same[order].astype(np.int64)
    # Accepting the first k: k genuine hits so far, plus the impostors left out.
    hits = np.concatenate([[0], np.cumsum(truth)])
    misses_left_out = (len(truth) - truth.sum()) - (np.arange(len(truth) + 1) - hits)
    correct = hits + misses_left_out
    ties = np.concatenate([[False], ranked[1:] == ranked[:-1], [False]])
    k = int(np.argmax(np.where(ties, -1, correct)))
    if k == 0:
        return float(np.nextafter(ranked[0], np.inf))
    if k == len(ranked) or not np.isfinite(ranked[k]):
        return float(ranked[k - 1])
    return float((ranked[k - 1] + ranked[k]) / 2)


def equal_error_rate(similarity: F32, same: Bools) -> float:
    """Give the error rate where false matches and false non-matches are equally frequent."""
    genuine = np.sort(np.nan_to_num(similarity[same], nan=-np.inf))
    impostor = np.sort(np.nan_to_num(similarity[~same], nan=-np.inf))
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    missed = np.searchsorted(genuine, thresholds, side="left") / len(genuine)
    matched = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    at = int(np.argmin(np.abs(missed - matched)))
    return float((missed[at] + matched[at]) / 2)


def threshold_at_far(impostor: F32, far: float) -> float:
    """Find the similarity that at most `far` of the impostor pairs exceed.

    Returns:
        The highest impostor's similarity when there are fewer than 1 / far of them: none is
        accepted then, which is stricter than asked. NaN when there is none at all.
    """
    if not len(impostor):
        return float("nan")
    allowed = int(np.floor(len(impostor) * far + 1e-9))
    at = max(0, len(impostor) - 1 - allowed)
    return float(np.partition(np.nan_to_num(impostor, nan=-np.inf), at)[at])


def tar_at_far(similarity: F32, same: Bools, far: float) -> float:
    """Give the share of genuine pairs accepted where at most `far` of the impostor pairs are."""
    threshold = threshold_at_far(similarity[~same], far)
    if np.isnan(threshold):
        return float("nan")
    return float((np.nan_to_num(similarity[same], nan=-np.inf) > threshold).mean())


def cosine_blocks(vectors: F32, person: I64) -> Iterator[tuple[F32, Bools, Bools, I64]]:
    """Compare everybody with everybody, some rows at a time.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.

    Yields:
        Cosines of the rows with all, (n, N); whether both are one person; whether the pair lies
        above the diagonal, so that each counts once; and the rows' numbers.
    """
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = vectors[start : start + BLOCK_ROWS] @ vectors.T
        rows = np.arange(start, start + len(block))
        upper = np.arange(len(vectors))[None] > rows[:, None]
        yield block, person[rows][:, None] == person[None], upper, rows


def tells_nobody_apart(impostor: F32) -> bool:
    """Whether all strangers are equally far apart: all are one vector, or nothing usable.

    Args:
        impostor: cosines of pairs of two people; with fewer than ten nobody can say.
    """
    cosine = impostor[np.isfinite(impostor)]
    if len(impostor) < FEW_STRANGERS or 0 < len(cosine) < FEW_STRANGERS:
        return False
    if not len(cosine):
        return True
    low, high = np.sqrt(np.maximum(0, 2 - 2 * np.quantile(cosine, (0.99, 0.01))))
    return bool(high - low < SAME_DISTANCE)
