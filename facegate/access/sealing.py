"""What lies in the store is encrypted, and bound to the row it lies in."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from facegate.access.keys import KEY_BYTES

NONCE_BYTES = 12
"""Random 96-bit nonces; the key may seal 2**32 times. Source: NIST SP 800-38D, section 8.3."""


class Sealer:
    """Seals and opens the values of one store.

    Sealing and the name index have keys of their own, derived with HKDF-SHA-256 (RFC 5869) from the
    store's key and its random salt.

    Args:
        key: the store's key, 32 bytes.
        salt: the store's own random bytes.

    Attributes:
        digest_key: for the figure over all rows.
    """

    def __init__(self, key: bytes, salt: bytes) -> None:
        self._cipher = AESGCM(_derive(key, salt, b"facegate seal 1"))
        self._index_key = _derive(key, salt, b"facegate name index 1")
        self.digest_key = _derive(key, salt, b"facegate digest 1")

    def seal(self, plain: bytes, *row: str | int) -> tuple[bytes, bytes]:
        """Encrypt a value for one row; returns the nonce and the sealed value.

        Args:
            plain: the value.
            row: what names the row; the same must be given to open it.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce, self._cipher.encrypt(nonce, plain, _bound(row))

    def open(self, nonce: bytes, sealed: bytes, *row: str | int) -> bytes | None:
        """Decrypt a value; None when it is damaged, of another row, or of another key."""
        try:
            return self._cipher.decrypt(nonce, sealed, _bound(row))
        except (InvalidTag, ValueError):
            return None

    def index(self, text: str) -> bytes:
        """Give a keyed fingerprint, so that equal texts can be found without being readable."""
        return hmac.digest(self._index_key, text.encode(), hashlib.sha256)


def _derive(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=purpose).derive(key)


def _bound(row: tuple[str | int, ...]) -> bytes:
    # A length before each part: no two rows can give the same bytes.
    bound = b""
    for part in row:
        text = str(part).encode()
        bound += len(text).to_bytes(4, "big") + text
    return bound
