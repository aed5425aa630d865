"""From a folder of people's photos to a training and a held-out set, with a report of each picture.

Whoever has two usable pictures or more is trained on or held out, never both; who has only one is
held out as a stranger. The crops lie in the run's folder until somebody deletes it: training needs
pictures, the door never keeps any.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facegate.errors import DataError, InputError
from facegate.training.calibration import LEAST_PEOPLE as LEAST_CALIBRATED
from facegate.training.card_file import write_whole
from facegate.training.data import (
    OWN_PICTURES,
    TRAIN_FACES,
    train_faces,
    val_faces,
    val_pairs,
    write_table,
)
from facegate.training.doubles import KnownFile, doubles
from facegate.training.identity_folder import NamedPicture, draw_pairs, read_folder
from facegate.training.named_pairs import main_face
from facegate.training.progress import Progress, quietly
from facegate.types import Detection
from facegate.vision.card import sha256_of
from facegate.vision.faces import FaceReader
from facegate.vision.pictures import read_picture

LEAST_PEOPLE = 8
FEW_PEOPLE = 500
HELD_OUT = 0.2
LEAST_FACE_PX = 32
RIVAL = 0.6
"""A second face at least so large, next to the main one, makes it unclear whose picture it is."""
PART = 500


@dataclass(frozen=True)
class Looked:
    """What became of a picture.

    Attributes:
        picture: the file's path below the folder; person: whose folder it lies in.
        digest: SHA-256 of the file.
        crop: the aligned face as PNG, None if refused.
        face_px: width of the face, 0 if none was found.
        reason: why it was refused; or, of a used one, what is poor about it; or nothing.
        use: `refused`, `train` or `held out`.
    """

    picture: str
    person: str
    digest: str
    crop: bytes | None
    face_px: float
    reason: str
    use: str = "refused"


def prepare(
    images: Path,
    out: Path,
    reader: FaceReader,
    seed: int = 0,
    say: Callable[[str], None] = print,
    progress: Progress[Any] = quietly,
) -> Path:
    """Find and align the faces of a folder of people, and split it by person.

    Args:
        images: folder with `NAME/PICTURE`.
        out: the run's folder. What was looked at before an interruption is not looked at again.
        reader: finds and aligns faces.
        seed: of the split and of the pairs.
        say: takes the lines that sum the report up.

    Returns:
        `out/prepared`, a folder in the layout that training and export read.

    Raises:
        DataError: there are no pictures, no faces or too few people in it; or the pictures are not
            those that `out` was prepared from.
    """
    pictures = read_folder(images)
    folder = out / "prepared"
    _claim(folder, images, pictures, seed)
    looked: list[Looked] = []
    starts = range(0, len(pictures), PART)
    for start in progress(starts, len(starts), f"faces, {PART} pictures a step"):
        part = folder / "parts" / f"{start // PART:04d}.parquet"
        if not part.is_file():
            _write_rows(part, [_look(reader, images, p) for p in pictures[start : start + PART]])
        looked += _read_rows(part)
    looked = _split(_without_doubles(looked), seed)
    _write_report(out / "pictures.csv", looked)
    _say_report(looked, out / "pictures.csv", say)
    several = {r.person for r in looked if r.use == "train"}
    if len(several) + _held_people(looked) < LEAST_PEOPLE:
        raise DataError(
            f"{images}: {len(several) + _held_people(looked)} people with two usable pictures or "
            f"more, {LEAST_PEOPLE} are needed; {out / 'pictures.csv'} says what was refused and why"
        )
    if len(several) < FEW_PEOPLE:
        say(
            f"{len(several)} people to learn from: a network from scratch wants thousands; "
            "expect it to know strangers poorly"
        )
    if _held_people(looked) < LEAST_CALIBRATED:
        say(
            f"{_held_people(looked)} people held out with two pictures or more: a calibration, "
            f"without which no door opens, needs {LEAST_CALIBRATED}. Give "
            f"{LEAST_CALIBRATED / HELD_OUT:.0f} people, or calibrate on others in the end"
        )
    held = [r for r in looked if r.use == "held out"]
    _write_crops(folder / TRAIN_FACES.format(0), [r for r in looked if r.use == "train"])
    _write_crops(val_faces(folder), held)
    _write_pairs(val_pairs(folder), held, seed)
    return folder


def is_folder_of_people(data: Path) -> bool:
    """Whether a folder holds pictures of people rather than the sets of `training.data`."""
    return data.is_dir() and not train_faces(data)


def _claim(folder: Path, images: Path, pictures: list[NamedPicture], seed: int) -> None:
    """Note which pictures a folder is prepared from; refuse to mix it with others."""
    files = [[str(p.path.relative_to(images)), p.path.stat().st_size] for p in pictures]
    digest = hashlib.sha256(json.dumps([files, seed]).encode()).hexdigest()
    note = folder / "from.json"
    if note.is_file() and json.loads(note.read_text(encoding="utf-8"))["digest"] != digest:
        raise DataError(
            f"{folder.parent} was prepared from other pictures (or another --seed): choose another "
            "--out"
        )
    write_whole(note, json.dumps({"digest": digest, "pictures": len(files)}).encode())


def _look(reader: FaceReader, images: Path, picture: NamedPicture) -> Looked:
    """Find the face of a picture, or the reason to refuse it."""
    name = str(picture.path.relative_to(images))
    if (plain := _escaped(name)) != name:
        reason = "a name that is not UTF-8: rename it"
        return Looked(plain, _escaped(picture.person), "", None, 0.0, reason)

    def answer(
        reason: str, face_px: float = 0.0, crop: bytes | None = None, digest: str = ""
    ) -> Looked:
        return Looked(name, picture.person, digest, crop, face_px, reason)

    try:
        pixels = read_picture(picture.path)
    except InputError as error:
        return answer(str(error).removeprefix(f"{picture.path}: "))
    digest = sha256_of(picture.path)
    found = reader.find(pixels)
    best = main_face(found, pixels.shape[1], pixels.shape[0])
    if best is None:
        return answer("no face found", digest=digest)
    if best.size_px < LEAST_FACE_PX:
        small = f"face of {best.size_px:.0f} px, {LEAST_FACE_PX} are needed"
        return answer(small, best.size_px, digest=digest)
    if any(_rivals(d, best) for d in found):
        return answer("several faces: cut it to one person", best.size_px, digest=digest)
    face = reader.look(pixels, best)
    _, data = cv2.imencode(".png", face.aligned[..., ::-1])
    poor = ", ".join(r.replace("_", " ") for r in face.quality.reasons)
    return answer(poor, best.size_px, data.tobytes(), digest)


def _escaped(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


def _rivals(other: Detection, best: Detection) -> bool:
    return other is not best and other.size_px >= RIVAL * best.size_px


def _without_doubles(looked: list[Looked]) -> list[Looked]:
    """Refuse files that are there twice: all of them if they are under two names."""
    usable = (r for r in looked if r.crop is not None)
    why = doubles(KnownFile(r.picture, r.person, r.digest) for r in usable)
    return [replace(r, crop=None, reason=why[r.picture]) if r.picture in why else r for r in looked]


def _split(looked: list[Looked], seed: int) -> list[Looked]:
    """Deal people out: a fifth of those with several pictures, and all with one, are held out."""
    usable = Counter(r.person for r in looked if r.crop is not None)
    several = sorted(n for n, count in usable.items() if count > 1)
    order = np.random.default_rng(seed).permutation(len(several))
    kept = {several[k] for k in order[max(2, round(HELD_OUT * len(several))) :]}

    def dealt(one: Looked) -> Looked:
        if one.crop is None:
            return one
        return replace(one, use="train" if one.person in kept else "held out")

    return [dealt(one) for one in looked]


def _held_people(looked: list[Looked]) -> int:
    held = Counter(r.person for r in looked if r.use == "held out")
    return sum(count > 1 for count in held.values())


def _say_report(looked: list[Looked], path: Path, say: Callable[[str], None]) -> None:
    for use in ("train", "held out", "refused"):
        of = [r for r in looked if r.use == use]
        say(f"{use:<9} {len(of):>6} pictures of {len({r.person for r in of})} people")
    reasons = Counter(_kind(r.reason) for r in looked if r.use == "refused")
    for reason, count in reasons.most_common():
        say(f"  {count:>6}  {reason}")
    say(f"each picture, and why: {path}")


def _kind(reason: str) -> str:
    """Say a reason without what differs from picture to picture."""
    if reason.startswith("face of"):
        return f"face smaller than {LEAST_FACE_PX} px"
    return "a file that is there twice" if reason.startswith("the same file") else reason


def _write_report(path: Path, looked: Iterable[Looked]) -> None:
    lines = [["picture", "person", "use", "face_px", "reason"]]
    lines += [[r.picture, r.person, r.use, f"{r.face_px:.0f}", r.reason] for r in looked]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


COLUMNS = ("picture", "person", "digest", "crop", "face_px", "reason")


def _write_rows(path: Path, looked: list[Looked]) -> None:
    import pyarrow as pa

    fields = pa.schema(
        [
            pa.field(name, {"crop": pa.binary(), "face_px": pa.float32()}.get(name, pa.string()))
            for name in COLUMNS
        ]
    )
    write_table(
        path, pa.table({c: [getattr(r, c) for r in looked] for c in COLUMNS}, schema=fields)
    )


def _read_rows(path: Path) -> list[Looked]:
    import pyarrow.parquet as pq

    return [Looked(**row) for row in pq.read_table(path).to_pylist()]


def _write_crops(path: Path, rows: list[Looked]) -> None:
    import pyarrow as pa

    write_table(
        path,
        pa.table(
            {
                "image": [r.crop for r in rows],
                "source": [OWN_PICTURES] * len(rows),
                "identity": [r.person for r in rows],
                "size_px": [r.face_px for r in rows],
            }
        ),
    )


def _write_pairs(path: Path, held: list[Looked], seed: int) -> None:
    row = {r.picture: k for k, r in enumerate(held)}
    named = draw_pairs([NamedPicture(Path(r.picture), r.person) for r in held], seed)
    lines = ["fold,a,b,same"]
    for fold, a, b, same in zip(named.fold, named.a, named.b, named.same, strict=True):
        lines.append(f"{fold},{row[str(a)]},{row[str(b)]},{int(same)}")
    write_whole(path, ("\n".join(lines) + "\n").encode())
