"""Detector and refiner from annotated pictures of one's own: the split, what is kept, the way."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

from facegate.errors import DataError
from facegate.training import own_scenes
from facegate.training.data import OWN_PICTURES, read_scenes, without_faces

pytest.importorskip("pyarrow", reason="writing the prepared sets needs pyarrow")

HEADER = ["file", "x1", "y1", "x2", "y2", *(f"{a}{k}" for k in range(5) for a in "xy")]
FACE = [20, 20, 60, 70, 30, 40, 50, 40, 40, 50, 32, 60, 48, 60]


def annotated(folder, faced=12, faceless=6, columns=15, side=100):
    """Write pictures, the first of them with a face each; gives folder and box file."""
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    lines = [HEADER[:columns]]
    for k in range(faced + faceless):
        coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        cv2.imwrite(str(images / f"{k:02d}.png"), cv2.resize(coarse, (side, side)))
        if k < faced:
            lines.append([f"{k:02d}.png", *[n * side / 100 for n in FACE][: columns - 1]])
    with (folder / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return images, folder / "boxes.csv"


def prepared(images, boxes, folder, say=str):
    out = own_scenes.prepare_scenes(images, boxes, folder, say)
    return [read_scenes(out / f"scenes-{name}.parquet") for name in ("train", "val")]


def test_a_fifth_is_held_out_and_always_the_same(tmp_path):
    images, boxes = annotated(tmp_path)
    shutil.copy(images / "17.png", images / "again.png")
    told = []
    train, val = prepared(images, boxes, tmp_path / "one", told.append)
    assert len(train) + len(val) == 18
    assert sum(len(s.boxes) for s in train + val) == 12
    assert 1 <= sum(len(s.boxes) for s in val) <= 6
    assert told[-1] == f"held out  {len(val):>6} pictures, {sum(len(s.boxes) for s in val)} faces"
    assert {s.source for s in train + val} == {OWN_PICTURES}
    face = next(s for s in train if len(s.boxes))
    assert face.boxes[0].tolist() == FACE[:4]
    assert face.landmarks.ravel().tolist() == FACE[4:]
    prepared(images, boxes, tmp_path / "again")
    for name in ("scenes-train.parquet", "scenes-val.parquet"):
        one, again = (tmp_path / run / name for run in ("one", "again"))
        assert one.read_bytes() == again.read_bytes()


def test_large_pictures_are_kept_smaller_with_their_faces(tmp_path):
    images, boxes = annotated(tmp_path, faced=10, faceless=0, side=2048)
    train, _ = prepared(images, boxes, tmp_path)
    face = next(s for s in train if len(s.boxes))
    assert face.pixels.shape == (1024, 1024, 3)
    np.testing.assert_allclose(face.boxes[0], np.array(FACE[:4]) * 10.24, rtol=1e-5)
    np.testing.assert_allclose(face.landmarks.ravel(), np.array(FACE[4:]) * 10.24, rtol=1e-5)


def test_who_says_that_a_picture_shows_no_face_is_believed(tmp_path):
    train, val = prepared(*annotated(tmp_path, faced=40, faceless=3), tmp_path)
    assert len(without_faces(train)) + len(without_faces(val)) == 3


def test_what_was_held_out_stays_so_when_pictures_are_added(tmp_path):
    def pixels(scenes):
        return {s.pixels.tobytes() for s in scenes}

    sets = []
    for faced in (12, 60):  # the first are the same
        (tmp_path / str(faced)).mkdir()
        sets.append(prepared(*annotated(tmp_path / str(faced), faced, 0), tmp_path / str(faced)))
    (train, val), (more_train, more_val) = sets
    assert pixels(train) <= pixels(more_train)
    assert pixels(val) <= pixels(more_val)
    assert 4 <= len(more_val) <= 24


def test_a_copy_that_nobody_annotated_makes_no_face_background(tmp_path):
    images, boxes = annotated(tmp_path, faced=12, faceless=0)
    for name in ("00", "05", "11"):
        shutil.copy(images / f"{name}.png", images / f"zz{name}.png")
    train, val = prepared(images, boxes, tmp_path)
    assert len(train) + len(val) == 12
    assert not without_faces(train) + without_faces(val)


def test_what_teaches_too_little_is_refused_or_said(tmp_path):
    for name in ("five", "few", "none"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="training needs landmarks: ten columns more"):
        prepared(*annotated(tmp_path / "five", columns=5), tmp_path)
    with pytest.raises(DataError, match="faces in 9 pictures, 10 are needed"):
        prepared(*annotated(tmp_path / "few", faced=9), tmp_path)
    assert not list(tmp_path.glob("*.parquet"))
    told = []
    prepared(*annotated(tmp_path / "none", faceless=0), tmp_path, told.append)
    assert told[-1].startswith("no picture without a face")


@pytest.mark.parametrize("words", [(), ("--data", "d", "--images", "i"), ("--images", "i")])
def test_either_sets_or_pictures_with_boxes(facegate, tmp_path, words):
    for kind in ("detector", "refiner"):
        done = facegate("train", kind, "--out", tmp_path / "run", *words)
        assert done.code == 2
        assert "--images DIR with --boxes FILE" in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_annotated_pictures_become_a_detector(facegate, tmp_path):
    pytest.importorskip("torch", reason="needs the extra [train]")
    pytest.importorskip("tensorflow", reason="needs the extra [train]")
    images, boxes = annotated(tmp_path)
    run, on = tmp_path / "run", ("--images", images, "--boxes", boxes)
    done = facegate("train", "detector", *on, "--out", run, "--views", "4", "--batch", "4")
    assert done.code == 0, done.err
    assert f"--data {run}/prepared" in done.out
    weights = run / "detector.weights.h5"
    done = facegate("export", "detector", "--weights", weights, "--out", tmp_path / "d.tflite", *on)
    assert done.code == 0, done.err
    card = json.loads((tmp_path / "d.json").read_text())
    assert card["data"]["sources"] == [OWN_PICTURES]
    assert "pictures of one's own" in card["data"]["licence"]
    held = read_scenes(run / "prepared" / "scenes-val.parquet")
    faceless = len(without_faces(held))
    wanted = {"with_faces": len(held) - faceless, "faceless": faceless}
    assert card["figures"]["images"] == wanted
    assert str(tmp_path) not in json.dumps(card)
    assert all("--images IMAGES --boxes BOXES" in c for c in card["commands"])
