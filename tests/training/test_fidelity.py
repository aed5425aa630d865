"""What a file lost against the network in float, on vectors whose answer is known."""

import numpy as np
import pytest

from facegate.training.data import Pairs
from facegate.training.fidelity import fidelity, nearest


def around(angles):
    radians = np.deg2rad(np.asarray(angles, np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def pairs(rows):
    fold, a, b, same = (np.array(column) for column in zip(*rows, strict=True))
    return Pairs(fold, a, b, same.astype(bool))


ROWS = [(f, 2 * k, 2 * k + 1, 1) for f in (0, 1) for k in range(4)]
ROWS += [(f, 2 * k, (2 * k + 2) % 8, 0) for f in (0, 1) for k in range(4)]
EXACT = around([0, 5, 90, 95, 180, 185, 270, 275])


def test_the_same_vectors_lost_nothing():
    told = fidelity(EXACT, EXACT, pairs(ROWS))
    assert told["cosine"]["min"] == pytest.approx(1, abs=1e-6)
    assert told["rank_flips"] == told["accuracy_change"] == told["tar_change"] == 0
    assert told["pair_flips"] == {"genuine": 0, "impostor": 0, "far": 1e-3}


def test_one_vector_that_went_astray_is_counted():
    shipped = around([0, 5, 90, 95, 180, 185, 270, 180])  # the last one is now somebody else
    told = fidelity(EXACT, shipped, pairs(ROWS))
    assert told["cosine"]["min"] == pytest.approx(np.cos(np.deg2rad(95)), abs=1e-6)
    assert told["pair_flips"]["genuine"] == 0.25
    assert told["tar_change"] == -0.25
    assert told["rank_flips"] == pytest.approx(np.mean(nearest(EXACT) != nearest(shipped)))
    assert told["rank_flips"] >= 0.25


def test_the_nearest_other_one_is_found():
    assert nearest(EXACT).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
