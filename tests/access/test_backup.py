import functools

import pytest

from facegate.access import backup, keys
from facegate.access.backup import Backup, needs_passphrase, open_backup
from facegate.errors import StoreError

KEY = bytes(range(32))
PARTS = {"people.db": b"store" * 100, "empty": b"", "key": KEY}


@pytest.mark.parametrize("secret", [KEY, "a long passphrase"])
def test_what_was_put_in_comes_out(secret):
    content = Backup(PARTS, {"people": 3}).sealed(secret)
    assert needs_passphrase(content) == isinstance(secret, str)
    opened = open_backup(content, secret, "b")
    assert dict(opened.parts) == PARTS
    assert opened.facts == {"people": 3}
    assert KEY not in content
    assert b"storestore" not in content


@pytest.mark.parametrize(
    ("sealed", "given", "said"),
    [
        (KEY, bytes(32), "this key does not open it"),
        ("a long passphrase", "another passphrase", "this passphrase does not open it"),
        (KEY, "a long passphrase", "sealed with a store's key"),
        ("a long passphrase", KEY, "sealed with a passphrase"),
    ],
)
def test_another_secret_is_refused(sealed, given, said):
    with pytest.raises(StoreError, match=f"^b: .*{said}"):
        open_backup(Backup(PARTS).sealed(sealed), given, "b")


@pytest.mark.parametrize("content", [b"", b"FGBACKUP", b"SQLite format 3\0" + bytes(99)])
def test_a_foreign_file_is_refused(content):
    with pytest.raises(StoreError, match="not a backup of facegate"):
        open_backup(content, KEY, "b")


def test_a_newer_version_is_refused():
    content = bytearray(Backup(PARTS).sealed(KEY))
    content[8] = 2
    with pytest.raises(StoreError, match=r"made by a newer facegate .backup version 2"):
        open_backup(bytes(content), KEY, "b")


@pytest.mark.parametrize("secret", [KEY, "a long passphrase"])
def test_every_changed_byte_is_refused(secret, monkeypatch):
    monkeypatch.setattr(backup, "from_passphrase", functools.cache(keys.from_passphrase))
    content = Backup({"people.db": b"store"}).sealed(secret)
    salts = range(backup._SALT, backup._PROOF)
    for at in range(len(content)):
        if isinstance(secret, str) and at in salts and at > backup._SALT:
            continue  # another salt costs a whole derivation; one such is enough
        changed = content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]
        with pytest.raises(StoreError):
            open_backup(changed, secret, "b")
