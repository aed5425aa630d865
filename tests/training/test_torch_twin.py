import numpy as np
import pytest

pytestmark = [
    pytest.mark.train,
    # Keras' TensorFlow variables and numpy 2 disagree about a keyword; values are not affected.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def parts():
    keras = pytest.importorskip("keras", reason="needs the extra [train]")
    torch = pytest.importorskip("torch", reason="needs the extra [train]")
    architectures = pytest.importorskip("facegate.training.architectures")
    twin = pytest.importorskip("facegate.training.torch_twin")
    return keras, torch, architectures, twin.TorchTwin


def both(torch, model, twin, height, width):
    x = np.random.default_rng(1).uniform(-1, 1, (2, height, width, 3)).astype(np.float32)
    with torch.no_grad():
        ours = twin.eval()(torch.from_numpy(x).permute(0, 3, 1, 2))
    return model(x, training=False), ours


# 96 and 160 halve to odd sizes on the way down, 64 does not: "same" padding differs.
@pytest.mark.parametrize("side", [64, 96, 160])
def test_the_embedder_twin_computes_what_keras_does(parts, perturb, side):
    _, torch, architectures, twin_of = parts
    model = perturb(architectures.inception_resnet_lite(side, width=0.25))
    wanted, ours = both(torch, model, twin_of(model), side, side)
    wanted = np.asarray(wanted)
    assert np.abs(ours.numpy() - wanted).max() < 1e-4 * max(1, np.abs(wanted).max())
    assert wanted.std() > 1e-3


@pytest.mark.parametrize(
    ("name", "height", "width"), [("yunet_like", 256, 320), ("onet_like", 64, 64)]
)
def test_the_twins_that_find_faces_compute_what_keras_does(parts, perturb, name, height, width):
    _, torch, architectures, twin_of = parts
    model = perturb(getattr(architectures, name)())
    wanted, ours = both(torch, model, twin_of(model), height, width)
    assert set(wanted) == set(ours)
    for name, values in wanted.items():
        values = np.asarray(values)
        gap = np.abs(ours[name].permute(0, 2, 3, 1).numpy() - values).max()
        assert gap < 1e-4 * max(1, np.abs(values).max()), name


def test_storing_gives_the_weights_back(parts, perturb):
    _, torch, architectures, twin_of = parts
    model = perturb(architectures.inception_resnet_lite(64, width=0.25))
    twin = twin_of(model)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(1.25)
        for name, buffer in twin.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(0.1)
    stored = twin.store()
    wanted, ours = both(torch, stored, twin, 64, 64)
    wanted = np.asarray(wanted)
    assert np.abs(ours.numpy() - wanted).max() < 1e-4 * max(1, np.abs(wanted).max())


def test_an_unknown_layer_is_refused(parts):
    keras, _, _, twin_of = parts
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.PReLU(name="odd")(inputs))
    with pytest.raises(NotImplementedError, match=r"odd.*PReLU"):
        twin_of(model)
