"""What the training commands leave in the card, and what they say without their packages."""

import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from facegate.cli import training
from facegate.cli.train import _remember
from facegate.cli.training import LAST_PYTHON, OF_TRAINING, without_paths
from facegate.errors import DataError, InputError, ModelError
from facegate.training.card_file import amend_card, replacing, write_card, write_whole
from facegate.vision.tflite import model_folder

ROOT = Path(__file__).parents[2]
FOR_EARLIER = " with Python 3.11 or 3.12; it holds nothing for this one"

WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from facegate.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("train detector --data /a/b --out /c --views 9", "--data DATA --out RUN --views 9"),
        ("train detector --out=/c --data=/a/b --seed 1", "--out=RUN --data=DATA --seed 1"),
        ("train detector --start-from /w.h5 --batch=4", "--start-from WEIGHTS --batch=4"),
        ("train detector --weights /a/w.h5 --seed 1", "--weights WEIGHTS --seed 1"),
        ("train detector -c /home/ann/c.yaml --data /a", "-c CONFIG --data DATA"),
    ],
)
def test_no_path_of_this_machine_gets_into_a_card(typed, kept):
    assert shlex.join(without_paths(shlex.split(typed))) == f"train detector {kept}"


@pytest.mark.parametrize(
    "command",
    [
        "models import /a/face.h5 --out /b/own.tflite --data /c --config /d/config.yaml",
        "models import --out=/b//own.tflite --images=/c --pairs=/d/pairs.txt /a/./face.h5",
    ],
)
def test_an_import_keeps_the_names_of_its_files_alone(command):
    kept = without_paths(shlex.split(command), Path("/a/face.h5"), Path("/b/own.tflite"))
    assert "/" not in "".join(kept)
    assert {"face.h5"} < set(kept)
    assert "own.tflite" in " ".join(kept)


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [
        ("train embedder --data d --out {tmp}/o", ["torch"], "train"),
        ("train detector --data d --out {tmp}/o", ["torch"], "train"),
        ("export detector --weights w --out o.tflite --data d", ["tensorflow"], "train"),
        ("evaluate detector --data d", ["pyarrow"], "evaluate"),
        ("evaluate detector --data d --plots p", ["matplotlib"], "evaluate"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(tmp_path, command, missing, extra):
    arguments = shlex.split(command.format(tmp=tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == DataError.exit_code, done.stderr
    lines = done.stderr.strip().splitlines()
    install = f"facegate: this needs {missing[0]}: pip install 'facegate[{extra}]'"
    late = extra == "train" and sys.version_info[:2] > LAST_PYTHON
    assert lines[-1] == install + (FOR_EARLIER if late else "")
    assert "Traceback" not in done.stderr


def test_a_python_that_training_is_not_for_is_told_which_are(monkeypatch):
    monkeypatch.setattr(training, "LAST_PYTHON", (3, 10))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError) as caught:
        training.needs("torch", "pyarrow")
    assert str(caught.value) == f"this needs torch: pip install 'facegate[train]'{FOR_EARLIER}"
    with pytest.raises(DataError, match=r"pip install 'facegate\[evaluate\]'$"):
        training.needs("pyarrow")


def test_the_extra_holds_them_for_these_pythons():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(line) for line in extras["optional-dependencies"]["train"]]
    first_without = ".".join(map(str, (LAST_PYTHON[0], LAST_PYTHON[1] + 1)))
    bounds = {r.name.removesuffix("-cpu"): str(r.marker) for r in wanted}
    for name in OF_TRAINING:
        assert bounds[name] == f'python_version < "{first_without}"'


@pytest.fixture
def photos(tmp_path):
    """A folder of people whose pictures are none: whoever looks at them is too late."""
    pytest.importorskip("torch", reason="training needs facegate[train]")
    pytest.importorskip("keras", reason="training needs facegate[train]")
    pytest.importorskip("pyarrow", reason="training needs facegate[train]")
    for name in ("ann", "ben"):
        (tmp_path / "people" / name).mkdir(parents=True)
        (tmp_path / "people" / name / "1.jpg").write_text("no picture")
    return tmp_path / "people"


@pytest.mark.parametrize(
    "words",
    [
        *[("--width", "-1"), ("--rate", "-1"), ("--seed", "-1"), ("--blocks", "5/10")],
        *[("--stage", "64:0.2"), ("--mining", "hard"), ("--architecture", "resnet")],
    ],
)
def test_options_that_train_nothing_are_refused(facegate, photos, tmp_path, words):
    done = facegate("train", "embedder", "--data", photos, "--out", tmp_path / "run", *words)
    assert done.code == 2
    assert words[0].lstrip("-") in done.err


@pytest.mark.parametrize(
    ("backend", "says"),
    [("jax", "KERAS_BACKEND=jax is not installed"), ("foo", "is none of torch, tensorflow, jax")],
)
def test_a_backend_that_is_not_there_is_one_line(
    facegate, photos, tmp_path, monkeypatch, backend, says
):
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    done = facegate("train", "embedder", "--data", photos, "--out", tmp_path / "run")
    assert done.code == 3
    assert says in done.complaint
    assert "unset it" in done.complaint


def test_a_run_goes_into_a_folder(facegate, photos, tmp_path):
    (tmp_path / "run").write_text("a file")
    done = facegate("train", "embedder", "--data", photos, "--out", tmp_path / "run")
    assert done.code == 3
    assert f"{tmp_path / 'run'}: no folder can be made" in done.complaint


def test_people_without_a_teacher_are_told_before_their_pictures_are_looked_at(
    facegate, photos, tmp_path
):
    run = tmp_path / "run"
    done = facegate("train", "embedder", "--data", photos, "--out", run, "--stage", "96:0.5:64")
    assert done.code == 2
    assert "triplet:160:0.3:100000" in done.complaint


def test_weights_that_do_not_fit_are_told_before_pictures_are_looked_at(
    facegate, photos, tmp_path, monkeypatch
):
    monkeypatch.setattr("facegate.cli.train._prepared", None)
    shipped = model_folder() / "inception_resnet_lite.tflite"
    done = facegate(
        *("train", "embedder", "--data", photos, "--out", tmp_path / "run", "--width", "0.25"),
        *("--start-from", shipped),
    )
    assert done.code == 3
    assert "these weights do not fit" in done.complaint


def test_a_refused_run_leaves_the_record_of_the_one_that_is_there(tmp_path):
    _remember(tmp_path, {"width": 1.0, "blocks": (1, 2, 3)}, None)
    before = (tmp_path / "run.json").read_text()
    (tmp_path / "checkpoint.pt").touch()
    _remember(tmp_path, {"width": 2.0, "blocks": (1, 2, 3)}, None)
    assert (tmp_path / "run.json").read_text() == before


def test_a_run_that_goes_on_keeps_what_is_told_of_its_beginning(tmp_path):
    """Where the weights came from decides what the pictures' owners allow."""
    shipped = model_folder() / "inception_resnet_lite.tflite"
    _remember(tmp_path, {"width": 1.0}, shipped)
    before = (tmp_path / "run.json").read_text()
    assert len(json.loads(before)["commands"]) > 1
    (tmp_path / "checkpoint.pt").touch()
    _remember(tmp_path, {"width": 1.0}, None)
    assert (tmp_path / "run.json").read_text() == before


@pytest.mark.parametrize("content", ["", "junk", "[]", '{"commands": 5}'])
def test_a_record_that_is_none_is_one_line(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run\.json: cannot be read"):
        _remember(tmp_path / "new", {}, tmp_path / "embedder.weights.h5")


def test_a_checkpoint_that_is_none_is_one_line(tmp_path):
    pytest.importorskip("torch", reason="needs the extra [train]")
    from facegate.training.loop import Checkpoint

    for content in (b"", b"junk", b"PK" + bytes(100)):
        (tmp_path / "checkpoint.pt").write_bytes(content)
        with pytest.raises(DataError, match="remove it to begin anew"):
            Checkpoint(tmp_path, {}).load()


def test_what_is_replaced_stays_when_the_work_breaks_off(tmp_path):
    model, card, other = (tmp_path / name for name in ("m.tflite", "m.json", "m.new.tflite"))
    model.write_bytes(b"old")
    card.write_text("{}")
    other.write_bytes(b"another network")

    def work(stop):
        with replacing(model) as made:
            write_whole(made, b"new")
            write_card(made, {"new": True})
            if stop:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(stop=True)
    assert (model.read_bytes(), card.read_text()) == (b"old", "{}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.new.tflite", "m.tflite"]
    work(stop=False)
    assert (model.read_bytes(), json.loads(card.read_text())) == (b"new", {"new": True})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "m.new.tflite", "m.tflite"]


def test_figures_are_added_to_a_card_and_its_other_lines_stay(tmp_path):
    model = tmp_path / "m.tflite"
    with pytest.raises(ModelError, match="the figures cannot be added"):
        amend_card(model, {})
    write_card(model, {"kind": "embedder", "figures": {"accuracy": 0.9}})
    amend_card(model, {"figures": {"accuracy": 0.8, "eer": float("nan")}})
    card = json.loads((tmp_path / "m.json").read_text())
    assert card == {"kind": "embedder", "figures": {"accuracy": 0.8, "eer": None}}
    assert [p.name for p in tmp_path.iterdir()] == ["m.json"]


def test_a_model_where_a_file_is_in_the_way_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_whole(tmp_path / "file" / "model.tflite", b"")


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "embedder", "--images", "{photos}", "--plots", "{file}"),
        ("evaluate", "embedder", "--images", "{photos}", "--sheets", "{file}"),
        ("evaluate", "detector", "--images", "{photos}", "--boxes", "b", "--misses", "n/w.png"),
        ("evaluate", "detector", "--images", "{photos}", "--boxes", "b", "--misses", "worst.xyz"),
        ("calibrate", "--images", "{photos}", "--plots", "{file}"),
        ("bench", "pipeline", "--plot", "bench.xyz"),
    ],
)
def test_where_a_picture_cannot_go_is_told_before_the_work(facegate, photos, tmp_path, words):
    file = tmp_path / "file"
    file.touch()
    done = facegate(*(w.format(photos=photos, file=file) for w in words))
    assert done.code == 3
    assert any(said in done.complaint for said in ("no folder", ".png or .jpg"))
