"""Annotated pictures of one's own: a folder, and a CSV file with a box a line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from facegate.errors import DataError, InputError
from facegate.training.data import Scene
from facegate.training.identity_folder import SUFFIXES
from facegate.vision.pictures import read_picture

COLUMNS = ("file", "x1", "y1", "x2", "y2")


@dataclass(frozen=True)
class Annotated:
    """What a folder and its box file hold.

    Attributes:
        scenes: the pictures, by name.
        unreadable: how many files were passed over, for they are no pictures.
    """

    scenes: list[Scene]
    unreadable: int


def read_box_file(
    images: Path,
    boxes: Path,
    say: Callable[[str], None] = print,
    longest_px: int | None = None,
) -> Annotated:
    """Read a folder of pictures and the faces in them.

    Args:
        images: the folder; a picture in it without a line shows no face.
        boxes: CSV with the header `file,x1,y1,x2,y2`, and ten columns more (x, y of both eyes, the
            nose and both corners of the mouth) where the landmarks are known. Pixels.
        say: is told which files are no pictures, and why.
        longest_px: pictures with a longer side are made smaller, boxes and landmarks with them.

    Raises:
        DataError: something is missing, or a line is none; the message names it. Or no file at all
            can be read.
    """
    if not images.is_dir():
        raise DataError(f"{images}: no such folder")
    if not boxes.is_file():
        raise DataError(f"{boxes}: no such file")
    faces: dict[str, list[list[float]]] = {}
    try:
        with boxes.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            header = [name.strip() for name in next(lines, [])]
            if tuple(header[:5]) != COLUMNS or len(header) not in (5, 15):
                raise DataError(
                    f"{boxes}: its first line must be {','.join(COLUMNS)}, with ten columns more "
                    "for landmarks or none"
                )
            for line in lines:
                if line:
                    numbers = _numbers(boxes, lines.line_num, line, len(header))
                    faces.setdefault(line[0], []).append(numbers)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(f"{boxes}: cannot be read: {error}") from error
    there = {p.relative_to(images).as_posix() for p in images.rglob("*")}
    for name in faces:
        if name not in there:
            raise DataError(f"{boxes}: {name} is not in {images}")
        if Path(name).suffix.lower() not in SUFFIXES:
            raise DataError(f"{boxes}: {name} is none of {', '.join(SUFFIXES)}")
    names = sorted(n for n in there if Path(n).suffix.lower() in SUFFIXES)
    if not names:
        raise DataError(f"{images}: no pictures ({', '.join(SUFFIXES)})")
    scenes = []
    for name in names:
        try:
            scene = _scene(images / name, faces.get(name, []))
        except InputError as error:
            say(f"passed over: {error}")
        else:
            scenes.append(scene if longest_px is None else _smaller(scene, longest_px))
    if not scenes:
        raise DataError(f"{images}: none of its {len(names)} pictures can be read")
    return Annotated(scenes, len(names) - len(scenes))


def _numbers(path: Path, number: int, line: list[str], count: int) -> list[float]:
    try:
        values = [float(text) for text in line[1:]]
    except ValueError:
        values = []
    good = len(line) == count and len(values) == count - 1 and bool(np.isfinite(values).all())
    if not good or values[2] <= values[0] or values[3] <= values[1]:
        raise DataError(
            f"{path}: line {number}: expected a file name and {count - 1} numbers, "
            "with x1 < x2 and y1 < y2"
        )
    return values


def _scene(path: Path, faces: list[list[float]]) -> Scene:
    count = len(faces)
    rows = np.array(faces, np.float32) if count else np.zeros((0, 4), np.float32)
    unknown = np.full((count, 5, 2), np.nan, np.float32)
    marks = rows[:, 4:].reshape(-1, 5, 2) if rows.shape[1] > 4 else unknown
    return Scene(read_picture(path), rows[:, :4], marks, np.ones(count, np.float32))


def _smaller(scene: Scene, longest_px: int) -> Scene:
    height, width = scene.pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return scene
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    step = np.array(size, np.float32) / (width, height)
    pixels = cv2.resize(scene.pixels, size, interpolation=cv2.INTER_AREA)
    return replace(
        scene,
        pixels=pixels.astype(np.uint8, copy=False),
        boxes=(scene.boxes * np.tile(step, 2)).astype(np.float32),
        landmarks=(scene.landmarks * step).astype(np.float32),
    )
