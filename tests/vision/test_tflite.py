"""How pixels become int8 and outputs become floats, and which files are refused."""

import json
import shutil

import numpy as np
import pytest

from facegate import parts
from facegate.config import parse_config
from facegate.errors import ModelError, NoEmbeddingError
from facegate.vision import card
from facegate.vision.card import Calibration, Curve, card_path, read_card
from facegate.vision.embedder import TFLiteFaceEmbedder
from facegate.vision.network_input import INPUT_SCALE, INPUT_ZERO_POINT
from facegate.vision.preprocess import to_float, to_int8
from facegate.vision.tflite import model_folder


def test_quantising_is_one_xor():
    pixels = np.arange(256, dtype=np.uint8)
    quantised = to_int8(pixels)
    assert quantised.dtype == np.int8
    wanted = np.clip(np.round(to_float(pixels) / INPUT_SCALE) + INPUT_ZERO_POINT, -128, 127)
    assert np.abs(quantised - wanted).max() <= 1  # the same within half a step and its rounding
    assert np.array_equal(quantised, pixels.astype(np.int16) - 128)


CURVE = Calibration(
    (0.6, 0.8, 1.0, 1.2), (1e-6, 1e-4, 1e-2, 0.4), Curve(28.7, 4.9, 27.9), 1_000_000
)


def test_a_stricter_rate_and_more_people_make_a_smaller_threshold():
    rates = [1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8]
    limits = [CURVE.threshold(rate, 1) for rate in rates]
    assert limits == sorted(limits, reverse=True)
    crowds = [CURVE.threshold(1e-3, people) for people in (1, 10, 100, 1000)]
    assert crowds == sorted(crowds, reverse=True)
    assert len(set(crowds)) == len(crowds)


@pytest.mark.parametrize("people", [1, 7, 300])
def test_the_threshold_spends_the_rate_on_all_people_together(people):
    limit = CURVE.threshold(1e-2, people)
    once = CURVE.false_match_rate(limit)
    assert 1 - (1 - once) ** people == pytest.approx(1e-2, rel=1e-3)


def test_the_probability_falls_with_the_distance():
    distances = np.linspace(0, 2, 50)
    chances = [CURVE.probability(d) for d in distances]
    assert chances == sorted(chances, reverse=True)
    assert CURVE.probability(CURVE.midpoint) == pytest.approx(0.5)
    assert chances[0] > 0.999
    assert chances[-1] < 0.001


def test_a_file_that_is_no_network_is_refused(tmp_path):
    config = parse_config({}, "test")
    card = card_path(parts.detector_path(config))
    model = tmp_path / "net.tflite"
    model.write_bytes(b"no network" * 100)
    shutil.copy(card, card_path(model))
    for kind in ("detector", None):
        with pytest.raises(ModelError, match="sha256"):
            read_card(model, kind)


def test_a_card_is_read_as_what_it_is_said_to_be_or_as_what_it_says():
    config = parse_config({}, "test")
    for kind in ("detector", "refiner", "embedder"):
        assert read_card(getattr(parts, f"{kind}_path")(config)).kind == kind
    with pytest.raises(ModelError, match=r"'refiner', but models\.detector names it"):
        read_card(parts.refiner_path(config), "detector")


EMBEDDER = model_folder() / "inception_resnet_lite.tflite"


@pytest.fixture
def copied(tmp_path):
    model = tmp_path / "mine.tflite"
    shutil.copy(EMBEDDER, model)
    shutil.copy(card_path(EMBEDDER), card_path(model))
    return model


def change(model, **facts):
    told = json.loads(card_path(model).read_text())
    card_path(model).write_text(json.dumps({**told, **facts}))


def test_a_network_made_for_other_preprocessing_is_refused(copied):
    change(copied, preprocess_version="0")
    with pytest.raises(ModelError, match="made for preprocessing 0"):
        read_card(copied, "embedder")


def test_other_preprocessing_makes_another_model_of_the_same_file(copied, monkeypatch):
    """Else a store made under other rules would be compared with what it cannot be compared."""
    before = read_card(copied).model_id
    monkeypatch.setattr(card, "PREPROCESS_VERSION", "next")
    change(copied, preprocess_version="next")
    assert read_card(copied).model_id != before


def test_a_network_that_gives_another_vector_than_its_card_says_is_refused(copied):
    change(copied, output={"floats": 64})
    with pytest.raises(ModelError, match="its card says 64 numbers"):
        TFLiteFaceEmbedder(copied)


@pytest.mark.parametrize("answer", [0.0, np.nan, np.inf])
def test_an_answer_that_is_no_vector_is_no_embedding(monkeypatch, answer):
    shipped = TFLiteFaceEmbedder(EMBEDDER)
    monkeypatch.setattr(shipped.model, "output", lambda name: np.full(128, answer, np.float32))
    with pytest.raises(NoEmbeddingError):
        shipped.embed(np.zeros((160, 160, 3), np.uint8))
