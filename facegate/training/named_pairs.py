"""Pairs of picture files in the layout of Labeled Faces in the Wild, through the whole way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facegate.errors import DataError, InputError
from facegate.training.progress import Progress, quietly
from facegate.training.sampling import labels_of
from facegate.training.verification import Verification
from facegate.types import F32, U8, Detection
from facegate.vision.faces import FaceReader
from facegate.vision.pictures import read_picture
from facegate.vision.preprocess import FACE_PX


@dataclass(frozen=True)
class NamedPairs:
    """Pairs of picture files: paths, whether they show one person, the fold."""

    a: list[Path]
    b: list[Path]
    same: list[bool]
    fold: list[int]


def read_named_pairs(images: Path, pairs: Path) -> NamedPairs:
    """Read pairs in the layout of Labeled Faces in the Wild.

    The first line holds the number of folds and of pairs of each kind in one (or only the latter:
    one fold). Then come `Name i j` for one person and `Name1 i Name2 j` for two; the picture is
    `Name/Name_0001` with any common suffix.

    Raises:
        DataError: a file is missing, or a line is wrong (its number is told), or the pairs are not
            as many as the first line says.
    """
    if not images.is_dir():
        raise DataError(f"{images}: no such folder")
    if not pairs.is_file():
        raise DataError(f"{pairs}: no such file")
    lines = _text(pairs)
    head = lines[0].split() if lines else []
    if len(head) not in (1, 2) or not all(n.isdecimal() and int(n) for n in head):
        raise DataError(f"{pairs}, line 1: expected the numbers of folds and pairs, as in `10 300`")
    folds, per_kind = (1 if len(head) == 1 else int(head[0])), int(head[-1])
    found = NamedPairs([], [], [], [])
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        where = f"{pairs}, line {number}"
        parts = [p.strip() for p in line.split("\t")] if "\t" in line else line.split()
        numbers = parts[1:3] if len(parts) == 3 else parts[1::2]
        if len(parts) not in (3, 4) or not all(n.isdecimal() for n in numbers):
            raise DataError(f"{where}: expected `Name i j` or `Name1 i Name2 j`")
        same = len(parts) == 3
        found.a.append(_picture(images, parts[0], int(numbers[0]), where))
        found.b.append(_picture(images, parts[0 if same else 2], int(numbers[1]), where))
        found.same.append(same)
        found.fold.append((len(found.same) - 1) // (2 * per_kind))
    wanted = folds * 2 * per_kind
    if len(found.same) != wanted:
        raise DataError(
            f"{pairs}: {len(found.same)} pairs, but its first line promises {wanted} "
            f"({folds} fold(s) of {per_kind} of one person and {per_kind} of two)"
        )
    if sum(found.same) * 2 != wanted:
        raise DataError(
            f"{pairs}: {sum(found.same)} pairs of one person and {wanted - sum(found.same)} of "
            f"two, but its first line promises as many of each"
        )
    return found


def _text(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error


def _picture(images: Path, name: str, number: int, where: str) -> Path:
    stem = images / name / f"{name}_{number:04d}"
    for suffix in (".jpg", ".jpeg", ".png", ".webp"):
        if (path := stem.with_name(stem.name + suffix)).is_file():
            return path
    raise DataError(f"{where}: {stem}.jpg: no such picture (nor .jpeg, .png, .webp)")


@dataclass(frozen=True)
class Seen:
    """What the whole way made of picture files.

    Attributes:
        paths: N files, sorted.
        vectors: float32 (N, 128), unit length; NaN where no face was found.
        crops: uint8 (N, 160, 160, 3), the aligned faces; black where none was found.
        unreadable: how many of the files are no pictures; they count as without a face.
    """

    paths: list[Path]
    vectors: F32
    crops: U8
    unreadable: int = 0

    @property
    def found(self) -> np.ndarray:
        """Where a face was found: bool (N,)."""
        return ~np.isnan(self.vectors[:, 0])

    @property
    def faces(self) -> F32:
        """The vectors of the M faces found: float32 (M, 128)."""
        return self.vectors[self.found]

    @property
    def people(self) -> list[str]:
        """Whose face each of them is, by its folder: M names."""
        return [self.paths[row].parent.name for row in np.flatnonzero(self.found)]


def see_pictures(
    reader: FaceReader,
    paths: Iterable[Path],
    progress: Progress[Any] = quietly,
    say: Callable[[str], None] = print,
) -> Seen:
    """Take picture files the whole shipped way: detect, align, embed.

    Of several faces the one that is large and near the middle is taken. A file that is no picture
    is passed over, and `say` is told which and why.

    Raises:
        DataError: there is no face in any of them.
    """
    paths = sorted(set(paths))
    vectors: list[F32 | None] = []
    crops = np.zeros((len(paths), FACE_PX, FACE_PX, 3), np.uint8)
    unreadable = 0
    for row, path in enumerate(progress(paths, len(paths), "pictures")):
        vectors.append(None)
        try:
            pixels = read_picture(path)
        except InputError as error:
            say(f"passed over: {error}")
            unreadable += 1
            continue
        best = main_face(reader.find(pixels), pixels.shape[1], pixels.shape[0])
        if best is not None:
            face = reader.look(pixels, best)
            vectors[-1], crops[row] = reader.embed(face).vector, face.aligned
    size = next((len(v) for v in vectors if v is not None), 0)
    if not size:
        raise DataError(f"{paths[0].parent.parent}: no face found in any of {len(paths)} pictures")
    nothing = np.full(size, np.nan, np.float32)
    found = np.stack([nothing if v is None else v for v in vectors])
    return Seen(paths, found, crops, unreadable)


def verify_pictures(seen: Seen, named: NamedPairs) -> Verification:
    """Compare pairs of pictures; those without a face are `refused`, as `figures` says."""
    row = {path: k for k, path in enumerate(seen.paths)}
    a, b = (np.array([row[p] for p in paths], np.int64) for paths in (named.a, named.b))
    person = labels_of([p.parent.name for p in seen.paths])
    return Verification(
        (seen.vectors[a] * seen.vectors[b]).sum(1),
        np.array(named.same),
        np.array(named.fold),
        int((~seen.found).sum()),
        np.stack([person[a], person[b]], axis=1),
    )


def main_face(found: list[Detection], width: int, height: int) -> Detection | None:
    """Choose whom a picture is of: large, and near its middle."""

    def weight(d: Detection) -> float:
        sides = d.box[2:] - d.box[:2]
        off = (d.box[:2] + d.box[2:]) / 2 - np.array([width, height]) / 2
        return float(np.prod(sides) - 2 * (off**2).sum())

    return max(found, key=weight, default=None)
