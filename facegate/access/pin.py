"""The door's PIN, the second factor at a keypad: kept as a scrypt hash in a file of its own."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import threading
from pathlib import Path

from facegate.access.files import not_written, write_whole
from facegate.errors import InputError, StoreError

PIN = re.compile(r"[0-9]{4,12}")
SALT_BYTES = 16
COST, BLOCK, PARALLEL = 2**14, 8, 1
"""16 MiB and about 0.1 s a try on a Pi 4. Source: RFC 7914, section 2; `hashlib.scrypt`.

No hash makes a short PIN hard to try out for somebody who has the file: the folder's mode keeps it.
"""


class PinFile:
    """One PIN for the door.

    Args:
        path: of the file, in the state folder; made with mode 0600.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._one_at_a_time = threading.Lock()

    def set(self, pin: str) -> None:
        """Take a new PIN; the file appears complete or not at all.

        Raises:
            InputError: it is not 4 to 12 digits, or one digit over and over.
            StoreError: the file cannot be written.
        """
        if not PIN.fullmatch(pin):
            raise InputError("a PIN has 4 to 12 digits; choose another")
        if len(set(pin)) == 1:
            raise InputError("a PIN of one digit over and over is guessed first; choose another")
        salt = secrets.token_bytes(SALT_BYTES)
        words = (base64.b64encode(part).decode() for part in (salt, self._hash(pin, salt)))
        try:
            write_whole(self.path, (" ".join(words) + "\n").encode())
        except OSError as error:
            why = f"cannot be written: {error.strerror}"
            raise not_written(self.path, error, why) from error

    def matches(self, pin: str) -> bool:
        """Whether it is the door's PIN.

        Raises:
            StoreError: no PIN was set, or the file cannot be used.
        """
        try:
            salt, wanted = (
                base64.b64decode(word, validate=True) for word in self.path.read_bytes().split()
            )
        except FileNotFoundError:
            raise StoreError("the door has no PIN yet; set one with `facegate door pin`") from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror}") from error
        except (ValueError, binascii.Error):
            raise StoreError(
                f"{self.path}: is damaged; set the PIN again with `facegate door pin`"
            ) from None
        return hmac.compare_digest(self._hash(pin, salt), wanted)

    def _hash(self, pin: str, salt: bytes) -> bytes:
        with self._one_at_a_time:  # 16 MiB each: a flood of tries must not fill the memory
            return hashlib.scrypt(pin.encode(), salt=salt, n=COST, r=BLOCK, p=PARALLEL)
