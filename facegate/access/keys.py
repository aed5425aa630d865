"""The store's key: 32 random bytes in a file of its own, or a systemd credential."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from facegate.errors import StoreError

KEY_BYTES = 32
"""AES-256 and HMAC-SHA-256 both take 32 bytes."""


def load_key(path: Path | str) -> bytes:
    """Read the key file.

    A key file is ours alone: no right for group or others. In systemd's credential folder the
    kernel guards the whole folder, and a mode of 0440 is systemd's own.

    Raises:
        StoreError: it is missing, of the wrong length, somebody else's, or open to others.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            key = file.read(KEY_BYTES + 1)
    except FileNotFoundError:
        raise StoreError(
            f"{path}: no key; put back the key the store was made with, or, to begin anew, move "
            "the store away"
        ) from None
    except OSError as error:
        raise StoreError(
            f"{path}: the key cannot be read: {error.strerror}; run as its owner"
        ) from error
    credential = _is_credential(path)
    mode = stat.S_IMODE(status.st_mode)
    if mode & (0o037 if credential else 0o077):
        raise StoreError(f"{path}: the key is open to others (mode {mode:04o}); chmod 600 {path}")
    if not credential and os.geteuid() not in (0, status.st_uid):
        raise StoreError(f"{path}: the key belongs to another user; run as its owner or chown it")
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"{path}: a key has {KEY_BYTES} bytes, not {status.st_size}; put back the right file"
        )
    return key


def create_key(path: Path | str) -> None:
    """Make a key file with mode 0600; a key that is there already stays.

    The file appears complete or not at all, and is on disk when this returns.

    Raises:
        StoreError: the file cannot be made.
    """
    path = Path(path)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(scratch, path)  # unlike a rename, never replaces a key made meanwhile
            except FileExistsError:
                return
        finally:
            scratch.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: the key cannot be made: {error.strerror}; the folder must exist and be "
            "writable"
        ) from error


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


def _is_credential(path: Path) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.resolve().parent == Path(str(folder)).resolve()
