from dataclasses import replace

import cv2
import numpy as np
import pytest

from facegate.types import Detection, Embedding, Quality
from facegate.vision.card import Lengths
from facegate.vision.coverage import Coverage, CoverageLimit
from facegate.vision.faces import FaceReader
from facegate.vision.preprocess import TEMPLATE, align
from facegate.vision.quality import ADVICE, GateSettings, QualityLimits, assess, assess_again

LIMITS = QualityLimits(
    min_size_px=48.0,
    min_sharpness=6.0,
    min_brightness=25.0,
    max_brightness=235.0,
    max_yaw=0.35,
    max_roll_deg=35.0,
)


def scene(size=2.0, shift=(100, 60), light=1.0, blur=0.0, landmarks=None, seed=0):
    """A textured picture with a face's landmarks in it, and what the gate says of it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (90, 120, 3), dtype=np.uint8)
    pixels = cv2.resize(coarse, (720, 540), interpolation=cv2.INTER_LINEAR)
    pixels = np.clip(pixels * light, 0, 255).astype(np.uint8)
    if blur:
        pixels = cv2.GaussianBlur(pixels, (0, 0), blur)
    marks = (TEMPLATE * size + shift if landmarks is None else landmarks).astype(np.float32)
    low, high = marks.min(0) - 20, marks.max(0) + 20
    detection = Detection(np.concatenate([low, high]).astype(np.float32), marks, 0.9)
    return assess(pixels, detection, align(pixels, marks), LIMITS)


def test_a_good_face_passes():
    quality = scene()
    assert quality.passed
    assert abs(quality.yaw) < 0.1
    assert abs(quality.roll_deg) < 2


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("too_small", {"size": 0.05}),
        ("cut_off", {"shift": (-120, 60)}),
        ("too_dark", {"light": 0.1}),
        ("too_bright", {"light": 6.0}),
        ("blurred", {"blur": 25.0}),
    ],
)
def test_each_fault_is_named(reason, change):
    quality = scene(**change)
    assert reason in quality.reasons
    assert reason in ADVICE


@pytest.mark.parametrize("side", [-1, 1])
def test_a_turned_head_is_named_to_either_side(side):
    marks = (TEMPLATE * 2 + (100, 60)).astype(np.float32)
    marks[2, 0] += side * 60
    quality = scene(landmarks=marks)
    assert quality.reasons == ("turned_away",)
    assert np.sign(quality.yaw) == side


def test_a_tilted_head_within_limits_passes_and_is_measured():
    a = np.radians(20)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    marks = ((TEMPLATE - 80) @ turn.T * 2 + (300, 250)).astype(np.float32)
    quality = scene(landmarks=marks)
    assert quality.passed
    assert quality.roll_deg == pytest.approx(20, abs=1)
    assert abs(quality.yaw) < 0.1


@pytest.mark.parametrize(
    ("tilt_deg", "reasons"),
    [(-36, ("turned_away",)), (-34, ()), (34, ()), (36, ("turned_away",))],
)
def test_a_head_tilted_beyond_the_limit_is_named_to_either_side(tilt_deg, reasons):
    """The head is turned about its middle: nothing but its roll changes."""
    turn = np.radians(tilt_deg)
    about = TEMPLATE - TEMPLATE.mean(0)
    level = np.arctan2(*(about[1] - about[0])[::-1])
    cos, sin = np.cos(turn - level), np.sin(turn - level)
    marks = about @ np.array([[cos, sin], [-sin, cos]]) * 2 + (360, 270)
    quality = scene(landmarks=marks)
    assert quality.roll_deg == pytest.approx(tilt_deg, abs=0.01)
    assert quality.reasons == reasons


def embedding(length, direction=(1.0, 0.0)):
    return Embedding(np.array(direction, np.float32), "test", length)


def test_a_short_embedding_is_refused_after_the_look():
    quality, limits = scene(), replace(LIMITS, min_length=3.0)
    assert assess_again(quality, embedding(3.0), limits).passed
    assert assess_again(quality, embedding(2.9), limits).reasons == ("short_embedding",)
    assert "short_embedding" in ADVICE


def test_a_covered_face_is_refused_after_the_look():
    coverage = Coverage(
        np.array([[2, 0, -1], [0, 2, -1]], np.float32),
        (0.01, 0.1),
        np.array([[4, 1], [4, 1]], np.float32),
    )
    limits = replace(LIMITS, coverage=CoverageLimit(coverage, coverage.limits(0.01)))
    assert assess_again(scene(), embedding(2.0), limits).passed  # 2 * 2 - 1 = 3
    assert assess_again(scene(), embedding(3.0), limits).reasons == ("occluded",)
    assert assess_again(scene(), embedding(3.0, (0, 1)), limits).reasons == ("occluded",)
    never = replace(LIMITS, coverage=CoverageLimit(coverage, coverage.limits(0)))
    assert assess_again(scene(), embedding(99.0), never).passed
    assert "occluded" in ADVICE


def test_what_is_not_known_of_an_embedder_refuses_nobody():
    settings = GateSettings(LIMITS, shortest_refused=0.05, covered_refused=0.04)
    assert settings.limits_for(None, None) == LIMITS
    lengths = Lengths((0.01, 0.1), (3.0, 4.0))
    assert settings.limits_for(lengths, None) == replace(LIMITS, min_length=lengths.below(0.05))


def test_the_share_of_ordinary_faces_sets_the_shortest_length():
    lengths = Lengths((0.01, 0.1), (3.0, 4.0))
    assert lengths.below(0) == 0
    assert lengths.below(0.01) == 3
    assert 3 < lengths.below(0.05) < 4


def test_a_reader_embeds_only_what_passes_and_says_why_not():
    class Embedder:
        def embed(self, face):
            return embedding(float(face.mean()) / 100)

    class NoDetector:
        def detect(self, pixels):
            return []

    reader = FaceReader(NoDetector(), Embedder(), replace(LIMITS, min_length=1.0))
    marks = (TEMPLATE * 2 + (100, 60)).astype(np.float32)
    found = Detection(np.array([80, 60, 420, 400], np.float32), marks, 0.9)
    rng = np.random.default_rng(0)
    for level, reasons in ((120, ()), (60, ("short_embedding",)), (5, ("too_dark", "blurred"))):
        pixels = np.clip(rng.normal(level, 25, (540, 720, 3)), 0, 255).astype(np.uint8)
        if level == 5:
            pixels = cv2.GaussianBlur(pixels, (0, 0), 25)
        face, seen = reader.read(reader.look(pixels, found))
        assert face.quality.reasons == reasons
        assert (seen is not None) == (not reasons)


def assessed(aligned, marks=TEMPLATE, shape=(160, 160, 3)):
    box = np.array([20, 20, 140, 150], np.float32)
    return assess(np.zeros(shape, np.uint8), Detection(box, marks, 0.9), aligned, LIMITS)


@pytest.mark.parametrize(("channel", "share"), [(0, 0.299), (1, 0.587), (2, 0.114)])
def test_brightness_is_that_of_the_eye_red_first(channel, share):
    aligned = np.zeros((160, 160, 3), np.uint8)
    aligned[..., channel] = 200
    assert assessed(aligned).brightness == pytest.approx(200 * share, abs=1)


def test_hair_and_background_are_no_part_of_the_judgement():
    aligned = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    aligned[36:144, 26:134] = 120
    quality = assessed(aligned)
    assert quality.brightness == pytest.approx(120)
    assert quality.sharpness == pytest.approx(0)


def test_the_sensors_noise_is_not_taken_for_sharpness():
    """A third of the light, out of focus: all that is there is noise."""
    noise = np.random.default_rng(0).normal(60, 4, (160, 160, 3))
    assert "blurred" in assessed(np.clip(noise, 0, 255).astype(np.uint8)).reasons


@pytest.mark.parametrize(
    ("yaw", "reasons"), [(-0.37, True), (-0.33, False), (0.33, False), (0.37, True)]
)
@pytest.mark.parametrize("size", [0.5, 3.0])
def test_a_head_turned_beyond_the_limit_is_named_however_near_it_is(size, yaw, reasons):
    """The nose's way to the side is counted in distances of the eyes, not in pixels."""
    marks = np.array([(0, 0), (1, 0), (0.5 + yaw, 0.5), (0.1, 1), (0.9, 1)]) * 100 * size + 20
    quality = assessed(np.zeros((160, 160, 3), np.uint8), marks.astype(np.float32), (999, 999, 3))
    assert quality.yaw == pytest.approx(yaw, abs=1e-4)
    assert ("turned_away" in quality.reasons) == reasons


@pytest.mark.parametrize(("shift", "cut"), [((500, 20), False), ((20, 200), True)])
def test_a_wide_picture_has_room_at_the_side_and_none_below(shift, cut):
    marks = (TEMPLATE + shift).astype(np.float32)
    quality = assessed(np.zeros((160, 160, 3), np.uint8), marks, (240, 720, 3))
    assert ("cut_off" in quality.reasons) == cut


def test_what_was_wrong_before_the_look_stays_wrong_after_it():
    dark = Quality(80.0, 9.0, 10.0, 0.0, 0.0, ("too_dark",))
    assert assess_again(dark, embedding(5.0), LIMITS).reasons == ("too_dark",)


def test_two_people_are_no_look_at_one():
    found = Detection(np.array([20, 20, 140, 150], np.float32), TEMPLATE, 0.9)
    reader = FaceReader(None, None, LIMITS)
    pixels = np.full((160, 160, 3), 120, np.uint8)
    assert reader.sole_embedding(pixels, [found, found]) == "one person at a time"
    assert reader.sole_embedding(pixels, []) == "nobody to be seen"
