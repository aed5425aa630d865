from itertools import pairwise

import cv2
import numpy as np
import pytest

from facegate.types import Detection
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.finder import FaceFinder
from facegate.vision.refiner import TFLiteFaceRefiner
from facegate.vision.tflite import model_folder
from facegate.vision.tiling import _spans, find_in_tiles, merge


@pytest.mark.parametrize("tiles", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [100, 720, 1081])
def test_tiles_cover_the_picture_and_overlap(length, tiles):
    spans = _spans(length, tiles)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    for (start, end), (after, _) in pairwise(spans):
        assert start < after < end
        assert end - after >= 0.15 * (end - start)


def test_one_face_seen_twice_is_one():
    marks = np.zeros((5, 2), np.float32)
    faces = [
        Detection(np.array([0, 0, 10, 10], np.float32), marks, 0.6),
        Detection(np.array([1, 0, 11, 10], np.float32), marks, 0.8),
        Detection(np.array([50, 0, 60, 10], np.float32), marks, 0.7),
    ]
    assert [d.score for d in merge(faces)] == [0.8, 0.7]
    assert merge([]) == []


def test_far_faces_are_found_in_tiles_and_near_ones_once(portraits):
    """Four people far away in a full picture, on the seams and off them, and one near."""
    picture = np.full((1080, 1920, 3), 110, np.uint8)
    face = portraits[0][20:320, 90:370]
    far = cv2.resize(face, (84, 90), interpolation=cv2.INTER_AREA)  # a face of about 28 px
    places = [(150, 200), (930, 500), (1500, 120), (1700, 900)]
    for x, y in places:
        picture[y : y + 90, x : x + 84] = far
    near = cv2.resize(face, (420, 450), interpolation=cv2.INTER_AREA)
    picture[600:1050, 300:720] = near
    small = cv2.resize(picture, (640, 360), interpolation=cv2.INTER_AREA)
    detector = TFLiteFaceDetector(model_folder() / "yunet_like.tflite")
    refiner = TFLiteFaceRefiner(model_folder() / "onet_like.tflite")

    def found(tiles):
        """How often each face is found: about in its place, about in its size."""
        detections = FaceFinder(detector, refiner, 0.78, tiles).detect(picture, small)
        counts = []
        for x, y, scale in [*((x, y, 0.3) for x, y in places), (300, 600, 1.5)]:
            middle = np.array([x + 132 * scale, y + 98 * scale])  # her face in the cutting
            width = 98 * scale
            counts.append(
                sum(
                    np.linalg.norm((d.box[:2] + d.box[2:]) / 2 - middle) < 0.5 * width
                    and 0.6 < (d.box[2] - d.box[0]) / width < 1.6
                    for d in detections
                )
            )
        return counts

    whole, tiled = found(1), found(3)
    assert whole[-1] == tiled[-1] == 1
    assert max(tiled) == 1
    assert sum(tiled[:4]) >= 3 > sum(whole[:4])


class Once:
    """A detector that sees one face in each picture it is shown, always at the same place."""

    def __init__(self, box):
        self.box = np.array(box, np.float32)

    def detect(self, pixels):
        marks = np.repeat(self.box[None, :2] + 10, 5, 0).astype(np.float32)
        return [Detection(self.box, marks, 0.9)]


def test_landmarks_come_back_from_a_tile_with_their_box():
    found = find_in_tiles(Once([60, 60, 100, 100]), np.zeros((360, 640, 3), np.uint8), 3)
    assert len(found) == 9
    assert len({tuple(d.box.tolist()) for d in found}) == 9
    for one in found:
        assert np.allclose(one.landmarks, one.box[:2] + 10)


@pytest.mark.parametrize(
    ("box", "axis", "starts"),
    [
        ([1, 60, 41, 100], 0, 0),  # against the left edge: whole only where that is the picture's
        ([60, 1, 100, 41], 1, 0),
        ([315, 60, 355, 100], 0, 284),  # a tile is 356 pixels wide, 200 high
        ([60, 159, 100, 199], 1, 160),
    ],
)
def test_a_face_that_a_seam_cuts_off_is_left_to_the_next_tile(box, axis, starts):
    found = find_in_tiles(Once(box), np.zeros((360, 640, 3), np.uint8), 2)
    assert len(found) == 2
    assert {round(float(d.box[axis])) - box[axis] for d in found} == {starts}


def test_a_small_box_within_a_large_one_is_the_same_face():
    marks = np.zeros((5, 2), np.float32)
    whole = Detection(np.array([0, 0, 40, 40], np.float32), marks, 0.9)
    part = Detection(np.array([10, 10, 30, 30], np.float32), marks, 0.5)
    assert merge([part, whole]) == [whole]
