"""From annotated pictures of one's own to the sets that detector and refiner learn from.

The pictures lie in the run's folder, smaller than they were, until somebody deletes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from facegate.errors import DataError
from facegate.training.boxfile import read_box_file
from facegate.training.data import OWN_PICTURES, Scene, train_scenes, val_scenes, write_table

HELD_OUT = 0.2
LEAST_PICTURES = 10
LONGEST_PX = 1024
"""Longest side of what is kept: all pictures of a set are in memory while it is trained on."""
JPEG_QUALITY = 95


def prepare_scenes(
    images: Path, boxes: Path, folder: Path, say: Callable[[str], None] = print
) -> Path:
    """Split annotated pictures, about a fifth held out: each by what it shows, whatever the others.

    Args:
        images, boxes: as `boxfile.read_box_file` takes them, with landmarks.
        folder: for `scenes-train.parquet` and `scenes-val.parquet`.
        say: takes what was passed over, and what is in the two.

    Returns:
        `folder`.

    Raises:
        DataError: something cannot be read, the landmarks are missing, or there are too few
            pictures with faces.
    """
    scenes = read_box_file(images, boxes, say, LONGEST_PX).scenes
    if any(np.isnan(s.landmarks).any() for s in scenes):
        raise DataError(
            f"{boxes}: training needs landmarks: ten columns more (x, y of both eyes, the nose and "
            "both corners of the mouth, as seen in the picture from the left)"
        )
    known: dict[str, Scene] = {}
    for scene in scenes:  # one that is there twice counts once, by the name with the faces
        digest = hashlib.sha256(scene.pixels.tobytes()).hexdigest()
        if digest not in known or len(scene.boxes) > len(known[digest].boxes):
            known[digest] = scene
    faced = sorted(digest for digest, scene in known.items() if len(scene.boxes))
    if len(faced) < LEAST_PICTURES:
        raise DataError(f"{boxes}: faces in {len(faced)} pictures, {LEAST_PICTURES} are needed")
    limit = max(faced[0], f"{round(HELD_OUT * 2**32):08x}")  # of few pictures one at least
    held = [known[digest] for digest in sorted(known) if digest <= limit]
    kept = [known[digest] for digest in sorted(known) if digest > limit]
    for told, path, part in (
        ("train", train_scenes(folder), kept),
        ("held out", val_scenes(folder), held),
    ):
        _write(path, part)
        faces = sum(len(s.boxes) for s in part)
        say(f"{told:<9} {len(part):>6} pictures, {faces} faces")
    if len(faced) == len(known):
        say("no picture without a face: what is none is learned from such pictures")
    return folder


def _write(path: Path, scenes: list[Scene]) -> None:
    import pyarrow as pa

    numbers = pa.list_(pa.float32())
    table = pa.table(
        {
            "image": [_encoded(s) for s in scenes],
            "source": [OWN_PICTURES] * len(scenes),
            "boxes": pa.array([s.boxes.tolist() for s in scenes], pa.list_(numbers)),
            "landmarks": pa.array(
                [s.landmarks.tolist() for s in scenes], pa.list_(pa.list_(numbers))
            ),
            "scores": pa.array([s.scores.tolist() for s in scenes], numbers),
        }
    )
    write_table(path, table)


def _encoded(scene: Scene) -> bytes:
    _, data = cv2.imencode(
        ".jpg", scene.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return data.tobytes()
