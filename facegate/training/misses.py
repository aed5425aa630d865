"""A sheet of a detector's worst mistakes: the largest faces missed, the surest false alarms."""

from __future__ import annotations

import cv2
import numpy as np

from facegate.training.detection import Looked
from facegate.types import F32, U8

TILE_PX, COLUMNS, ROWS = 128, 8, 3
CONTEXT = 2.0
"""A tile shows so many times the box's longer side."""


def worst_sheet(looked: list[Looked]) -> U8:
    """Draw the sheet: missed faces above, largest first; false alarms below, surest first.

    Returns:
        uint8 (H, W, 3), RGB. It shows parts of the pictures: for the eyes of who asked for it.
    """
    missed = [
        (float(np.sqrt(np.prod(box[2:] - box[:2]))), one.scene.pixels, box)
        for one in looked
        for box in one.scene.boxes[one.sure & ~one.hit]
    ]
    alarms = [
        (detection.score, one.scene.pixels, detection.box)
        for one in looked
        for detection, face in zip(one.found, one.taken, strict=True)
        if face < 0
    ]
    bands = [
        _band(f"missed: {len(missed)} faces, the largest", missed, "{:.0f} px"),
        _band(f"false alarms: {len(alarms)}, the surest", alarms, "{:.2f}"),
    ]
    return np.concatenate(bands)


def _band(title: str, items: list[tuple[float, U8, F32]], label: str) -> U8:
    band = np.full((24 + ROWS * TILE_PX, COLUMNS * TILE_PX, 3), 32, np.uint8)
    _write(band, title, (4, 17))
    best = sorted(items, key=lambda item: -item[0])[: ROWS * COLUMNS]
    for number, (value, pixels, box) in enumerate(best):
        y, x = 24 + number // COLUMNS * TILE_PX, number % COLUMNS * TILE_PX
        tile = band[y : y + TILE_PX, x : x + TILE_PX]
        tile[:] = _tile(pixels, box)
        _write(tile, label.format(value), (3, TILE_PX - 5))
    return band


def _tile(pixels: U8, box: F32) -> U8:
    middle, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max()) * CONTEXT
    scale = TILE_PX / max(side, 1.0)
    shift = TILE_PX / 2 - middle * scale
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    tile = cv2.warpAffine(pixels, matrix, (TILE_PX, TILE_PX), flags=cv2.INTER_AREA)
    corners = (box.reshape(2, 2) * scale + shift).round().astype(int)
    cv2.rectangle(tile, corners[0].tolist(), corners[1].tolist(), (250, 210, 60), 1)
    return np.asarray(tile, np.uint8)


def _write(pixels: U8, text: str, at: tuple[int, int]) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(pixels, text, (at[0] + 1, at[1] + 1), font, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(pixels, text, at, font, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
