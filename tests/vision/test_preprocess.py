import cv2
import numpy as np
import pytest

from facegate.vision.preprocess import (
    FACE_PX,
    LETTERBOX_GREY,
    TEMPLATE,
    align,
    letterbox,
    similarity_transform,
    to_float,
    to_int8,
)


def pattern(height=240, width=320):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def turned(angle_deg, scale, shift):
    a = np.radians(angle_deg)
    matrix = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return (TEMPLATE @ matrix.T + shift).astype(np.float32)


@pytest.mark.parametrize("angle", [-40, 0, 15, 170])
@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_the_transform_undoes_any_similarity(angle, scale):
    marks = turned(angle, scale, (31, -7))
    matrix = similarity_transform(marks, TEMPLATE)
    assert np.allclose(marks @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-2)


def test_the_transform_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    marks = turned(10, 1.3, (5, 9)) + rng.normal(0, 3, (5, 2)).astype(np.float32)
    matrix = similarity_transform(marks, TEMPLATE)
    error = np.square(marks @ matrix[:, :2].T + matrix[:, 2] - TEMPLATE).sum()
    for _ in range(200):
        a, b, tx, ty = rng.normal(0, 1e-2, 4) * (1, 1, 30, 30)
        other = matrix + np.array([[a, -b, tx], [b, a, ty]])
        assert error <= np.square(marks @ other[:, :2].T + other[:, 2] - TEMPLATE).sum() + 1e-3


def test_equal_landmarks_do_not_divide_by_zero():
    matrix = similarity_transform(np.full((5, 2), 7, np.float32), TEMPLATE)
    assert np.isfinite(matrix).all()


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 2.6, 5.0])
def test_aligned_faces_show_what_lies_at_the_landmarks(scale):
    """A smooth picture, so that shrinking may not move anything by more than a fraction."""
    picture = cv2.resize(pattern(), (1600, 1200), interpolation=cv2.INTER_CUBIC)
    picture[:, :, 2] = 0
    marks = turned(12, scale, (420, 300))
    face = align(picture, marks).astype(float)
    for (x, y), (u, v) in zip(marks, TEMPLATE, strict=True):
        seen = face[round(float(v)), round(float(u))]
        there = picture[round(float(y)), round(float(x))]
        assert np.abs(seen - there).max() < 4 + scale


def test_alignment_is_pinned():
    """Where this fails for a good reason, PREPROCESS_VERSION must rise."""
    face = align(pattern(), turned(8, 0.8, (60, 40)))
    assert face.shape == (FACE_PX, FACE_PX, 3)
    coarse = cv2.resize(face, (4, 4), interpolation=cv2.INTER_AREA).astype(int)
    golden_red = [
        [58, 83, 108, 134],
        [54, 80, 105, 130],
        [51, 76, 101, 127],
        [47, 72, 98, 123],
    ]
    golden_green = [
        [61, 65, 70, 75],
        [94, 99, 104, 109],
        [128, 133, 138, 142],
        [162, 166, 171, 176],
    ]
    assert np.abs(coarse[:, :, 0] - golden_red).max() <= 1
    assert np.abs(coarse[:, :, 1] - golden_green).max() <= 1


def test_letterbox_keeps_proportions_and_fills_with_grey():
    canvas, scale = letterbox(pattern(1080, 1920), 320, 256)
    assert scale == pytest.approx(320 / 1920)
    assert canvas.shape == (256, 320, 3)
    assert (canvas[180:] == LETTERBOX_GREY).all()
    assert canvas[:180].std() > 20


def test_the_two_number_formats_agree():
    pixels = np.arange(256, dtype=np.uint8)
    quantised = to_int8(pixels).astype(np.float32)
    assert np.abs((quantised + 1) / 128 - to_float(pixels)).max() <= 0.5 / 128 + 1e-6
    assert to_float(pixels)[[0, 255]].tolist() == [-127.5 / 128, 127.5 / 128]


def stripes(height, width):
    """One pixel white, one black: what is left of them after shrinking was never averaged."""
    row = (np.arange(width) % 2 * 255).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


@pytest.mark.parametrize("scale", [2.2, 2.9, 4.0])
def test_a_near_face_is_averaged_not_sampled(scale):
    face = align(stripes(1200, 1600), turned(0, scale, (400, 300)))
    assert face.std() < 50


def test_a_large_picture_is_averaged_not_sampled():
    canvas, _ = letterbox(stripes(900, 1600), 320, 256)
    assert canvas[:180].std() < 40
