import pytest

from facegate.access.patience import LOOKS_IN_VAIN, WAIT_S, Patience

STEP_S = 1 / 15


@pytest.fixture
def patience():
    return Patience()


def in_vain(patience, track, looks=LOOKS_IN_VAIN, at_s=0.0):
    for _ in range(looks):
        patience.look(track, at_s)
        patience.learn(track, in_vain=True)


def test_a_face_waits_after_many_looks_in_vain_in_a_row(patience):
    in_vain(patience, 1, LOOKS_IN_VAIN - 1)
    assert not patience.can_wait(1)
    in_vain(patience, 1, 1)
    assert patience.can_wait(1)
    assert patience.left_out([1], WAIT_S / 2) == {1}
    assert patience.left_out([1], WAIT_S) == set()


def test_another_answer_restores_the_full_rate(patience):
    in_vain(patience, 1)
    patience.learn(1, in_vain=False)
    assert patience.left_out([1], 0.0) == set()
    in_vain(patience, 1, LOOKS_IN_VAIN - 1)
    assert not patience.can_wait(1)


def test_of_many_who_wait_each_frame_looks_at_one_and_nobody_is_forgotten(patience):
    waiting = {1, 2, 3, 4, 5}
    for track in waiting:
        in_vain(patience, track)
    looked = []
    for frame in range(1, 31):
        now_s = WAIT_S + frame * STEP_S
        for track in {7, *waiting} - patience.left_out([7, *waiting], now_s):
            patience.look(track, now_s)
            looked.append(track)
    assert looked.count(7) == 30
    assert {looked.count(track) for track in waiting} == {6}


def test_a_look_that_teaches_nothing_keeps_nobody_elses_turn(patience):
    in_vain(patience, 1, at_s=0.0)
    in_vain(patience, 2, at_s=0.1)
    patience.look(1, 1.0)  # turned away: not embedded
    assert patience.left_out([1, 2], 1.0) == {1}


def test_tracks_that_have_ended_are_forgotten(patience):
    in_vain(patience, 1)
    in_vain(patience, 2)
    patience.look(3, 0.0)
    patience.forget_all_but(frozenset({2}))
    assert not patience.can_wait(1)
    assert patience.can_wait(2)


def test_where_more_looks_are_needed_for_a_verdict_it_waits_for_them(patience):
    patience.looks = 50
    in_vain(patience, 1, 49)
    assert not patience.can_wait(1)
