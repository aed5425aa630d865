"""A folder of people: one folder each with their pictures, `Name/*.jpg`."""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facegate.errors import DataError
from facegate.training.doubles import KnownFile, doubles
from facegate.training.named_pairs import NamedPairs, read_named_pairs
from facegate.vision.card import sha256_of

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
FOLDS = 10
PAIRS_PER_FOLD = 300


@dataclass(frozen=True)
class NamedPicture:
    """A picture file and whose it is: the name of the folder it lies in."""

    path: Path
    person: str


def read_folder(images: Path) -> list[NamedPicture]:
    """List the pictures of a folder of people, by person and name.

    Raises:
        DataError: there is no such folder, or no picture one folder down.
    """
    if not images.is_dir():
        raise DataError(f"{images}: no such folder")
    found = [
        NamedPicture(path, folder.name)
        for folder in sorted(p for p in images.iterdir() if p.is_dir())
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    if not found:
        kinds = ", ".join(SUFFIXES)
        raise DataError(f"{images}: no pictures as NAME/PICTURE ({kinds}): one folder a person")
    return found


def read_distinct(images: Path, say: Callable[[str], None] = print) -> list[NamedPicture]:
    """List the pictures of a folder of people, but files that are there twice.

    Of those under two names all are passed over; `say` is told which.

    Raises:
        DataError: as of `read_folder`, or none is left.
    """
    pictures = read_folder(images)
    sizes: dict[int, list[NamedPicture]] = defaultdict(list)
    for picture in pictures:  # what is empty or cannot be read is passed over when it is looked at
        if (size := picture.path.stat().st_size) and os.access(picture.path, os.R_OK):
            sizes[size].append(picture)
    alike = (p for group in sizes.values() if len(group) > 1 for p in group)
    why = doubles(KnownFile(str(p.path), p.person, sha256_of(p.path)) for p in alike)
    for name, reason in why.items():
        say(f"passed over: {name}: {reason}")
    if len(why) == len(pictures):
        raise DataError(f"{images}: each picture is there under two names")
    return [p for p in pictures if str(p.path) not in why]


def read_to_compare(
    images: Path, pairs: Path | None, seed: int = 0, say: Callable[[str], None] = print
) -> tuple[list[Path], NamedPairs]:
    """Say which pictures of a folder of people to look at, and which pairs of them to compare.

    Args:
        images: the folder.
        pairs: file of the pairs, in the layout of Labeled Faces in the Wild; without one they are
            drawn, and all pictures are looked at.
        seed: of the draw.
        say: takes what is passed over.

    Raises:
        DataError: a file is missing or wrong, or there are too few people to draw pairs of.
    """
    if pairs is not None:
        named = read_named_pairs(images, pairs)
        return [*named.a, *named.b], named
    pictures = read_distinct(images, say)
    return [p.path for p in pictures], draw_pairs(pictures, seed)


def draw_pairs(pictures: list[NamedPicture], seed: int = 0) -> NamedPairs:
    """Draw verification pairs: folds share no person, and hold as many of one person as of two.

    Args:
        pictures: of a folder of people.
        seed: of the draw; the same gives the same pairs.

    Returns:
        At most 10 folds of 300 pairs of each kind; fewer where there are few people.

    Raises:
        DataError: fewer than two people have two pictures, or nobody is left to compare them with.
    """
    by_person: dict[str, list[Path]] = defaultdict(list)
    for picture in pictures:
        by_person[picture.person].append(picture.path)
    rng = np.random.default_rng(seed)
    several = [n for n in sorted(by_person) if len(by_person[n]) > 1]
    single = [n for n in sorted(by_person) if len(by_person[n]) == 1]
    if len(several) < 2:
        raise DataError(
            f"{len(several)} of {len(by_person)} people have two pictures or more; pairs need two"
        )
    folds = max(1, min(FOLDS, len(several) // 2))
    found = NamedPairs([], [], [], [])
    mixed = [*rng.permutation(several).tolist(), *rng.permutation(single).tolist()]
    for fold in range(folds):
        people = mixed[fold::folds]
        genuine = [p for n in people for p in itertools.combinations(by_person[n], 2)]
        kept = rng.permutation(len(genuine))[:PAIRS_PER_FOLD]
        for a, b in (genuine[k] for k in kept):
            _add(found, a, b, True, fold)
        for a, b in _strangers(by_person, people, len(kept), rng):
            _add(found, a, b, False, fold)
    return found


def _strangers(
    by_person: dict[str, list[Path]], people: list[str], count: int, rng: np.random.Generator
) -> list[tuple[Path, Path]]:
    """Draw pairs of two people, each at most once."""
    most = sum(len(by_person[a]) * len(by_person[b]) for a, b in itertools.combinations(people, 2))
    drawn: set[tuple[Path, Path]] = set()
    while len(drawn) < min(count, most):
        first, second = sorted(rng.choice(people, 2, replace=False).tolist())
        a, b = (by_person[n][rng.integers(len(by_person[n]))] for n in (first, second))
        drawn.add((a, b))
    return sorted(drawn)


def _add(found: NamedPairs, a: Path, b: Path, same: bool, fold: int) -> None:
    found.a.append(a)
    found.b.append(b)
    found.same.append(same)
    found.fold.append(fold)


def read_groups(path: Path, people: set[str]) -> dict[str, str]:
    """Read which group each person belongs to: a CSV file with lines `NAME,GROUP`.

    Raises:
        DataError: the file cannot be read, a line is not of that form, or somebody has no group.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    group: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, comma, kind = (part.strip() for part in line.rpartition(","))
        if not (name and comma and kind):
            raise DataError(f"{path}, line {number}: expected `NAME,GROUP`")
        group[name] = kind
    if missing := sorted(people - set(group)):
        raise DataError(
            f"{path}: no group for {missing[0]!r}"
            + (f" and {len(missing) - 1} others" if len(missing) > 1 else "")
        )
    return group
