"""Somebody else's network, from its file to the door: sizes and inputs that ours do not have."""

import json
import shutil

import numpy as np
import pytest

from facegate.errors import DataError, InputError, ModelError

keras = pytest.importorskip("keras", reason="needs the extra [train]")
tf = pytest.importorskip("tensorflow", reason="needs the extra [train]")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ai_edge_litert.*"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5:UserWarning"),
]


def network(side=96, floats=512, batch=None):
    """Build an embedder that looks at coarse colours; random, but the same every time."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input(batch_shape=(batch, side, side, 3))
    x = keras.layers.Conv2D(12, 8, strides=8, activation="relu")(inputs)
    x = keras.layers.Dense(floats, use_bias=False)(keras.layers.Flatten()(x))
    return keras.Model(inputs, x)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same network as Keras files and as quantised TFLite, and what is no embedder."""
    folder = tmp_path_factory.mktemp("foreign")
    network().save(folder / "facenet.h5")
    network(batch=1).save(folder / "facenet.keras")
    network().save_weights(folder / "alone.weights.h5")
    (folder / "text.tflite").write_bytes(b"not a network")
    (folder / "text.h5").write_bytes(b"not a network")
    (folder / "text.onnx").write_bytes(b"not a network")
    wide = keras.Input((32, 64, 3))
    keras.Model(wide, keras.layers.Dense(8)(keras.layers.Flatten()(wide))).save(
        folder / "wide.keras"
    )
    open_ended = keras.Input((None, None, 3))
    keras.Model(open_ended, keras.layers.GlobalAveragePooling2D()(open_ended)).save(
        folder / "open.keras"
    )
    square = keras.Input((32, 32, 3))
    keras.Model(square, keras.layers.Conv2D(4, 3)(square)).save(folder / "map.keras")
    converter = tf.lite.TFLiteConverter.from_keras_model(network(batch=1))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rng = np.random.default_rng(0)
    converter.representative_dataset = lambda: (
        [rng.random((1, 96, 96, 3), np.float32)] for _ in range(20)
    )
    converter.inference_input_type = tf.uint8
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    with pytest.warns(UserWarning, match="Statistics"):
        (folder / "uint8.tflite").write_bytes(converter.convert())
    return folder


@pytest.fixture
def imported(facegate, files, small_data, tmp_path):
    def run(name, *words, out="own.tflite"):
        return facegate(
            "models", "import", files / name, "--out", tmp_path / out, "--data", small_data, *words
        )

    return run


def test_a_512_number_float_network_opens_the_door(imported, facegate, tmp_path, eileen, grace):
    done = imported("facenet.h5", "--json")
    assert done.code == 0, done.err
    card = json.loads((tmp_path / "own.json").read_text())
    assert card["input"] == {
        "shape": [1, 96, 96, 3], "dtype": "float32", "scale": 0.0, "zero_point": 0,
        "normalisation": "fixed",
    }  # fmt: skip
    assert card["output"]["floats"] == 512
    assert card["figures"]["accuracy"] > 0.8  # coarse colours do tell the made-up people apart
    assert card["calibration"]["comparisons"] > 500
    assert str(tmp_path) not in json.dumps(card)

    config = tmp_path / "config.yaml"
    config.write_text(f"models:\n  embedder: {tmp_path / 'own.tflite'}\n")
    on = ("--config", config)
    assert facegate("enroll", "Eileen", "--image", eileen, *on).code == 0
    (found,) = json.loads(facegate("identify", eileen, "--json", *on).out)
    assert (found["name"], found["distance"]) == ("Eileen", pytest.approx(0, abs=1e-3))
    (other,) = json.loads(facegate("identify", grace, "--json", *on).out)
    assert other["distance"] > found["distance"] + 0.1

    listed = json.loads(facegate("models", "list", "--json", *on).out)
    (own,) = [m for m in listed if m["path"].endswith("own.tflite")]
    assert (own["in_use"], own["floats"], own["problem"]) == (True, 512, None)
    shown = facegate("models", "show", *on).out
    assert "512 numbers" in shown
    assert "accuracy" in shown


def test_a_store_of_another_network_is_refused(imported, facegate, tmp_path, eileen):
    assert facegate("enroll", "Eileen", "--image", eileen).code == 0
    assert imported("facenet.keras", "--precision", "fp32").code == 0
    config = tmp_path / "config.yaml"
    config.write_text(f"models:\n  embedder: {tmp_path / 'own.tflite'}\n")
    done = facegate("identify", eileen, "--config", config)
    assert done.code == 5
    assert "or configure the old model" in done.complaint


def test_a_quantised_network_with_an_input_of_its_own(imported, files, tmp_path):
    from facegate.training.partitions import interpreter_of
    from facegate.vision.embedder import TFLiteFaceEmbedder

    assert imported("uint8.tflite", "--normalisation", "unit").code == 0
    embedder = TFLiteFaceEmbedder(tmp_path / "own.tflite")
    face = np.random.default_rng(1).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    face = np.repeat(np.repeat(face[::20, ::20], 20, 0), 20, 1)
    given = embedder.model.encode(embedder.fitted(face))
    assert given.dtype == np.uint8
    scale, zero = interpreter_of(files / "uint8.tflite").get_input_details()[0]["quantization"]
    wanted = embedder.fitted(face).astype(np.float32) / 255 / scale + zero
    assert np.abs(given - wanted.clip(0, 255)).max() <= 0.51
    exact = network(batch=1)(embedder.fitted(face)[None].astype(np.float32) / 255)
    exact = np.asarray(exact)[0] / np.linalg.norm(exact)
    assert float(exact @ embedder.embed(face).vector) > 0.99


def test_another_normalisation_is_another_model(imported, tmp_path):
    from facegate.vision.card import read_card

    ids = set()
    for name in ("fixed", "standardised"):
        assert imported("facenet.h5", "--normalisation", name, out=f"{name}.tflite").code == 0
        ids.add(read_card(tmp_path / f"{name}.tflite", "embedder").model_id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none.h5", "no such file"),
        ("alone.weights.h5", "weights alone"),
        ("text.tflite", "not a model that the interpreter takes"),
        ("text.h5", "not a whole Keras model"),
        ("text.onnx", "give a .tflite, or a whole model"),
        ("open.keras", "one of a fixed size"),
        ("wide.keras", "aligned faces are square"),
        ("map.keras", "gives one vector"),
    ],
)
def test_what_is_no_embedder_is_refused_and_leaves_nothing(imported, tmp_path, name, says):
    done = imported(name)
    assert done.code == InputError.exit_code
    assert says in done.complaint
    assert not list(tmp_path.glob("own*"))


@pytest.mark.parametrize(
    ("kernel", "bias", "says"),
    [
        ("zeros", "zeros", "useless.keras: gives zeros or no numbers for a face"),
        ("zeros", "ones", "everyone nearly the same vector"),
    ],
)
def test_a_network_that_tells_nobody_apart_is_one_line(
    facegate, small_data, tmp_path, kernel, bias, says
):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    x = keras.layers.Dense(8, kernel_initializer=kernel, bias_initializer=bias)(x)
    keras.Model(inputs, x).save(tmp_path / "useless.keras")
    done = facegate(
        "models", "import", tmp_path / "useless.keras", "--out", tmp_path / "own.tflite",
        "--data", small_data,
    )  # fmt: skip
    assert done.code in (ModelError.exit_code, DataError.exit_code)
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("facegate: ")
    assert says in last
    assert "--normalisation" in last
    assert "/." not in last  # the name that a network has until it is whole
    assert not list(tmp_path.glob("own*"))


def test_without_anything_to_measure_on_there_is_no_import(facegate, files, tmp_path, small_data):
    out = ("--out", tmp_path / "own.tflite")
    file = files / "facenet.h5"
    assert "an unmeasured network" in facegate("models", "import", file, *out).misuse
    both = ("--data", small_data, "--images", tmp_path)
    assert "either --data DIR or --images" in facegate("models", "import", file, *out, *both).misuse
    pairs = ("--data", small_data, "--pairs", "pairs.txt")
    assert "--pairs belongs to" in facegate("models", "import", file, *out, *pairs).misuse
    done = facegate("models", "import", file, *out, "--data", tmp_path)
    assert done.code == DataError.exit_code
    assert "no such file" in done.err
    assert not list(tmp_path.glob("own*"))


def test_a_model_that_is_there_is_not_written_over(imported, tmp_path, files):
    shutil.copy(files / "uint8.tflite", tmp_path / "own.tflite")
    done = imported("facenet.h5")
    assert done.code == InputError.exit_code
    assert "choose another name" in done.complaint
    assert (tmp_path / "own.tflite").read_bytes() == (files / "uint8.tflite").read_bytes()


def test_an_import_passes_over_files_that_are_there_twice(tmp_path, monkeypatch):
    from facegate.training import foreign

    for name, content in {"A1": "x", "A2": "2", "A3": "3", "B1": "4", "B2": "5", "B3": "x"}.items():
        (tmp_path / name[0]).mkdir(exist_ok=True)
        (tmp_path / name[0] / f"{name}.jpg").write_text(content)

    def seen(_reader, paths, *_):
        raise DataError(" ".join(p.stem for p in paths))

    monkeypatch.setattr(foreign.named_pairs, "see_pictures", seen)
    told = []
    with pytest.raises(DataError, match=r"^A2 A3 B1 B2$"):
        foreign.measure_on_images(None, tmp_path, None, say=told.append)
    assert len(told) == 2
