"""Detector trainings in small: a few made-up pictures, beginning with the network that ships."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facegate.errors import DataError, InputError
from facegate.vision import decoding
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.preprocess import to_float

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")
pytest.importorskip("pyarrow", reason="needs the extra [train]")
training = pytest.importorskip("facegate.training.detector")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = MODELS / "yunet_like.tflite"


def network_of(weights):
    """Give the network in torch, as it answers after training."""
    model = training.architectures.yunet_like()
    training.load_weights(model, weights)
    return training.TorchTwin(model).eval()


def answers(network, picture):
    views = torch.from_numpy(to_float(picture[None])).permute(0, 3, 1, 2)
    with torch.no_grad():
        return {k: v[0].permute(1, 2, 0).numpy() for k, v in network(views).items()}


@pytest.fixture(scope="module")
def picture(portraits):
    return cv2.resize(portraits[0][:410], (320, 256), interpolation=cv2.INTER_AREA)


def assert_like_the_shipped(found, picture):
    wanted = TFLiteFaceDetector(SHIPPED).heads(picture)
    assert set(found) == set(wanted)
    for head, values in found.items():
        close = np.corrcoef(values.ravel(), wanted[head].ravel())[0, 1]
        assert close > 0.97, head
        assert np.abs(values.ravel() - wanted[head].ravel()).mean() < 0.25 * values.std(), head


def test_a_shipped_detector_is_recovered_in_float(picture):
    assert_like_the_shipped(answers(network_of(SHIPPED), picture), picture)


STILL = training.Settings(views=4, batch=4, peak_rate=1e-9)


def test_a_run_begins_with_a_shipped_detector(small_data, picture, tmp_path, monkeypatch):
    """The rate is next to nothing: what comes out is what went in, whole or taken up again.

    The statistics come from the first pictures: a moving mean of nothing, as the file holds it,
    would make another network of it as soon as it trains.
    """
    monkeypatch.setattr(training, "SETTLING_VIEWS", 4)
    both_ways = []
    settle = training.settle

    def watched(network, batches):
        settle(network, batches)
        with torch.no_grad():
            both_ways.extend(n(batches[0]) for n in (network.eval(), network.train()))

    monkeypatch.setattr(training, "settle", watched)
    path = training.train(small_data, tmp_path / "run", STILL, start_from=SHIPPED)
    for asleep, awake in zip(both_ways[0].values(), both_ways[1].values(), strict=True):
        assert np.corrcoef(asleep.ravel(), awake.ravel())[0, 1] > 0.98
    found, recovered = (answers(network_of(w), picture) for w in (path, SHIPPED))
    for head, values in recovered.items():
        assert np.abs(found[head] - values).max() < 0.02 * np.abs(values).max(), head
    again = training.train(small_data, tmp_path / "run", STILL, start_from=SHIPPED)
    assert len(both_ways) == 2  # only what begins is settled
    assert all(
        np.array_equal(values, found[head])
        for head, values in answers(network_of(again), picture).items()
    )
    other = tmp_path / "other"
    other.mkdir()
    (other / "scenes-train.parquet").write_bytes(b"of another size")
    with pytest.raises(DataError, match=r"other settings \(data\)"):
        training.train(other, tmp_path / "run", STILL, start_from=SHIPPED)
    with pytest.raises(DataError, match=r"other settings \(start_from\)"):
        training.train(small_data, tmp_path / "run", STILL, start_from=path)


def test_boxes_are_decoded_as_at_the_door_however_large():
    rng = np.random.default_rng(4)
    offsets = rng.normal(0, 6, (200, 4))
    assert np.abs(offsets[:, 2:]).max() > 9
    wanted = [decoding._box(40.0, 24.0, 16, row) for row in offsets.tolist()]
    found = training.decode_boxes(
        torch.from_numpy(offsets), torch.tensor([[40.0, 24.0]]), torch.full((200,), 16.0)
    )
    assert np.allclose(found.numpy(), wanted, rtol=1e-6)


def test_an_embedder_is_no_start_for_a_detector(small_data, tmp_path):
    with pytest.raises(InputError, match="these weights do not fit yunet_like"):
        training.train(
            small_data, tmp_path / "run", STILL, start_from=MODELS / "inception_resnet_lite.tflite"
        )
