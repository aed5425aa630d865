import hashlib
import os
import stat

import pytest

from facegate.access import keys
from facegate.access.keys import KEY_BYTES, create_key, from_passphrase, load_key
from facegate.errors import StoreError


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    create_key(path)
    return path


def test_a_key_is_random_and_ours_alone(key_file, tmp_path):
    create_key(tmp_path / "other")
    assert len(load_key(key_file)) == KEY_BYTES
    assert load_key(key_file) != load_key(tmp_path / "other")
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_a_passphrase_is_stretched_at_a_cost_that_never_changes():
    """At another cost no protected key and no backup that is there would open."""
    salt = bytes(range(16))
    wanted = hashlib.scrypt(
        b"correct horse", salt=salt, n=32_768, r=8, p=3, dklen=32, maxmem=64 << 20
    )
    assert from_passphrase("correct horse", salt) == wanted


def test_a_key_that_is_there_stays(key_file):
    before = load_key(key_file)
    create_key(key_file)
    assert load_key(key_file) == before
    assert os.listdir(key_file.parent) == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_open_to_others_is_refused(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(StoreError, match=f"open to others .mode {mode:04o}.; chmod 600"):
        load_key(key_file)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(key_file, size):
    key_file.write_bytes(b"k" * size)
    with pytest.raises(StoreError, match=f"has 32 bytes, not {size}"):
        load_key(key_file)


def test_a_missing_key_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="no key; put back the key"):
        load_key(tmp_path / "key")


def test_a_key_in_a_missing_folder_cannot_be_made(tmp_path):
    with pytest.raises(StoreError, match="cannot be made: No such file"):
        create_key(tmp_path / "none" / "key")


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_a_systemd_credential_has_modes_of_its_own(tmp_path, monkeypatch, mode):
    path = tmp_path / "facegate-key"
    create_key(path)
    path.chmod(mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert len(load_key(path)) == KEY_BYTES
    path.chmod(0o444)
    with pytest.raises(StoreError, match="open to others"):
        load_key(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
def test_a_key_of_another_user_is_refused(tmp_path, monkeypatch):
    create_key(tmp_path / "key")
    monkeypatch.setattr(keys.os, "geteuid", lambda: 1234)
    with pytest.raises(StoreError, match="belongs to another user"):
        load_key(tmp_path / "key")


def test_a_passphrase_that_is_no_text_is_told_as_that(tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / keys.PASSPHRASE_CREDENTIAL).write_bytes(b"schl\xfcssel\n")
    with pytest.raises(StoreError, match="is not UTF-8 text"):
        keys.ask_passphrase()
