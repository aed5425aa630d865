"""Failure sheets: the pairs that an embedder gets most wrong, side by side.

They show faces: for a user's own pictures, on request, in a folder of the user's choice.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from facegate.errors import InputError
from facegate.training.named_pairs import NamedPairs, Seen
from facegate.types import F32, I64, U8
from facegate.vision.pictures import write_picture

ROWS, COLUMNS = 6, 3
CAPTION_PX, GAP_PX = 34, 8
PAPER, INK = 255, (20, 20, 20)


def failure_sheets(folder: Path, seen: Seen, named: NamedPairs) -> list[Path]:
    """Draw the most alike pairs of two people and the least alike of one; gives the files.

    Raises:
        InputError: a file cannot be written.
    """
    row = {path: k for k, path in enumerate(seen.paths)}
    a, b = (np.array([row[p] for p in paths], np.int64) for paths in (named.a, named.b))
    distance = np.linalg.norm(seen.vectors[a] - seen.vectors[b], axis=1)
    same = np.array(named.same)
    usable = ~np.isnan(distance)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from error
    written = []
    for name, chosen, sign in (
        ("false-matches.png", ~same & usable, 1),
        ("false-non-matches.png", same & usable, -1),
    ):
        order = np.flatnonzero(chosen)
        order = order[np.argsort(sign * distance[order], kind="stable")][: ROWS * COLUMNS]
        write_picture(folder / name, _sheet(seen, a[order], b[order], distance[order]))
        written.append(folder / name)
    return written


def _sheet(seen: Seen, a: I64, b: I64, distance: F32) -> U8:
    """Lay pairs out in a grid, each with its distance and the files' names."""
    side = seen.crops.shape[1]
    cell_h, cell_w = side + CAPTION_PX + GAP_PX, 2 * side + 2 * GAP_PX
    rows = max(1, -(-len(a) // COLUMNS))
    sheet = np.full((rows * cell_h + GAP_PX, COLUMNS * cell_w + GAP_PX, 3), PAPER, np.uint8)
    for k, (first, second, apart) in enumerate(zip(a, b, distance, strict=True)):
        top = GAP_PX + (k // COLUMNS) * cell_h
        left = GAP_PX + (k % COLUMNS) * cell_w
        for x, which in ((left, first), (left + side, second)):
            sheet[top : top + side, x : x + side] = seen.crops[which]
            _write(sheet, _label(seen.paths[which]), x, top + side + 13)
        _write(sheet, f"distance {apart:.3f}", left, top + side + 28)
    return sheet


def _label(path: Path) -> str:
    """Name a picture in few letters: the end of `Name/picture`, in what OpenCV can write."""
    text = f"{path.parent.name}/{path.stem}".encode("ascii", "replace").decode()
    return text if len(text) <= 24 else f"..{text[-22:]}"


def _write(sheet: U8, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, INK, 1, cv2.LINE_AA)
