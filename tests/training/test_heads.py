"""Films of photographs and of heads: where the eyes come to lie, and what becomes of a turn."""

import json

import cv2
import numpy as np
import pytest

from facegate import parts
from facegate.access.liveness import HeadTurn
from facegate.config import parse_config
from facegate.errors import InputError
from facegate.training import liveness
from facegate.training.heads import FLAT, HEAD, Photo, Pose, bent, photograph, show

GREY = np.full((720, 1280, 3), 150, np.uint8)
RED, GREEN, BLUE = (250, 20, 20), (20, 250, 20), (20, 20, 250)


@pytest.fixture
def dots():
    """A grey photograph with a red left eye, a green right one, and a blue nose."""
    pixels = np.full((400, 400, 3), 90, np.uint8)
    for (x, y), colour in (((175, 200), RED), ((225, 200), GREEN), ((200, 230), BLUE)):
        pixels[y - 4 : y + 5, x - 4 : x + 5] = colour
    return Photo(pixels, np.float32([175, 200]), np.float32([225, 200]))


def middle_of(frame, colour):
    near = np.abs(frame.astype(int) - colour).sum(2) < 150
    return np.argwhere(near).mean(0)[::-1]


def nose_off(frame):
    """The nose's offset from the middle of the eyes, over their distance."""
    left, right, nose = (middle_of(frame, colour) for colour in (RED, GREEN, BLUE))
    return (nose - (left + right) / 2) @ (right - left) / np.sum((right - left) ** 2)


@pytest.mark.parametrize("body", [FLAT, HEAD, bent(2.0)], ids=["flat", "head", "bent"])
def test_a_frontal_one_lies_where_the_pose_says(dots, body):
    frame = show(dots, body, Pose(eyes_px=80.0, x=600.0, y=300.0), GREY)
    left, right = middle_of(frame, RED), middle_of(frame, GREEN)
    assert (left + right) / 2 == pytest.approx([600, 300], abs=2)
    assert right[0] - left[0] == pytest.approx(80, rel=0.08)


def test_on_a_head_that_turns_the_nose_moves_and_on_paper_it_hardly_does(dots):
    turned = {
        name: nose_off(show(dots, body, Pose(yaw=30, eyes_px=80.0), GREY))
        for name, body in (("flat", FLAT), ("bent", bent(2.0)), ("head", HEAD))
    }
    assert abs(turned["flat"]) < 0.03
    assert abs(turned["bent"]) < 0.12
    assert abs(turned["head"]) > 0.25


def test_the_head_turns_both_ways_alike(dots):
    left, right = (nose_off(show(dots, HEAD, Pose(yaw=y), GREY)) for y in (-25, 25))
    assert left == pytest.approx(-right, abs=0.03)


def test_a_photograph_from_the_side_knows_its_eyes(dots):
    taken = photograph(dots, 25)
    for eye, colour in ((taken.left_eye, RED), (taken.right_eye, GREEN)):
        assert eye == pytest.approx(middle_of(taken.pixels, colour), abs=3)


def test_what_is_outside_the_picture_changes_nothing(dots):
    assert np.array_equal(show(dots, HEAD, Pose(x=-900.0), GREY), GREY)


@pytest.fixture(scope="module")
def reader():
    return parts.load_vision(parse_config({}, "test")).reader


def test_a_head_that_shakes_passes_and_a_photograph_does_not(reader, portraits):
    acts = (
        liveness.Act("waved", FLAT, (50, 30, 25)),
        liveness.Act("shaken", HEAD, (0, 6, 5), shake=30),
    )
    photos = list(liveness.usable(reader, [portraits[0], np.zeros((90, 90, 3), np.uint8)]))
    assert len(photos) == 1
    found = liveness.turn_rates(reader, 1.0, HeadTurn, photos, lambda items, _n, _what: items, acts)
    assert (found["waved"]["passed"], found["shaken"]["passed"]) == (0, 1)
    assert found["waved"]["greatest_turn"] < 0.3 < found["shaken"]["greatest_turn"]
    assert (found["waved"]["live"], found["shaken"]["live"]) == (False, True)


def test_nothing_is_measured_without_a_photograph(reader):
    with pytest.raises(InputError, match="looks at the camera"):
        liveness.turn_rates(reader, 1.0, HeadTurn, [], lambda items, _n, _what: items)


def test_the_same_film_is_drawn_twice(dots):
    act = liveness.ACTS[1]
    one, two = (next(liveness.film(dots, act, np.random.default_rng(4)))[1] for _ in range(2))
    assert np.array_equal(one, two)


def test_a_folder_of_people_may_hold_files_that_are_none(facegate, portraits, tmp_path):
    for person, number in (("ann", 0), ("ben", 1)):
        (tmp_path / "people" / person).mkdir(parents=True)
        (tmp_path / "people" / person / "a.jpg").touch()
        bgr = portraits[number][..., ::-1]
        cv2.imwrite(str(tmp_path / "people" / person / "b.png"), bgr)
    done = facegate(
        "evaluate", "liveness", "--images", tmp_path / "people", "--most", 1, "--json",
        "--sheet", tmp_path / "sheet.png",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "passed over: " in done.err
    told = json.loads(done.out)
    assert told["photographs"] == 1
    assert set(told["acts"]) == {act.name for act in liveness.ACTS}
    assert told["acts"]["photo, waved"]["passed"] == 0
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 900


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--images", "{tmp}/none"], "no such folder"),
        (["--data", "{tmp}"], "scenes-val.parquet"),
    ],
)
def test_what_it_cannot_measure_is_one_line(facegate, tmp_path, words, told):
    done = facegate("evaluate", "liveness", *(w.format(tmp=tmp_path) for w in words))
    assert (done.code, told in done.complaint) == (8, True), done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give one of --data and --images"),
        (["--data", ".", "--images", "."], "give one of --data and --images"),
        (["--images", ".", "--card"], "--card belongs to --data DIR"),
    ],
)
def test_options_that_do_not_go_together_are_said(facegate, words, told):
    done = facegate("evaluate", "liveness", *words)
    assert (done.code, told in done.misuse) == (2, True), done.err
