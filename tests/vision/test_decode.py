import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from facegate.vision.detector import cell_centres, decode, suppress
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
    scores, boxes, marks = decode(logits, offsets, points, centres, strides, 0.5)
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
    assert np.allclose(scores, [e[0] for e in expected], atol=1e-5)
    if expected:
        assert np.allclose(boxes, [e[1] for e in expected], atol=1e-3)
        assert np.allclose(marks, [e[2] for e in expected], atol=1e-3)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31))
def test_suppression_equals_the_plain_rule(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (20, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (20, 2))], 1).astype(np.float32)
    scores = np.sort(rng.uniform(0.1, 1, 20)).astype(np.float32)[::-1].copy()
    kept: list[int] = []
    for k in range(20):
        if all(iou(boxes[[k]], boxes[[j]])[0, 0] <= 0.4 for j in kept):
            kept.append(k)
    assert suppress(boxes, scores, 0.4) == kept


def test_nothing_found_is_an_empty_list():
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.4) == []
