import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegate.vision.detector import (
    HEADS,
    STRIDES,
    TFLiteFaceDetector,
    answering,
    cell_centres,
    decode,
    detections,
    suppress,
    within,
)
from facegate.vision.preprocess import letterbox
from facegate.vision.tflite import model_folder
from facegate.vision.tracker import iou


def test_cells_lie_in_the_middle_of_their_squares():
    centres, strides = cell_centres(64, 96)
    assert len(centres) == 8 * 12 + 4 * 6 + 2 * 3
    assert centres[0].tolist() == [4, 4]
    assert centres[-1].tolist() == [80, 48]
    assert strides[[0, -1]].tolist() == [8, 32]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31))
def test_decode_equals_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    centres, strides = cell_centres(32, 64)
    m = len(centres)
    logits, offsets, points = (
        rng.normal(0, s, shape).astype(np.float32)
        for s, shape in ((2, m), (0.5, (m, 4)), (1, (m, 10)))
    )
    cells = answering(logits, 0.5)
    cells = cells[np.argsort(-logits[cells], kind="stable")]
    boxes, marks = decode(offsets[cells], points[cells], centres[cells], strides[cells])
    found = detections(boxes, marks, logits[cells])
    expected = []
    for k in range(m):
        score = 1 / (1 + np.exp(-logits[k]))
        if score < 0.5:
            continue
        s = strides[k]
        cx, cy = centres[k] + offsets[k, :2] * s
        w, h = np.exp(offsets[k, 2:]) * s
        lm = [(centres[k] + points[k, 2 * i : 2 * i + 2] * s).tolist() for i in range(5)]
        expected.append((score, [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], lm))
    expected.sort(key=lambda e: -e[0])
    assert len(found) == len(expected)
    for one, (score, box, lm) in zip(found, expected, strict=True):
        assert one.score == pytest.approx(score, abs=1e-5)
        assert np.allclose(one.box, box, atol=1e-3)
        assert np.allclose(one.landmarks, lm, atol=1e-3)


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
    assert suppress(boxes, 0.4) == kept


def test_nothing_found_is_an_empty_list():
    assert suppress(np.zeros((0, 4), np.float32), 0.4) == []


def test_cells_answer_from_the_least_score_on():
    logits = np.array([-3, 2, 0, 2, 5, -0.1], np.float32)
    assert answering(logits, 0.5).tolist() == [1, 2, 3, 4]


def test_the_part_inside_a_picture_is_measured():
    boxes = np.array([[-10, 0, 10, 10], [90, 40, 110, 60], [120, 0, 130, 10]], np.float32)
    seen, share = within(boxes, 100, 50)
    assert seen.tolist() == [[0, 0, 10, 10], [90, 40, 100, 50], [100, 0, 100, 10]]
    assert share.tolist() == [0.5, 0.25, 0]


@pytest.fixture(scope="module")
def shipped():
    return TFLiteFaceDetector(model_folder() / "yunet_like.tflite", min_score=0.4)


def test_reading_only_what_answers_gives_what_reading_all_gives(shipped, portraits):
    centres, strides = cell_centres(*shipped.model.input_shape[:2])
    for pixels in (*portraits, portraits[0][:200, :90]):
        found = shipped.detect(pixels)
        canvas, scale = letterbox(pixels, *shipped.model.input_shape[1::-1])
        heads, outputs = shipped.heads(canvas), shipped.model.run(canvas)
        for head, values in heads.items():
            assert np.array_equal(values, outputs[shipped.model.card.raw["outputs"][head]])
        logits, offsets, points = (
            np.concatenate([heads[f"{kind}_{s}"].reshape(-1, n) for s in STRIDES])
            for kind, n in HEADS.items()
        )
        cells = answering(logits[:, 0], 0.4)
        boxes, _ = decode(offsets, points, centres, strides)
        assert {d.score for d in found} <= {1 / (1 + np.exp(-x)) for x in logits[cells, 0]}
        assert len(found) > 0 or len(cells) == 0
        for d in found:
            assert np.abs(boxes[cells] / scale - d.box).max(axis=1).min() < 1e-3
        assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    assert shipped.detect(portraits[0])[0].score > 0.5


def test_a_frame_leaves_nothing_of_the_one_before(shipped, portraits):
    before = [d.box.tolist() for d in shipped.detect(portraits[1])]
    shipped.detect(np.full((90, 400, 3), 255, np.uint8))
    assert [d.box.tolist() for d in shipped.detect(portraits[1])] == before


def test_nothing_is_allocated_for_a_frame_but_the_results(shipped):
    corridor = np.full((360, 640, 3), 90, np.uint8)
    assert shipped.detect(corridor) == []
    tracemalloc.start()
    shipped.detect(corridor)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The canvas alone has 245,760 bytes, the float outputs 100,800; numpy's own buffer for turning
    # INT8 into float has 32,768.
    assert peak < 48_000


def test_a_face_that_the_border_cuts_off_is_found_once(shipped, portraits):
    cut = portraits[0][:, 215:]  # through the middle of her face
    found = shipped.detect(cut)
    assert len([d for d in found if d.box[0] < 20]) <= 1
    for d in found:
        assert d.box[0] < cut.shape[1]
