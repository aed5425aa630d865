"""Sizes of the networks as the field knows them, and torch running them as Keras does."""

from functools import partial

import numpy as np
import pytest

from facegate.errors import UsageError

torch = pytest.importorskip("torch", reason="needs the extra [train]")
keras = pytest.importorskip("keras", reason="needs the extra [train]")
architectures = pytest.importorskip("facegate.training.architectures")
recipe = pytest.importorskip("facegate.training.recipe")
twin = pytest.importorskip("facegate.training.torch_twin")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def kernels(model):
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    return sum(int(np.prod(x.kernel.shape)) for x in convolutions)


def dense(model):
    return [tuple(x.kernel.shape) for x in model.layers if isinstance(x, keras.layers.Dense)]


def test_v2_has_the_convolutions_of_the_reference():
    ours = architectures.inception_resnet_v2()
    reference = keras.applications.InceptionResNetV2(
        include_top=False, weights=None, input_shape=(160, 160, 3)
    )
    assert kernels(ours) == kernels(reference) == 54_200_160
    assert dense(ours) == [(1536, 512), (512, 128)]
    assert ours.count_params() == 55_358_432
    assert architectures.multiply_adds(ours) == pytest.approx(2.9e9, rel=0.01)


@pytest.mark.parametrize(
    ("name", "blocks", "parameters", "multiply_adds"),
    [
        ("inception_resnet_v2", (5, 10, 5), 33_204_512, 1.89e9),
        ("inception_resnet_v1", None, 23_640_864, 1.42e9),
        ("inception_resnet_lite", None, 2_961_440, 3.09e8),
    ],
)
def test_parameters_and_multiply_adds(name, blocks, parameters, multiply_adds):
    model = architectures.EMBEDDERS[name](blocks=blocks)
    assert model.count_params() == parameters
    assert architectures.multiply_adds(model) == pytest.approx(multiply_adds, rel=0.01)
    assert dense(model)[-1] == (512, 128)


@pytest.mark.parametrize("name", ["inception_resnet_v1", "inception_resnet_v2"])
@pytest.mark.parametrize("side", [96, 160])
def test_torch_computes_what_keras_does(perturb, name, side):
    model = perturb(architectures.EMBEDDERS[name](side, width=0.125, blocks=(1, 1, 1)))
    x = np.random.default_rng(1).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    with torch.no_grad():
        ours = twin.TorchTwin(model).eval()(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    wanted = np.asarray(model(x, training=False))
    assert np.abs(ours - wanted).max() < 1e-4 * max(1, np.abs(wanted).max())
    assert wanted.std() > 1e-3


@pytest.mark.parametrize("name", ["inception_resnet_v1", "inception_resnet_v2"])
def test_they_export_as_one_partition_with_a_float_end(perturb, name):
    pytest.importorskip("tensorflow", reason="needs the extra [train]")
    from facegate.training import conversion
    from facegate.training.partitions import interpreter_of, partitions

    model = perturb(architectures.EMBEDDERS[name](96, width=0.125, blocks=(1, 1, 1), batch_size=1))
    pictures = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
    content = conversion.to_int8_tflite(model, pictures, float_output=True)
    assert partitions(content) == 1
    assert interpreter_of(content).get_output_details()[0]["dtype"] == np.float32


@pytest.mark.parametrize("text", ["5/10", "5/10/x", "0/1/1", "5,10,5"])
def test_blocks_that_cannot_be_are_refused(text):
    with pytest.raises(UsageError, match="expected three numbers"):
        recipe.parse_blocks(text)


def test_views_too_small_for_a_network_are_refused():
    small = (recipe.Stage(64, 0.0, 10),)
    numbers = {"batch": 8, "people": 2, "pictures": 2, "margin": 0.2, "peak_rate": 1e-3}
    chosen = partial(
        recipe.Settings, architecture="inception_resnet_v1", mining="semi-hard", **numbers
    )
    with pytest.raises(UsageError, match="needs 96 px or more, and a stage shows 64"):
        chosen(stages=small)
    stages = recipe.default_stages("inception_resnet_v1")
    assert chosen(stages=stages).stages[0].side == 96


def test_weights_that_know_large_views_are_not_shown_small_ones():
    def sides(**known):
        return [s.side for s in recipe.default_stages("inception_resnet_lite", **known)]

    assert sides() == sides(teacher=False) == sides(begun=True) == [64, 96, 160]
    assert sides(teacher=False, begun=True) == [160]
