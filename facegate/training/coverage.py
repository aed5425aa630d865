"""Fit the probes that tell a covered face by its embedding, on crops drawn over."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from facegate.training.progress import Progress, quietly
from facegate.training.scenes import cover_lower_face
from facegate.types import F32, U8, Embedding
from facegate.vision.coverage import Coverage
from facegate.vision.preprocess import TEMPLATE

SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SMOOTHING = 0.5
NEWTON_STEPS = 30


def cover_mouth(crop: U8, rng: np.random.Generator) -> U8:
    """Draw a mask or scarf over the lower half of an aligned face."""
    covered = crop.copy()
    cover_lower_face(covered, TEMPLATE, rng)
    return covered


def cover_eyes(crop: U8, rng: np.random.Generator) -> U8:
    """Draw sunglasses, or something held before the eyes, on an aligned face."""
    covered = crop.copy()
    if rng.random() < 0.7:
        shade = rng.integers(0, 60, 3).tolist()
        radii = (int(rng.uniform(17, 24)), int(rng.uniform(13, 20)))
        left, right = ((int(x), int(y) + 3) for x, y in TEMPLATE[:2])
        for eye in (left, right):
            cv2.ellipse(covered, eye, radii, 0, 0, 360, shade, -1, cv2.LINE_AA)
        cv2.line(covered, left, right, shade, 4, cv2.LINE_AA)
        return covered
    top, height = int(rng.uniform(52, 66)), int(rng.uniform(18, 34))
    covered[top : top + height, 15:145] = rng.integers(0, 256, 3)
    return covered


def fit_coverage(
    embed: Callable[[U8], Embedding],
    crops: U8,
    plain: list[Embedding],
    ordinary: list[Embedding],
    progress: Progress[U8] = quietly,
) -> Coverage:
    """Fit one probe a kind of covering.

    Args:
        embed: the shipped embedder's.
        crops: uint8 (N, 160, 160, 3), training crops.
        plain: their embeddings as they are.
        ordinary: embeddings of uncovered faces of people who are in no training crop.

    Returns:
        The probes, with the scores that they give the ordinary faces.
    """
    rng = np.random.default_rng(0)
    bare, others = (np.stack([e.vector * e.length for e in of]) for of in (plain, ordinary))
    weights, scores = [], []
    for cover in (cover_mouth, cover_eyes):
        found = [embed(cover(c, rng)) for c in progress(crops, len(crops), cover.__name__)]
        covered = np.stack([e.vector * e.length for e in found])
        weights.append(_logistic(np.concatenate([bare, covered]), len(bare)))
        score = others @ weights[-1][:-1] + weights[-1][-1]
        scores.append(np.quantile(score, [1 - s for s in SHARES]))
    return Coverage(np.array(weights, np.float32), SHARES, np.array(scores, np.float32))


def _logistic(x: F32, negatives: int) -> np.ndarray:
    """Fit log odds, linear in x; the first `negatives` rows are of the class 0.

    Source: logistic regression by Newton's method with a ridge, Bishop 2006, section 4.3.3.
    """
    a = np.concatenate([x.astype(np.float64), np.ones((len(x), 1))], axis=1)
    truth = np.arange(len(x)) >= negatives
    ridge = np.full(a.shape[1], SMOOTHING)
    ridge[-1] = 1e-6
    w = np.zeros(a.shape[1])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(a @ w, -30, 30)))
        curvature = (a * (p * (1 - p))[:, None]).T @ a + np.diag(ridge)
        w -= np.linalg.solve(curvature, a.T @ (p - truth) + ridge * w)
    return w
