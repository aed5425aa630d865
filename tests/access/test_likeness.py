import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import at, unit

from facegate.access import likeness
from facegate.access.gallery import Gallery
from facegate.access.likeness import likenesses
from facegate.access.matcher import Matcher


def gallery(looks, of):
    return Gallery(np.stack(looks), np.array(of, np.int64), {})


def random_looks(seed, count):
    rng = np.random.default_rng(seed)
    return [unit(row) for row in rng.standard_normal((count, 128)).astype(np.float32)]


def by_matching(looks, of, person):
    """The nearest other, one match after the other."""
    found = {}
    for own in sorted(set(of)):
        others = Matcher(gallery(looks, of)).without(own)
        for look, whose in zip(looks, of, strict=True):
            for other in set(of) - {own} if whose == own else ():
                alone = others
                for third in set(of) - {own, other}:
                    alone = alone.without(third)
                pair = frozenset({own, other})
                found[pair] = min(found.get(pair, 2.0), alone.match(look).distance)
    mine = {next(iter(pair - {person})): d for pair, d in found.items() if person in pair}
    return min(mine.values(), default=None), mine


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 5), min_size=1, max_size=9))
def test_it_agrees_with_matching_each_look_with_each_other_person(seed, of):
    looks = random_looks(seed, len(of))
    found = likenesses(gallery(looks, of), 1.0)
    assert [one.person_id for one in found] == sorted(set(of))
    for one in found:
        nearest, distances = by_matching(looks, of, one.person_id)
        if nearest is None:
            assert (one.nearest, one.distance, one.too_near) == (None, None, False)
        else:
            assert one.distance == pytest.approx(nearest, abs=1e-5)
            assert distances[one.nearest] == pytest.approx(nearest, abs=1e-5)
            assert one.too_near is (one.distance <= 1.0)


def test_blocks_make_no_difference(monkeypatch):
    of = [n // 2 for n in range(40)]
    everybody = gallery(random_looks(5, 40), of)
    at_once = likenesses(everybody, 1.0)
    monkeypatch.setattr(likeness, "BLOCK", 3)
    for one, other in zip(at_once, likenesses(everybody, 1.0), strict=True):
        assert (one.person_id, one.nearest) == (other.person_id, other.nearest)
        assert one.distance == pytest.approx(other.distance, abs=1e-6)


def test_how_far_looks_are_spread():
    ann, ben = likenesses(gallery(at(0, 10, 30, 90), [1, 1, 1, 2]), 1.0)
    assert ann.spread == pytest.approx(2 * math.sin(math.radians(15)), abs=1e-6)
    assert ben.spread is None
    assert (ann.nearest, ben.nearest) == (2, 1)


def test_one_look_of_another_that_is_near_is_enough_for_both():
    """Of the second, whose mean is far from the first, one look is taken for the first."""
    found = likenesses(gallery(at(0, 20, 170), [1, 2, 2]), 0.5)
    assert [one.too_near for one in found] == [True, True]
    assert found[0].distance == found[1].distance == pytest.approx(2 * math.sin(math.radians(10)))


def test_nobody_enrolled():
    empty = Gallery(np.empty((0, 128), np.float32), np.empty(0, np.int64), {})
    assert likenesses(empty, 1.0) == []
