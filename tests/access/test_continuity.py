import numpy as np
import pytest

from facegate.access.continuity import CHECK_EVERY_S, LOOKS_KEPT, Continuity


def look(angle):
    return np.array([np.cos(angle), np.sin(angle), 0], np.float32)


@pytest.fixture
def continuity():
    return Continuity(one_person=1.0)  # an angle of a little over 60 degrees


def test_looks_that_change_slowly_are_one_person(continuity):
    assert all(continuity.same(1, look(0.3 * k), float(k)) for k in range(20))


def test_a_jump_is_another_person_and_the_track_is_over(continuity):
    assert continuity.same(1, look(0.0), 0)
    assert not continuity.over(1)
    assert not continuity.same(1, look(2.0), 1)
    assert continuity.over(1)
    assert not continuity.over(2)
    continuity.forget_all_but(frozenset({2}))
    assert not continuity.over(1)


def test_one_resembling_look_of_the_last_ones_is_enough(continuity):
    for k in range(LOOKS_KEPT):
        assert continuity.same(1, look(0.25 * k), k)
    assert continuity.same(1, look(-0.9), 9)
    for k in range(LOOKS_KEPT):
        assert continuity.same(1, look(0.25 * k), k)
    assert not continuity.same(1, look(-1.2), 10)


def test_a_vector_that_is_no_number_is_nobody(continuity):
    assert continuity.same(1, look(0), 0)
    assert not continuity.same(1, np.full(3, np.nan, np.float32), 1)


def test_tracks_are_separate_and_forgotten_when_they_end(continuity):
    assert continuity.same(1, look(0), 0)
    assert continuity.same(2, look(3), 0)
    continuity.forget_all_but(frozenset({2}))
    assert continuity.same(1, look(3), 1)
    assert continuity.same(2, look(3.1), 1)


def test_a_settled_face_is_due_again_after_a_while(continuity):
    assert continuity.due(1, 10.0)
    continuity.same(1, look(0), 10.0)
    assert not continuity.due(1, 10.0 + CHECK_EVERY_S / 2)
    assert continuity.due(1, 10.0 + CHECK_EVERY_S)
