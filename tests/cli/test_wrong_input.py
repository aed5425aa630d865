"""Whatever people get wrong is answered in one line: what, where, and what to do."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from facegate.errors import (
    ConfigError,
    DaemonError,
    HardwareError,
    InputError,
    ModelError,
    StoreError,
)
from facegate.vision.tflite import model_folder

USAGE = 2


def settings(path, **sections):
    path.write_text(yaml.safe_dump(sections))
    return path


@pytest.fixture
def noise(write):
    rng = np.random.default_rng(0)
    return write("noise", rng.integers(0, 256, (240, 320, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "words",
    [("identify",), ("detect",), ("enroll", "Ann", "--image"), ("verify", "{same}")],
)
@pytest.mark.parametrize(
    ("kind", "told"),
    [("missing", "no such file"), ("text", "not a picture"), ("empty", "the file is empty")],
)
def test_a_picture_that_is_none(facegate, tmp_path, words, kind, told):
    path = tmp_path / "face.jpg"
    if kind != "missing":
        path.write_text("hello\n" if kind == "text" else "")
    done = facegate(*(w.format(same=path) for w in words), path)
    assert done.code == InputError.exit_code
    assert str(path) in done.complaint
    assert told in done.complaint


def test_a_file_that_is_too_large_for_a_picture(facegate, tmp_path):
    for path in (tmp_path / "film.avi", Path("/dev/zero")):
        if path.parent == tmp_path:
            with path.open("wb") as file:
                file.truncate(300 << 20)
        done = facegate("identify", path)
        assert done.code == InputError.exit_code
        assert "larger than 200 MB" in done.complaint


def test_a_folder_where_a_picture_should_be(facegate, tmp_path):
    done = facegate("identify", tmp_path)
    assert done.code == InputError.exit_code
    assert "folder" in done.complaint


@pytest.mark.parametrize("words", [("enroll", "Ann", "--image"), ("verify", "{picture}")])
def test_a_picture_without_a_face(facegate, noise, words):
    done = facegate(*(w.format(picture=noise) for w in words), noise)
    assert done.code == InputError.exit_code
    assert f"{noise}: no face found" in done.complaint


def test_two_faces_at_enrolment(facegate, write, portraits):
    eileen, grace = portraits[0][:320, 80:400], portraits[1][60:380, 80:400]
    both = write("both", np.concatenate([eileen, grace], axis=1))
    done = facegate("enroll", "Ann", "--image", both)
    assert done.code == InputError.exit_code
    assert "2 faces" in done.complaint
    assert facegate("people", "list", "--json").out.strip() == "[]"


def test_a_name_twice_in_any_case(facegate, eileen, grace):
    assert facegate("enroll", "Ann", "--image", eileen).code == 0
    done = facegate("enroll", "ANN", "--image", grace)
    assert done.code == InputError.exit_code
    assert "ANN" in done.complaint


def test_somebody_who_is_enrolled_already_is_told_of_more(facegate, eileen):
    assert facegate("enroll", "Ann", "--image", eileen).code == 0
    done = facegate("enroll", "ann", "--image", eileen)
    assert done.code == InputError.exit_code
    assert "ann: is enrolled already; --more adds looks" in done.complaint


def test_one_face_under_two_names(facegate, eileen):
    assert facegate("enroll", "Ann", "--image", eileen).code == 0
    done = facegate("enroll", "Ben", "--image", eileen)
    assert done.code == InputError.exit_code
    assert "Ann" in done.complaint
    assert facegate("enroll", "Ben", "--image", eileen, "--allow-duplicate").code == 0


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 200])
def test_a_name_that_will_not_do(facegate, eileen, name):
    done = facegate("enroll", name, "--image", eileen)
    assert done.code == InputError.exit_code
    assert "name" in done.complaint


@pytest.mark.parametrize(
    "words",
    [("show", "Zoe"), ("rename", "Zoe", "Ann"), ("remove", "Zoe", "-y"), ("until", "Zoe", "now")],
)
def test_somebody_who_is_not_enrolled(facegate, words):
    done = facegate("people", *words)
    assert done.code == InputError.exit_code
    assert "Zoe: nobody" in done.complaint


@pytest.mark.parametrize("end", ["tomorrow", "31.12.2026", "2026-02-30", ""])
def test_an_end_of_a_pass_that_is_no_day(facegate, end):
    done = facegate("people", "until", "Zoe", end)
    assert done.code == InputError.exit_code
    assert f"{end or 'nothing'}: no end of a pass; write 2026-12-31" in done.complaint


def test_a_misspelt_setting(facegate, tmp_path):
    file = settings(tmp_path / "c.yaml", access={"target_fnr": 0.01})
    done = facegate("config", "check", file)
    assert done.code == ConfigError.exit_code
    assert "access.target_fnr" in done.err
    assert "target_fmr" in done.err


def test_all_mistakes_of_a_settings_file_are_told_at_once(facegate, tmp_path):
    file = settings(
        tmp_path / "c.yaml", door={"pulse_s": 99}, camera={"fps": "fast"}, acces={}, quality=3
    )
    done = facegate("config", "check", file)
    assert done.code == ConfigError.exit_code
    for what in ("door.pulse_s", "camera.fps", "acces", "quality"):
        assert what in done.err
    assert "99" in done.err


@pytest.mark.parametrize(
    ("content", "told"),
    [("a: [1,", "line"), ("- 1\n- 2\n", "expected settings"), ("\x00\x01", "c.yaml")],
)
def test_a_settings_file_that_cannot_be_read(facegate, tmp_path, content, told):
    file = tmp_path / "c.yaml"
    file.write_text(content)
    done = facegate("people", "list", "--config", file)
    assert done.code == ConfigError.exit_code
    assert str(file) in done.err
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_settings_file_that_is_not_there(facegate, tmp_path):
    done = facegate("people", "list", "--config", tmp_path / "none.yaml")
    assert done.code in (ConfigError.exit_code, InputError.exit_code)
    assert "none.yaml" in done.complaint


# --- models and stores


@pytest.fixture
def own_models(tmp_path):
    """Copy the shipped models; gives the folder and a settings file that names them."""
    folder = tmp_path / "models"
    shutil.copytree(model_folder(), folder)
    file = settings(
        tmp_path / "m.yaml",
        models={
            "detector": str(folder / "yunet_like.tflite"),
            "refiner": str(folder / "onet_like.tflite"),
            "embedder": str(folder / "inception_resnet_lite.tflite"),
        },
    )
    return folder, file


def edit_card(path, **changes):
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, **changes}))


def spoil_bytes(folder):
    with (folder / "yunet_like.tflite").open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff\xff\xff")


SPOILT = {
    "its bytes": (spoil_bytes, "sha256"),
    "the card's kind": (
        lambda f: edit_card(f / "yunet_like.json", kind="embedder"), "models.detector",
    ),
    "the preprocessing": (
        lambda f: edit_card(f / "yunet_like.json", preprocess_version="0"), "preprocessing",
    ),
    "the card's text": (lambda f: (f / "yunet_like.json").write_text("{"), "not a model card"),
    "a card without a kind": (
        lambda f: (f / "yunet_like.json").write_text("{}"), "not a model card: 'kind' is missing",
    ),
    "a refiner's card for a detector's": (
        lambda f: edit_card(f / "onet_like.json", kind="detector"), "models.refiner",
    ),
    "a refiner without names": (
        lambda f: edit_card(f / "onet_like.json", outputs={}), "does not name the outputs",
    ),
    "a missing card": (lambda f: (f / "yunet_like.json").unlink(), "no such file"),
    "a missing model": (lambda f: (f / "yunet_like.tflite").unlink(), "no such file"),
    "a calibration without distances": (
        lambda f: edit_card(
            f / "inception_resnet_lite.json",
            calibration={
                "distances": [], "false_match_rates": [], "comparisons": 0, "probability": {}
            },
        ),
        "needs two distances",
    ),
    "a hash that is none": (
        lambda f: edit_card(f / "inception_resnet_lite.json", sha256=5), "sha256 is no str",
    ),
    "lengths without end": (
        lambda f: edit_card(
            f / "inception_resnet_lite.json", lengths={"shares": [0.1], "lengths": []}
        ),
        "a length for each",
    ),
    "no calibration": (
        lambda f: edit_card(f / "inception_resnet_lite.json", calibration=None), "calibration",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_model_or_card_that_is_off(facegate, own_models, eileen, what):
    folder, file = own_models
    spoil, told = SPOILT[what]
    spoil(folder)
    done = facegate("identify", eileen, "--config", file)
    assert done.code == ModelError.exit_code
    assert str(folder) in done.complaint
    assert told in done.complaint


def test_a_store_of_another_model(facegate, own_models, eileen):
    folder, file = own_models
    assert facegate("enroll", "Ann", "--image", eileen, "--config", file).code == 0
    detector = folder / "inception_resnet_lite.tflite"
    detector.write_bytes(detector.read_bytes() + b"\0")  # another file, the same network
    from facegate.vision.card import sha256_of

    edit_card(folder / "inception_resnet_lite.json", sha256=sha256_of(detector))
    done = facegate("identify", eileen, "--config", file)
    assert done.code == StoreError.exit_code
    assert "model" in done.complaint


def test_a_store_that_is_something_else(facegate, tmp_path, eileen):
    assert facegate("enroll", "Ann", "--image", eileen).code == 0
    store = tmp_path / "state_directory" / "people.db"
    store.write_text("not a database at all, but long enough to be looked at" * 100)
    done = facegate("people", "list")
    assert done.code == StoreError.exit_code
    assert str(store) in done.complaint


# --- devices, options, places to write to


@pytest.mark.parametrize("source", ["file:/nowhere/film.avi", "v4l2:/dev/video99", "picamera2"])
def test_a_camera_that_is_not_there(facegate, source):
    done = facegate("enroll", "Ann", "--camera", source)
    assert done.code == HardwareError.exit_code
    assert source.partition(":")[2] in done.complaint


def test_a_camera_that_nobody_knows(facegate):
    done = facegate("enroll", "Ann", "--camera", "webcam")
    assert done.code in (ConfigError.exit_code, InputError.exit_code, HardwareError.exit_code)
    assert "webcam" in done.complaint


def test_a_relay_on_a_machine_without_gpio(facegate, tmp_path, eileen):
    file = settings(tmp_path / "c.yaml", gpio={"chip": "no-such-chip"})
    done = facegate("run", "--config", file, "--camera", f"file:{eileen}")
    assert done.code == HardwareError.exit_code
    assert "no-such-chip" in done.err.strip().splitlines()[-1]


def test_nothing_answers_where_no_daemon_runs(facegate):
    done = facegate("status")
    assert done.code == DaemonError.exit_code
    assert "facegate run" in done.complaint


@pytest.mark.parametrize("target", ["/proc/nowhere/out.png", "{folder}"])
def test_a_drawing_that_cannot_be_written(facegate, tmp_path, eileen, target):
    done = facegate("detect", eileen, "--draw", target.format(folder=tmp_path))
    assert done.code == InputError.exit_code
    assert target.format(folder=tmp_path) in done.complaint


@pytest.mark.parametrize(
    "words", [["identfy"], ["identify", "--nope"], ["people", "lst"], ["enroll"]]
)
def test_commands_and_options_that_do_not_exist(facegate, words):
    done = facegate(*words)
    assert done.code == USAGE
    assert "Traceback" not in done.err


@pytest.mark.parametrize("words", [("models", "show"), ("calibrate", "--model")])
@pytest.mark.parametrize("typed", ["", "none.tflite", "/"])
def test_a_network_that_is_not_there_is_told_as_it_was_typed(facegate, words, typed):
    done = facegate(*words, typed)
    assert done.code == ModelError.exit_code
    assert "no such network" in done.complaint
    assert "reinstall" not in done.complaint


def test_a_network_that_ships_is_named_without_folder_and_ending(facegate):
    shown = facegate("models", "show", "inception_resnet_lite")
    assert shown.code == 0, shown.err
    assert "embedder, inception_resnet_lite" in shown.out
    elsewhere = facegate("models", "show", "/nowhere/inception_resnet_lite.tflite")
    assert elsewhere.code == ModelError.exit_code, "not the one that ships"
