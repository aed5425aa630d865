"""Files that appear whole or not at all, stay on disk, and belong to whom the folder belongs."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

SCRATCH_BYTES = 8
"""Of chance in the name that a file has until it is whole."""


def sync_folder(folder: Path) -> None:
    """Put a folder's list of names on disk.

    Raises:
        OSError: the folder cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes, *, replace: bool = True) -> bool:
    """Write a file with mode 0600; on disk when this returns.

    Args:
        path: of the file; its folder must exist.
        content: all of it.
        replace: whether a file that is there already gives way.

    Returns:
        Whether the file was written: False only where one is there and `replace` is not set.

    Raises:
        OSError: it cannot be written; what was there before stays.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(SCRATCH_BYTES)}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            hand_to_owner(file.fileno(), path.parent)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            scratch.replace(path)
        else:
            os.link(scratch, path)  # unlike a rename, never replaces one made meanwhile
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def drop_scratch(folder: Path, name: str) -> None:
    """Wipe what writing a file left behind when the power failed in the middle of it.

    Args:
        folder: where the file is.
        name: a regular expression for its name. Nobody may be writing it: the caller has its lock.

    Raises:
        OSError: one cannot be removed.
    """
    scratch = re.compile(rf"\.{name}\.[0-9a-f]{{{2 * SCRATCH_BYTES}}}")
    if folder.is_dir():
        for path in [p for p in folder.iterdir() if scratch.fullmatch(p.name)]:
            wipe(path)


def hand_to_owner(descriptor: int, folder: Path) -> None:
    """Give an open file to the folder's owner, where root made it: the daemon must read it too."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


@contextmanager
def wiping_old(path: Path) -> Iterator[None]:
    """Overwrite what a file was before the block put another in its place.

    Raises:
        OSError: the old one cannot be overwritten.
    """
    try:
        try:
            old = path.open("r+b")
        except PermissionError:
            path.chmod(0o600)  # its owner may read it only, and is about to replace it
            old = path.open("r+b")
    except FileNotFoundError:
        yield
        return
    with old:
        yield
        if not is_file_at(old.fileno(), path):
            _overwrite(old)


def is_file_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one that lies at a path."""
    try:
        there, here = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def wipe(path: Path) -> None:
    """Overwrite a file, then remove it; one that is not there is fine.

    Of a symbolic link only the link goes: whoever made it may not be allowed to write where it
    leads. What a memory card keeps in its spare blocks cannot be reached from here.

    Raises:
        OSError: it cannot be removed.
    """
    with suppress(FileNotFoundError):
        if not path.is_symlink():
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "r+b") as file:
                _overwrite(file)
        path.unlink()
        sync_folder(path.parent)


def _overwrite(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    for start in range(0, size, 1 << 20):
        file.write(bytes(min(1 << 20, size - start)))
    file.flush()
    os.fsync(file.fileno())
