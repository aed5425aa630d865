import numpy as np
import pytest

from facegate.access.selection import choose


def at(degrees):
    """Looks on a circle: nearby angles are nearby looks."""
    rows = np.zeros((len(degrees), 128), np.float32)
    rows[:, 0], rows[:, 1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return list(rows)


def test_few_looks_are_all_kept():
    assert choose(at([0, 1, 2]), keep=3) == [0, 1, 2]


def test_looks_that_differ_are_kept_and_near_copies_are_not():
    looks = at([0, 1, 2, 3, 30, 31, -30, -31])
    kept = choose(looks, keep=3)
    groups = [{0, 1, 2, 3}, {4, 5}, {6, 7}]
    assert [sum(k in group for k in kept) for group in groups] == [1, 1, 1]


def test_the_look_nearest_to_all_others_is_kept_first():
    assert choose(at([40, -40, 0, 10, -10]), keep=1) == [2]


@pytest.mark.parametrize("keep", [1, 4, 10])
def test_it_spreads_no_worse_than_twice_the_optimum(keep):
    """Gonzalez's bound, against the best of many random choices."""
    rng = np.random.default_rng(3)
    looks = at(rng.uniform(0, 90, 40))
    matrix = np.stack(looks)
    distances = np.sqrt(np.maximum(0, 2 - 2 * matrix @ matrix.T))

    def radius(kept):
        return distances[list(kept)].min(axis=0).max()

    best = min(radius(rng.choice(40, keep, replace=False)) for _ in range(3000))
    kept = choose(looks, keep=keep)
    assert len(set(kept)) == keep
    assert radius(kept) <= 2 * best + 1e-6
