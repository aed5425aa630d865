import functools
import json
import shutil

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from facegate.errors import DataError, InputError, ModelError, UsageError
from facegate.training import card_file
from facegate.training.chatter import hushed
from facegate.training.partitions import interpreter_of, partitions
from facegate.types import Detection
from facegate.vision.card import read_card
from facegate.vision.decoding import STRIDES
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.embedder import TFLiteFaceEmbedder
from facegate.vision.preprocess import to_float
from facegate.vision.refiner import TFLiteFaceRefiner

pytestmark = [
    pytest.mark.train,
    # Keras' TensorFlow variables and numpy 2 disagree about a keyword; values are not affected.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ai_edge_litert.*"),
]


@pytest.fixture(scope="module")
def ex():
    pytest.importorskip("tensorflow", reason="needs the extra [train]")
    pytest.importorskip("keras", reason="needs the extra [train]")
    from facegate.training import export

    return export


@pytest.fixture(scope="module")
def run(ex):
    from facegate.cli.export import export

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(export)

    def invoke(*arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture(scope="module")
def embedder(run, small_data, perturb, tmp_path_factory):
    """A tiny random embedder, exported by the command: its folder and what the command printed."""
    import keras

    from facegate.training import architectures

    folder = tmp_path_factory.mktemp("embedder")
    keras.utils.set_random_seed(0)  # thirty pairs: other weights, quite other accuracies
    model = perturb(architectures.inception_resnet_lite(width=0.25))
    model.save_weights(folder / "embedder.weights.h5")
    run_said = {"commands": ["facegate train embedder --data DATA"], "settings": {"seed": 0}}
    (folder / "run.json").write_text(json.dumps(run_said))
    result = run(
        "embedder", "--weights", folder / "embedder.weights.h5", "--out", folder / "tiny.tflite",
        "--data", small_data, "--width", "0.25", "--json",
    )  # fmt: skip
    return folder, result


@pytest.fixture(scope="module")
def detector(run, small_data, perturb, tmp_path_factory):
    """A random detector, exported by the command."""
    from facegate.training import architectures

    folder = tmp_path_factory.mktemp("detector")
    perturb(architectures.yunet_like()).save_weights(folder / "detector.weights.h5")
    run(
        "detector", "--weights", folder / "detector.weights.h5", "--out", folder / "tiny.tflite",
        "--data", small_data,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def refiner(run, small_data, perturb, tmp_path_factory):
    """A random refiner, exported by the command, behind a detector that always sees something."""
    import keras

    from facegate import parts
    from facegate.training import architectures

    class Corner:
        model = parts.load_detector(parts.Config()).model

        def detect(self, pixels):
            box = np.array([5, 5, 45, 50], np.float32)
            return [Detection(box, np.zeros((5, 2), np.float32), 0.3)]

    folder = tmp_path_factory.mktemp("refiner")
    keras.utils.set_random_seed(0)  # else a score may be near zero, and off by more than itself
    perturb(architectures.onet_like()).save_weights(folder / "refiner.weights.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "load_detector", lambda config: Corner())
        run(
            "refiner", "--weights", folder / "refiner.weights.h5", "--out", folder / "tiny.tflite",
            "--data", small_data,
        )  # fmt: skip
    return folder


@functools.cache  # building takes seconds, and nobody changes it
def keras_model(ex, kind, folder):
    names = {"embedder": "inception_resnet_lite", "detector": "yunet_like", "refiner": "onet_like"}
    name, arguments = names[kind], {"width": 0.25} if kind == "embedder" else {}
    return ex.build(ex.Source(kind, name, arguments, folder / f"{kind}.weights.h5"))


def test_the_command_prints_nothing_but_its_document(embedder):
    _, result = embedder
    figures = json.loads(result.stdout)
    assert 0 <= figures["tar_at_far"]["1e-4"] <= 1
    assert 0 <= figures["accuracy"] <= 1
    for part in ("accuracy", "calibrated on 720", "without the worst fifth", "landmarks", "worst"):
        assert part in result.stderr
    assert "TensorSpec" not in result.stderr  # the converter's own tale of the network
    told = figures["fidelity"]
    assert 0.97 < told["cosine"]["min"] <= told["cosine"]["mean"] <= 1
    assert abs(told["accuracy_change"]) < 0.2


def test_the_embedder_is_one_partition(ex, embedder):
    assert partitions(embedder[0] / "tiny.tflite") == 1


def test_the_detector_is_at_most_three_partitions(ex, detector):
    assert partitions(detector / "tiny.tflite") <= 3


def test_operators_outside_the_delegate_are_counted(ex):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4))])
    def cut_in_the_middle(x):
        tiled = tf.tile(tf.nn.relu(x + x), (1, 2, 1, 1))
        return tf.tile(tf.nn.relu(tiled * tiled), (1, 2, 1, 1))

    concrete = cut_in_the_middle.get_concrete_function()
    with hushed():
        content = tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()
    assert partitions(content) == 4  # XNNPACK, TILE, XNNPACK, TILE


def test_the_last_layer_is_float_and_the_rest_is_not(ex, embedder):
    interpreter = interpreter_of(embedder[0] / "tiny.tflite")
    output = interpreter.get_output_details()[0]
    assert output["dtype"] == np.float32
    assert output["shape"].tolist() == [1, 128]
    kinds = {
        d["dtype"]
        for d in interpreter.get_tensor_details()
        if len(d["shape"]) == 4 and "conv" in d["name"].lower()
    }
    assert kinds == {np.int8}
    last = [
        d for d in interpreter.get_tensor_details() if sorted(d["shape"].tolist()) == [128, 512]
    ]
    assert [d["dtype"] for d in last] == [np.float32]


def test_the_embedder_card_tells_everything(embedder, small_data):
    folder, _ = embedder
    card = read_card(folder / "tiny.tflite", "embedder")
    raw = card.raw
    json.loads((folder / "tiny.json").read_text(), parse_constant=pytest.fail)  # no bare NaN
    assert raw["input"] == {
        "shape": [1, 160, 160, 3], "dtype": "int8", "scale": 1 / 128, "zero_point": -1,
    }  # fmt: skip
    assert raw["arguments"] == {"width": 0.25}
    assert raw["training"] == {"seed": 0}
    assert raw["commands"][0] == "facegate train embedder --data DATA"
    assert raw["commands"][1].startswith("facegate export embedder --weights embedder.weights.h5")
    assert "--width 0.25" in raw["commands"][1]
    assert set(raw["data"]["files"]) == {
        "faces-train-0.parquet", "faces-val.parquet", "val-pairs.csv",
    }  # fmt: skip
    assert raw["data"]["sources"] == ["made-up"]
    assert "Research use only" in raw["data"]["licence"]
    assert str(small_data) not in json.dumps(raw)
    assert raw["xnnpack_partitions"] == 1
    assert raw["multiply_adds"] > 1e6
    assert raw["parameters"] > 1e5
    assert card.calibration is not None
    assert card.calibration.comparisons == 720  # 40 crops of 10 people, four each
    assert {"all_pairs", "groups", "intervals", "robustness", "fidelity", "float"} <= set(
        raw["figures"]
    )
    assert raw["quality"]["genuine_pairs"] == 60
    assert raw["quality"]["error_versus_reject"]["by_quality"]
    assert set(raw["landmark_cost"]) == {"detector", "refiner", "given", "detected"}
    assert card.lengths is not None
    assert card.coverage is not None


def test_the_runtime_embeds_like_the_float_network(ex, embedder):
    folder, _ = embedder
    model = keras_model(ex, "embedder", folder)
    runtime = TFLiteFaceEmbedder(folder / "tiny.tflite")
    rng = np.random.default_rng(3)
    for _ in range(3):
        face = np.kron(rng.integers(0, 256, (5, 5, 3)), np.ones((32, 32, 1))).astype(np.uint8)
        wanted = np.asarray(model(to_float(face[None])))[0]
        found = runtime.embed(face)
        assert found.vector @ wanted / np.linalg.norm(wanted) > 0.97
        assert found.length == pytest.approx(np.linalg.norm(wanted), rel=0.1)


def test_a_file_of_32_bits_is_the_network(ex, embedder):
    from facegate.training.conversion import to_float_tflite

    folder, _ = embedder
    model = keras_model(ex, "embedder", folder)
    content = to_float_tflite(model)
    assert len(content) == pytest.approx(4 * model.count_params(), rel=0.3)
    interpreter = interpreter_of(content)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 160, 160, 3)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    wanted = np.asarray(model(x))
    assert np.abs(found - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_a_file_of_16_bits_is_exported_and_runs(ex, run, embedder, small_data, tmp_path):
    folder, _ = embedder
    out = tmp_path / "float.tflite"
    result = run(
        "embedder", "--weights", folder / "embedder.weights.h5", "--out", out, "--data",
        small_data, "--width", "0.25", "--format", "fp16", "--json",
    )  # fmt: skip
    told = json.loads(result.stdout)["fidelity"]
    assert told["cosine"]["min"] > 0.9999
    assert told["rank_flips"] <= 0.05  # random networks have ties
    runtime = TFLiteFaceEmbedder(out)
    card = runtime.model.card.raw
    assert (card["input"]["dtype"], card["input"]["normalisation"]) == ("float32", "fixed")
    assert card["commands"][-1].endswith("--width 0.25 --format fp16")
    assert card["bytes"] == pytest.approx(2 * card["parameters"], rel=0.3)
    assert partitions(out) == 1
    face = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    wanted = np.asarray(keras_model(ex, "embedder", folder)(to_float(face[None])))[0]
    assert runtime.embed(face).vector @ wanted / np.linalg.norm(wanted) > 0.9999


def test_an_export_that_fails_leaves_the_model_that_was_there(run, embedder, tmp_path):
    out, card = tmp_path / "good.tflite", tmp_path / "good.json"
    shutil.copy(embedder[0] / "tiny.tflite", out)
    shutil.copy(embedder[0] / "tiny.json", card)
    before = out.read_bytes(), card.read_text()
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match="faces-val"):
        run(
            "embedder", "--weights", embedder[0] / "embedder.weights.h5", "--out", out, "--data",
            tmp_path / "data", "--width", "0.25", "--format", "fp16",
        )  # fmt: skip
    assert (out.read_bytes(), card.read_text()) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "good.json", "good.tflite"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("embedder", "--out", "o.tflite"), "INT8 gets its scales from pictures"),
        (("embedder", "--out", "o.bin", "--data", "d"), "choose a name that ends in .tflite"),
        (("detector", "--out", "o.tflite", "--data", "d", "--format", "fp16"), "always int8"),
    ],
)
def test_options_that_make_no_model_are_refused_with_the_reason(facegate, words, said):
    assert said in facegate("export", *words, "--weights", "w").misuse


@pytest.mark.parametrize("gone", ["embedding", "_bn"])
def test_weights_that_tell_nobody_apart_are_no_model(run, embedder, small_data, tmp_path, gone):
    from facegate.training import architectures

    model = architectures.inception_resnet_lite(width=0.25)
    model.load_weights(embedder[0] / "embedder.weights.h5")
    for layer in model.layers:
        if gone in layer.name:
            layer.set_weights([0 * w if k == 0 else w for k, w in enumerate(layer.get_weights())])
    path = tmp_path / "gone.weights.h5"
    model.save_weights(path)
    with pytest.raises((ModelError, DataError), match=r"gone\.weights\.h5: gives zeros|everyone"):
        run(
            "embedder", "--weights", path, "--out", tmp_path / "o.tflite", "--data", small_data,
            "--width", "0.25", "--format", "fp16",
        )  # fmt: skip
    assert not list(tmp_path.glob("o.*"))


@pytest.mark.parametrize("calibration", [None, {}])
def test_what_an_uncalibrated_network_still_wants_is_the_last_line(
    run, embedder, small_data, tmp_path, monkeypatch, calibration
):
    card = json.loads((embedder[0] / "tiny.json").read_text())
    measured = {"figures": card["figures"], "calibration": calibration}
    monkeypatch.setattr("facegate.cli.export._measure", lambda *_: measured)
    weights = embedder[0] / "embedder.weights.h5"
    result = run(
        "embedder", "--weights", weights, "--out", tmp_path / "o.tflite", "--data", small_data,
        "--width", "0.25", "--format", "fp16",
    )  # fmt: skip
    last = result.stdout.strip().splitlines()[-1]
    assert ("no door opens by it until: facegate calibrate" in last) == (calibration is None)
    assert ("nobody that it was trained on" in last) == (calibration is None)


def test_a_float_network_without_pictures_is_written_and_said_to_be_unmeasured(
    run, embedder, tmp_path
):
    result = run(
        "embedder", "--weights", embedder[0] / "embedder.weights.h5", "--out",
        tmp_path / "o.tflite", "--width", "0.25", "--format", "fp16",
    )  # fmt: skip
    assert "nothing was measured" in result.stderr
    assert "facegate calibrate --model" in result.stderr
    card = read_card(tmp_path / "o.tflite", "embedder")
    assert card.calibration is None
    assert "--data" not in card.raw["commands"][-1]


def test_every_detector_output_is_what_the_card_calls_it(ex, detector):
    model = keras_model(ex, "detector", detector)
    runtime = TFLiteFaceDetector(detector / "tiny.tflite")
    names = runtime.model.card.raw["outputs"]
    assert len(set(names.values())) == 3 * len(STRIDES)
    picture = np.random.default_rng(2).integers(0, 256, (256, 320, 3), dtype=np.uint8)
    found = runtime.model.run(picture)
    for name, wanted in model(to_float(picture[None])).items():
        wanted = np.asarray(wanted)[0]
        ours = found[names[name]]
        assert ours.shape == wanted.shape, name
        assert np.abs(ours - wanted).mean() < 0.2 * wanted.std(), name


def test_the_detectors_card_says_what_int8_costs(detector):
    card = json.loads((detector / "tiny.json").read_text())
    heads = {f"{k}_{s}" for k in ("score", "box", "landmarks") for s in (8, 16, 32)}
    assert set(card["quantisation"]) == heads
    for figures in card["quantisation"].values():
        assert figures["scale"] > 0
        assert figures["sqnr_db"] > 5
    assert set(card["figures"]["at_equal_alarms"]) == {"false_alarms", "int8", "float"}
    assert set(card["figures"]["conditions"]) == {"dark", "tilted", "covered"}


def test_a_refiner_is_exported_and_says_what_the_door_finds_with_it(ex, refiner):
    model = keras_model(ex, "refiner", refiner)
    runtime = TFLiteFaceRefiner(refiner / "tiny.tflite")
    assert partitions(refiner / "tiny.tflite") == 1
    square = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = runtime.heads(square)
    wanted = {k: np.asarray(v).ravel() for k, v in model(to_float(square[None])).items()}
    assert set(found) == set(wanted) == {"score", "box", "landmarks"}
    for head, values in wanted.items():
        assert np.abs(found[head] - values).max() < 0.2 * np.abs(values).max(), head
        assert runtime.head_scales[head] == 0  # its last layers stay in float
    tensors = interpreter_of(refiner / "tiny.tflite").get_tensor_details()
    last = [d["dtype"] for d in tensors if d["shape"].tolist()[:3] == [128, 4, 4]]
    assert last == [np.float32]  # and so does its last convolution
    card = json.loads((refiner / "tiny.json").read_text())
    assert set(card["quantisation"]) == set(wanted)
    assert card["figures"]["detector"]
    assert set(card["figures"]["at_equal_alarms"]) == {"false_alarms", "int8", "float"}
    assert set(card["figures"]["conditions"]) == {"dark", "tilted", "covered"}
    assert set(card["data"]["files"]) == {"scenes-train.parquet", "scenes-val.parquet"}


def test_doubling_is_nearest_up_sampling(ex):
    import keras

    x = np.random.default_rng(0).normal(size=(1, 3, 5, 2)).astype(np.float32)
    wanted = np.asarray(keras.layers.UpSampling2D(2)(x))
    assert np.array_equal(np.asarray(ex.Doubling()(x)), wanted)


def test_a_picture_set_that_misses_the_scale_is_refused(ex, embedder, monkeypatch):
    from facegate.training import conversion

    monkeypatch.setattr(conversion, "INPUT_SCALE", 1 / 255)
    model = keras_model(ex, "embedder", embedder[0])
    with pytest.raises(ModelError, match="quantised the input with scale"):
        conversion.to_int8_tflite(model, np.zeros((1, 160, 160, 3), np.uint8), float_output=True)


def test_what_cannot_be_built_is_said(ex, embedder, tmp_path):
    folder, _ = embedder
    weights = folder / "embedder.weights.h5"

    def build(architecture="inception_resnet_lite", path=weights, **arguments):
        return ex.build(ex.Source("embedder", architecture, arguments, path))

    with pytest.raises(InputError, match="no such file; train first"):
        build(path=tmp_path / "none.weights.h5")
    with pytest.raises(InputError, match="do not fit inception_resnet_lite"):
        build(width=0.5)
    with pytest.raises(UsageError, match="architecture resnet: known are inception_resnet_lite"):
        build("resnet")
    (tmp_path / "bad.weights.h5").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match="do not fit"):
        build(path=tmp_path / "bad.weights.h5", width=0.25)


def test_a_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "model.tflite"
    card_file.write_whole(target, b"first")

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(card_file.os, "fsync", fail)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        card_file.write_whole(target, b"second")
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]
