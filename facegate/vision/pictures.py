"""Read the pictures people hand in, and draw on pictures they asked for."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from facegate.errors import InputError
from facegate.types import U8, Detection

MOST_BYTES = 200 << 20
"""A file of a camera's own format has 100 MB at most; a film may fill the memory."""
GREEN, RED, YELLOW, GREY = (60, 200, 80), (230, 70, 60), (250, 210, 60), (170, 170, 170)
"""RGB colours for faces: let in, refused, undecided, not compared."""


def read_picture(path: Path) -> U8:
    """Read a picture file, upright as its EXIF orientation says.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        InputError: no such file, not readable, or not a picture.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder, not a picture")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MOST_BYTES:
        raise InputError(f"{path}: larger than {MOST_BYTES >> 20} MB; that is no picture")
    if not data:
        raise InputError(f"{path}: the file is empty")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise InputError(f"{path}: not a picture (JPEG, PNG, WebP and the like can be read)")
    return np.asarray(pixels, np.uint8)


def write_picture(path: Path, pixels: U8) -> None:
    """Write an RGB picture, whole or not at all; the suffix chooses the format.

    Raises:
        InputError: the file cannot be written, or its suffix names no format.
    """
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        raise InputError(f"{path}: choose a name that ends in .png or .jpg")
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(data.tobytes())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def draw_face(
    pixels: U8, detection: Detection, label: str = "", colour: Sequence[int] = GREEN
) -> None:
    """Draw box, landmarks and a label onto a picture, in place; sizes fit the picture's."""
    unit = max(1, round(max(pixels.shape[:2]) / 640))
    x1, y1, x2, y2 = (round(float(v)) for v in detection.box)
    cv2.rectangle(pixels, (x1, y1), (x2, y2), colour, 2 * unit, cv2.LINE_AA)
    for x, y in detection.landmarks:
        cv2.circle(pixels, (round(float(x)), round(float(y))), 2 * unit, colour, -1, cv2.LINE_AA)
    if label:
        font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * unit
        (width, height), base = cv2.getTextSize(label, font, size, unit)
        top = y1 - height - base - 4 if y1 > height + base + 4 else y2 + 2
        left = min(max(0, x1), max(0, pixels.shape[1] - width - 4))
        corner = (left + width + 4, top + height + base + 4)
        cv2.rectangle(pixels, (left, top), corner, colour, -1)
        at = (left + 2, top + height + 2)
        cv2.putText(pixels, label, at, font, size, (0, 0, 0), unit, cv2.LINE_AA)
