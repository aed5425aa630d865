import cv2
import numpy as np
import pytest

from facegate.types import Detection
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.refiner import (
    AROUND,
    DETECTOR_WEIGHT,
    LANDMARK_SHARE,
    TFLiteFaceRefiner,
    refined,
    region,
    shown,
)
from facegate.vision.tflite import model_folder

SIDE_PX = 64
SPOTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def face(x, y, side, score=0.6):
    """A face with its corner at x, y."""
    marks = (np.array([x, y]) + SPOTS * side).astype(np.float32)
    return Detection(np.array([x, y, x + side, y + side], np.float32), marks, score)


@pytest.fixture(scope="module")
def shipped():
    return TFLiteFaceRefiner(model_folder() / "onet_like.tflite")


@pytest.fixture(scope="module")
def detector():
    return TFLiteFaceDetector(model_folder() / "yunet_like.tflite")


@pytest.mark.parametrize("side", [11, 32, 90, 400])
def test_a_candidate_fills_the_middle_of_what_is_shown(side):
    picture = np.zeros((1000, 1000, 3), np.uint8)
    picture[300 : 300 + side, 200 : 200 + side] = 255
    square = shown(picture, face(200, 300, side).box, SIDE_PX)
    assert square.shape == (SIDE_PX, SIDE_PX, 3)
    bright = square[..., 0].astype(float) / 255
    wanted = SIDE_PX / AROUND
    assert bright.sum() == pytest.approx(wanted**2, rel=0.1)
    ys, xs = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    middle = (bright * xs).sum() / bright.sum(), (bright * ys).sum() / bright.sum()
    assert middle == pytest.approx((SIDE_PX / 2, SIDE_PX / 2), abs=0.25)


def test_outside_of_the_picture_it_is_grey():
    square = shown(np.full((100, 100, 3), 250, np.uint8), face(-20, -20, 40).box, SIDE_PX)
    assert (square[:30, :30] == 128).all()
    assert (square[34:, 34:] == 250).all()
    assert (shown(square, face(900, 900, 40).box, SIDE_PX) == 128).all()


def test_answers_come_back_in_the_pictures_pixels():
    truth = face(205, 292, 50)
    candidate = face(200, 300, 45)
    x, y, side = region(candidate.box)
    assert (x, y, side) == pytest.approx((222.5, 322.5, 45 * AROUND))
    middle = np.array([x, y], np.float32)
    answers = {
        "score": np.array([2.0], np.float32),
        "box": (truth.box - np.tile(middle, 2)) / side,
        "landmarks": ((truth.landmarks - middle) / side).ravel(),
    }
    found = refined(candidate, answers)
    np.testing.assert_allclose(found.box, truth.box, atol=1e-3)
    mean = LANDMARK_SHARE * truth.landmarks + (1 - LANDMARK_SHARE) * candidate.landmarks
    np.testing.assert_allclose(found.landmarks, mean, atol=1e-3)
    sure = refined(face(200, 300, 45, 0.9), answers)
    assert candidate.score < found.score < sure.score < 1
    for score in (0.0, 1.0):  # no logarithm of nothing
        assert 0 <= refined(face(200, 300, 45, score), answers).score <= 1


def test_each_output_goes_by_the_name_of_its_head(shipped, portraits):
    square = np.ascontiguousarray(portraits[0][100:164, 150:214])
    outputs = shipped.model.run(square)
    for head, values in shipped.heads(square).items():
        assert np.array_equal(values, outputs[shipped.model.card.raw["outputs"][head]].ravel())
    assert set(shipped.head_scales) == {"score", "box", "landmarks"}


def test_faces_are_told_from_what_is_none(shipped, detector, portraits):
    for pixels in portraits:
        (found, *_) = detector.detect(pixels)
        assert shipped.refine(pixels, found).score > 0.8
        away = Detection(found.box + np.float32(1.5 * (found.box[2] - found.box[0])),
                         found.landmarks, found.score)  # fmt: skip
        assert shipped.refine(pixels, away).score < 0.3


def test_far_faces_are_put_right(shipped, detector, portraits):
    """Where the landmarks lie is known from the portrait itself, where she is near."""
    width, height = 1920, 1080
    portrait = portraits[0][20:320, 90:370]
    near = shipped.refine(portrait, detector.detect(portrait)[0])
    off: dict[str, list[float]] = {"detector": [], "refiner": []}
    for seed in range(24):
        rng = np.random.default_rng(seed)
        zoom = rng.uniform(0.8, 1.0)
        small = cv2.resize(portrait, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        picture = np.full((height, width, 3), 110, np.uint8)
        x, y = rng.integers(0, width - small.shape[1]), rng.integers(0, height - small.shape[0])
        picture[y : y + small.shape[0], x : x + small.shape[1]] = small
        found = detector.detect(picture)
        if not found:
            continue
        truth = near.landmarks * zoom + (x, y)
        eyes = np.linalg.norm(truth[0] - truth[1])
        seen = {"detector": found[0], "refiner": shipped.refine(picture, found[0])}
        for name, one in seen.items():
            off[name].append(np.linalg.norm(one.landmarks - truth, axis=1).mean() / eyes)
    assert len(off["detector"]) >= 12
    assert np.median(off["refiner"]) < 0.5 * np.median(off["detector"])


def test_the_score_is_the_refiners_odds_and_half_of_the_detectors():
    """`detection.min_score` was chosen for these odds."""
    candidate = Detection(np.array([0, 0, 40, 40], np.float32), np.zeros((5, 2), np.float32), 0.9)
    answers = {
        "score": np.array([1.0], np.float32),
        "box": np.zeros(4, np.float32),
        "landmarks": np.zeros(10, np.float32),
    }
    assert DETECTOR_WEIGHT == 0.5
    odds = 1.0 + 0.5 * np.log(0.9 / 0.1)
    assert refined(candidate, answers).score == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-6)
