"""What is done to a face before the robustness table is measured, and how the table is counted."""

import csv

import cv2
import numpy as np
import pytest

from facegate import parts
from facegate.config import parse_config
from facegate.training import degradations, robustness
from facegate.training.data import read_crops, read_pairs
from facegate.training.degradations import DEGRADATIONS
from facegate.training.metrics import best_threshold, threshold_at_far
from facegate.types import Embedding
from facegate.vision.preprocess import TEMPLATE, align


@pytest.fixture(scope="module")
def reader():
    return parts.load_vision(parse_config({}, "test")).reader


@pytest.fixture(scope="module")
def face(reader, portraits):
    return align(portraits[0], reader.find(portraits[0])[0].landmarks)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_same_crop_and_number_give_the_same_picture(face, name):
    before = face.copy()
    first, second = (DEGRADATIONS[name](face, 5) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(face, before)
    assert first.shape == face.shape
    assert first.dtype == np.uint8
    assert np.abs(first.astype(int) - face).mean() > 1


def test_each_does_what_it_is_named_after(face):
    assert degradations.low_light(face, 0).mean() == pytest.approx(face.mean() / 4, rel=0.1)

    def detail(pixels):
        return cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()

    assert detail(degradations.blur(face, 0)) < 0.1 * detail(face)
    assert detail(degradations.face_40_px(face, 0)) < 0.3 * detail(face)
    for number, sign in ((0, 1), (1, -1)):
        turned = degradations.roll_15(face, number)
        back = cv2.getRotationMatrix2D((80, 80), -15 * sign, 1.0)
        again = cv2.warpAffine(turned, back, (160, 160))
        assert np.abs(again[50:110, 50:110].astype(int) - face[50:110, 50:110]).mean() < 6
    masked = degradations.mask(face, 0)
    eyes = slice(0, round(float(TEMPLATE[0, 1])) + 8)
    assert np.array_equal(masked[eyes, 40:120], face[eyes, 40:120])
    mouth = masked[round(float(TEMPLATE[3, 1])), round(float(TEMPLATE[2, 0]))]
    assert np.abs(mouth.astype(int) - degradations.MASK_RGB).max() < 40
    worn = degradations.glasses(face, 0)
    below = round(float(TEMPLATE[2, 1]))
    assert np.array_equal(worn[below:], face[below:])


def test_a_rolled_face_is_found_and_set_upright_again(reader, face):
    def apart(a, b):
        middle = slice(45, 125)
        return np.abs(a[middle, middle].astype(int) - b[middle, middle]).mean()

    rolled = degradations.roll_15(face, 1)
    upright = robustness.realigned(reader, face)
    assert apart(robustness.realigned(reader, rolled), upright) < 0.6 * apart(rolled, face)
    assert robustness.realigned(reader, np.full_like(face, 120)) is None


class MeanColour:
    """Embeds a crop by its mean colour: blind to shape, and thrown off by the dark."""

    def embed(self, crop):
        vector = crop.reshape(-1, 3).mean(0) - 60
        return Embedding((vector / np.linalg.norm(vector)).astype(np.float32), "test", 1.0)


class Nobody:
    """Finds no face at all."""

    def find(self, _pixels):
        return []


def test_the_table_counts_against_clean_and_lost_faces_as_errors(small_data):
    pytest.importorskip("pyarrow", reason="reading the data sets needs pyarrow")
    table = robustness.robustness(Nobody(), MeanColour(), small_data)
    found = table["conditions"]
    assert set(found) == {"clean", *DEGRADATIONS, "realigned", "roll_15_unaligned"}
    assert found["clean"]["change"] == 0
    with (small_data / "val-pairs.csv").open() as file:
        visitors = {row["b"] for row in csv.DictReader(file)}
    assert found["roll_15"]["lost"] == len(visitors)
    assert found["roll_15"]["accuracy"] == 0
    assert not found["roll_15"]["within"]
    assert found["roll_15_unaligned"]["lost"] == 0
    for condition in found.values():
        wanted = condition["accuracy"] - found["clean"]["accuracy"]
        assert condition["change"] == pytest.approx(wanted)
        assert condition["within"] == (condition["change"] >= -0.05)
        low, high = condition["interval"]
        assert low <= condition["accuracy"] <= high
    assert found["clean"]["refitted"] == found["clean"]["accuracy"]
    assert any(c["refitted"] != c["accuracy"] for c in found.values())  # a door cannot refit


def test_clean_pairs_give_the_figures_of_a_plain_loop(small_data):
    """Each picture `a` is enrolled and each `b` comes; the threshold is that of strangers."""
    pytest.importorskip("pyarrow", reason="reading the data sets needs pyarrow")
    clean = robustness.robustness(Nobody(), MeanColour(), small_data)["conditions"]["clean"]
    pixels = read_crops([small_data / "faces-val.parquet"]).pixels
    pairs = read_pairs(small_data / "val-pairs.csv", len(pixels))
    of = [MeanColour().embed(p).vector for p in pixels]
    cosine = np.array([of[a] @ of[b] for a, b in zip(pairs.a, pairs.b, strict=True)], np.float32)
    limit = threshold_at_far(cosine[~pairs.same], 1e-2)
    right = []
    for f in np.unique(pairs.fold):
        others = best_threshold(cosine[pairs.fold != f], pairs.same[pairs.fold != f])
        inside = pairs.fold == f
        right += ((cosine[inside] >= others) == pairs.same[inside]).tolist()
    assert clean["accuracy"] == pytest.approx(np.mean(right))
    assert clean["tar"] == pytest.approx((cosine[pairs.same] > limit).mean())
    assert clean["fmr"] == pytest.approx((cosine[~pairs.same] > limit).mean())
    assert clean["fmr"] <= 1e-2 < clean["tar"]


def test_colours_stay_what_they_are_in_compression():
    """Red is compressed as red: a real encoder keeps less of colour than of light."""
    ys, xs = np.mgrid[:160, :160]
    crop = np.zeros((160, 160, 3), np.uint8)
    crop[..., 0] = 128 + 100 * np.sin(xs / 3) * np.sin(ys / 3)
    _, data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])
    wanted = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.array_equal(degradations.jpeg_30(crop, 0), wanted)


def test_the_noise_of_low_light_is_each_pixels_own():
    seen = degradations.low_light(np.full((160, 160, 3), 200, np.uint8), 0)
    assert seen.std() == pytest.approx(degradations.READ_NOISE, rel=0.1)
