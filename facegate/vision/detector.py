"""Find faces and their five landmarks in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, U8, Detection
from facegate.vision.preprocess import letterbox
from facegate.vision.tflite import TFLiteModel
from facegate.vision.tracker import iou

STRIDES = (8, 16, 32)
HEADS = {"score": 1, "box": 4, "landmarks": 10}
NMS_IOU = 0.4

MIN_SEEN_SHARE = 0.25
"""A box of which less lies inside the picture is no face that anybody could know."""


class FaceDetector(Protocol):
    """What finds faces."""

    def detect(self, pixels: U8) -> list[Detection]:
        """Find the faces in an RGB picture, best first, in its own pixel coordinates."""
        ...


class TFLiteFaceDetector:
    """The shipped detector.

    Args:
        path: the `.tflite` file.
        min_score: faces below this confidence are not reported.
        threads: interpreter threads.

    Raises:
        ModelError: the model cannot be used, or has other outputs than a detector's.
    """

    def __init__(self, path: Path, min_score: float = 0.5, threads: int = 1) -> None:
        self.model = TFLiteModel(path, "detector", threads)
        self.min_score = min_score
        self._height, self._width, _ = self.model.input_shape
        self._centres, self._strides = cell_centres(self._height, self._width)
        names = self.model.card.raw.get("outputs", {})
        wanted = {f"{k}_{s}" for k in HEADS for s in STRIDES}
        if set(names) != wanted or set(names.values()) != set(self.model.output_shapes):
            raise ModelError(f"{path}: its card does not name the outputs {sorted(wanted)}")
        self._names: dict[str, str] = names
        self._canvas: U8 = np.empty((self._height, self._width, 3), np.uint8)
        self._raw = {
            kind: np.empty((len(self._centres), n), np.float32) for kind, n in HEADS.items()
        }
        self._heads = self._views()

    def detect(self, pixels: U8) -> list[Detection]:
        """Find the faces in a picture.

        Nothing is allocated but the results, and what holds for the few cells that answer.

        Args:
            pixels: uint8 (H, W, 3), RGB, any size.

        Returns:
            Detections, best first, in the coordinates of `pixels`. Boxes may reach over its border,
            which cuts faces off; what lies outside of it for the most part is none, and of two
            boxes only the parts inside say whether they show one face.
        """
        _, scale = letterbox(pixels, self._width, self._height, self._canvas)
        self._run()
        scores, boxes, landmarks = decode(
            self._raw["score"][:, 0],
            self._raw["box"],
            self._raw["landmarks"],
            self._centres,
            self._strides,
            self.min_score,
        )
        height, width = pixels.shape[:2]
        seen, share = within(boxes, width * scale, height * scale)
        inside = np.flatnonzero(share >= MIN_SEEN_SHARE)
        keep = inside[suppress(seen[inside], scores[inside], NMS_IOU)]
        return [Detection(boxes[k] / scale, landmarks[k] / scale, float(scores[k])) for k in keep]

    def heads(self, canvas: U8) -> dict[str, F32]:
        """Run on a picture of the input's size: head (`score_8` …) → float32 (h, w, channels)."""
        self._canvas[:] = canvas
        self._run()
        return {head: self._heads[name].copy() for head, name in self._names.items()}

    @property
    def head_scales(self) -> dict[str, float]:
        """Head → quantisation scale of its output."""
        scales = self.model.output_scales
        return {head: scales[name] for head, name in self._names.items()}

    def _run(self) -> None:
        self.model.run_into(self._canvas, self._heads)

    def _views(self) -> dict[str, F32]:
        """Give for each output the part of `_raw` it fills: the strides one after another."""
        views = {}
        for kind in HEADS:
            start = 0
            for stride in STRIDES:
                name = self._names[f"{kind}_{stride}"]
                shape = self.model.output_shapes[name]
                end = start + shape[0] * shape[1]
                views[name] = self._raw[kind][start:end].reshape(shape)
                start = end
        return views


def cell_centres(height: int, width: int) -> tuple[F32, F32]:
    """Give the centre (M, 2) of every output cell, pixels, and its stride (M,)."""
    centres, strides = [], []
    for stride in STRIDES:
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
        centres.append(np.stack([xs.ravel() + 0.5, ys.ravel() + 0.5], axis=1) * stride)
        strides.append(np.full(xs.size, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(
    logits: F32, offsets: F32, points: F32, centres: F32, strides: F32, min_score: float
) -> tuple[F32, F32, F32]:
    """Turn raw outputs into faces above `min_score`.

    A box's centre lies `offsets[:2]` strides from the cell's centre, its sides are
    `exp(offsets[2:])` strides; landmarks lie `points` strides from the cell's centre.

    Args:
        logits: float32 (M,). offsets: (M, 4). points: (M, 10). centres: (M, 2). strides: (M,).

    Returns:
        Scores (K,), boxes (K, 4) and landmarks (K, 5, 2), best first, in canvas pixels.
    """
    limit = np.log(min_score / (1 - min_score))
    chosen = np.flatnonzero(logits >= limit)
    chosen = chosen[np.argsort(-logits[chosen], kind="stable")]
    centre, stride = centres[chosen], strides[chosen, None]
    middle = centre + offsets[chosen, :2] * stride
    half = np.exp(np.clip(offsets[chosen, 2:], -4, 6)) * stride / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    landmarks = centre[:, None] + points[chosen].reshape(-1, 5, 2) * stride[:, :, None]
    scores = 1 / (1 + np.exp(-logits[chosen]))
    return scores.astype(np.float32), boxes.astype(np.float32), landmarks.astype(np.float32)


def within(boxes: F32, width: float, height: float) -> tuple[F32, F32]:
    """Give the part of each box (K, 4) inside a picture, and the share (K,) that it is."""
    seen = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return seen, (seen[:, 2:] - seen[:, :2]).prod(1) / np.maximum(area, 1e-6)


def suppress(boxes: F32, scores: F32, max_iou: float) -> list[int]:
    """Keep, best first, each box that overlaps no better one by more than `max_iou`.

    Args:
        boxes: float32 (K, 4), x1 y1 x2 y2. scores: float32 (K,).

    Returns:
        The rows kept.

    Source: greedy non-maximum suppression, Felzenszwalb et al. 2010, section 3.
    """
    order = np.argsort(-scores, kind="stable")
    overlap = iou(boxes[order], boxes[order])
    free = np.ones(len(order), bool)
    kept = []
    for rank, row in enumerate(order.tolist()):
        if free[rank]:
            kept.append(row)
            free &= overlap[rank] <= max_iou
    return kept
