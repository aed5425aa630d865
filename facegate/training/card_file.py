"""Models, their cards, and what is told of weights: each file is there whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from facegate.errors import InputError, ModelError
from facegate.vision.card import card_path, sha256_of, strict
from facegate.vision.preprocess import PREPROCESS_VERSION

RUN_FILE = "run.json"
"""In a run's folder: the commands that led there, and its settings."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write the card beside its model; figures that could not be measured are null."""
    text = json.dumps(strict(card), indent=1, allow_nan=False)
    write_whole(card_path(path), (text + "\n").encode())


def card_head(model: Path) -> dict[str, Any]:
    """Give what every card says of its file: which it is, when it was made, and by what."""
    return {
        "sha256": sha256_of(model),
        "preprocess_version": PREPROCESS_VERSION,
        "created": datetime.now(UTC).strftime("%Y-%m-%d"),
        "facegate": version("facegate"),
        "bytes": model.stat().st_size,
    }


def amend_card(model: Path, figures: dict[str, Any]) -> None:
    """Add figures to the card of a model, whole or not at all; its other lines stay.

    Raises:
        ModelError: the card cannot be read.
        InputError: it cannot be written.
    """
    path = card_path(model)
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the figures cannot be added: {error}") from error
    write_card(model, {**card, **figures})


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside `path` for a model and its card while they are made.

    At the end of the block they take their places; if it breaks off, what was there stays.
    """
    made = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield made
        made.replace(path)
        card_path(made).replace(card_path(path))
    finally:
        for half_done in (made, card_path(made)):
            with suppress(OSError):
                half_done.unlink(missing_ok=True)


def made_by(weights: Path) -> dict[str, Any]:
    """Read how weights came to be: from an exported model's card, or from the run they lie in.

    Returns:
        `commands`, and a card's `arguments` or a run's `settings`; nothing where nothing is told.

    Raises:
        InputError: what is there cannot be read.
    """
    path = card_path(weights) if weights.suffix == ".tflite" else weights.parent / RUN_FILE
    if not path.is_file():
        return {}
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"commands": list, "settings": dict, "arguments": dict}
        if not isinstance(told, dict) or not all(
            isinstance(told.get(name, kind()), kind) for name, kind in kinds.items()
        ):
            raise ValueError("not what training or export writes")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read: {error}; it says how {weights.name} came to be: put the "
            "right one back, or take it away"
        ) from error
    return told
