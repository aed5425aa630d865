import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegate.training.detection import iou
from facegate.vision.decoding import (
    HEADS,
    MIN_SEEN_SHARE,
    NMS_IOU,
    STRIDES,
    Canvas,
    cell_centres,
    faces_in,
    suppress,
)

CANVAS = Canvas(96, 64, (192, 100), 0.5)


def made_up(seed):
    """What the heads of a network for `CANVAS` say, at random: head → float32 (rows, channels)."""
    rng = np.random.default_rng(seed)
    spread = {"score": 2.0, "box": 0.7, "landmarks": 1.0}
    return {
        f"{kind}_{s}": rng.normal(0, spread[kind], (12 * 8 * 64 // s**2, n)).astype(np.float32)
        for kind, n in HEADS.items()
        for s in STRIDES
    }


def reader(heads):
    return lambda head, rows: heads[head] if rows is None else heads[head][rows]


def plainly(heads, min_score):
    """The rule in numpy, all cells at once: (score, box, landmarks) of each face, best first."""
    centres, strides = cell_centres(CANVAS.height_px, CANVAS.width_px)
    logits, offsets, points = (np.concatenate([heads[f"{k}_{s}"] for s in STRIDES]) for k in HEADS)
    scores = 1 / (1 + np.exp(-logits[:, 0].astype(float)))
    middle = centres + offsets[:, :2] * strides[:, None]
    half = np.exp(np.clip(offsets[:, 2:], -4, 6)) * strides[:, None] / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    marks = centres[:, None] + points.reshape(-1, 5, 2) * strides[:, None, None]
    width, height = (side * CANVAS.scale for side in CANVAS.picture_px)
    seen = np.clip(boxes, 0, [width, height, width, height])
    share = np.prod(seen[:, 2:] - seen[:, :2], 1) / np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    kept = []
    for k in np.argsort(-scores, kind="stable"):
        if scores[k] < min_score or share[k] < MIN_SEEN_SHARE:
            continue
        if all(iou(seen[[k]], seen[[j]])[0, 0] <= NMS_IOU for j in kept):
            kept.append(k)
    return [(scores[k], boxes[k] / CANVAS.scale, marks[k] / CANVAS.scale) for k in kept]


def test_cells_lie_in_the_middle_of_their_squares():
    centres, strides = cell_centres(64, 96)
    assert len(centres) == 8 * 12 + 4 * 6 + 2 * 3
    assert centres[0].tolist() == [4, 4]
    assert centres[-1].tolist() == [80, 48]
    assert strides[[0, -1]].tolist() == [8, 32]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.sampled_from([0.02, 0.5, 0.9]))
def test_faces_are_those_of_the_plain_rule(seed, min_score):
    heads = made_up(seed)
    found, wanted = faces_in(reader(heads), CANVAS, min_score), plainly(heads, min_score)
    assert [d.score for d in found] == pytest.approx([score for score, _, _ in wanted])
    for one, (_, box, marks) in zip(found, wanted, strict=True):
        assert np.allclose(one.box, box, atol=1e-3)
        assert np.allclose(one.landmarks, marks, atol=1e-3)
        assert one.box.dtype == one.landmarks.dtype == np.float32


def test_only_scores_are_read_where_nothing_answers():
    heads = {name: np.full_like(values, -3) for name, values in made_up(0).items()}
    asked = []

    def read(head, rows):
        asked.append(head)
        return heads[head]

    assert faces_in(read, CANVAS, 0.5) == []
    assert asked == [f"score_{s}" for s in STRIDES]


def test_a_box_that_lies_outside_the_picture_is_no_face():
    heads = {name: np.full_like(values, -9) for name, values in made_up(0).items()}
    inside, below = 5, 7 * 12 + 5  # the picture is 50 canvas pixels high, the last cells are not
    heads["score_8"][[inside, below]] = 4
    heads["box_8"][:] = (0, 0, 0, 0)
    heads["landmarks_8"][:] = 0
    (one,) = faces_in(reader(heads), CANVAS, 0.5)
    assert one.score == pytest.approx(1 / (1 + math.exp(-4)))
    assert one.box.tolist() == [80, 0, 96, 16]
    assert one.landmarks.tolist() == [[88, 8]] * 5


def test_no_side_is_endless_and_none_is_nothing():
    heads = {name: np.full_like(values, -9) for name, values in made_up(0).items()}
    heads["score_8"][[3, 5]] = 4
    heads["landmarks_8"][:] = 0
    heads["box_8"][3] = (0, 0, 1000, 0)  # as an untrained network says; most of it lies outside
    heads["box_8"][5] = (0, 0, -1000, -1000)
    (one,) = faces_in(reader(heads), CANVAS, 0.5)
    assert one.size_px == pytest.approx(8 * math.exp(-4) / CANVAS.scale, rel=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31))
def test_suppression_equals_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (20, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (20, 2))], 1).astype(np.float32)
    kept: list[int] = []
    for k in range(20):
        if all(iou(boxes[[k]], boxes[[j]])[0, 0] <= 0.4 for j in kept):
            kept.append(k)
    assert suppress([tuple(b) for b in boxes.tolist()], 0.4) == kept


def test_nothing_found_is_an_empty_list():
    assert suppress([], 0.4) == []
