"""The state folder as a whole: taken into one backup, put back, sealed under another key."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from facegate.access.audit import AuditTrail, read
from facegate.access.audit_check import goes_on_under, head_path
from facegate.access.backup import Backup
from facegate.access.binding import key_fits
from facegate.access.database import connect, translated
from facegate.access.files import (
    drop_scratch,
    keep_in_place,
    not_written,
    wipe,
    wiping_old,
    write_whole,
)
from facegate.access.keys import (
    KEY_BYTES,
    Passphrase,
    ask_passphrase,
    is_credential,
    is_protected,
    is_sealed,
    load_key,
    missing_key,
    write_key,
)
from facegate.access.occupancy import occupy
from facegate.access.person import Person
from facegate.access.rolling import STORE_PART, RollingBackups
from facegate.access.store import Store
from facegate.access.store_file import last_number
from facegate.errors import StoreError

KEY_PART, TRAIL_PART, HEAD_PART, PIN_PART = "key", "audit.jsonl", "audit.head", "pin"
SETTINGS_PART = "config.yaml"

HIGHEST_NUMBER = 2**31
"""No gate counts people beyond; a record that says so was written by somebody else."""


@dataclass(frozen=True)
class Places:
    """Where things lie."""

    store: Path
    key: Path
    trail: Path
    backups: Path
    pin: Path

    @property
    def next_key(self) -> Path:
        """The key that is being changed to."""
        return self.store.with_name("key.next")


def settled_key(places: Places, passphrase: Passphrase = ask_passphrase) -> bytes:
    """Give the store's key, 32 bytes; first end a change of key that was broken off.

    Raises:
        StoreError: the key cannot be read, or the change cannot be ended.
    """
    with suppress(OSError):  # where nothing can be written it waits for the next time
        drop_scratch(places.store.parent, ".+")
        drop_scratch(places.key.parent, re.escape(places.key.name))
    ask = cache(passphrase)
    key = load_key(places.key, ask)
    if not places.next_key.exists():
        return key
    new = load_key(places.next_key, ask)
    descriptor = occupy(places.store.parent, alone=True)
    try:
        if _opens(places.store, new):
            _finish(places, key, new)
            return new
        if not _opens(places.store, key):  # damaged or gone: it is not known which key it needs
            return key
        if not goes_on_under(places.trail, new):
            wipe(places.next_key)
            return key
    except OSError as error:
        raise StoreError(f"{places.next_key}: cannot be removed: {error.strerror}") from error
    finally:
        os.close(descriptor)
    # The trail was sealed anew, and then a backup was put back under the old key.
    with Store.open(places.store, key, None, alone=True) as store:
        store.rekey(new)
        _finish(places, key, new)
    return new


def change_key(places: Places, model_id: str, passphrase: Passphrase = ask_passphrase) -> bytes:
    """Seal store, trail and backups under a new key; broken off at any moment, nothing is lost.

    The new key lies beside the old one until everything is sealed under it. The rolling backups,
    sealed under the old one, are wiped.

    Returns:
        The new key, 32 bytes.

    Raises:
        StoreError: a daemon is running, the key is a credential, or something cannot be written.
    """
    if is_credential(places.key):
        raise StoreError(
            f"{places.key}: a systemd credential cannot be changed from here; decrypt it to "
            f"{places.store.with_name('key')} (systemd-creds decrypt), take it out of the unit, "
            "change the key, and encrypt the new one (systemd-creds encrypt)"
        )
    ask = cache(passphrase)
    old = settled_key(places, ask)
    new = secrets.token_bytes(KEY_BYTES)
    with Store.open(places.store, old, model_id, alone=True) as store:
        write_key(places.next_key, new, ask() if is_protected(places.key) else None)
        store.rekey(new)
        _finish(places, old, new)
    return new


def _finish(places: Places, old: bytes, new: bytes) -> None:
    """Do what follows once the store is sealed under the new key; may be done again."""
    with AuditTrail.open(places.trail, old) as trail:
        trail.rotate(old, new)
    RollingBackups(places.backups, old, keep=0).drop_all()
    _replace_key(places)


def _replace_key(places: Places) -> None:
    """Put the new key in the old one's place, which may be on another file system."""
    try:
        with wiping_old(places.key):  # it opens what is left of the forgotten in freed blocks
            try:
                os.replace(places.next_key, places.key)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                owner = places.key.stat()
                write_whole(places.key, places.next_key.read_bytes())
                os.chown(places.key, owner.st_uid, owner.st_gid)
                wipe(places.next_key)
        keep_in_place(places.key)
    except OSError as error:
        why = f"cannot be replaced: {error.strerror}"
        raise not_written(places.key, error, why) from error


def take_backup(places: Places, key: bytes, facts: Mapping[str, object]) -> Backup:
    """Take everything an empty machine needs into one backup: store, key, trail and PIN.

    Whichever embedder the store is of: people can be saved when the network is gone or exchanged.

    Args:
        places: where they lie.
        key: the store's, 32 bytes.
        facts: what else the backup should say of itself; the number of people is added.

    Raises:
        StoreError: something cannot be read.
    """
    with Store.open(places.store, key, None) as store:
        _, image = store.image()
        people = len(store.people())
    parts = {STORE_PART: image, KEY_PART: key}
    # The head first: it may be older than the trail, never newer.
    for name, path in _beside(places):
        try:
            parts[name] = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    return Backup(parts, {**facts, "people": people})


def restore(places: Places, backup: Backup, name: str, *, replace: bool = False) -> list[Person]:
    """Put people back; onto a machine without people also key, audit trail and PIN.

    On a machine with people its own key and trail stay, and the backup's people are sealed under
    that key. Everything in the backup is checked before anything is touched.

    Args:
        places: where to.
        backup: from `take_backup`, or a rolling one.
        name: of the backup, for messages.
        replace: whether people enrolled here give way.

    Returns:
        Who is enrolled now.

    Raises:
        StoreError: the backup is damaged, people are enrolled here and `replace` is not set, a
            daemon is running, or something cannot be written.
    """
    ask = cache(ask_passphrase)
    if places.key.exists():
        settled_key(places, ask)
    descriptor = occupy(places.store.parent, alone=True)
    try:
        own = load_key(places.key, ask) if places.key.exists() else None
        if own is None and (is_sealed() or (places.store.exists() and not replace)):
            raise StoreError(
                f"{places.store}: its key is not at {places.key}, so nobody can say who is in it; "
                f"{missing_key()}"
            )
        key = backup.parts.get(KEY_PART, own)
        if key is None:
            raise StoreError(f"{places.key}: no key; a rolling backup needs the store's own")
        with Store.from_image(backup.parts[STORE_PART], key, name) as copy:
            copy.gallery()
            people = copy.people()
            taken_on = own is None or (not is_credential(places.key) and _is_empty(places, own))
            if not taken_on and not replace and places.store.exists():
                raise StoreError(
                    f"{places.store}: people are enrolled here, or it is damaged; --replace puts "
                    "the backup in its place"
                )
            if not taken_on and own is not None and own != key:
                copy.rekey(own)
            if not (taken_on and KEY_PART in backup.parts):  # the trail here goes on
                copy.give_no_number_up_to(_last_number(places))
            _, image = copy.image()
        try:
            for path in (places.store, places.key, *(path for _, path in _beside(places))):
                drop_scratch(path.parent, re.escape(path.name))
            _empty_log(places.store)
            if taken_on and KEY_PART in backup.parts:
                _take_on(places, backup)
            write_whole(places.store, image, ready=partial(_drop_log, places.store))
        except OSError as error:
            why = f"cannot be put back: {error.strerror}"
            raise not_written(places.store, error, why) from error
    finally:
        os.close(descriptor)
    return people


def _empty_log(path: Path) -> None:
    """Bring what only the store's log holds into its file, unless it cannot be read anyway.

    Raises:
        StoreError: the file cannot be written, or somebody else has it open.
    """
    connection = None
    with suppress(StoreError), translated(path):
        connection = connect(path, 0.0) if path.exists() else None
    if connection is not None:
        with translated(path), closing(connection):
            if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise StoreError(f"{path}: in use by another program; wait, or stop it")


def _drop_log(path: Path) -> None:
    """Remove the store's log, which must never be read as another file's."""
    for suffix in ("-wal", "-shm"):
        wipe(path.with_name(path.name + suffix))


def _last_number(places: Places) -> int:
    """Give the highest number that a person of this machine ever had, as far as can be told."""
    numbers = [0]
    with suppress(StoreError):
        facts = (record.facts.get("person") for record in read(places.trail))
        numbers += [n for n in facts if isinstance(n, int) and n <= HIGHEST_NUMBER]
    with suppress(StoreError, OSError):
        numbers.append(last_number(places.store))
    return max(numbers)


def _beside(places: Places) -> tuple[tuple[str, Path], ...]:
    head = head_path(places.trail)
    return ((HEAD_PART, head), (TRAIL_PART, places.trail), (PIN_PART, places.pin))


def _take_on(places: Places, backup: Backup) -> None:
    """Take key and trail from a backup; the store, empty, goes first: it fits no other key."""
    wipe(places.store)
    RollingBackups(places.backups, b"", keep=0).drop_all()
    write_key(places.key, backup.parts[KEY_PART])
    for name, path in reversed(_beside(places)):
        if name in backup.parts:
            write_whole(path, backup.parts[name])


def _is_empty(places: Places, key: bytes) -> bool:
    """Whether nobody is enrolled; what cannot be read counts as somebody."""
    if not places.store.exists():
        return True
    with suppress(StoreError), translated(places.store):
        if key_fits(places.store, key):
            with closing(connect(places.store, 0.0)) as connection:
                rows = connection.execute("SELECT count(*) FROM people").fetchone()
                return bool(rows[0] == 0)
    return False


def _opens(path: Path, key: bytes) -> bool:
    with suppress(StoreError), translated(path):
        return path.exists() and key_fits(path, key)
    return False
