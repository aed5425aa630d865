"""Everybody's templates in memory, as one matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facegate.errors import InputError
from facegate.types import EMBEDDING_FLOATS, F32, I64

NORM_TOLERANCE = 1e-3
"""How far the length of an embedding handed in may be from 1."""


_OTHER_SIZE = re.compile(r"-(\d+)d$")


def floats_of(model_id: str) -> int:
    """Give the numbers in an embedding of a model: its id says them where they are not 128."""
    said = _OTHER_SIZE.search(model_id)
    return int(said[1]) if said else EMBEDDING_FLOATS


@dataclass(frozen=True, eq=False)
class Gallery:
    """All enrolled templates at one moment.

    Attributes:
        matrix: float32 (N, D), contiguous, each row a template of unit length.
        person_ids: int64 (N,), whose template each row is.
        names: person_id → name, of everybody enrolled.
    """

    matrix: F32
    person_ids: I64
    names: Mapping[int, str]


def unit_templates(vectors: Sequence[F32], floats: int = EMBEDDING_FLOATS) -> list[F32]:
    """Check embeddings and give them exactly unit length.

    Args:
        vectors: float32 (floats,) each, unit L2 norm within `NORM_TOLERANCE`.
        floats: numbers in an embedding.

    Raises:
        InputError: there is none, or one has another shape or length.
    """
    if not len(vectors):
        raise InputError("no embedding: a person needs at least one")
    checked = []
    for vector in vectors:
        wide = np.asarray(vector, np.float64)
        if wide.shape != (floats,):
            raise InputError(f"an embedding has {floats} numbers, not shape {wide.shape}")
        length = float(np.linalg.norm(wide))
        if not abs(length - 1) <= NORM_TOLERANCE:
            raise InputError(f"an embedding has length 1, not {length:.4g}")
        checked.append((wide / length).astype(np.float32))
    return checked
