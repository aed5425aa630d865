import cv2
import numpy as np
import pytest

from facegate.types import Detection
from facegate.vision.closer import LEAST_SCORE, look_closer
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.tflite import model_folder

WIDTH, HEIGHT = 1920, 1080


class Answers:
    """A detector that says what it is told to, and remembers what it was shown."""

    def __init__(self, *found):
        self.found, self.shown = found, []

    def detect(self, pixels):
        self.shown.append(pixels)
        return list(self.found)


def face(x, y, side, score=0.7):
    """A face with its corner at x, y."""
    spots = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    marks = (np.array([x, y]) + spots * side).astype(np.float32)
    return Detection(np.array([x, y, x + side, y + side], np.float32), marks, score)


@pytest.fixture
def numbered():
    """A picture whose pixels say where they are: column and row."""
    return np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=2)


@pytest.mark.parametrize("place", [(0, 0), (900, 500), (WIDTH - 60, HEIGHT - 60), (-20, 700)])
def test_landmarks_come_back_in_the_pictures_own_pixels(numbered, place):
    far = face(*place, 60)
    look_closer(blind := Answers(), numbered, far)
    (shown,) = blind.shown
    left, top = shown[0, 0]
    assert shown.shape[:2] == (160, 200)  # five by four in the detector's frame, as that is
    assert (shown[-1, -1] == (left + 199, top + 159)).all()
    inside = (place[0] - left + 3, place[1] - top + 2)
    closer = look_closer(Answers(face(*inside, 58, 0.4)), numbered, far)
    expected = face(place[0] + 3, place[1] + 2, 58)
    np.testing.assert_allclose(closer.box, expected.box, atol=1e-3)
    np.testing.assert_allclose(closer.landmarks, expected.landmarks, atol=1e-3)
    assert closer.score == far.score


def test_the_first_look_stands_where_a_second_finds_nobody_or_somebody_else(numbered):
    far = face(900, 500, 60)
    assert look_closer(Answers(), numbered, far) is far
    assert look_closer(Answers(face(130, 90, 60)), numbered, far) is far


def test_a_near_face_is_not_looked_at_twice(numbered):
    detector = Answers()
    near = face(500, 300, 500)
    assert look_closer(detector, numbered, near) is near
    assert not detector.shown


def test_far_faces_are_aligned_better(portraits):
    """Where the landmarks lie is known from the portrait itself, where she is near."""
    path = model_folder() / "yunet_like.tflite"
    finder, closer = TFLiteFaceDetector(path, 0.3), TFLiteFaceDetector(path, LEAST_SCORE)
    portrait = portraits[0][20:320, 90:370]
    (near,) = finder.detect(portrait)
    off: dict[str, list[float]] = {"first": [], "closer": []}
    for seed in range(24):
        rng = np.random.default_rng(seed)
        zoom = rng.uniform(0.8, 1.0)
        small = cv2.resize(portrait, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        picture = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
        x, y = rng.integers(0, WIDTH - small.shape[1]), rng.integers(0, HEIGHT - small.shape[0])
        picture[y : y + small.shape[0], x : x + small.shape[1]] = small
        found = finder.detect(picture)
        if not found:
            continue
        truth = near.landmarks * zoom + (x, y)
        eyes = np.linalg.norm(truth[0] - truth[1])
        for name, seen in {
            "first": found[0],
            "closer": look_closer(closer, picture, found[0]),
        }.items():
            off[name].append(np.linalg.norm(seen.landmarks - truth, axis=1).mean() / eyes)
    assert len(off["first"]) >= 12
    assert np.median(off["closer"]) < 0.7 * np.median(off["first"])
