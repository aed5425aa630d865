"""When a face has turned: on made-up ways of a nose."""

import numpy as np
import pytest

from facegate.access.liveness import STEP, WITHIN_S, HeadTurn
from facegate.types import HEAD_TURN

FPS = 5


def turned(yaws, fps=FPS):
    turn = HeadTurn()
    for number, yaw in enumerate(yaws):
        turn.look(yaw, 100.0 + number / fps)
    return turn


def shake(to, count=20):
    return to * np.sin(np.linspace(0, 2 * np.pi, count))


def test_a_shaken_head_has_turned():
    assert turned(shake(0.3)).seen
    assert turned(shake(0.3)).turned == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("yaws", [shake(0.18), shake(0.3) * 0.5 + 0.2, [0.1] * 40])
def test_one_that_turns_too_little_has_not(yaws):
    assert not turned(yaws).seen
    assert turned(yaws).turned < HEAD_TURN


def test_a_turn_to_one_side_is_as_good_if_it_goes_far_enough():
    assert turned(np.linspace(0.0, 0.6, 12)).seen


def test_one_look_on_each_side_is_not_believed():
    still = [0.0, 0.05, -0.05] * 5
    assert turned([*still, 0.3, -0.3, *still]).turned == pytest.approx(0.1)


def test_pictures_from_two_sides_are_not_one_head_that_moves():
    two_sides = [*[-0.25] * 5, *[0.25] * 5] * 2
    assert turned(two_sides).turned == 0
    on_the_way = np.arange(-0.25 + STEP, 0.25, STEP)
    assert turned([*two_sides, *on_the_way]).seen


def test_a_turn_is_over_after_a_while():
    still = [0.0] * int(WITHIN_S * FPS + 1)
    assert turned(shake(0.3)).seen
    assert not turned([*shake(0.3), *still]).seen
    assert not turned(shake(0.3), fps=20 / WITHIN_S / 3).seen, "slower than it may be"


@pytest.mark.parametrize("count", range(4))
def test_too_few_looks_are_no_turn(count):
    assert turned(shake(0.9)[5 : 5 + count]).turned == 0
