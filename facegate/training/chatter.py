"""Quiet for what TensorFlow's converter tells of itself: hundreds of lines at every conversion."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def hushed() -> Iterator[None]:
    """Drop what is printed, and warnings; what a failure has to say is in its exception."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        warnings.catch_warnings(),
        redirect_stdout(nowhere),
    ):
        warnings.simplefilter("ignore")
        yield
