"""From what a detector's heads say to faces: the one place that knows the layout of its cells.

A frame shows few faces and so few cells answer: they are plain numbers, for which numpy's calls
would cost more than the sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from facegate.types import F32, I64, Detection

STRIDES = (8, 16, 32)
HEADS = {"score": 1, "box": 4, "landmarks": 10}
NMS_IOU = 0.4

MIN_SEEN_SHARE = 0.25
"""A box of which less lies inside the picture is no face that anybody could know."""

LEAST_LOG, MOST_LOG = -4.0, 6.0
"""Bounds of a side's logarithm, in strides: no untrained network makes an endless box."""

Side = tuple[float, float, float, float]
"""x1, y1, x2, y2, canvas pixels."""

Read = Callable[[str, I64 | None], F32]
"""Head (`score_8` …) and rows → float32 (rows, channels); all cells of the head for None."""


@dataclass(frozen=True)
class Canvas:
    """What the network was shown.

    Attributes:
        width_px, height_px: of the network's input.
        picture_px: width and height of the picture drawn into its top left corner.
        scale: canvas pixels per picture pixel.
    """

    width_px: int
    height_px: int
    picture_px: tuple[int, int]
    scale: float


class _Answer(NamedTuple):
    """A cell above the least score."""

    logit: float
    stride: int
    row: int
    centre: tuple[float, float]
    box: Side
    seen: Side


def cell_centres(height: int, width: int) -> tuple[F32, F32]:
    """Give the centre (M, 2) of every output cell, pixels, and its stride (M,)."""
    centres, strides = [], []
    for stride in STRIDES:
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
        centres.append(np.stack([xs.ravel() + 0.5, ys.ravel() + 0.5], axis=1) * stride)
        strides.append(np.full(xs.size, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def faces_in(read: Read, canvas: Canvas, min_score: float) -> list[Detection]:
    """Turn what the heads say into faces.

    A box's centre lies `box[:2]` strides from the cell's centre, its sides are `exp(box[2:])`
    strides; landmarks lie `landmarks` strides from the cell's centre.

    Args:
        read: gives the raw outputs; boxes are asked for where the score suffices, landmarks where
            there is a face.
        canvas: what the network was shown.
        min_score: least confidence, above 0 and below 1.

    Returns:
        Detections, best first, in the coordinates of the picture. Of two boxes only the parts
        inside of it say whether they show one face.
    """
    answers = _answers(read, canvas, math.log(min_score / (1 - min_score)))
    answers.sort(key=lambda a: -a.logit)
    found = []
    for at in suppress([a.seen for a in answers], NMS_IOU):
        one = answers[at]
        points = read(f"landmarks_{one.stride}", np.array([one.row])).reshape(5, 2)
        landmarks = (points * one.stride + np.array(one.centre)) / canvas.scale
        box = np.array(one.box) / canvas.scale
        score = 1 / (1 + math.exp(-one.logit))
        found.append(Detection(box.astype(np.float32), landmarks.astype(np.float32), score))
    return found


def _answers(read: Read, canvas: Canvas, limit: float) -> list[_Answer]:
    width, height = (side * canvas.scale for side in canvas.picture_px)
    answers = []
    for stride in STRIDES:
        logits = read(f"score_{stride}", None)[:, 0]
        rows = np.flatnonzero(logits >= limit)
        if not len(rows):
            continue
        across = canvas.width_px // stride
        said = zip(
            rows.tolist(),
            logits[rows].tolist(),
            read(f"box_{stride}", rows).tolist(),
            strict=True,
        )
        for row, logit, offsets in said:
            x, y = (row % across + 0.5) * stride, (row // across + 0.5) * stride
            box = _box(x, y, stride, offsets)
            seen = _inside(box, width, height)
            if _area(seen) >= MIN_SEEN_SHARE * _area(box):
                answers.append(_Answer(logit, stride, row, (x, y), box, seen))
    return answers


def _box(x: float, y: float, stride: int, offsets: list[float]) -> Side:
    dx, dy, log_w, log_h = offsets
    half_w = math.exp(min(max(log_w, LEAST_LOG), MOST_LOG)) * stride / 2
    half_h = math.exp(min(max(log_h, LEAST_LOG), MOST_LOG)) * stride / 2
    x, y = x + dx * stride, y + dy * stride
    return x - half_w, y - half_h, x + half_w, y + half_h


def _inside(box: Side, width: float, height: float) -> Side:
    """Give the part of a box inside a picture."""
    x1, y1, x2, y2 = box
    return (
        min(max(x1, 0.0), width), min(max(y1, 0.0), height),
        min(max(x2, 0.0), width), min(max(y2, 0.0), height),
    )  # fmt: skip


def _area(box: Side) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def suppress(boxes: list[Side], max_iou: float) -> list[int]:
    """Keep each box that overlaps no better one by more than `max_iou`.

    Args:
        boxes: best first.

    Returns:
        Which are kept.

    Source: greedy non-maximum suppression, Felzenszwalb et al. 2010, section 3.
    """
    kept: list[int] = []
    for number, box in enumerate(boxes):
        if all(iou(box, boxes[better]) <= max_iou for better in kept):
            kept.append(number)
    return kept


def iou(a: Side, b: Side) -> float:
    """Give the intersection over union of two boxes."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (_area(a) + _area(b) - shared)
