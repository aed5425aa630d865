import numpy as np

from facegate.types import Detection
from facegate.vision.tracker import Tracker, iou


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
    track = tracker.update([face(1, 0)], 2.0)[0]
    assert (track.hits, track.first_seen_s) == (2, 1.0)


def test_two_faces_keep_theirs_whatever_order_they_come_in():
    tracker = Tracker()
    a, b = (t.track_id for t in tracker.update([face(0, 0), face(200, 0)], 0))
    again = tracker.update([face(203, 1), face(2, 1)], 1)
    assert [t.track_id for t in again] == [b, a]


def test_a_face_lost_for_a_few_frames_comes_back_as_itself():
    tracker = Tracker(max_lost_frames=3)
    tracker.update([face(0, 0)], 0)
    for k in range(3):
        assert tracker.update([], k) == []
    assert tracker.alive == {1}
    assert tracker.update([face(4, 0)], 4)[0].track_id == 1


def test_a_face_lost_longer_is_a_new_one():
    tracker = Tracker(max_lost_frames=3)
    tracker.update([face(0, 0)], 0)
    for k in range(4):
        tracker.update([], k)
    assert tracker.alive == frozenset()
    assert tracker.update([face(0, 0)], 9)[0].track_id == 2


def test_a_face_elsewhere_is_a_new_one():
    tracker = Tracker()
    tracker.update([face(0, 0)], 0)
    assert tracker.update([face(300, 0)], 1)[0].track_id == 2
