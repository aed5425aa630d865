"""Weights from files: what training can start from and export can read."""

from pathlib import Path

import numpy as np
import pytest

from facegate.errors import InputError
from facegate.vision.embedder import TFLiteFaceEmbedder
from facegate.vision.preprocess import to_float

torch = pytest.importorskip("torch", reason="needs the extra [train]")
keras = pytest.importorskip("keras", reason="needs the extra [train]")
architectures = pytest.importorskip("facegate.training.architectures")
weights = pytest.importorskip("facegate.training.weights")
twin = pytest.importorskip("facegate.training.torch_twin")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SHIPPED = Path(__file__).parents[2] / "models" / "inception_resnet_lite.tflite"


@pytest.fixture(scope="module")
def crops():
    """Windows of a portrait: uint8 (12, 160, 160, 3)."""
    skimage = pytest.importorskip("skimage", reason="needs the extra [demo]")
    portrait = skimage.data.astronaut()
    corners = np.random.default_rng(0).integers(0, 512 - 160, (12, 2))
    return np.stack([portrait[y : y + 160, x : x + 160] for y, x in corners])


@pytest.fixture(scope="module")
def recovered():
    model = architectures.inception_resnet_lite()
    weights.load_weights(model, SHIPPED)
    return model


def network_input(pixels, side):
    return torch.from_numpy(to_float(pixels[:, :side, :side])).permute(0, 3, 1, 2)


def embed(trunk, views):
    with torch.no_grad():
        return torch.nn.functional.normalize(trunk.eval()(views), dim=1).numpy()


def test_a_shipped_model_is_recovered_in_float(recovered, crops):
    shipped = TFLiteFaceEmbedder(SHIPPED)
    wanted = np.stack([shipped.embed(c).vector for c in crops])
    cosine = (embed(twin.TorchTwin(recovered), network_input(crops, 160)) * wanted).sum(1)
    assert cosine.min() > 0.95
    assert cosine.mean() > 0.98


def test_statistics_come_in_and_the_function_stays(recovered, crops):
    trunk = twin.TorchTwin(recovered)
    views = network_input(crops, 64)
    before = embed(trunk, views)
    weights.settle(trunk, views.split(4))
    assert np.abs(embed(trunk, views) - before).max() < 1e-5
    # With the statistics of this very batch, evaluation and training compute the same.
    trunk.train()
    with torch.no_grad():
        trained = torch.nn.functional.normalize(trunk(views), dim=1).numpy()
    assert (trained * before).sum(1).min() > 0.99


def test_a_grown_network_begins_as_the_smaller_one(perturb, crops):
    small = perturb(architectures.inception_resnet_lite(64, width=0.25))
    large = perturb(architectures.inception_resnet_lite(64, width=0.25, blocks=(4, 7, 4)))
    views = network_input(crops, 64)
    wanted = embed(twin.TorchTwin(small), views)
    assert np.abs(embed(twin.TorchTwin(large), views) - wanted).max() > 0.01
    weights.grow(large, small)
    grown = twin.TorchTwin(large)
    assert np.abs(embed(grown, views) - wanted).max() < 1e-6
    # The new blocks can learn: their last scale is asked to change.
    raw = grown.train()(views)
    (torch.nn.functional.normalize(raw, dim=1) * torch.arange(128)).sum().backward()
    moved = {name: p.grad.abs().max() for name, p in grown.named_parameters() if "up_bn" in name}
    new = [name for name in moved if any(block in name for block in ("a4_", "b7_", "c4_"))]
    assert len(new) == 6  # three blocks, gamma and beta
    assert all(moved[name] > 0 for name in new)


@pytest.mark.parametrize("wrong", [{"blocks": (4, 5, 2)}, {"width": 0.5, "blocks": (4, 5, 3)}])
def test_a_network_grows_by_blocks_alone(wrong):
    small = architectures.inception_resnet_lite(64, width=0.25)
    large = architectures.inception_resnet_lite(64, **{"width": 0.25} | wrong)
    with pytest.raises(InputError, match="can only grow by blocks"):
        weights.grow(large, small)


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras", "a.h5"])
def test_keras_own_formats_are_read(perturb, tmp_path, name):
    model = perturb(architectures.inception_resnet_lite(64, width=0.25))
    path = tmp_path / name
    if name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    other = architectures.inception_resnet_lite(64, width=0.25)
    weights.load_weights(other, path)
    for ours, wanted in zip(other.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(ours, wanted)


@pytest.mark.parametrize("name", ["bad.tflite", "bad.keras", "bad.h5", "bad.weights.h5"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=rf"{name}: these weights do not fit"):
        weights.load_weights(architectures.inception_resnet_lite(64, width=0.25), tmp_path / name)


def test_another_width_and_another_network_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"layer stem_1 is \(3, 3, 3, 32\) in it"):
        weights.load_weights(architectures.inception_resnet_lite(64, width=0.5), SHIPPED)
    detector = SHIPPED.with_name("yunet_like.tflite")
    with pytest.raises(InputError, match="these weights do not fit"):
        weights.load_weights(architectures.inception_resnet_lite(64), detector)
    with pytest.raises(InputError, match="no such file"):
        weights.load_weights(architectures.inception_resnet_lite(64), tmp_path / "none.tflite")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("beside", "lost"), [(False, True), (True, False)])
def test_weights_of_other_blocks_say_what_tells_them(tmp_path, beside, lost):
    path = tmp_path / "grown.weights.h5"
    architectures.inception_resnet_lite(width=0.25, blocks=(2, 3, 2)).save_weights(path)
    if beside:
        (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="another --width or other --blocks") as told:
        weights.load_weights(architectures.inception_resnet_lite(width=0.25), path)
    assert ("run.json, which tells the blocks" in str(told.value)) == lost
