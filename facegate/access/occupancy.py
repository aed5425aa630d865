"""Who works in the state folder: many at a time, or one alone who replaces key or store."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from facegate.errors import StoreError


def occupy(folder: Path, *, alone: bool = False) -> int:
    """Say that this process works in the folder; closing the descriptor says that it left.

    Args:
        folder: of the store.
        alone: with nobody else.

    Returns:
        An open descriptor.

    Raises:
        StoreError: somebody else works there and one of the two must be alone.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be opened: {error.strerror}; run as its owner or set state.folder"
        ) from error
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"{folder}: in use by another program; stop the daemon first (systemctl stop facegate)"
            if alone
            else f"{folder}: its key or store is being replaced; wait until that is done"
        ) from error
    return descriptor
