"""Graphs made here: the interpreter runs them whole, and they compute what they say."""

import numpy as np
import pytest

from facegate import parts
from facegate.benchmark.graphs import dense, layers_of
from facegate.config import Config
from facegate.errors import ModelError
from facegate.vision.card import read_card
from facegate.vision.tflite import load_interpreter, quietly


def interpreter_of(content):
    with quietly():
        interpreter = load_interpreter()[0](model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    return interpreter


def run(content, picture):
    interpreter = interpreter_of(content)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_the_dense_graph_is_one_matrix_product_after_another():
    side, channels = 4, 32
    content, macs = dense(side, channels, 1)
    assert macs == side * side * channels * channels
    rng = np.random.default_rng(1)
    picture = rng.integers(-128, 128, (1, side, side, channels), dtype=np.int8)
    weights = np.random.default_rng(0).integers(-127, 128, (channels, 1, 1, channels), np.int8)
    sums = (picture.astype(int) + 1).reshape(-1, channels) @ weights.reshape(channels, -1).T
    wanted = np.clip(np.round(sums / (128 * channels**0.5)) - 1, -128, 127)
    assert np.abs(run(content, picture).reshape(-1, channels) - wanted).max() <= 1


def test_xnnpack_takes_all_of_it():
    steps = interpreter_of(dense(8, 64, 3)[0])._get_ops_details()
    (delegate,) = (s for s in steps if s["op_name"] == "DELEGATE")
    assert steps[-2]["outputs"][0] in delegate["outputs"]
    assert steps[0]["inputs"][0] in delegate["inputs"]


@pytest.mark.parametrize("kind", ["detector", "embedder"])
def test_a_network_comes_apart_into_layers_that_run(kind):
    path = getattr(parts, f"{kind}_path")(Config())
    layers = list(layers_of(path))
    macs = sum(layer.macs for layer in layers) / 1e6
    assert macs == pytest.approx(read_card(path, kind).raw["multiply_adds"] / 1e6)
    for layer in layers[:: max(1, len(layers) // 8)]:
        interpreter = interpreter_of(layer.content)
        interpreter.invoke()
        assert tuple(interpreter.get_output_details()[0]["shape"]) == layer.output


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        list(layers_of(tmp_path / "none.tflite"))
