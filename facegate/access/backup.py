"""A backup: one file, encrypted and authenticated as a whole, by a key or by a passphrase.

8 bytes  "FGBACKUP"          16 bytes  salt
1 byte   version             16 bytes  proof that the secret is the right one
1 byte   "k" or "p"          12 bytes  nonce
the rest: AES-GCM over an index (one line of JSON) and the parts it names, bound to all above
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from facegate.access.keys import KEY_BYTES, from_passphrase
from facegate.errors import StoreError

VERSION = 1
_MAGIC = b"FGBACKUP"
_SALT_BYTES, _PROOF_BYTES, _NONCE_BYTES = 16, 16, 12
_SALT = len(_MAGIC) + 2
_PROOF = _SALT + _SALT_BYTES
_NONCE = _PROOF + _PROOF_BYTES
HEADER_BYTES = _NONCE + _NONCE_BYTES

Secret = bytes | str
"""A store's key, or a passphrase."""


@dataclass(frozen=True, eq=False)
class Backup:
    """What a backup holds.

    Attributes:
        parts: content by name.
        facts: when it was made, of what.
    """

    parts: Mapping[str, bytes]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sealed(self, secret: Secret) -> bytes:
        """Give the file's content."""
        salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
        kind = b"k" if isinstance(secret, bytes) else b"p"
        key, proof = _derive(secret, salt)
        header = _MAGIC + bytes([VERSION]) + kind + salt + proof + nonce
        index = {**self.facts, "parts": [[name, len(p)] for name, p in self.parts.items()]}
        body = b"".join([json.dumps(index).encode(), b"\n", *self.parts.values()])
        return header + AESGCM(key).encrypt(nonce, body, header)


def needs_passphrase(content: bytes) -> bool:
    """Whether a backup is sealed by a passphrase, not by a store's key."""
    return content[:_SALT] == _MAGIC + bytes([VERSION]) + b"p"


def open_backup(content: bytes, secret: Secret, name: str) -> Backup:
    """Open a backup.

    Args:
        content: of the file.
        secret: what it was sealed with.
        name: of the file, for messages.

    Raises:
        StoreError: it is no backup, of a newer version, damaged, or sealed with another secret.
    """
    if not content.startswith(_MAGIC) or len(content) < HEADER_BYTES:
        raise StoreError(f"{name}: not a backup of facegate; give the right file")
    version, kind = content[len(_MAGIC)], content[len(_MAGIC) + 1 : _SALT]
    if version > VERSION:
        raise StoreError(
            f"{name}: made by a newer facegate (backup version {version}, this one knows "
            f"{VERSION}); install that one"
        )
    if version != VERSION or kind not in (b"k", b"p"):
        raise _damaged(name)
    by_key = isinstance(secret, bytes)
    if by_key != (kind == b"k"):
        sealed_with = "a store's key" if kind == b"k" else "a passphrase"
        raise StoreError(f"{name}: sealed with {sealed_with}; give that")
    key, proof = _derive(secret, content[_SALT:_PROOF])
    if not hmac.compare_digest(proof, content[_PROOF:_NONCE]):
        raise StoreError(
            f"{name}: this {'key' if by_key else 'passphrase'} does not open it, or its "
            "beginning is damaged; give the one it was made with"
        )
    header, nonce = content[:HEADER_BYTES], content[_NONCE:HEADER_BYTES]
    try:
        body = AESGCM(key).decrypt(nonce, content[HEADER_BYTES:], header)
    except InvalidTag:
        raise _damaged(name) from None
    line, _, rest = body.partition(b"\n")
    index = json.loads(line)
    parts, at = {}, 0
    for part, size in index.pop("parts"):
        parts[part] = rest[at : at + size]
        at += size
    return Backup(parts, index)


def _derive(secret: Secret, salt: bytes) -> tuple[bytes, bytes]:
    """Give the key, and what proves that the secret is the right one without opening anything."""
    slow = secret if isinstance(secret, bytes) else from_passphrase(secret, salt)
    both = HKDF(SHA256(), KEY_BYTES + _PROOF_BYTES, salt, b"facegate backup 1").derive(slow)
    return both[:KEY_BYTES], both[KEY_BYTES:]


def _damaged(name: str) -> StoreError:
    return StoreError(f"{name}: damaged; take another backup")
