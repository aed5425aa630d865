"""What a distance means: the curve against truth that is known, and the command."""

import json
import math
import shutil

import cv2
import numpy as np
import pytest

from facegate import parts
from facegate.config import Config, parse_config
from facegate.errors import DataError, ModelError
from facegate.training import calibration, plots
from facegate.training.calibration import Rate
from facegate.training.strangers import Strangers
from facegate.vision.card import Calibration, Curve, FalseAccepts, card_path


def made_up(people, each, seed=0, spread=0.9):
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(people, 24)).repeat(each, axis=0)
    vectors = centre + spread * rng.normal(size=centre.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.arange(people).repeat(each)


def test_the_curve_finds_a_probability_that_is_known():
    """Distances drawn so that the odds of one person are exactly a beta curve's."""
    truth = Curve(-9.0, -20.0, 6.0)
    rng = np.random.default_rng(0)
    distance = rng.uniform(0.6, 1.6, 400_000)
    same = rng.random(len(distance)) < np.vectorize(truth.at)(distance)
    cosine = (1 - distance**2 / 2).astype(np.float32)
    fitted = Calibration.of(calibration.calibrate(cosine[same], Strangers.alike(cosine[~same])))
    # Fitted for equally many of both: the odds are off by the shares, which are known.
    odds = np.log((~same).sum() / same.sum())
    at = np.linspace(0.7, 1.5, 30)
    wanted = 1 / (
        1 + np.exp(-(np.log(np.vectorize(truth.at)(at) / (1 - np.vectorize(truth.at)(at))) + odds))
    )
    assert np.abs(fitted.probabilities(at) - wanted).max() < 0.02


def test_said_and_was_agree_on_people_the_curve_was_not_fitted_to():
    table = calibration.calibrate_people(*made_up(150, 4))
    found = table["reliability"]
    assert found["expected_calibration_error"] < 0.05
    assert sum(found["weight"]) == pytest.approx(1)
    assert sum(found["genuine"]) == 150 * 6  # each person's pairs, once
    assert sum(found["impostor"]) == 5 * (30 * 29 // 2) * 16  # people within one fold
    assert (table["people"], table["populations"]) == (150, 1)
    for rate in table["held_out_rates"]:
        low, high = rate["between_folds"]
        assert low <= rate["measured"] <= high
        assert rate["resolved"]
    assert table["held_out_rates"][0]["measured"] == pytest.approx(0.01, rel=0.5)


def test_a_curve_that_lies_is_found_out(monkeypatch):
    """The check must fail where the curve is wrong: every probability said is 0.8."""
    monkeypatch.setattr(calibration, "_beta_curve", lambda *_: (float(np.log(4)), 0.0, 0.0))
    table = calibration.calibrate_people(*made_up(60, 4))
    assert table["reliability"]["expected_calibration_error"] == pytest.approx(0.3, abs=0.01)


def test_the_probability_never_rises_with_the_distance():
    for curve in (Curve(28.7, 4.9, 27.9), Curve(-9.6, -30.4, 5.9), Curve(0.0, 0.0, 3.0)):
        chances = np.array([curve.at(d) for d in np.linspace(0, 2, 500)])
        assert (np.diff(chances) <= 1e-12).all()
        assert ((chances >= 0) & (chances <= 1)).all()


def test_too_few_people_are_refused():
    with pytest.raises(DataError, match="9 people with two usable pictures"):
        calibration.calibrate_people(*made_up(9, 4))


@pytest.mark.parametrize("noise", [0.0, 1e-5, 1e-3])
def test_one_vector_for_everyone_is_told_from_few_pairs(noise):
    vectors = np.ones((36, 16)) + noise * np.random.default_rng(0).normal(size=(36, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with pytest.raises(DataError, match="everyone nearly the same vector: its training collapsed"):
        calibration.calibrate_people(vectors.astype(np.float32), np.arange(12).repeat(3))
    with pytest.raises(DataError, match="everyone nearly the same vector"):
        calibration.check_tells_apart(np.full(50, np.nan))
    calibration.check_tells_apart(np.ones(3))


def test_more_people_let_more_strangers_pass_unless_the_threshold_follows():
    curve = Calibration((0.6, 0.8, 1.0), (1e-6, 1e-4, 1e-2), Curve(0.0, -20.0, 6.0), 1000)
    assert curve.false_accept_rate(0.8, 1) == pytest.approx(1e-4)
    assert curve.false_accept_rate(0.8, 100) == pytest.approx(1 - (1 - 1e-4) ** 100)
    assert curve.measured(0.6)
    assert not curve.measured(0.59)
    assert curve.false_accepts(0.8, 1) == FalseAccepts(pytest.approx(0.1), True)
    assert not curve.false_accepts(0.59, 1).measured


def test_beyond_the_table_the_rate_goes_on_as_the_threshold_does():
    curve = Calibration((0.6, 0.8, 1.0), (1e-6, 1e-4, 1e-2), Curve(0.0, -20.0, 6.0), 1000)
    for people in (1, 100, 10_000):
        threshold = curve.threshold(1e-4, people)
        assert curve.false_accept_rate(threshold, people) == pytest.approx(1e-4, rel=1e-6)
        assert curve.measured(threshold) == (people < 10_000) == (threshold >= 0.6)
    distances = np.linspace(0, 2, 500)
    rates = np.array([curve.false_match_rate(d) for d in distances])
    assert (np.diff(rates) > 0).all()
    assert (rates[0], rates[-1]) == (0, 1)
    assert curve.false_match_rate(1.5) == pytest.approx(0.1)


def test_what_is_judged_on_a_fold_has_not_seen_its_people(monkeypatch):
    asked, real = [], calibration.strangers

    def watched(vectors, person, names):
        asked.append(set(person.tolist()))
        return real(vectors, person, names)

    monkeypatch.setattr(calibration, "strangers", watched)
    calibration.calibrate_people(*made_up(60, 3))
    whole, *folds = asked
    assert len(folds) == 2 * calibration.FOLDS
    for outside, inside in zip(folds[::2], folds[1::2], strict=True):
        assert outside.isdisjoint(inside)
        assert outside | inside == whole


def test_too_sure_here_and_too_unsure_there_do_not_make_up_for_each_other():
    chance = np.array([0.35, 0.35, 0.65, 0.65])
    told = calibration._reliability(chance, np.array([False, False, True, True]), np.full(4, 0.25))
    assert told["expected_calibration_error"] == pytest.approx(0.35)
    assert told["said"] == pytest.approx([0.35, 0.65])
    assert told["was"] == pytest.approx([0, 1])


def test_a_held_out_rate_is_resolved_only_if_it_is_in_every_fold():
    some = [Rate(0.01, 12, True), Rate(0.02, 2, False)]
    told = calibration._held_out(1e-2, some)
    assert not told["resolved"]
    assert (told["measured"], told["false_matches"]) == (pytest.approx(0.015), 14)
    assert calibration._held_out(1e-2, some[:1])["resolved"]


def test_the_distance_said_for_95_percent_is_that_of_the_curve():
    table = calibration.calibrate_people(*made_up(60, 4))
    at, curve = table["reliability"]["at_95"], Calibration.of(table)
    assert curve.probability(at["distance"]) == pytest.approx(0.95, abs=1e-6)
    assert at["false_match_rate"] == pytest.approx(curve.false_match_rate(at["distance"]))


# --- the command


@pytest.fixture
def copied(tmp_path):
    """The shipped embedder with its card, where a test may write."""
    shipped = parts.embedder_path(parse_config({}, "test"))
    model = tmp_path / "mine.tflite"
    shutil.copy(shipped, model)
    shutil.copy(card_path(shipped), card_path(model))
    return model


def test_the_command_says_whom_a_door_lets_in(facegate):
    done = facegate("calibrate", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [s["people"] for s in found["strangers"]] == [1, 5, 20, 100, 500]
    thresholds = [s["threshold"] for s in found["strangers"]]
    assert thresholds == sorted(thresholds, reverse=True)
    for one in found["strangers"]:
        if one["measured"]:  # the threshold spends target_fmr on all people together
            assert one["false_accepts_per_1000"] == pytest.approx(1.0, rel=0.01)
    said = facegate("calibrate", "--people", "20").out
    assert "20 people, threshold" in said
    assert "3 of 5 looks" in said


def test_a_threshold_set_by_hand_shows_what_it_costs(facegate, tmp_path):
    settings = tmp_path / "config.yaml"
    settings.write_text("access: {threshold: 1.3}\n")
    done = facegate("calibrate", "--config", settings, "--people", 50, "--json")
    (one,) = json.loads(done.out)["strangers"]
    assert one["threshold"] == 1.3
    assert one["false_accepts_per_1000"] > 500


def test_ones_own_pictures_make_a_card_of_ones_own(
    facegate, portraits, copied, tmp_path, monkeypatch
):
    from people import folder

    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    images = folder(tmp_path / "people", portraits, people=12, each=3)
    shutil.copy(images / "Person_A" / "Person_A_0001.jpg", images / "Person_B" / "stolen.jpg")
    before = card_path(copied).read_text()
    out = tmp_path / "out" / "own.tflite"
    done = facegate(
        "calibrate", "--images", images, "--model", copied, "--out", out,
        "--plots", tmp_path / "plots", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "stolen.jpg: the same file is under Person_A" in done.err
    found = json.loads(done.out)
    assert len(found["written"]) == 3
    for path in found["written"][1:]:
        assert cv2.imread(path).shape[1] > 300
    assert card_path(copied).read_text() == before
    again = json.loads(facegate("calibrate", "--model", out, "--json").out)
    assert again["calibration"] == found["calibration"]
    assert again["calibration"]["people"] == 12
    assert again["calibration"]["pictures"] == "a folder of one's own"
    content = {path: path.read_bytes() for path in out.parent.iterdir()}
    assert len(content) == 2

    def full(*_):
        raise ModelError("No space left on device")

    monkeypatch.setattr("facegate.training.card_file.amend_card", full)
    failed = facegate("calibrate", "--images", images, "--model", copied, "--out", out)
    assert failed.code == 4
    assert {path: path.read_bytes() for path in out.parent.iterdir()} == content


def test_the_network_that_ships_keeps_its_thresholds(facegate, tmp_path, monkeypatch):
    shipped = parts.embedder_path(Config())
    before = card_path(shipped).read_bytes()
    monkeypatch.chdir(shipped.parent.parent)
    relative = shipped.relative_to(shipped.parent.parent)
    for more in ((), ("--model", relative), ("--out", relative)):
        done = facegate("calibrate", "--images", tmp_path, *more)
        assert done.code == 3
        assert "give --out own.tflite" in done.complaint
    assert card_path(shipped).read_bytes() == before


def test_figures_measured_anew_go_into_the_card_and_the_others_stay(facegate, small_data, copied):
    pytest.importorskip("pyarrow", reason="reading the data sets needs pyarrow")
    before = json.loads(card_path(copied).read_text())
    done = facegate(
        "evaluate", "embedder", "--data", small_data, "--model", copied, "--card", "--json"
    )
    assert done.code == 0, done.err
    after = json.loads(card_path(copied).read_text())
    assert after["figures"]["accuracy"] == json.loads(done.out)["accuracy"]
    assert after["figures"]["float"] == before["figures"]["float"]
    assert after["calibration"] == before["calibration"]
    calibrated = facegate("calibrate", "--data", small_data, "--model", copied)
    assert calibrated.code == 0, calibrated.err
    assert json.loads(card_path(copied).read_text())["calibration"]["people"] == 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "d", "--images", "i"], "either --data DIR or --images DIR"),
        (["--out", "x.tflite"], "--out belongs to"),
        (["--images", "i", "--out", "x.bin"], "ends in .tflite"),
    ],
)
def test_options_that_calibrate_nothing_are_said(facegate, words, said):
    assert said in facegate("calibrate", *words).misuse


def test_a_folder_that_is_not_there_calibrates_nothing(facegate):
    done = facegate("calibrate", "--images", "nowhere", "--out", "x.tflite")
    assert done.code == 8
    assert "nowhere: no such folder" in done.complaint


def test_the_curves_are_drawn_without_a_reliability_too(tmp_path):
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    table = calibration.calibrate_people(*made_up(40, 3))
    assert len(plots.calibration_plots(tmp_path, table)) == 2
    del table["reliability"]
    assert len(plots.calibration_plots(tmp_path, table)) == 1


@pytest.mark.parametrize(("people", "most"), [(12, 0.03), (100, 0.01)])
def test_a_small_set_is_not_extended_by_two_pairs_that_lie_anyhow(people, most):
    """Impostor cosines of a known kind: which share of strangers a threshold really lets in."""
    middle, spread, wanted, enrolled = 0.05, 0.12, 1e-3, 20
    pairs = people * (people - 1) // 2 * 9
    let_in = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        genuine = rng.normal(0.6, 0.1, 3 * people).astype(np.float32)
        impostor = rng.normal(middle, spread, pairs).astype(np.float32)
        table = calibration.calibrate(genuine, Strangers.alike(impostor))
        distance = Calibration.of(table).threshold(wanted, enrolled)
        one = math.erfc((1 - distance**2 / 2 - middle) / spread / math.sqrt(2)) / 2
        let_in.append(1 - (1 - one) ** enrolled)
    assert np.quantile(let_in, 0.95) < most


def test_one_picture_under_many_names_is_refused():
    rng = np.random.default_rng(0)
    impostor = rng.normal(0, 0.1, 4000).astype(np.float32)
    impostor[:20] = 1.0
    with pytest.raises(DataError, match="under two names"):
        calibration.calibrate(np.full(90, 0.6, np.float32), Strangers.alike(impostor))


@pytest.mark.parametrize("wrong", [0, 2, 10])
def test_a_few_wrong_names_make_nobody_sure_of_a_stranger(wrong):
    rng = np.random.default_rng(0)
    genuine = rng.normal(0.65, 0.1, 90).astype(np.float32)
    genuine[:wrong] = -0.2
    impostor = Strangers.alike(rng.normal(0, 0.1, 4000).astype(np.float32))
    table = calibration.calibrate(genuine, impostor)
    said = Calibration.of(table).probabilities(np.linspace(0, 1.99, 400))
    assert (np.diff(said) <= 1e-9).all()
    assert said[0] > 0.9
    assert said[-1] < 0.1
