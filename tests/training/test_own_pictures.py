"""From a folder of people's photos to a trained embedder: what is refused, the split, going on."""

import csv
import json
import os
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import people
import pytest

from facegate.errors import DataError
from facegate.training import own_pictures
from facegate.training.data import OWN_PICTURES, read_crops, read_pairs
from facegate.types import Detection

pytest.importorskip("pyarrow", reason="writing the prepared sets needs pyarrow")


class Reader:
    """Finds the faces that a picture's first pixel stands for: their widths, in tens of pixels."""

    def __init__(self):
        self.asked = 0

    def find(self, pixels):
        self.asked += 1
        widths = [10 * int(w) for w in pixels[0, 0] if w]
        marks = np.zeros((5, 2), np.float32)
        return [Detection(np.array([0, 0, w, w], np.float32), marks, 0.9) for w in widths]

    def look(self, pixels, _detection):
        reasons = ("too_dark",) if pixels[1:].mean() < 10 else ()
        return SimpleNamespace(
            aligned=np.ascontiguousarray(cv2.resize(pixels, (160, 160))),
            quality=SimpleNamespace(reasons=reasons),
        )


def picture(path, faces=(9,), shade=120, number=0):
    pixels = np.full((40, 40, 3), shade, np.uint8)
    pixels[0, 0] = [*faces, 0, 0, 0][:3]
    pixels[-1, -1] = number % 256, number // 256, 1
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for person in range(12):
        for k in range(4):
            picture(folder / f"P{person:02d}" / f"{k}.png", number=10 * person + k)
    return folder


def prepared(images, out, reader=None, **options):
    told = []
    folder = own_pictures.prepare(images, out, reader or Reader(), say=told.append, **options)
    with (out / "pictures.csv").open() as file:
        return folder, {r["picture"]: r for r in csv.DictReader(file)}, told


def test_every_refusal_has_its_line_and_its_reason(images, tmp_path):
    picture(images / "P00" / "wall.png", faces=(), number=900)
    picture(images / "P00" / "far.png", faces=(3,), number=901)
    picture(images / "P00" / "two.png", faces=(9, 8), number=902)
    picture(images / "P00" / "passer-by.png", faces=(9, 4), number=903)
    picture(images / "P00" / "night.png", shade=2, number=904)
    (images / "P00" / "broken.png").write_bytes(b"nothing")
    shutil.copy(images / "P01" / "0.png", images / "P01" / "again.png")
    shutil.copy(images / "P02" / "0.png", images / "P03" / "stolen.png")
    (images / "P04" / "notes.txt").write_text("no picture at all")
    _, report, told = prepared(images, tmp_path / "run")
    refused = {name: r["reason"] for name, r in report.items() if r["use"] == "refused"}
    assert refused == {
        "P00/wall.png": "no face found",
        "P00/far.png": "face of 30 px, 32 are needed",
        "P00/two.png": "several faces: cut it to one person",
        "P00/broken.png": "not a picture (JPEG, PNG, WebP and the like can be read)",
        "P01/again.png": "the same file as P01/0.png",
        "P02/0.png": "the same file is under P03",
        "P03/stolen.png": "the same file is under P02",
    }
    assert report["P00/night.png"]["reason"] == "too dark"  # used all the same
    assert len(report) == 12 * 4 + 8
    assert any("refused" in line and "7 pictures" in line for line in told)
    assert any("3  a file that is there twice" in line for line in told)


def test_a_name_that_is_not_utf8_is_refused_before_it_is_looked_at(images, tmp_path):
    for old, new in ((images / "P00" / "0.png", b"caf\xe9.png"), (images / "P01", b"Ren\xe9")):
        os.rename(old, os.path.join(os.fsencode(old.parent), new))
    reader = Reader()
    _, report, _ = prepared(images, tmp_path / "run", reader)
    refused = {name for name, r in report.items() if "not UTF-8" in r["reason"]}
    assert refused == {r"P00/caf\udce9.png", *(rf"Ren\udce9/{k}.png" for k in range(4))}
    assert reader.asked == 12 * 4 - 5


def test_nobody_is_both_trained_on_and_held_out(images, tmp_path):
    picture(images / "Single" / "only.png", number=950)
    folder, report, _ = prepared(images, tmp_path / "run", seed=3)
    kept = read_crops([folder / "faces-train-0.parquet"])
    held = read_crops([folder / "faces-val.parquet"])
    assert set(kept.identity).isdisjoint(held.identity)
    assert len(set(kept.identity)) == 10
    assert "Single" in held.identity  # a stranger to compare with
    assert len(kept.identity) + len(held.identity) == 49
    assert set(kept.source) == {OWN_PICTURES}
    assert report["Single/only.png"]["use"] == "held out"
    pairs = read_pairs(folder / "val-pairs.csv", len(held.identity))
    names = np.array(held.identity)
    assert ((names[pairs.a] == names[pairs.b]) == pairs.same).all()
    assert 0 < pairs.same.sum() < len(pairs.same)
    again, _, _ = prepared(images, tmp_path / "again", seed=3)
    other, _, _ = prepared(images, tmp_path / "other", seed=4)
    assert read_crops([again / "faces-val.parquet"]).identity == held.identity
    assert read_crops([other / "faces-val.parquet"]).identity != held.identity


def test_an_interruption_costs_one_part_at_most(images, tmp_path, monkeypatch):
    monkeypatch.setattr(own_pictures, "PART", 10)

    class Dying(Reader):
        def find(self, pixels):
            if self.asked == 25:
                raise KeyboardInterrupt
            return super().find(pixels)

    with pytest.raises(KeyboardInterrupt):
        prepared(images, tmp_path / "run", Dying())
    second = Reader()
    folder, report, _ = prepared(images, tmp_path / "run", second)
    assert second.asked == 48 - 20
    assert len(report) == 48
    third = Reader()
    prepared(images, tmp_path / "run", third)
    assert third.asked == 0
    undisturbed, _, _ = prepared(images, tmp_path / "whole")
    for name in ("faces-train-0.parquet", "faces-val.parquet", "val-pairs.csv"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes()


def test_other_pictures_want_another_run(images, tmp_path):
    prepared(images, tmp_path / "run")
    for path in images.rglob("*.png"):
        path.touch()  # the same pictures, as after they were copied
    prepared(images, tmp_path / "run")
    picture(images / "P00" / "late.png", number=999)
    with pytest.raises(DataError, match="prepared from other pictures"):
        prepared(images, tmp_path / "run")


def test_too_few_to_calibrate_on_are_told_before_the_training(images, tmp_path):
    _, _, told = prepared(images, tmp_path / "few")
    (line,) = [t for t in told if "calibration" in t]
    assert line.startswith("2 people held out")
    assert "needs 10. Give 50 people" in line
    for person in range(12, 50):
        for k in range(2):
            picture(images / f"P{person:02d}" / f"{k}.png", number=10 * person + k)
    _, _, told = prepared(images, tmp_path / "enough")
    assert not any("calibration" in t for t in told)


def test_too_few_people_are_refused_with_their_number(images, tmp_path):
    for person in range(5, 12):
        shutil.rmtree(images / f"P{person:02d}")
    with pytest.raises(DataError, match="5 people with two usable pictures or more, 8 are needed"):
        prepared(images, tmp_path / "run")
    assert (tmp_path / "run" / "pictures.csv").is_file()


def test_pictures_without_any_face_are_refused(images, tmp_path):
    for path in images.rglob("*.png"):
        picture(path, faces=(), number=int(path.parent.name[1:]) * 10 + int(path.stem))
    with pytest.raises(DataError, match="0 people with two usable pictures"):
        prepared(images, tmp_path / "run")


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_folder_of_photos_becomes_an_embedder(facegate, portraits, tmp_path):
    pytest.importorskip("torch", reason="needs the extra [train]")
    pytest.importorskip("keras", reason="needs the extra [train]")
    images = people.folder(tmp_path / "people", portraits, people=10, each=4)
    run = tmp_path / "run"
    words = (
        "train", "embedder", "--data", images, "--out", run, "--width", "0.25",
        "--stage", "triplet:32:0:480", "--people", "8", "--rate", "0.002", "--threads", "1",
    )  # fmt: skip
    done = facegate(*words)
    assert done.code == 0, done.err
    assert "before training" in done.out
    assert "people it never saw" in done.out

    def next_step(folder):
        return (
            f"next: facegate export embedder --weights {folder}/embedder.weights.h5 "
            f"--out {folder}/embedder.tflite --data {run}/prepared --width 0.25\n"
        )

    assert next_step(run) in done.out
    told = json.loads((run / "figures.json").read_text())
    assert 0 < told["accuracy"] <= 1
    for name in ("roc.png", "distances.png"):
        assert cv2.imread(str(run / name)).shape[1] > 300
    assert (run / "embedder.weights.h5").is_file()
    assert str(images) not in (run / "run.json").read_text()
    settled = facegate(
        "train", "metric", "--weights", run / "embedder.weights.h5", "--data", run / "prepared",
        "--out", run / "metric", "--threads", "1",
    )  # fmt: skip
    assert settled.code == 0, settled.err
    assert "people with two or more: moved by" in settled.out
    assert "against what it began with: accuracy" in settled.out
    assert next_step(run / "metric") in settled.out
    told = json.loads((run / "metric" / "run.json").read_text())
    assert [words.split()[1:3] for words in told["commands"]] == [
        ["train", "embedder"], ["train", "metric"],
    ]  # fmt: skip
    centred = facegate(
        "train", "metric", "--weights", run / "embedder.weights.h5", "--data", run / "prepared",
        "--out", run / "centred", "--threads", "1", "--centre-only",
    )  # fmt: skip
    assert (centred.code, "stretched" in settled.out, "stretched" in centred.out) == (
        0,
        True,
        False,
    )
    over = facegate(
        *("train", "metric", "--weights", run / "embedder.weights.h5"),
        *("--data", run / "prepared", "--out", run),
    )
    assert (over.code, "is there already" in over.complaint) == (3, True), over.err
    again = facegate(*words)  # a finished run is not trained anew
    assert again.code == 0, again.err
    assert "stage 1 of 1" not in again.out


def test_a_folder_that_is_neither_is_said(facegate, tmp_path):
    pytest.importorskip("torch", reason="needs the extra [train]")
    pytest.importorskip("keras", reason="needs the extra [train]")
    (tmp_path / "empty").mkdir()
    done = facegate("train", "embedder", "--data", tmp_path / "empty", "--out", tmp_path / "run")
    assert done.code == 8, done.err
    assert "one folder a person" in done.err
    done = facegate("train", "embedder", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert done.code == 8
    assert "nowhere: no such folder" in done.err
