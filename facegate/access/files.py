"""Files that appear whole or not at all, stay on disk, and belong to whom the folder belongs."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from facegate.errors import StoreError

SCRATCH_BYTES = 8
"""Of chance in the name that a file has until it is whole."""


class InPlaceError(OSError):
    """A file is in its place, but what has to follow failed; `strerror` says what."""


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


def write_whole(
    path: Path,
    content: bytes,
    *,
    replace: bool = True,
    ready: Callable[[], None] = lambda: None,
) -> bool:
    """Write a file with mode 0600; on disk when this returns.

    Args:
        path: of the file; its folder must exist.
        content: all of it.
        replace: whether a file that is there already gives way.
        ready: called when the content is on disk, just before it is put in its place.

    Returns:
        Whether the file was written: False only where one is there and `replace` is not set.

    Raises:
        InPlaceError: it is in its place, but a power cut may undo that.
        OSError: it cannot be written; what was there before stays.
    """
    scratch = _scratch_of(path)
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with suppress(OSError):  # a share that knows no locks, where nobody drops scratch
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            hand_to_owner(descriptor, path.parent)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            ready()
            if replace:
                scratch.replace(path)
            else:
                os.link(scratch, path)  # unlike a rename, never replaces one made meanwhile
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
    keep_in_place(path)
    return True


def keep_in_place(path: Path) -> None:
    """Put on disk that a file, written already, has its place.

    Raises:
        InPlaceError: that failed.
    """
    try:
        sync_folder(path.parent)
    except OSError as error:
        why = f"a power cut may undo that: {error.strerror}"
        raise InPlaceError(error.errno, why) from error


def not_written(path: Path, error: OSError, why: str) -> StoreError:
    """Say why a file was not written; or that it was, and what failed then."""
    if isinstance(error, InPlaceError):
        return StoreError(f"{path}: written, but {error.strerror}; check the disk")
    return StoreError(f"{path}: {why}")


def drop_scratch(folder: Path, name: str) -> None:
    """Wipe what was left behind where the power failed in the middle of writing or wiping a file.

    What somebody is writing just now is let be.

    Args:
        folder: where the file is.
        name: a regular expression for its name.

    Raises:
        OSError: one cannot be removed.
    """
    scratch = re.compile(rf"\.{name}\.[0-9a-f]{{{2 * SCRATCH_BYTES}}}")
    if folder.is_dir():
        for path in [p for p in folder.iterdir() if scratch.fullmatch(p.name)]:
            _wipe_scratch(path)


def _scratch_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(SCRATCH_BYTES)}")


def hand_to_owner(descriptor: int, folder: Path) -> None:
    """Give an open file to the folder's owner, where root made it: the daemon must read it too."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


@contextmanager
def wiping_old(path: Path) -> Iterator[None]:
    """Overwrite what a file was before the block put another in its place.

    Until that is done it has a second name, by which `drop_scratch` finds it after a power cut.

    Raises:
        InPlaceError: the new one is there, but the old one cannot be overwritten.
        OSError: the old one cannot be opened.
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
        fcntl.flock(old, fcntl.LOCK_EX)
        second = _scratch_of(path)
        os.link(path, second)
        try:
            yield
        finally:
            replaced = not is_file_at(old.fileno(), path)
            try:
                if replaced:
                    _overwrite(old)
                second.unlink()
            except OSError as error:
                if replaced:
                    why = f"what was there before was not overwritten: {error.strerror}"
                    raise InPlaceError(error.errno, why) from error


def is_file_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one that lies at a path."""
    try:
        there, here = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def wipe(path: Path) -> None:
    """Overwrite a file, then remove it; one that is not there is fine.

    It first gets another name, which `drop_scratch` knows: broken off, nobody takes what is left
    for the file. Of a symbolic link only the link goes: whoever made it may not be allowed to write
    where it leads. What a memory card keeps in its spare blocks cannot be reached from here.

    Raises:
        OSError: it cannot be removed.
    """
    with suppress(FileNotFoundError):
        if not path.is_symlink():
            path = path.rename(_scratch_of(path))
            sync_folder(path.parent)
            with _opened(path) as file:
                _overwrite(file)
        path.unlink()
        sync_folder(path.parent)


def _wipe_scratch(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_symlink():
            path.unlink()
        else:
            with _opened(path) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return  # it is being written
                if os.fstat(file.fileno()).st_nlink == 1:  # else it is the file itself, too
                    _overwrite(file)
                path.unlink()
        sync_folder(path.parent)


def _opened(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    return os.fdopen(descriptor, "r+b")


def _overwrite(file: BinaryIO) -> None:
    # Past the buffer: what it holds would be tried again, and fail again, when the file is closed.
    descriptor, at = file.fileno(), 0
    size = os.fstat(descriptor).st_size
    while at < size:
        at += os.pwrite(descriptor, bytes(min(1 << 20, size - at)), at)
    os.fsync(descriptor)
