"""What a distance means: the table and the curve that an embedder's card carries."""

from __future__ import annotations

from typing import Any

import numpy as np

from facegate.errors import DataError
from facegate.types import F32

POINTS = 60
ERRORS_BEHIND_A_RATE = 10
HIGHEST_RATE = 0.5


def calibrate(genuine: F32, impostor: F32) -> dict[str, Any]:
    """Say what a distance means: the card's `calibration`.

    Args:
        genuine, impostor: cosines of pairs of one person and of two.

    Returns:
        A table distance → false-match rate, both strictly rising, down to the rate that has ten
        errors behind it; and a logistic curve distance → probability that it is one person, fitted
        with genuine and impostor pairs weighted equally.

    Raises:
        DataError: there are too few impostor pairs for any table.
    """
    distances = np.sort(np.sqrt(np.maximum(0, 2 - 2 * impostor.astype(np.float64))))
    lowest = ERRORS_BEHIND_A_RATE / len(distances)
    if lowest >= HIGHEST_RATE:
        raise DataError(f"only {len(distances)} impostor pairs: too few to calibrate distances")
    rates = np.geomspace(lowest, HIGHEST_RATE, POINTS)
    counts = np.round(rates * len(distances)).astype(int)
    # Rounded up, then counted anew: the table says what holds at the very distance it prints.
    at = np.unique(np.ceil(distances[counts - 1] * 1e6) / 1e6)
    reached, first = np.unique(np.searchsorted(distances, at, side="right"), return_index=True)
    midpoint, slope = _logistic(np.sqrt(np.maximum(0, 2 - 2 * genuine)), distances)
    return {
        "distances": [round(float(d), 6) for d in at[first]],
        "false_match_rates": [float(r) for r in reached / len(distances)],
        "midpoint": midpoint,
        "slope": slope,
        "comparisons": len(distances),
    }


def _logistic(genuine: np.ndarray, impostor: np.ndarray) -> tuple[float, float]:
    """Fit P(same | distance) by Newton's method on binned distances."""
    edges = np.linspace(0, 2, 401)
    middle = (edges[1:] + edges[:-1]) / 2
    g = np.histogram(genuine, edges)[0] / len(genuine)
    i = np.histogram(impostor, edges)[0] / len(impostor)
    x = np.stack([np.ones_like(middle), middle], axis=1)
    beta = np.array([10.0, -10.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -50, 50)))
        gradient = x.T @ (g * (1 - p) - i * p)
        weight = (g + i) * p * (1 - p)
        step = np.linalg.solve((x * weight[:, None]).T @ x + 1e-9 * np.eye(2), gradient)
        beta += np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    slope = float(-beta[1])
    return float(beta[0] / slope), slope
