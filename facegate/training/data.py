"""The training and validation sets: read, and written from pictures of one's own.

The sets are Parquet files with one picture a row, encoded (WebP, JPEG or PNG); pictures are decoded
once into one uint8 array.
"""

from __future__ import annotations

import csv
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facegate.errors import DataError
from facegate.training.card_file import write_whole
from facegate.types import F32, I64, U8

TRAIN_FACES = "faces-train-{}.parquet"
"""Of the crops to learn from, which may lie in several files."""

CROP_PX = 160
OWN_PICTURES = "own pictures"
"""What the cards call pictures that a user trained on."""


def train_faces(data: Path) -> list[Path]:
    """Give the files of crops to learn from that a folder has, in order."""
    return sorted(data.glob(TRAIN_FACES.format("*")))


def val_faces(data: Path) -> Path:
    """Give the file of crops of people held out."""
    return data / "faces-val.parquet"


def val_pairs(data: Path) -> Path:
    """Give the file of pairs to compare of `val_faces`."""
    return data / "val-pairs.csv"


def train_scenes(data: Path) -> Path:
    """Give the file of whole pictures to learn from."""
    return data / "scenes-train.parquet"


def val_scenes(data: Path) -> Path:
    """Give the file of whole pictures held out."""
    return data / "scenes-val.parquet"


@dataclass(frozen=True)
class FaceCrops:
    """Aligned face crops.

    Attributes:
        pixels: uint8 (N, side, side, 3), RGB, aligned to the 5-point template.
        source: name of the set each crop comes from, N strings.
        identity: N strings; crops without a known identity get one of their own.
        target: float32 (N, 512), the teacher's unit embedding of the clean crop; (N, 0) if none.
    """

    pixels: U8
    source: list[str]
    identity: list[str]
    target: F32


@dataclass(frozen=True)
class Pairs:
    """Verification pairs: rows `a` and `b` of a crop set, whether they are one person, fold."""

    fold: I64
    a: I64
    b: I64
    same: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Scene:
    """One whole picture with its annotation.

    Attributes:
        pixels: uint8 (H, W, 3), RGB.
        boxes: float32 (K, 4), x1 y1 x2 y2 in pixels.
        landmarks: float32 (K, 5, 2), pixels, in the template's order.
        scores: float32 (K,); below 0.5 a face is neither target nor background.
        source: name of the set the picture comes from, empty where nobody said.
    """

    pixels: U8
    boxes: F32
    landmarks: F32
    scores: F32
    source: str = ""


def decode(data: bytes, where: str) -> U8:
    """Decode one picture to RGB uint8 (H, W, 3)."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # nothing at all
        image = None
    if image is None:
        raise DataError(f"{where}: not a picture that can be decoded")
    return image.astype(np.uint8, copy=False)


def _table(paths: list[Path]) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DataError("reading Parquet needs pyarrow: pip install 'facegate[train]'") from error
    missing = [str(p) for p in paths if not p.is_file()]
    if missing or not paths:
        raise DataError(f"no such file: {', '.join(missing) or 'no Parquet file matched'}")
    try:
        return pa.concat_tables([pq.read_table(p) for p in paths])
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{', '.join(map(str, paths))}: cannot be read: {str(error).splitlines()[0]}"
        ) from error


def _check_columns(table: Any, names: set[str], where: Path) -> None:
    if lacking := names - set(table.column_names):
        raise DataError(f"{where}: no column {', '.join(sorted(lacking))}")


def read_crops(paths: list[Path], side: int = CROP_PX) -> FaceCrops:
    """Read aligned crops from Parquet files.

    Args:
        paths: files with columns image, source, identity, target.
        side: decode to this side in pixels (area-averaged).

    Raises:
        DataError: a file is missing, lacks a column or holds something that is no picture.
    """
    table = _table(paths)
    _check_columns(table, {"image", "source", "identity"}, paths[0])
    images = table.column("image").to_pylist()
    pixels = np.empty((len(images), side, side, 3), np.uint8)

    def one(row: int) -> None:
        image = decode(images[row], f"{paths[0].parent} row {row}")
        if image.shape[0] != side or image.shape[1] != side:
            image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        pixels[row] = image

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, range(len(images)), chunksize=256))
    identity = [
        f"only-{row}" if name is None else str(name)
        for row, name in enumerate(table.column("identity").to_pylist())
    ]
    return FaceCrops(pixels, table.column("source").to_pylist(), identity, _targets(table))


def read_sizes(path: Path) -> F32:
    """Read the face widths that aligned crops had in their originals, pixels; NaN where unknown."""
    table = _table([path])
    if "size_px" not in table.column_names:
        return np.full(table.num_rows, np.nan, np.float32)
    return np.array(table.column("size_px").to_pylist(), np.float32)


def _targets(table: Any) -> F32:
    if "target" not in table.column_names:
        return np.zeros((table.num_rows, 0), np.float32)
    column = table.column("target").combine_chunks()
    raw = column.flatten().to_numpy().reshape(len(column), -1).astype(np.float32)
    unit: F32 = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return unit


def read_pairs(path: Path, crops: int) -> Pairs:
    """Read verification pairs from a CSV file with the header fold,a,b,same.

    Args:
        path: of the file.
        crops: how many rows there are to compare.

    Raises:
        DataError: the file is missing, is no such table, or names rows that there are not.
    """
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        if not {"fold", "a", "b", "same"} <= set(reader.fieldnames or ()):
            raise ValueError("other columns")
        columns = {
            k: np.array([int(r[k]) for r in rows], np.int64) for k in ("fold", "a", "b", "same")
        }
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: expected the columns fold,a,b,same with whole numbers") from error
    for name in ("a", "b"):
        wrong = np.flatnonzero((columns[name] < 0) | (columns[name] >= crops))
        if len(wrong):
            raise DataError(
                f"{path}, line {wrong[0] + 2}: {name} is {columns[name][wrong[0]]}, but the crops "
                f"are numbered 0 to {crops - 1}"
            )
    return Pairs(columns["fold"], columns["a"], columns["b"], columns["same"].astype(bool))


def read_scenes(path: Path) -> list[Scene]:
    """Read annotated pictures from a Parquet file.

    Its columns: image, boxes, landmarks, scores; source may be missing.

    Raises:
        DataError: the file is missing, is no such table, or holds something that is no picture.
    """
    table = _table([path])
    _check_columns(table, {"image", "boxes", "landmarks", "scores"}, path)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    sources = columns.get("source") or [""] * table.num_rows

    def one(row: int) -> Scene:
        return Scene(
            decode(columns["image"][row], f"{path} row {row}"),
            np.array(columns["boxes"][row], np.float32).reshape(-1, 4),
            np.array(columns["landmarks"][row], np.float32).reshape(-1, 5, 2),
            np.array(columns["scores"][row], np.float32).reshape(-1),
            sources[row] or "",
        )

    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, range(table.num_rows), chunksize=64))


MISSED_SHARE = 0.1
"""A set with fewer faceless pictures than this was collected for its faces."""


def without_faces(scenes: list[Scene]) -> list[Scene]:
    """Give the pictures that may be taken for faceless.

    An automatic annotator misses faces, those behind masks above all. In a set that was collected
    for its faces a picture without an annotation most likely shows one: training on it as
    background would unlearn such faces, and mining would show it most often. Whoever annotated
    pictures of their own is believed.
    """
    pictures = Counter(s.source for s in scenes)
    faceless = Counter(s.source for s in scenes if not len(s.boxes))
    return [
        s
        for s in scenes
        if not len(s.boxes)
        and (
            s.source in ("", OWN_PICTURES)
            or faceless[s.source] >= MISSED_SHARE * pictures[s.source]
        )
    ]


def source_names(paths: list[Path]) -> list[str]:
    """Name the public sets that the pictures in Parquet files come from."""
    import pyarrow.parquet as pq

    found: set[str] = set()
    for path in paths:
        if "source" in pq.read_schema(path).names:
            column = pq.read_table(path, columns=["source"]).column("source")
            found.update(str(name) for name in column.unique().to_pylist())
    return sorted(found)


def write_table(path: Path, table: Any) -> None:
    """Write a pyarrow table as a Parquet file, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer)
    write_whole(path, buffer.getvalue().to_pybytes())
