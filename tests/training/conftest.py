import csv
import os
from pathlib import Path

import cv2
import numpy as np
import people
import pytest

# One backend for the whole process; must stand before anything imports keras or torch. Networks are
# so small here that a second thread mostly waits for the first.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

REAL_DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def real_data():
    if not (REAL_DATA / "faces-val.parquet").is_file():
        pytest.skip("the data sets are not beside the checkout")
    pytest.importorskip("pyarrow", reason="reading the data sets needs pyarrow")
    return REAL_DATA


def webp(pixels):
    done, data = cv2.imencode(".webp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def patterns(people, each, rng, side=160):
    """Crops that differ more between people than within one: coarse colour patches, noise."""
    crops, names = [], []
    for person in range(people):
        coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        base = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        for _ in range(each):
            noise = rng.normal(0, 12, base.shape)
            crops.append(np.clip(base + noise, 0, 255).astype(np.uint8))
            names.append(f"person-{person}")
    return crops, names


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """A data folder in the real one's layout, of made-up pictures."""
    pa = pytest.importorskip("pyarrow", reason="writing the data sets needs pyarrow")
    pq = pytest.importorskip("pyarrow.parquet", reason="writing the data sets needs pyarrow")
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)

    def write_faces(name, people, each):
        crops, names = patterns(people, each, rng)
        target = rng.normal(0, 40, (len(crops), 512)).clip(-127, 127).astype(np.int8)
        table = pa.table(
            {
                "image": [webp(c) for c in crops],
                "source": ["made-up"] * len(crops),
                "identity": names,
                "target": target.tolist(),
            }
        )
        pq.write_table(table, folder / name)
        return names

    write_faces("faces-train-0.parquet", 8, 3)
    names = write_faces("faces-val.parquet", 10, 4)
    with (folder / "val-pairs.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["fold", "a", "b", "same"])
        for fold in range(5):
            for k in range(6):
                a = 8 * fold + k % 4
                b = 8 * fold + (k + 1) % 4 if k % 2 else 8 * fold + 4 + k % 4
                out.writerow([fold, a, b, int(names[a] == names[b])])
    for name in ("scenes-train.parquet", "scenes-val.parquet"):
        pictures = [rng.integers(0, 256, (90 + 10 * k, 140, 3), dtype=np.uint8) for k in range(5)]
        faces = [[], [[20.0, 20.0, 60.0, 70.0]], [[5.0, 5.0, 25.0, 30.0]], [], []]
        marks = [[[[30.0, 40.0]] * 5] * len(f) for f in faces]
        table = pa.table(
            {
                "image": [webp(p) for p in pictures],
                "source": ["made-up"] * 5,
                "boxes": pa.array(faces, pa.list_(pa.list_(pa.float32()))),
                "landmarks": pa.array(marks, pa.list_(pa.list_(pa.list_(pa.float32())))),
                "scores": pa.array([[0.9] * len(f) for f in faces], pa.list_(pa.float32())),
            }
        )
        pq.write_table(table, folder / name)
    return folder


@pytest.fixture(scope="session")
def people_folder(tmp_path_factory, portraits):
    """Pictures of six made-up people that the shipped detector finds, in LFW's layout."""
    return people.folder(tmp_path_factory.mktemp("pictures") / "people", portraits)


@pytest.fixture(scope="session")
def perturb():
    """Make a fresh network's BatchNorm statistics and biases as uneven as a trained one's."""

    def apply(model, seed=0):
        rng = np.random.default_rng(seed)
        for layer in model.layers:
            if layer.__class__.__name__ == "BatchNormalization":
                n = layer.gamma.shape[0]
                layer.gamma.assign(layer.gamma * rng.uniform(0.6, 1.4, n))
                layer.beta.assign(rng.normal(0, 0.3, n))
                layer.moving_mean.assign(rng.normal(0, 0.3, n))
                layer.moving_variance.assign(rng.uniform(0.5, 2.0, n))
            elif getattr(layer, "bias", None) is not None:
                layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
        return model

    return apply


@pytest.fixture(scope="session")
def answers():
    """Run a TFLite file of one output, INT8 or float, on uint8 (N, H, W, 3): (N, ...)."""
    from facegate.training.partitions import interpreter_of
    from facegate.vision.preprocess import to_float, to_int8

    def ask(content, pictures):
        interpreter = interpreter_of(content)
        entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        given = to_int8 if entry["dtype"] == np.int8 else to_float
        found = []
        for picture in pictures:
            interpreter.set_tensor(entry["index"], given(picture[None]))
            interpreter.invoke()
            found.append(interpreter.get_tensor(end["index"])[0].copy())
        return np.array(found)

    return ask
