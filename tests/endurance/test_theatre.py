"""Who was before the camera, what counts as decided, and what a fault excuses."""

import threading

import cv2
import numpy as np
import pytest

from facegate.endurance.theatre import LATE_S, SETTLE_S, Theatre
from facegate.errors import CameraError
from facegate.types import Frame

SCENES = [None, None, "stranger", "stranger", None, "friend", "friend"]


class Evening:
    def __init__(self, film=None):
        self.now_s = 0.0
        self.theatre = Theatre(film, SCENES, lambda: self.now_s)

    def show(self, *numbers, step_s=1.0):
        for number in numbers:
            self.now_s += step_s
            self.theatre.passing(Frame(np.zeros((1, 1, 3), np.uint8), self.now_s, number))


def test_a_visit_lasts_from_the_first_frame_to_the_first_without():
    e = Evening()
    e.show(*range(9))
    assert [(v.who, v.began_s, v.ended_s) for v in e.theatre.visits] == [
        ("stranger", 3.0, 5.0),
        ("friend", 6.0, 8.0),
    ]


def test_a_verdict_belongs_to_who_is_there_or_just_left():
    e = Evening()
    e.show(0, 1, 2)
    e.theatre.decided("unknown")
    e.theatre.decided("granted")  # the first counts
    e.show(3, 4, 5, 6, 7)
    e.theatre.decided("granted")
    stranger, friend = e.theatre.visits
    assert (stranger.verdict, stranger.decided) == ("unknown", True)
    assert (friend.verdict, friend.decided) == ("granted", True)


def test_a_verdict_long_after_belongs_to_nobody():
    e = Evening()
    e.show(2, 4)
    e.now_s += LATE_S + 0.1
    e.theatre.decided("unknown")
    assert e.theatre.visits[0].verdict is None


def test_a_stranger_let_in_is_not_decided_rightly():
    e = Evening()
    e.show(2)
    e.theatre.decided("granted")
    assert not e.theatre.visits[0].decided


def test_a_fault_excuses_the_visits_it_falls_into():
    e = Evening()
    e.show(2, 3)
    e.theatre.fault_began()
    assert e.theatre.visits[0].disturbed
    assert not e.theatre.quiet
    e.theatre.fault_ended()
    e.show(4, 5)
    assert e.theatre.visits[1].disturbed
    e.now_s += SETTLE_S
    assert e.theatre.quiet
    e.show(0, 2)
    assert not e.theatre.visits[2].disturbed


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (64, 48))
    for _ in range(len(SCENES)):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


def test_it_breaks_and_refuses_when_told_and_counts_what_is_open(film):
    theatre = Theatre(film, SCENES)
    camera = theatre.open()
    frames = camera.frames(threading.Event())
    next(frames)
    theatre.break_now.set()
    with pytest.raises(CameraError, match="stopped delivering"):
        next(frames)
    camera.close()
    camera.close()
    theatre.refusals = 1
    with pytest.raises(CameraError, match="no such device"):
        theatre.open()
    with theatre.open():
        assert (theatre.open_cameras, theatre.most_open) == (1, 1)
        with theatre.open():
            pass
    assert (theatre.open_cameras, theatre.most_open) == (0, 2)
