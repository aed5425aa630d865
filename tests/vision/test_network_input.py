"""Pixels as other people's networks want them."""

import numpy as np
import pytest

from facegate.errors import ModelError
from facegate.vision.network_input import NORMALISATIONS, NetworkInput, normalised
from facegate.vision.preprocess import to_int8

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def wants(dtype, scale=0.0, zero_point=0, normalisation=None, shape=(1, 8, 8, 3)):
    detail = {"dtype": dtype, "quantization": (scale, zero_point), "shape": shape}
    return NetworkInput.of(detail, normalisation)


def test_ours_is_one_xor():
    ours = wants(np.int8, 1 / 128, -1)
    ours.check("net")
    assert np.array_equal(ours.encode(PIXELS), to_int8(PIXELS))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("fixed", -0.996, 0.996), ("symmetric", -1, 1), ("unit", 0, 1), ("raw", 0, 255)],
)
def test_levels(name, low, high):
    ends = normalised(np.array([[[0, 255, 0]]], np.uint8), name)
    assert ends.dtype == np.float32
    assert ends.ravel()[:2] == pytest.approx([low, high], abs=1e-3)


def test_standardised_pictures_have_no_mean_and_deviation_one():
    values = normalised(PIXELS, "standardised")
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(1, abs=1e-5)
    assert np.isfinite(normalised(np.full((8, 8, 3), 9, np.uint8), "standardised")).all()


@pytest.mark.parametrize("name", NORMALISATIONS)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_integers_are_the_floats_within_half_a_step(name, dtype):
    values = normalised(PIXELS, name)
    scale = float(values.max() - values.min()) / 255
    zero = int(np.round(np.iinfo(dtype).min - values.min() / scale))
    given = wants(dtype, scale, zero, name).encode(PIXELS)
    assert given.dtype == dtype
    assert np.abs((given.astype(float) - zero) * scale - values).max() <= 1.01 * scale


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (wants(np.int8, 1 / 255, 0), "needed: int8"),
        (wants(np.float32), "needed: int8"),
        (wants(np.float32, normalisation="odd"), "known are fixed"),
        (wants(np.int16, 0.1, 0, "fixed"), "needed: float32"),
        (wants(np.uint8, 0.0, 0, "fixed"), "scale 0.0"),
        (wants(np.float32, normalisation="fixed", shape=(1, 8, 8, 1)), r"needed: \[1, h, w, 3\]"),
    ],
)
def test_inputs_that_no_picture_fits_are_refused(wrong, says):
    with pytest.raises(ModelError, match=says):
        wrong.check("net")


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_what_an_integer_cannot_hold_is_its_greatest_not_its_least(dtype):
    zero = 0 if dtype == "int8" else 128
    wants = NetworkInput((1, 1, 2, 3), np.dtype(dtype), 1 / 100, zero, "unit")
    encoded = wants.encode(np.array([[[0] * 3, [255] * 3]], np.uint8))
    low, high = zero, min(zero + 100, np.iinfo(dtype).max)
    assert encoded[0, :, 0].tolist() == [low, high]
    tight = NetworkInput((1, 1, 1, 3), np.dtype(dtype), 1 / 1000, zero, "unit")
    assert tight.encode(np.full((1, 1, 3), 255, np.uint8)).min() == np.iinfo(dtype).max
