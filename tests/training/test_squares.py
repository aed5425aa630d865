"""What the refiner is shown in training, and that annotations lie on its pixels."""

import cv2
import numpy as np
import pytest
from test_scenes import scene

from facegate.training import candidates, squares
from facegate.training.candidates import candidates_in
from facegate.training.squares import square
from facegate.types import Detection
from facegate.vision.preprocess import LETTERBOX_GREY

SIDE_PX = 64


@pytest.fixture
def plainly(monkeypatch):
    """Leave light and covers as they are."""
    monkeypatch.setattr(squares, "light", lambda pixels, rng: pixels)
    for share in ("MASKED_SHARE", "BACKLIT_SHARE", "COARSE_SHARE", "FRAMED_SHARE"):
        monkeypatch.setattr(squares, share, 0.0)


def test_annotations_lie_on_the_pixels(plainly):
    """Also in the mirror and tilted: a pixel of the picture is nearly one of the square here."""
    face = scene((800, 700, 840, 740), 2000, 1800)
    face.pixels[face.pixels == 90] = 0
    ys, xs = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    for seed in range(200):
        given = square(face, face.boxes[0], 0, SIDE_PX, np.random.default_rng(seed))
        bright = given.pixels[..., 0].astype(float)
        middle = (bright * xs).sum() / bright.sum(), (bright * ys).sum() / bright.sum()
        box = (given.box + 0.5) * SIDE_PX
        assert ((box[:2] + box[2:]) / 2) == pytest.approx(middle, abs=0.15)
        assert (box[2] - box[0]) ** 2 == pytest.approx(bright.sum() / 220, rel=0.1)


def test_landmarks_stay_in_order_and_on_the_face(plainly):
    face = scene((500, 300, 900, 700), 1400, 1000)
    mark = face.landmarks[0, 0].round().astype(int)
    face.pixels[mark[1] - 24 : mark[1] + 24, mark[0] - 24 : mark[0] + 24] = 0
    mirrored = 0
    for seed in range(60):
        given = square(face, face.boxes[0], 0, SIDE_PX, np.random.default_rng(seed))
        marks = given.landmarks.reshape(5, 2)
        assert marks[1, 0] > marks[0, 0]  # the left eye, as seen, stays on the left
        assert marks[4, 0] > marks[3, 0]
        assert marks[3:, 1].mean() > marks[:2, 1].mean()
        assert (np.abs(marks) < 0.5).all()
        spots = ((marks[:2] + 0.5) * SIDE_PX).astype(int)
        left, right = (int(given.pixels[y, x, 0]) for x, y in spots)
        assert (left < 110) != (right < 110)  # the eye that was marked is one of the two
        mirrored += right < 110
    assert 15 < mirrored < 45


def test_a_picture_may_end_close_to_a_face(plainly, monkeypatch):
    """The annotation stays on the face, whether it is grey around it or smeared."""
    monkeypatch.setattr(squares, "FRAMED_SHARE", 1.0)
    monkeypatch.setattr(squares, "FRAME", (0.2, 0.3))  # all of the face, and no more than that
    face = scene((800, 700, 840, 740), 2000, 1800)
    face.pixels[:687] = 255  # just far enough to be left out
    ys, xs = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    grey = 0
    for seed in range(100):
        given = square(face, face.boxes[0], 0, SIDE_PX, np.random.default_rng(seed))
        bright = given.pixels[..., 0] > 180
        box = (given.box + 0.5) * SIDE_PX
        middle = xs[bright].mean(), ys[bright].mean()
        assert ((box[:2] + box[2:]) / 2) == pytest.approx(middle, abs=0.6)
        assert given.pixels.max() < 255
        grey += (given.pixels[[0, 0, -1, -1], [0, -1, 0, -1]] == LETTERBOX_GREY).all()
    assert 30 < grey < 70


def test_what_shows_no_face_has_nothing_to_find():
    face = scene((500, 300, 900, 700), 1400, 1000)
    away = np.array([10, 10, 60, 60], np.float32)
    given = square(face, away, -1, SIDE_PX, np.random.default_rng(0))
    assert not given.box.any()
    assert not given.landmarks.any()
    assert given.pixels.shape == (SIDE_PX, SIDE_PX, 3)
    assert given.pixels.dtype == np.uint8


class Bright:
    """A detector that finds the bright square of `scene`, and something in the corner."""

    def detect(self, pixels):
        corner = Detection(np.array([0, 0, 9, 9], np.float32), np.zeros((5, 2), np.float32), 0.2)
        ys, xs = np.nonzero(pixels[..., 0] > 0.75 * pixels.max())
        if pixels.max() - pixels.min() < 20 or not len(xs):
            return [corner]
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
        return [Detection(box, np.zeros((5, 2), np.float32), 0.9), corner]


def test_candidates_are_told_apart_and_come_back_in_the_pictures_pixels():
    """From every view: mirrored, cut out, shrunk."""
    face = scene((120, 80, 200, 180))
    unsure = scene((120, 80, 200, 180))
    unsure.scores[:] = 0.2
    nobody = scene((0, 0, 0, 0))
    nobody = type(nobody)(nobody.pixels, *(a[:0] for a in (nobody.boxes, nobody.landmarks,
                                                           nobody.scores)))  # fmt: skip
    seen = np.zeros(3, int)
    for seed in range(10):
        found = candidates_in(Bright(), [face, unsure, nobody], seed)
        is_face = found.face >= 0
        assert set(found.scene[is_face].tolist()) == {0}
        whole = found.boxes[is_face]
        assert np.abs(np.median(whole, axis=0) - face.boxes[0]).max() <= 2
        # What an annotator was not sure of is neither; but what lies away from it is background.
        away = found.boxes[(found.scene == 1)]
        assert (found.face[found.scene == 1] == -1).all()
        assert not ((away[:, 0] > 110) & (away[:, 2] < 210) & (away[:, 3] - away[:, 1] > 90)).any()
        assert (found.face[found.scene == 2] == -1).all()
        seen += np.bincount(found.scene, minlength=3)
    assert (seen > 10).all()


@pytest.mark.parametrize("view", range(candidates.VIEWS))
def test_the_way_back_from_a_view_leads_where_it_came_from(view):
    """Each pixel says where it lies; what is mirrored may be a part of the picture, too."""
    height, width = 160, 240
    ys, xs = np.mgrid[:height, :width] + 0.5
    pixels = np.stack([xs, ys, np.full_like(xs, 255)], 2).astype(np.uint8)
    for seed in range(40):
        seen, back = candidates._view(pixels, view, np.random.default_rng(seed))
        light = seen[..., 2].max() / 255
        drawn = seen[..., 2] > 0.9 * light * 255
        drawn &= np.abs(seen[..., 0] - 128.0) + np.abs(seen[..., 1] - 128.0) > 4  # no grey room
        vs, us = np.nonzero(cv2.erode(drawn.astype(np.uint8), np.ones((5, 5))))
        for at, channel in ((us, 0), (vs, 1)):
            came_from = (at + 0.5) * back[channel] + back[2 + channel]
            said = seen[vs, us, channel] / light
            assert np.abs(came_from - said - 0.5).max() < 3 + 1.5 / light, (seed, channel)
