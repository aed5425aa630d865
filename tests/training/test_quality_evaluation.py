import json

import cv2
import numpy as np
import pytest
from test_degradations import MeanColour

from facegate.training import quality
from facegate.training.coverage import cover_eyes, cover_mouth, fit_coverage
from facegate.training.data import FaceCrops
from facegate.training.quality import by_reason, compare, error_versus_reject
from facegate.types import Embedding
from facegate.vision.preprocess import TEMPLATE
from facegate.vision.quality import GateSettings, QualityLimits


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def crowd():
    """60 people, 5 looks each; how noisy a look is, is its true quality."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 5)
    centres = rng.normal(size=(60, 32))
    noise = rng.uniform(0.2, 1.8, len(people))
    vectors = unit(centres[people] + noise[:, None] * rng.normal(size=(len(people), 32)))
    empty = np.zeros((len(people), 1, 1, 3), np.uint8)
    crops = FaceCrops(empty, [], [str(p) for p in people], np.zeros((len(people), 0)))
    return vectors, crops, noise


def test_the_comparisons_are_those_of_a_double_loop(crowd):
    vectors, crops, _ = crowd
    pairs = compare(vectors, crops.identity)
    impostors, genuine = [], []
    for a in range(len(vectors)):
        for b in range(a + 1, len(vectors)):
            same = crops.identity[a] == crops.identity[b]
            (genuine if same else impostors).append(float(vectors[a] @ vectors[b]))
    assert len(pairs.a) == len(genuine) == 60 * 10
    over = np.array(impostors) > pairs.threshold
    assert over.mean() == pytest.approx(1e-3, abs=1 / len(impostors))
    everybody = np.ones(len(vectors), bool)
    assert pairs.misses(everybody) == pytest.approx(np.mean(np.array(genuine) <= pairs.threshold))


def test_refusing_by_true_quality_lowers_the_error_and_at_random_does_not(crowd):
    vectors, crops, noise = crowd
    curve = error_versus_reject(compare(vectors, crops.identity), -noise)
    at = curve["refused"].index(0.2)
    assert curve["by_quality"][0] == pytest.approx(curve["at_random"][0])
    assert curve["by_quality"][0] > 0.1
    assert curve["by_quality"][at] < 0.8 * curve["by_quality"][0]
    assert curve["at_random"][at] == pytest.approx(curve["at_random"][0], rel=0.1)
    best = error_versus_reject(compare(vectors, crops.identity), noise)  # the wrong way round
    assert best["by_quality"][at] > curve["by_quality"][0]


def test_pairs_are_set_apart_by_the_reason_one_of_them_was_refused_for(crowd):
    vectors, crops, noise = crowd
    reasons = [("blurred",) if n > 1.4 else () for n in noise]
    pairs = compare(vectors, crops.identity)
    table = by_reason(pairs, reasons)
    assert set(table) == {"blurred", "any"}
    assert table["blurred"] == table["any"]
    assert table["blurred"]["share"] == pytest.approx(np.mean(noise > 1.4))
    poor = [(noise[a] > 1.4) or (noise[b] > 1.4) for a, b in zip(pairs.a, pairs.b, strict=True)]
    assert table["blurred"]["pairs"] == sum(poor)
    assert table["blurred"]["fnmr"] > 1.3 * table["blurred"]["fnmr_of_others"]


class Looker:
    """Embeds what stands at mouth and eyes: how far each is from the grey of the rest."""

    def embed(self, crop):
        grey = crop.astype(np.float32).mean(2)
        parts = [
            np.abs(grey[int(y) - 6 : int(y) + 14, int(x) - 8 : int(x) + 8] - 128).mean() / 40
            for x, y in TEMPLATE
        ]
        raw = np.array([*parts, 1.0], np.float32)
        length = float(np.linalg.norm(raw))
        return Embedding(raw / length, "test", length)


def test_the_probes_tell_what_was_covered_on_crops_they_were_not_fitted_on():
    rng = np.random.default_rng(3)
    looker = Looker()

    def plain(count):
        noise = rng.normal(128, 12, (count, 160, 160, 3))
        return np.clip(noise, 0, 255).astype(np.uint8)

    crops = plain(80)
    bare, others = ([looker.embed(c) for c in some] for some in (crops, plain(80)))
    coverage = fit_coverage(looker.embed, crops, bare, others)
    limits = coverage.limits(0.02)
    fresh = plain(60)
    bare = np.array([coverage.score(looker.embed(c)) > limits for c in fresh])
    mouth = np.array([coverage.score(looker.embed(cover_mouth(c, rng))) > limits for c in fresh])
    eyes = np.array([coverage.score(looker.embed(cover_eyes(c, rng))) > limits for c in fresh])
    assert bare.mean(0).max() < 0.15
    assert mouth[:, 0].mean() > 0.7
    assert eyes[:, 1].mean() > 0.7
    again = type(coverage).from_card(json.loads(json.dumps(coverage.to_card())))
    assert again.score(looker.embed(fresh[0])) == pytest.approx(
        coverage.score(looker.embed(fresh[0])), abs=0.01
    )


@pytest.mark.parametrize("cover", [cover_mouth, cover_eyes])
def test_coverings_lie_where_they_should_and_leave_the_crop_alone(cover):
    crop = np.full((160, 160, 3), 77, np.uint8)
    covered = cover(crop, np.random.default_rng(1))
    assert (crop == 77).all()
    changed = (covered != crop).any(2)
    rows = np.flatnonzero(changed.any(1))
    eyes_y = int(TEMPLATE[0, 1])
    if cover is cover_mouth:
        assert rows.min() > eyes_y
    else:
        assert rows.min() < eyes_y < rows.max() < TEMPLATE[3, 1]


def test_the_command_measures_writes_the_card_and_draws(small_data, tmp_path, facegate):
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    from facegate.vision.card import read_card
    from facegate.vision.tflite import model_folder

    for suffix in (".tflite", ".json"):
        name = f"inception_resnet_lite{suffix}"
        (tmp_path / name).write_bytes((model_folder() / name).read_bytes())
    model = tmp_path / "inception_resnet_lite.tflite"
    done = facegate(
        "evaluate", "quality", "--data", small_data, "--model", model, "--card",
        "--plots", tmp_path / "plots", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert len(said["error_versus_reject"]["by_quality"]) == 11
    assert cv2.imread(str(tmp_path / "plots" / "error-versus-reject.png")).shape[0] > 300
    card = read_card(model, "embedder")
    assert card.raw["quality"]["genuine_pairs"] == said["genuine_pairs"] == 60
    assert card.lengths is not None
    assert 0 < card.lengths.below(0.01) <= card.lengths.below(0.5)
    assert card.coverage is not None
    assert card.coverage.weights.shape == (2, 129)


def test_a_pair_at_the_threshold_does_not_match():
    """A match exceeds it, as at the door's other figures."""
    one = np.zeros(1, int)
    pairs = quality.Comparisons(one, one, np.array([0.5], np.float32), 0.5)
    assert pairs.misses(np.ones(1, bool)) == 1


def test_the_limits_are_learnt_from_people_they_are_not_judged_on(small_data, monkeypatch):
    pytest.importorskip("pyarrow", reason="reading the data sets needs pyarrow")
    asked, real = [], quality.lengths_of

    def watched(ordinary):
        asked.append(len(ordinary))
        return real(ordinary)

    monkeypatch.setattr(quality, "lengths_of", watched)
    gate = GateSettings(QualityLimits(1.0, 0.0, 0.0, 255.0, 1.0, 90.0), 0.02, 0.01)
    told = quality.quality_on_data(MeanColour(), gate, small_data)
    assert asked[0] + told["crops_not_learnt_from"] == told["crops"]
