"""Refiner trainings in small: a few made-up pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_scenes import scene

from facegate.errors import DataError, InputError
from facegate.training.candidates import Candidates
from facegate.types import Detection
from facegate.vision.preprocess import to_float
from facegate.vision.refiner import TFLiteFaceRefiner, shown

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")
pytest.importorskip("pyarrow", reason="needs the extra [train]")
training = pytest.importorskip("facegate.training.refiner")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]

SHIPPED = Path(__file__).parents[2] / "models" / "onet_like.tflite"


class Corners:
    """A detector that always sees two things."""

    def detect(self, pixels):
        height, width = pixels.shape[:2]
        boxes = [[20, 20, 60, 70], [width - 30, height - 30, width - 5, height - 5]]
        marks = np.zeros((5, 2), np.float32)
        return [Detection(np.array(b, np.float32), marks, 0.3) for b in boxes]


def answers(network, square):
    views = torch.from_numpy(to_float(square[None])).permute(0, 3, 1, 2)
    with torch.no_grad():
        return {k: v.flatten().numpy() for k, v in network(views).items()}


def network_of(weights):
    model = training.architectures.onet_like()
    training.load_weights(model, weights)
    return training.TorchTwin(model).eval()


def test_a_shipped_refiner_is_recovered_in_float(portraits):
    square = shown(portraits[0], np.array([170, 70, 270, 190], np.float32), 64)
    wanted = TFLiteFaceRefiner(SHIPPED).heads(square)
    found = answers(network_of(SHIPPED), square)
    assert found["score"] == pytest.approx(wanted["score"], abs=1.0)
    assert np.abs(found["landmarks"] - wanted["landmarks"]).max() < 0.02
    assert np.abs(found["box"] - wanted["box"]).max() < 0.04


SETTINGS = training.Settings(views=96, batch=16, peak_rate=1e-3, seed=3)


def test_a_run_can_be_taken_up_again_and_agrees_with_itself(small_data, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "MINE_EVERY_VIEWS", 32)
    whole = network_of(training.train(small_data, tmp_path / "whole", SETTINGS, Corners()))

    class Killed(BaseException):
        pass

    steps = []

    def kill_at_the_fourth(*args, **kwargs):
        steps.append(1)
        if len(steps) == 4:
            raise Killed
        return loss_terms(*args, **kwargs)

    loss_terms = training.loss_terms
    monkeypatch.setattr("facegate.training.loop.CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(training, "loss_terms", kill_at_the_fourth)
    checkpoint = training.Checkpoint
    monkeypatch.setattr(training, "Checkpoint", lambda out, s: checkpoint(out, s, every_s=0.0))
    with pytest.raises(Killed):
        training.train(small_data, tmp_path / "run", SETTINGS, Corners())
    said = []
    path = training.train(small_data, tmp_path / "run", SETTINGS, Corners(), say=said.append)
    assert "going on at step 3" in said
    taken_up = network_of(path)
    square = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for head, values in answers(whole, square).items():
        np.testing.assert_allclose(answers(taken_up, square)[head], values, atol=1e-3)
    other = Corners()
    other.detect = lambda pixels: Corners.detect(other, pixels)[:1]
    with pytest.raises(DataError, match="begun with another detector"):
        training.train(small_data, tmp_path / "run", SETTINGS, other)
    with pytest.raises(DataError, match=r"other settings \(data\)"):
        training.train(tmp_path, tmp_path / "run", SETTINGS, Corners())
    with pytest.raises(DataError, match=r"other settings \(start_from\)"):
        training.train(small_data, tmp_path / "run", SETTINGS, Corners(), start_from=SHIPPED)


def test_another_kind_of_weights_is_no_start(small_data, tmp_path):
    with pytest.raises(InputError, match="these weights do not fit onet_like"):
        training.train(
            small_data, tmp_path / "run", SETTINGS, Corners(),
            start_from=SHIPPED.with_name("yunet_like.tflite"),
        )  # fmt: skip


@pytest.fixture
def lessons(small_data):
    scenes = training.read_scenes(small_data / "scenes-train.parquet")
    found = training.candidates_in(Corners(), scenes, 0)
    return training.Lessons(scenes, found, training.Settings(views=64, batch=64, peak_rate=1e-3))


def test_a_batch_has_faces_and_others_and_depends_on_the_step_alone(lessons):
    first, second = lessons.batches(5, 7)
    assert not torch.equal(first.pixels, second.pixels)
    (again,) = lessons.batches(6, 7)
    assert torch.equal(again.pixels, second.pixels)
    assert 0.2 < first.face.float().mean() < 0.7
    assert (first.boxes[first.face][:, 2] > first.boxes[first.face][:, 0]).all()
    assert not first.landmarks[~first.face].any()


def test_what_passes_for_a_face_is_shown_most(lessons, monkeypatch):
    asked = []

    def said(network, squares):
        asked.append(len(list(squares)))
        return np.linspace(0, 1, asked[-1]).astype(np.float32)

    monkeypatch.setattr(training, "_said", said)
    assert lessons.mine(None, 0) == pytest.approx(0.5, abs=0.1)
    assert asked == [len(lessons.background)]
    assert lessons.weights.min() == pytest.approx(training.FLOOR)
    assert lessons.weights.max() == 1.0


def test_pictures_without_faces_teach_nothing(small_data):
    scenes = training.read_scenes(small_data / "scenes-train.parquet")
    nobody = [s for s in scenes if not len(s.boxes)]
    found = training.candidates_in(Corners(), nobody, 0)
    with pytest.raises(DataError, match="pictures with faces"):
        training.Lessons(nobody, found, SETTINGS)


def test_losses_are_those_of_the_faces_alone():
    pixels = torch.zeros((4, 8, 8, 3), dtype=torch.uint8)
    face = torch.tensor([True, False, True, False])
    truth = torch.full((4, 4), 0.25), torch.full((4, 10), 0.1)
    batch = training.Batch(pixels, face, *truth)

    def said(score, box, landmarks):
        return {
            "score": torch.tensor(score).reshape(4, 1, 1, 1),
            "box": box.reshape(4, 4, 1, 1),
            "landmarks": landmarks.reshape(4, 10, 1, 1),
        }

    right = training.loss_terms(said([9.0, -9.0, 9.0, -9.0], *truth), batch)
    assert float(right["score"]) < 1e-5
    assert float(right["box"]) == float(right["landmarks"]) == 0
    off = [t.clone() for t in truth]
    off[0][1] += 1  # where there is no face
    off[1][2] += 0.2
    wrong = training.loss_terms(said([9.0, 9.0, 9.0, -9.0], *off), batch)
    assert float(wrong["score"]) == pytest.approx(9 / 4, rel=1e-2)
    assert float(wrong["box"]) == 0
    # Half of the faces are off by 0.2 of the square's side, 0.4 of the face's.
    assert float(wrong["landmarks"]) == pytest.approx((0.4 - 0.005) / 2, rel=1e-3)
    alone = training.Batch(pixels, torch.zeros(4, dtype=torch.bool), *truth)
    nothing = training.loss_terms(said([0.0] * 4, *off), alone)
    assert float(nothing["landmarks"]) == 0
    assert float(nothing["score"]) > 0


def told(*rows):
    number, face = zip(*rows, strict=True)
    boxes = np.tile(np.array([100, 60, 180, 160], np.float32), (len(rows), 1))
    return Candidates(np.array(number), boxes, np.array(face))


def test_what_lies_in_a_picture_whose_annotator_missed_a_face_is_no_background():
    face = scene((100, 60, 180, 160))
    nobody = {"boxes": face.boxes[:0], "landmarks": face.landmarks[:0], "scores": face.scores[:0]}
    given = [*[replace(face, source="masks")] * 30, replace(face, source="masks", **nobody)]
    given += [replace(face, source="rooms", **nobody)]
    settings = training.Settings(views=8, batch=8, peak_rate=1e-3)
    lessons = training.Lessons(given, told((0, 0), (0, -1), (30, -1), (31, -1)), settings)
    assert lessons.background.tolist() == [1, 3]


def test_a_face_found_in_every_view_is_shown_no_more_often_than_one_found_once():
    given = [scene((100, 60, 180, 160)), scene((100, 60, 180, 160))]
    settings = training.Settings(views=8, batch=8, peak_rate=1e-3)
    lessons = training.Lessons(given, told(*[(0, 0)] * 9, (1, 0), (1, -1)), settings)
    each = np.diff(lessons._found_odds, prepend=0)
    assert each[:9].sum() == pytest.approx(each[9])


def test_each_candidate_is_weighed_by_its_own_answer(monkeypatch):
    settings = training.Settings(views=8, batch=8, peak_rate=1e-3)
    given = [scene((100, 60, 180, 160))]
    lessons = training.Lessons(given, told((0, 0), *[(0, -1)] * 20), settings)
    monkeypatch.setattr(lessons, "_shown", lambda rows: iter(rows.tolist()))
    monkeypatch.setattr(training, "_said", lambda _, shown: np.array(list(shown)) / 20)
    assert lessons.mine(None, 0) == pytest.approx(9 / 20)
    assert lessons.weights == pytest.approx(np.maximum(np.arange(20) / 20, training.FLOOR))
