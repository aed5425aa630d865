"""A lost camera comes back within bounds; never are two of them open."""

import threading

import numpy as np
import pytest

from facegate.errors import CameraError
from facegate.hardware.camera_reopen import (
    MAX_WAIT_S,
    STEADY_S,
    AbsentCamera,
    LastingCamera,
    Reopening,
)
from facegate.types import Frame

PIXELS = np.zeros((4, 4, 3), np.uint8)


class Bench:
    """A time that passes only by waiting, and cameras that follow a script."""

    def __init__(self, *reels, attempts=3, wait_s=1.0):
        self.now_s, self.stop_at_s = 0.0, float("inf")
        self.reels = list(reels)
        self.open, self.most_open = 0, 0
        self.lost, self.back, self.waited = [], [], []
        self.camera = LastingCamera(
            self.first(),
            self.make,
            Reopening(attempts, wait_s),
            self.lost.append,
            self.back.append,
            lambda: self.now_s,
            self.wait,
        )

    def first(self):
        try:
            return self.make()
        except CameraError as error:
            return AbsentCamera("absent one", error)

    def make(self):
        reel = self.reels.pop(0)
        if reel == "absent":
            raise CameraError("no such camera")
        return ScriptedCamera(self, reel)

    def wait(self, stopping, seconds):
        self.now_s += seconds
        self.waited.append(seconds)
        return self.now_s >= self.stop_at_s

    def numbers(self):
        return [f.seq for f in self.camera.frames(threading.Event())]


class ScriptedCamera:
    """Gives as many frames as it is told, one each `period_s`; then it fails, or ends."""

    description = "scripted"

    def __init__(self, bench, reel):
        self.bench, (self.count, self.fails, self.period_s) = bench, reel
        self.is_open = True
        bench.open += 1
        bench.most_open = max(bench.most_open, bench.open)

    def frames(self, stopping):
        for seq in range(self.count):
            self.bench.now_s += self.period_s
            yield Frame(PIXELS, self.bench.now_s, seq)
        if self.fails:
            raise CameraError("the cable is off")

    def close(self):
        if self.is_open:
            self.is_open = False
            self.bench.open -= 1


def gives(count, fails=True, period_s=0.1):
    return (count, fails, period_s)


def test_frames_go_on_through_a_loss_with_rising_numbers():
    b = Bench(gives(3), gives(2, fails=False))
    assert b.numbers() == [0, 1, 2, 3, 4]
    assert b.lost == ["the cable is off"]
    assert b.back == [pytest.approx(1.1)]
    assert b.camera.lost_for is None


def test_one_that_is_missing_at_the_start_is_waited_for():
    b = Bench("absent", "absent", gives(2, fails=False))
    assert b.camera.description == "absent one"
    assert b.numbers() == [0, 1]
    assert b.lost == ["no such camera"]
    assert b.back == [pytest.approx(1 + 2 + 0.1)]
    assert b.camera.description == "scripted"


def test_one_that_never_comes_uses_up_its_attempts():
    b = Bench(*["absent"] * 4)
    with pytest.raises(CameraError, match="given up after 3"):
        b.numbers()
    assert b.lost == ["no such camera"]


def test_never_are_two_cameras_open():
    b = Bench(gives(3), "absent", gives(0), gives(2, fails=False))
    b.numbers()
    b.camera.close()
    assert (b.most_open, b.open) == (1, 0)


def test_the_back_off_doubles_and_ends():
    b = Bench(gives(1), *["absent"] * 4, attempts=4, wait_s=1.0)
    with pytest.raises(CameraError, match="no such camera; given up after 4 attempts"):
        b.numbers()
    assert sum(b.waited) == 1 + 2 + 4 + 8
    assert b.lost == ["the cable is off"]
    assert b.back == []
    assert b.camera.lost_for == "no such camera"


def test_no_wait_is_longer_than_the_longest():
    waits = list(Reopening(20, 1.0).waits())
    assert max(waits) == MAX_WAIT_S
    assert len(waits) == 20


def test_a_camera_that_opens_but_gives_nothing_uses_up_its_attempts():
    b = Bench(gives(1), *[gives(0)] * 3)
    with pytest.raises(CameraError, match="given up after 3"):
        b.numbers()
    assert b.lost == ["the cable is off"]


def test_one_that_comes_and_goes_uses_them_up_too():
    b = Bench(*[gives(1)] * 4)
    with pytest.raises(CameraError, match="given up after 3"):
        b.numbers()
    assert len(b.lost) == 4
    assert len(b.back) == 3


def test_one_that_was_steady_has_them_all_again():
    steady = gives(2, period_s=STEADY_S)
    b = Bench(gives(1), *[steady] * 6, *["absent"] * 3)
    with pytest.raises(CameraError):
        b.numbers()
    assert len(b.back) == 6


def test_without_a_way_to_open_it_again_the_first_loss_is_the_last():
    b = Bench(gives(1))
    b.camera._reopen = None
    with pytest.raises(CameraError, match="cable is off"):
        b.numbers()
    assert b.lost == []
    assert b.open == 0


def test_zero_attempts_give_up_at_once():
    b = Bench(gives(1), attempts=0)
    with pytest.raises(CameraError, match="given up after 0"):
        b.numbers()
    assert b.waited == []


def test_being_told_to_stop_ends_the_waiting():
    b = Bench(gives(2), "absent", attempts=10)
    b.stop_at_s = 2.0
    assert b.numbers() == [0, 1]


def test_it_shows_life_while_it_waits_and_only_then():
    b = Bench(gives(2), gives(2, fails=False))
    seen = []
    for _ in b.camera.frames(threading.Event()):
        seen.append(b.camera.signs)
    assert seen[0] == seen[1] == 0
    assert seen[2] == seen[3] > 1


def test_while_it_is_lost_it_says_why():
    b = Bench(gives(1), "absent", gives(1, fails=False))
    told = []
    wait = b.wait

    def listening(stopping, seconds):
        told.append(b.camera.lost_for)
        return wait(stopping, seconds)

    b.camera._wait = listening
    b.numbers()
    assert told[0] == "the cable is off"
    assert told[-1] == "no such camera"
