"""The embedder's card tells the truth: figures of it measured anew on the model that ships."""

import numpy as np
import pytest

from facegate import parts
from facegate.config import parse_config
from facegate.training.calibration import HELD_OUT_RATES
from facegate.training.degradations import DEGRADATIONS
from facegate.training.portraits import portrait_distances
from facegate.vision.card import Calibration


@pytest.fixture(scope="module")
def vision():
    return parts.load_vision(parse_config({}, "test"))


@pytest.fixture(scope="module")
def card(vision):
    return vision.embedder.model.card.raw


def test_two_portraits_are_as_far_apart_as_the_card_says(vision, card, portraits):
    found = portrait_distances(vision.reader, *portraits)
    # Kernels of other processors and runtimes differ by a step of INT8 here and there.
    assert found == pytest.approx(card["figures"]["portraits"], abs=0.05)
    assert found["in_dim_light"] < vision.calibration.threshold(1e-3, 1) < found["two_people"]


def test_the_table_and_the_curve_of_the_card_agree_with_each_other(card):
    calibration = Calibration.of(card["calibration"])
    at_95 = card["calibration"]["reliability"]["at_95"]
    assert calibration.probability(at_95["distance"]) == pytest.approx(0.95, abs=1e-3)
    assert calibration.false_match_rate(at_95["distance"]) == pytest.approx(
        at_95["false_match_rate"], rel=1e-3
    )
    for rate in HELD_OUT_RATES:
        limit = calibration.threshold(rate, 1)
        assert calibration.false_match_rate(limit) == pytest.approx(rate, rel=1e-6)


def test_what_the_card_says_is_about_95_percent_was_so_on_other_people(card):
    """The bar of a probability that means something, on what the card itself recorded."""
    found = card["calibration"]["reliability"]
    assert found["expected_calibration_error"] < 0.03
    assert found["at_95"]["was"] == pytest.approx(0.95, abs=0.03)
    for rate in card["calibration"]["held_out_rates"]:
        low, high = rate["between_folds"]
        assert low <= rate["measured"] <= high
        assert rate["measured"] == pytest.approx(rate["wanted"], rel=0.3)


def test_the_robustness_table_is_whole_and_counts_against_clean(card):
    table = card["figures"]["robustness"]["conditions"]
    assert {*DEGRADATIONS, "clean", "roll_15_unaligned"} <= set(table)
    for row in table.values():
        assert row["change"] == pytest.approx(row["accuracy"] - table["clean"]["accuracy"])
        assert row["within"] == (row["change"] >= -0.05)


@pytest.mark.data
def test_the_accuracy_of_a_fold_is_what_the_card_says(vision, card, real_data):
    from facegate.training.data import read_crops, read_pairs

    pixels = read_crops([real_data / "faces-val.parquet"]).pixels
    pairs = read_pairs(real_data / "val-pairs.csv", len(pixels))
    rows = np.flatnonzero(pairs.fold == 0)
    used = np.unique(np.concatenate([pairs.a[rows], pairs.b[rows]]))
    vector = {int(r): vision.embedder.embed(pixels[r]).vector for r in used}
    cosine = np.array([vector[pairs.a[r]] @ vector[pairs.b[r]] for r in rows])
    folds = card["figures"]["folds"]
    right = (cosine >= folds["cosine"][0]) == pairs.same[rows]
    assert right.mean() == pytest.approx(folds["accuracy"][0], abs=3 / len(rows))
