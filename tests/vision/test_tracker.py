import numpy as np
import pytest
from scripted import Noise, crossing, play

from facegate.training.detection import iou
from facegate.types import Detection
from facegate.vision.tracker import MAX_GAP_S, Tracker

FRAME_S = 1 / 15


def face(x, y, size=50.0, score=0.9):
    box = np.array([x, y, x + size, y + size], np.float32)
    return Detection(box, np.zeros((5, 2), np.float32), score)


def test_iou_of_known_boxes():
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert np.allclose(iou(a, b), [[1, 1 / 3, 0]])


def test_a_moving_face_keeps_its_number():
    tracker = Tracker()
    numbers = {tracker.update([face(10 + 8 * k, 20)], k / 15)[0].track_id for k in range(30)}
    assert numbers == {1}


def test_hits_and_first_sight_are_kept():
    tracker = Tracker()
    tracker.update([face(0, 0)], 1.0)
    track = tracker.update([face(1, 0)], 1.1)[0]
    assert (track.hits, track.first_seen_s) == (2, 1.0)


def test_two_faces_keep_theirs_whatever_order_they_come_in():
    tracker = Tracker()
    a, b = (t.track_id for t in tracker.update([face(0, 0), face(200, 0)], 0))
    again = tracker.update([face(203, 1), face(2, 1)], FRAME_S)
    assert [t.track_id for t in again] == [b, a]


@pytest.mark.parametrize("pace", [0, 4, 12])
def test_a_face_lost_for_three_frames_comes_back_as_itself(pace):
    tracker = Tracker(max_lost_frames=3)
    for k in range(10):
        tracker.update([face(pace * k, 0)], k * FRAME_S)
    for k in range(10, 13):
        assert tracker.update([], k * FRAME_S) == []
    assert tracker.alive == {1}
    assert tracker.update([face(pace * 13, 0)], 13 * FRAME_S)[0].track_id == 1


def test_a_face_lost_longer_is_a_new_one():
    tracker = Tracker(max_lost_frames=3)
    tracker.update([face(0, 0)], 0)
    for k in range(1, 5):
        tracker.update([], k * FRAME_S)
    assert tracker.alive == frozenset()
    assert tracker.update([face(0, 0)], 5 * FRAME_S)[0].track_id == 2


def test_a_face_after_a_pause_of_the_camera_is_a_new_one():
    tracker = Tracker()
    tracker.update([face(0, 0)], 0)
    assert tracker.update([face(0, 0)], MAX_GAP_S + 0.1)[0].track_id == 2


def test_a_face_elsewhere_is_a_new_one():
    tracker = Tracker()
    tracker.update([face(0, 0)], 0)
    assert tracker.update([face(300, 0)], FRAME_S)[0].track_id == 2


def test_a_track_that_shows_somebody_else_goes_on_under_another_number():
    tracker = Tracker()
    tracker.update([face(0, 0)], 0)
    tracker.end(1)
    track = tracker.update([face(1, 0)], FRAME_S)[0]
    assert (track.track_id, track.hits, track.first_seen_s) == (2, 1, FRAME_S)
    assert tracker.alive == {2}
    tracker.end(1)  # of a frame that was looked at late
    assert tracker.update([face(2, 0)], 2 * FRAME_S)[0].track_id == 2


@pytest.mark.parametrize("seed", range(20))
def test_a_turn_of_the_head_keeps_the_number(seed):
    """The box narrows and shifts, the detector sees little of it, then the face is back."""

    def turning(t):
        away = np.exp(-(((t - 2.0) / 0.35) ** 2))
        return 300 + 20 * away, 200.0, 80 * (1 - 0.3 * away)

    story = play([turning], 4.0, seed, Noise(miss=0.15))
    assert story.numbers == {0: [1]}


@pytest.mark.parametrize("seed", range(20))
def test_a_walk_to_the_door_keeps_the_number(seed):
    def walking(t):
        return 500 - 45 * t, 240 - 10 * t, 30 * np.exp(0.3 * t)

    story = play([walking], 5.0, seed, Noise(miss=0.1))
    assert story.numbers == {0: [1]}


@pytest.mark.parametrize("seed", range(20))
def test_frames_that_are_stamped_late_keep_the_number(seed):
    """A busy machine takes frames off a camera at uneven times."""

    def walking(t):
        return 500 - 45 * t, 240 - 10 * t, 30 * np.exp(0.4 * t)

    story = play([walking], 4.0, seed, Noise(miss=0.05), late_s=0.1)
    assert story.numbers == {0: [1]}


def test_people_who_cross_never_swap_and_mostly_keep_their_numbers():
    """200 scripts: a number that two people carry is a swap; one person's second number is not."""
    stories = [play(*crossing(seed), seed) for seed in range(200)]
    assert sum(story.swaps for story in stories) == 0
    passers = [
        carried
        for seed, story in enumerate(stories)
        if not crossing(seed)[0][0].turns_back
        for carried in story.numbers.values()
    ]
    assert np.mean([len(carried) == 1 for carried in passers]) > 0.6
    shown, tracked = sum(s.shown for s in stories), sum(s.tracked for s in stories)
    assert tracked > 0.95 * shown
