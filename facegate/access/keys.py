"""The store's key: 32 random bytes in a file, a systemd credential, or sealed by a passphrase."""

from __future__ import annotations

import getpass
import os
import secrets
import stat
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from facegate.access.files import not_written, wiping_old, write_whole
from facegate.errors import InputError, StoreError

KEY_BYTES = 32
"""AES-256 and HMAC-SHA-256 both take 32 bytes."""
PASSPHRASE_CREDENTIAL = "facegate-passphrase"
"""Name of the systemd credential through which the daemon is told the passphrase."""
MIN_PASSPHRASE = 12
"""Characters; scrypt makes guessing dear, not a short passphrase good."""

_PROTECTED = b"FGKEYP1\n"
_SALT_BYTES, _NONCE_BYTES = 16, 12
_PROTECTED_BYTES = len(_PROTECTED) + _SALT_BYTES + _NONCE_BYTES + KEY_BYTES + 16
_SCRYPT = {"n": 2**15, "r": 8, "p": 3}
"""32 MiB for a second or so on a Pi. Source: OWASP Password Storage Cheat Sheet, scrypt."""

Passphrase = Callable[[], str]
"""Gives the passphrase when one is needed."""


def ask_passphrase() -> str:
    """Take the passphrase from systemd's credential, or ask for it at the terminal.

    Raises:
        StoreError: there is neither, or the credential is no text.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder or "/nonexistent", PASSPHRASE_CREDENTIAL)
    if credential.is_file():
        try:
            return credential.read_text(encoding="utf-8").rstrip("\n")
        except ValueError as error:
            why = "is not UTF-8 text; make it anew"
            raise StoreError(f"the credential {PASSPHRASE_CREDENTIAL} {why}") from error
    if not sys.stdin.isatty():
        raise StoreError(
            "the key is protected by a passphrase; give it at a terminal, or to the service as "
            f"the systemd credential {PASSPHRASE_CREDENTIAL}"
        )
    return getpass.getpass("Passphrase of the key: ")


SEALED_CREDENTIAL = Path("/etc/credstore.encrypted/facegate-key")
"""The key as a credential that only systemd can open, where somebody made one of it."""


def from_passphrase(passphrase: str, salt: bytes) -> bytes:
    """Derive 32 bytes from a passphrase, slowly.

    Source: RFC 7914.
    """
    return Scrypt(salt=salt, length=KEY_BYTES, **_SCRYPT).derive(passphrase.encode())


def check_passphrase(passphrase: str) -> str:
    """Give the passphrase back.

    Raises:
        InputError: it is too short to protect anything.
    """
    if len(passphrase) < MIN_PASSPHRASE:
        raise InputError(f"a passphrase has at least {MIN_PASSPHRASE} characters; choose another")
    return passphrase


def load_key(path: Path | str, passphrase: Passphrase = ask_passphrase) -> bytes:
    """Read the key file.

    A key file is ours alone: no right for group or others. In systemd's credential folder the
    kernel guards the whole folder, and a mode of 0440 is systemd's own.

    Args:
        path: of the file.
        passphrase: asked only where the file is protected by one.

    Raises:
        StoreError: it is missing, of the wrong length, somebody else's, open to others, or the
            passphrase is wrong.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_PROTECTED_BYTES + 1)
    except FileNotFoundError:
        raise StoreError(f"{path}: no key; {missing_key()}") from None
    except OSError as error:
        raise StoreError(
            f"{path}: the key cannot be read: {error.strerror}; run as its owner"
        ) from error
    credential = is_credential(path)
    mode = stat.S_IMODE(status.st_mode)
    if mode & (0o037 if credential else 0o077):
        raise StoreError(f"{path}: the key is open to others (mode {mode:04o}); chmod 600 {path}")
    if not credential and os.geteuid() not in (0, status.st_uid):
        raise StoreError(f"{path}: the key belongs to another user; run as its owner or chown it")
    if content.startswith(_PROTECTED) and len(content) == _PROTECTED_BYTES:
        return _opened(path, content, passphrase())
    if len(content) != KEY_BYTES:
        raise StoreError(
            f"{path}: a key has {KEY_BYTES} bytes, not {status.st_size}; put back the right file"
        )
    return content


def is_sealed() -> bool:
    """Whether there is such a credential, as far as this user may look."""
    try:
        return SEALED_CREDENTIAL.exists()
    except PermissionError:
        return False


def missing_key() -> str:
    """Say what to do where a store has no key."""
    if is_sealed():
        return (
            f"it is sealed in {SEALED_CREDENTIAL} for this machine: stop facegate, and put "
            "'systemd-run --pipe --wait -p LoadCredentialEncrypted=facegate-key' before the command"
        )
    return "put back the key the store was made with, or, to begin anew, move the store away"


def is_protected(path: Path) -> bool:
    """Whether a passphrase is needed to read the key.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_PROTECTED)) == _PROTECTED
    except OSError as error:
        raise StoreError(f"{path}: the key cannot be read: {error.strerror}") from error


def is_credential(path: Path) -> bool:
    """Whether the key lies in systemd's credential folder, which cannot be written."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.resolve().parent == Path(str(folder)).resolve()


def create_key(path: Path | str) -> None:
    """Make a key file with mode 0600; a key that is there already stays.

    The file appears complete or not at all, and is on disk when this returns.

    Raises:
        StoreError: the file cannot be made.
    """
    _write(Path(path), secrets.token_bytes(KEY_BYTES), replace=False)


def write_key(path: Path, key: bytes, passphrase: str | None = None) -> None:
    """Write a key, in plain or sealed by a passphrase; on disk when this returns.

    Raises:
        StoreError: it cannot be written.
    """
    if passphrase is None:
        _write(path, key, replace=True)
        return
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(from_passphrase(passphrase, salt)).encrypt(nonce, key, _PROTECTED)
    _write(path, _PROTECTED + salt + nonce + sealed, replace=True)


def _opened(path: Path, content: bytes, passphrase: str) -> bytes:
    start = len(_PROTECTED)
    salt, rest = content[start : start + _SALT_BYTES], content[start + _SALT_BYTES :]
    cipher = AESGCM(from_passphrase(passphrase, salt))
    try:
        return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _PROTECTED)
    except InvalidTag:
        raise StoreError(f"{path}: this passphrase does not open the key; try again") from None


def _write(path: Path, content: bytes, *, replace: bool) -> None:
    try:
        with wiping_old(path) if replace else nullcontext():
            write_whole(path, content, replace=replace)
    except OSError as error:
        why = f"the key cannot be made: {error.strerror}; the folder must exist and be writable"
        raise not_written(path, error, why) from error
