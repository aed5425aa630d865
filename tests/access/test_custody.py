"""Backups, restoring, another key, and forgetting, on a state folder of its own."""

import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stores import MODEL, vectors
from users import as_user

from facegate.access import custody, files, keys
from facegate.access import erasure as erasure_module
from facegate.access.audit import AuditTrail, Limits, read, verify
from facegate.access.custody import Places, change_key, restore, settled_key, take_backup
from facegate.access.erasure import forget
from facegate.access.keys import create_key, load_key, write_key
from facegate.access.rolling import RollingBackups
from facegate.access.store import Store
from facegate.errors import NotEnrolledError, StoreError


def never():
    raise AssertionError("no passphrase is needed here")


def places_in(folder):
    folder.mkdir(exist_ok=True)
    names = ("people.db", "key", "audit.jsonl", "backups", "pin")
    return Places(*(folder / name for name in names))


class Machine:
    """A state folder, and what one does with it."""

    def __init__(self, folder):
        self.folder, self.places = folder, places_in(folder)

    @property
    def key(self):
        return settled_key(self.places, never)

    def store(self, **options):
        return Store.open(self.places.store, self.key, MODEL, **options)

    def backups(self, keep=3):
        return RollingBackups(self.places.backups, self.key, keep)

    def record(self, event, **facts):
        with AuditTrail.open(self.places.trail, self.key, Limits()) as trail:
            trail.append(event, facts)

    def backup(self):
        return take_backup(self.places, self.key, {"made_at_wall": 5.0})

    def names(self):
        with self.store() as store:
            assert len(store.gallery().matrix) == sum(p.templates for p in store.people())
            return [p.name for p in store.people()]


@pytest.fixture
def machine(tmp_path):
    """A machine with Ann, an admin, and Bob; a trail; and one rolling backup."""
    machine = Machine(tmp_path / "machine")
    create_key(machine.places.key)
    with machine.store() as store:
        store.add("Ann", vectors(3, 1), "admin")
        store.add("Bob", vectors(2, 2))
        store.set_group("Bob", "staff")
        machine.backups().make(store)
    machine.record("enrolled", person=1)
    machine.record("enrolled", person=2)
    return machine


# Backup and restore.


def test_an_empty_machine_becomes_the_old_one(machine, tmp_path):
    backup = machine.backup()
    with machine.store() as store:
        everybody, matrix = store.people(), store.gallery().matrix
    new = Machine(tmp_path / "new")
    assert len(restore(new.places, backup, "b")) == 2
    with new.store() as store:
        assert store.people() == everybody
        np.testing.assert_array_equal(store.gallery().matrix, matrix)
        store.add("Cyd", vectors(1, 3))
    assert new.key == machine.key
    new.record("backup_restored")
    finding = verify(new.places.trail, new.key)
    assert (finding.records, finding.problem) == (3, None)


def test_a_machine_started_but_without_people_counts_as_empty(machine, tmp_path):
    new = Machine(tmp_path / "new")
    create_key(new.places.key)
    new.store().close()
    new.record("started")
    assert len(restore(new.places, machine.backup(), "b")) == 2
    assert new.names() == ["Ann", "Bob"]
    assert [r.event for r in read(new.places.trail)] == ["enrolled", "enrolled"]


def test_a_machine_with_people_keeps_its_key_and_its_trail(machine, tmp_path):
    backup = machine.backup()
    other = Machine(tmp_path / "other")
    create_key(other.places.key)
    with other.store() as store:
        store.add("Zoe", vectors(1, 9))
    other.record("enrolled", person=1)
    key = other.key
    with pytest.raises(StoreError, match="people are enrolled here"):
        restore(other.places, backup, "b")
    assert other.names() == ["Zoe"]
    restore(other.places, backup, "b", replace=True)
    assert other.key == key != machine.key
    assert other.names() == ["Ann", "Bob"]
    assert len(list(read(other.places.trail))) == 1


def test_a_damaged_store_is_put_back_from_the_newest_good_copy(machine):
    with machine.store() as store:
        store.remove("Bob")
        machine.backups().make(store)
        store.add("Cyd", vectors(1, 3))
        newest = machine.backups().make(store)
    newest.write_bytes(newest.read_bytes()[:-1])
    machine.places.store.write_bytes(b"damaged")
    with pytest.raises(StoreError, match="facegate restore --latest"):
        machine.store()
    path, backup = machine.backups().newest_good()
    assert path < newest
    restore(machine.places, backup, str(path), replace=True)
    assert machine.names() == ["Ann"]


def test_people_whose_key_is_elsewhere_are_not_replaced_unasked(machine, monkeypatch, tmp_path):
    """The key may be a credential that only the service has."""
    backup = machine.backup()
    with machine.store() as store:
        store.add("Cyd", vectors(1, 3))
    aside = machine.places.key.rename(tmp_path / "aside")
    with pytest.raises(StoreError, match="nobody can say who is in it"):
        restore(machine.places, backup, "b")
    sealed = tmp_path / "facegate-key"
    sealed.touch()
    monkeypatch.setattr(keys, "SEALED_CREDENTIAL", sealed)
    for replaced in (False, True):
        with pytest.raises(StoreError, match="systemd-run --pipe"):
            restore(machine.places, backup, "b", replace=replaced)
    with pytest.raises(StoreError, match="systemd-run --pipe"):
        load_key(machine.places.key)
    assert not machine.places.key.exists()
    aside.rename(machine.places.key)
    assert machine.names() == ["Ann", "Bob", "Cyd"]


def test_nothing_is_touched_when_the_backup_is_bad_or_somebody_is_at_work(machine):
    backup = machine.backup()
    image = bytearray(backup.parts["people.db"])
    image[len(image) // 2] ^= 255
    before = machine.places.store.read_bytes()
    bad = replace(backup, parts={**backup.parts, "people.db": bytes(image)})
    with pytest.raises(StoreError, match="damaged"):
        restore(machine.places, bad, "b", replace=True)
    with machine.store(), pytest.raises(StoreError, match="stop the daemon first"):
        restore(machine.places, backup, "b", replace=True)
    assert machine.places.store.read_bytes() == before


def test_only_so_many_copies_are_kept_and_each_was_opened(machine):
    with machine.store() as store:
        made = [machine.backups().make(store) for _ in range(5)]
    assert machine.backups().files() == made[-3:]
    assert {p.stat().st_mode & 0o777 for p in made[-3:]} == {0o600}
    assert machine.backups(keep=0).make(None) is None
    with machine.store() as store:
        assert machine.backups().latest_mark() == store.mark
        store.set_note("Ann", "x")
        assert machine.backups().latest_mark() != store.mark


# Another key.


def test_another_key_for_store_trail_and_backups(machine):
    old = machine.key
    change_key(machine.places, MODEL, never)
    assert machine.key != old
    assert machine.names() == ["Ann", "Bob"]
    assert machine.backups().files() == []
    machine.record("started")
    finding = verify(machine.places.trail, machine.key)
    assert (finding.records, finding.problem) == (4, None)
    left = b"".join(p.read_bytes() for p in machine.folder.rglob("*") if p.is_file())
    assert old not in left


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_the_key_may_lie_on_another_file_system(machine):
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == machine.folder.stat().st_dev:
        pytest.skip("needs /dev/shm on a file system of its own")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        elsewhere = Path(folder, "key")
        elsewhere.write_bytes(machine.places.key.read_bytes())
        elsewhere.chmod(0o600)
        machine.places.key.unlink()
        places = replace(machine.places, key=elsewhere)
        os.chown(elsewhere, 65_534, 65_534)
        new = change_key(places, MODEL, never)
        assert elsewhere.stat().st_uid == 65_534  # whoever reads it may go on reading it
        assert load_key(elsewhere) == new == settled_key(places, never)
        assert [p.name for p in elsewhere.parent.iterdir()] == ["key"]
        assert not places.next_key.exists()


def test_a_key_protected_by_a_passphrase_stays_so(machine):
    write_key(machine.places.key, machine.key, "a long passphrase")
    change_key(machine.places, MODEL, lambda: "a long passphrase")
    with pytest.raises(StoreError, match="this passphrase does not open the key"):
        load_key(machine.places.key, lambda: "another passphrase")
    key = load_key(machine.places.key, lambda: "a long passphrase")
    Store.open(machine.places.store, key, MODEL).close()


def test_nobody_may_be_at_work_meanwhile(machine):
    with machine.store(), pytest.raises(StoreError, match="stop the daemon first"):
        change_key(machine.places, MODEL, never)
    assert not machine.places.next_key.exists()


class PowerCut(BaseException):
    """Nothing after it is done, not even what tidies up."""


CHANGE_OF_KEY = {
    "written": (Store, "rekey"),
    "committed": (custody, "_finish"),
    "rotated": (RollingBackups, "drop_all"),
    "dropped": (custody, "_replace_key"),
}
STEPS = list(CHANGE_OF_KEY)


@pytest.mark.parametrize("step", STEPS)
def test_a_change_of_key_broken_off_anywhere_is_ended_or_undone(machine, step):
    old = machine.key
    cut_change_of_key(machine, step)
    assert machine.names() == ["Ann", "Bob"]
    assert (machine.key == old) == (step == "written")
    assert not machine.places.next_key.exists()
    machine.record("started")
    assert verify(machine.places.trail, machine.key).problem is None


def cut_change_of_key(machine, step):
    """Break a change of key off as a power cut does."""

    def cut(*_):
        raise PowerCut

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(*CHANGE_OF_KEY[step], cut)
        with pytest.raises(PowerCut):
            change_key(machine.places, MODEL, never)
    assert machine.places.next_key.exists()


def trail_is_whole(machine):
    machine.record("backup_restored")
    return verify(machine.places.trail, load_key(machine.places.key)).problem is None


@pytest.mark.parametrize("step", STEPS)
def test_a_restore_ends_a_change_of_key_that_was_broken_off(machine, step):
    backup = machine.backup()
    cut_change_of_key(machine, step)
    restore(machine.places, backup, "b", replace=True)
    assert not machine.places.next_key.exists()
    assert machine.names() == ["Ann", "Bob"]
    assert trail_is_whole(machine)


@pytest.mark.parametrize("step", STEPS[:-1])  # after the last, no copy is left
def test_a_damaged_store_is_put_back_in_the_midst_of_a_change_of_key(machine, step):
    """Copies stay until the store is known to be whole under the new key."""
    cut_change_of_key(machine, step)
    machine.places.store.write_bytes(b"damaged")
    name, backup = machine.backups().newest_good()
    restore(machine.places, backup, str(name), replace=True)
    assert machine.names() == ["Ann", "Bob"]
    assert trail_is_whole(machine)
    assert not machine.places.next_key.exists()


# Forgetting.


def test_a_person_is_erased_from_everything_and_the_search_proves_it(machine):
    with machine.store() as store:
        store.set_note("Ann", "has a dog")
        machine.backups().make(store)
        copies = machine.backups().files()
        erasure = forget(store, machine.backups(), "ann", machine.folder)
    assert erasure.clean
    where = {s.where: s.found for s in erasure.before}
    assert where[str(machine.places.store)] or where[f"{machine.places.store}-wal"]
    assert all(where[f"{copy}, opened"] for copy in copies)
    assert not any(s.found for s in erasure.after)
    assert {str(machine.places.store), str(machine.places.trail)} <= {
        s.where for s in erasure.after
    }
    # As she is, and her record before the note; 'Ann' is too short to be looked for in plain.
    assert erasure.traces == (5 + 3 * (2 + 3) + 1) + 4
    assert machine.names() == ["Bob"]
    assert machine.backups().newest_good()
    assert verify(machine.places.trail, machine.key).problem is None


def test_a_person_is_erased_while_the_daemon_has_the_store_open(machine):
    with machine.store() as daemon:
        daemon.gallery()
        daemon.set_note("Ann", "seen just now")
        with machine.store() as store:
            erasure = forget(store, machine.backups(), "Ann", machine.folder)
        assert erasure.clean
        assert [p.name for p in daemon.people()] == ["Bob"]
        assert len(daemon.gallery().matrix) == 2
        daemon.add("Cyd", vectors(1, 3))


def test_a_trace_left_anywhere_is_found(machine):
    shutil.copy(machine.places.store, machine.folder / "copy.db")
    with machine.store() as store:
        erasure = forget(store, machine.backups(), "Bob", machine.folder)
    assert not erasure.clean
    assert [s.where for s in erasure.after if s.found] == [str(machine.folder / "copy.db")]


def test_whoever_was_removed_is_erased_from_the_copies_whatever_they_were_called(machine):
    copies = machine.backups()
    with machine.store() as store:
        store.add("Bellatrix", vectors(2, 3))
        copies.make(store)
        store.rename("Bellatrix", "Bella")
        copies.make(store)
        store.remove("Bella")
        erasure = forget(store, copies, "bellatrix", machine.folder)
        assert erasure.clean
        assert (erasure.person.person_id, erasure.namesakes) == (3, ())
        assert [s.where for s in erasure.before if s.found] == [
            f"{copies.folder}/people-00000{number}.fgbackup, opened" for number in (2, 3)
        ]
        assert machine.names() == ["Ann", "Bob"]
        assert machine.backups().newest_good()
        with pytest.raises(NotEnrolledError, match="hold nobody removed of this name or number"):
            forget(store, copies, "Bellatrix", machine.folder)


def test_a_trace_of_somebody_removed_is_found_too(machine):
    shutil.copy(machine.places.store, machine.folder / "copy.db")
    with machine.store() as store:
        store.remove("Bob")
        erasure = forget(store, machine.backups(), "Bob", machine.folder)
    assert [s.where for s in erasure.after if s.found] == [str(machine.folder / "copy.db")]
    assert not erasure.clean


def test_what_a_removal_had_to_leave_because_somebody_read_is_taken_out_too(machine):
    with machine.store() as reader, machine.store(busy_wait_s=0.05) as store:
        with reader._reading() as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT name FROM people").fetchall()
            store.remove("Bob")
            connection.execute("COMMIT")
        erasure = forget(store, machine.backups(), "Bob", machine.folder)
    assert str(machine.places.store) in [s.where for s in erasure.before if s.found]
    assert erasure.clean


def test_a_copy_that_is_damaged_keeps_nobody(machine):
    copies = machine.backups()
    with machine.store() as store:
        copies.make(store)
        damaged = copies.files()[-1]
        damaged.write_bytes(damaged.read_bytes()[:-40])
        erasure = forget(store, copies, "Ann", machine.folder)
    assert erasure.clean
    assert machine.names() == ["Bob"]
    assert not damaged.exists()


@pytest.mark.parametrize("enrolled", [False, True])
def test_all_who_were_removed_under_one_name_are_erased(machine, enrolled):
    copies = machine.backups()
    with machine.store() as store:
        store.remove("Ann")
        store.add("Ann", vectors(1, 3))
        copies.make(store)
        if not enrolled:
            store.remove("Ann")
        erasure = forget(store, copies, "Ann", machine.folder)
        assert erasure.clean
        assert erasure.person.person_id == 3
        assert [p.person_id for p in erasure.namesakes] == [1]
        assert sum(bool(s.found) for s in erasure.before if "opened" in s.where) == 2
        assert machine.names() == ["Bob"]


def test_who_was_removed_is_erased_by_number_and_a_namesake_who_came_since_stays(machine):
    copies = machine.backups()
    with machine.store() as store:
        store.add("Bellatrix", vectors(2, 3))
        store.set_note("Bellatrix", "a star")
        copies.make(store)
        store.remove("Bellatrix")
        store.add("Bellatrix", vectors(1, 4))
        asked = []
        erasure = forget(store, copies, "3", machine.folder, agreed=asked.extend)
        assert [(p.person_id, p.name) for p in asked] == [(3, "Bellatrix")]
        assert (erasure.person, erasure.namesakes, erasure.clean) == (asked[0], (), True)
        assert [(p.person_id, p.name) for p in store.people()][1:] == [(4, "Bellatrix"), (2, "Bob")]
        with pytest.raises(NotEnrolledError, match="hold nobody removed of this name or number"):
            forget(store, copies, "3", machine.folder)
        assert forget(store, copies, "4", machine.folder).clean


def test_nobody_is_erased_whom_somebody_did_not_agree_to(machine):
    def no(_):
        raise StoreError("no")

    copies = machine.backups()
    with machine.store() as store, pytest.raises(StoreError, match=r"^no$"):
        forget(store, copies, "Ann", machine.folder, agreed=no)
    assert machine.names() == ["Ann", "Bob"]
    assert copies.files()


def test_who_only_was_called_so_is_not_erased(machine):
    copies = machine.backups()
    with machine.store() as store:
        store.rename("Ann", "Anna")
        kept = copies.files()
        with pytest.raises(NotEnrolledError, match="in a copy that is Anna, who is enrolled"):
            forget(store, copies, "Ann", machine.folder)
        assert copies.files() == kept
        store.add("Ann", vectors(1, 3))
        erasure = forget(store, copies, "Ann", machine.folder)
    assert erasure.clean
    assert (erasure.person.person_id, erasure.namesakes) == (3, ())
    assert machine.names() == ["Anna", "Bob"]


def test_a_number_given_anew_in_a_new_store_is_somebody_else(machine):
    machine.places.store.unlink()
    with machine.store(wall_clock=lambda: 5.0) as store:
        assert store.add("Cyd", vectors(1, 3)).person_id == 1
        erasure = forget(store, machine.backups(), "Ann", machine.folder)
    assert erasure.clean
    assert machine.names() == ["Cyd"]


# What a power cut leaves in the middle of writing.


def scratch_of(folder, path, monkeypatch, act):
    """Break off while the whole of a file is on disk under its scratch name; gives that file."""
    with monkeypatch.context() as patch:

        def cut(*_):
            raise PowerCut

        patch.setattr(Path, "replace", cut)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(PowerCut):
            act()
    (left,) = folder.glob(f".{path}.*")
    return left


def test_a_copy_broken_off_by_a_power_cut_is_forgotten_with_the_person(machine, monkeypatch):
    with machine.store() as store:
        backups = machine.backups()
        left = scratch_of(
            machine.places.backups, "people-*", monkeypatch, lambda: backups.make(store)
        )
        assert RollingBackups.read(backups, left).facts["mark"]  # it can be opened, with Bob in it
        assert forget(store, backups, "Bob", machine.folder).clean
    assert not left.exists()


def test_what_a_power_cut_left_of_the_trail_is_gone_when_it_is_opened(machine, monkeypatch):
    left = scratch_of(
        machine.folder, "audit.head", monkeypatch, lambda: machine.record("granted", person=1)
    )
    kept = machine.folder / ".audit.head.of-somebody-else"
    kept.write_text("kept")
    machine.record("granted", person=1)
    assert not left.exists()
    assert kept.exists()
    assert verify(machine.places.trail, machine.key).problem is None


def test_a_restore_broken_off_by_a_power_cut_leaves_nothing_when_done_again(
    machine, tmp_path, monkeypatch
):
    backup, new = machine.backup(), Machine(tmp_path / "new")
    left = scratch_of(new.folder, "*", monkeypatch, lambda: restore(new.places, backup, "b"))
    assert len(restore(new.places, backup, "b")) == 2
    assert not left.exists()
    assert new.names() == ["Ann", "Bob"]


def die_without_bob(machine, key):
    """Remove Bob and die before that is anywhere but in the log."""
    child = os.fork()
    if child == 0:
        try:
            store = Store.open(machine.places.store, key, MODEL)
            store.tidy = lambda: None
            store.remove("Bob")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert machine.places.store.with_name("people.db-wal").stat().st_size


@pytest.mark.parametrize("step", ["content", "log", "place"])
def test_a_restore_that_fails_brings_nobody_back(machine, monkeypatch, tmp_path, step):
    """The key is a credential: nothing else opens the store before."""
    backup = machine.backup()
    folder = tmp_path / "credentials"
    folder.mkdir()
    key = folder / "facegate-key"
    machine.places.key.rename(key)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    die_without_bob(machine, key.read_bytes())
    machine.places = replace(machine.places, key=key)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    what = {
        "content": (files, "hand_to_owner"),
        "log": (custody, "_drop_log"),
        "place": (Path, "replace"),
    }[step]
    with monkeypatch.context() as patched:
        patched.setattr(*what, fail)
        with pytest.raises(StoreError, match="cannot be put back: No space left"):
            restore(machine.places, backup, "b", replace=True)
    assert machine.names() == ["Ann"]
    restore(machine.places, backup, "b", replace=True)
    assert machine.names() == ["Ann", "Bob"]
    assert {p.name for p in machine.folder.iterdir()} == {
        "people.db",
        "audit.jsonl",
        "audit.head",
        "backups",
    }


def test_a_store_is_not_put_back_under_somebody_who_reads_the_old_one(machine):
    backup = machine.backup()
    with closing(sqlite3.connect(machine.places.store)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM people").fetchall()
        die_without_bob(machine, machine.key)
        with pytest.raises(StoreError, match="in use by another program"):
            restore(machine.places, backup, "b", replace=True)
    assert machine.names() == ["Ann"]


def test_a_restore_or_a_copy_that_is_done_but_not_safe_yet_says_so(machine, monkeypatch):
    def fail(folder):
        raise OSError(errno.EIO, "Input/output error")

    with machine.store() as store:
        backup = machine.backup()
        store.remove("Bob")
    with monkeypatch.context() as patched:
        patched.setattr(files, "sync_folder", fail)
        with machine.store() as store, pytest.raises(StoreError, match="backups: written, but a "):
            machine.backups().make(store)
        with pytest.raises(StoreError, match=r"people\.db: written, but a power cut may undo that"):
            restore(machine.places, backup, "b", replace=True)
    assert machine.names() == ["Ann", "Bob"]


def test_a_restore_onto_an_empty_machine_may_be_broken_off_while_it_wipes(
    machine, tmp_path, monkeypatch
):
    backup, new = machine.backup(), Machine(tmp_path / "new")
    create_key(new.places.key)
    new.store().close()
    overwrite = files._overwrite

    def cut(file):
        overwrite(file)
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(files, "_overwrite", cut)
        with pytest.raises(PowerCut):
            restore(new.places, backup, "b")
    assert len(restore(new.places, backup, "b")) == 2
    assert new.names() == ["Ann", "Bob"]
    assert new.key == machine.key
    assert not list(new.folder.glob(".*"))


def test_a_key_in_plain_that_a_power_cut_left_goes_when_the_key_is_read(machine, monkeypatch):
    plain = machine.key
    write_key(machine.places.key, plain, "a long passphrase")

    def cut(*_, **__):
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", cut)
        patched.setattr(Path, "unlink", cut)
        with pytest.raises(PowerCut):
            write_key(machine.places.key, plain)
    assert plain in [p.read_bytes() for p in machine.folder.glob(".key.*")]
    assert settled_key(machine.places, lambda: "a long passphrase") == plain
    assert not list(machine.folder.glob(".*"))


def test_no_number_is_given_again_after_a_restore(machine):
    with machine.store() as store:
        machine.backups().make(store)
        cyd = store.add("Cyd", vectors(1, 3))
    machine.record("granted", person=cyd.person_id)
    _, backup = machine.backups().newest_good()
    restore(machine.places, backup, "b", replace=True)
    with machine.store() as store:
        assert store.add("Dan", vectors(1, 4)).person_id == cyd.person_id + 1
    # Nor where the store was moved away, or nobody is left; a trail is believed within reason.
    machine.places.store.unlink()
    machine.record("granted", person=10**20)
    restore(machine.places, backup, "b")
    with machine.store() as store:
        assert store.add("Dan", vectors(1, 4)).person_id == cyd.person_id + 1
        for person in store.people():
            store.remove(person.name)
    restore(machine.places, backup, "b")
    with machine.store() as store:
        assert store.add("Dan", vectors(1, 4)).person_id == cyd.person_id + 2
    # The trail alone, where the store is beyond reading.
    machine.record("granted", person=77)
    machine.places.store.write_bytes(b"damaged")
    restore(machine.places, backup, "b", replace=True)
    with machine.store() as store:
        assert store.add("Eve", vectors(1, 5)).person_id == 78
        assert len(store.gallery().matrix) == 6


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_key_that_may_only_be_read_can_be_changed(machine):
    for path in (machine.folder.parent, machine.folder, *machine.folder.rglob("*")):
        os.chown(path, 65_534, 65_534)
    for path in machine.folder.parents:
        if "pytest" in str(path):
            path.chmod(0o755)
    machine.places.key.chmod(0o400)

    def work():
        return b"%d" % (change_key(machine.places, MODEL, never) == machine.key)

    assert as_user(65_534, 65_534, work) == b"1"


def test_a_key_that_was_changed_is_left_in_no_freed_block(machine):
    with machine.places.key.open("rb") as old:
        change_key(machine.places, MODEL, never)
        assert old.read() == bytes(32)
    with machine.places.key.open("rb") as plain:
        write_key(machine.places.key, machine.key, "correct horse")
        assert plain.read() == bytes(32)


@pytest.mark.parametrize("name", ["Grant", "Edda"])
def test_a_name_that_is_part_of_other_words_is_erased_all_the_same(machine, name):
    with machine.store() as store:
        person = store.add(name, vectors(1, 3))
        machine.record("granted", person=person.person_id, hint="0123eddacafe")
        (machine.folder / "other.head").write_text(f"5 {'0123eddacafe' * 6}\n")
        assert forget(store, machine.backups(), name, machine.folder).clean
        store.add(name, vectors(1, 3))
        (machine.folder / "note.txt").write_text(f"call {name}, please")
        assert not forget(store, machine.backups(), name, machine.folder).clean


class Stuck(RollingBackups):
    """Copies that cannot be wiped, until they can."""

    stuck = True

    def drop_all(self):
        if self.stuck:
            raise StoreError("cannot be wiped")
        super().drop_all()


def test_where_copies_stay_nobody_is_half_forgotten(machine):
    copies = Stuck(machine.places.backups, machine.key, 3)
    with machine.store() as store:
        with pytest.raises(StoreError, match="cannot be wiped"):
            forget(store, copies, "Ann", machine.folder)
        copies.stuck = False
        assert forget(store, copies, "Ann", machine.folder).person.name == "Ann"


class Full(RollingBackups):
    """No room for a copy."""

    def make(self, store):
        raise StoreError("no space left")


def test_whoever_is_out_of_the_store_is_told_of_though_no_copy_could_be_made(machine):
    copies = Full(machine.places.backups, machine.key, 3)
    with machine.store() as store:
        erasure = forget(store, copies, "Ann", machine.folder)
    assert erasure.person.name == "Ann"
    assert "a copy may still hold them: no space left; mend that, and delete" in erasure.trouble
    assert not erasure.clean
    assert machine.names() == ["Bob"]


def test_a_search_that_fails_says_nothing_against_the_new_copy(machine, monkeypatch):
    found = iter([lambda *a: (), StoreError("cannot be searched")])

    def search(*_, **__):
        result = next(found)
        if isinstance(result, StoreError):
            raise result
        return result()

    monkeypatch.setattr(erasure_module, "search", search)
    with machine.store() as store:
        erasure = forget(store, machine.backups(), "Ann", machine.folder)
    assert erasure.trouble == "not every file could be searched: cannot be searched"
    assert machine.backups().newest_good()


def test_a_forgetting_that_is_broken_off_is_told_of(machine, monkeypatch):
    told = []
    copies = Full(machine.places.backups, machine.key, 3)
    monkeypatch.setattr(Full, "make", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with machine.store() as store, pytest.raises(KeyboardInterrupt):
        forget(store, copies, "Ann", machine.folder, told.append)
    assert [(e.person.name, e.trouble) for e in told] == [("Ann", "it was broken off")]


def test_a_copy_that_does_not_open_is_not_kept(machine):
    copies = machine.backups()
    before = copies.files()

    class Torn:
        def image(self):
            mark, image = store.image()
            return mark, image[:-4096]

    with machine.store() as store, pytest.raises(StoreError):
        copies.make(Torn())
    assert copies.files() == before


@contextmanager
def held(folder):
    """Keep others from making or wiping copies."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def test_no_copy_made_meanwhile_holds_somebody_just_forgotten(machine):
    copies = machine.backups()
    with machine.store() as store:
        with held(copies.folder):
            making = threading.Thread(target=copies.make, args=(store,))
            making.start()
            time.sleep(0.3)
            store.remove("Ann")
        making.join(10)
    image = copies.read(copies.files()[-1]).parts["people.db"]
    with Store.from_image(image, machine.key, "copy") as copy:
        assert [p.name for p in copy.people()] == ["Bob"]


def test_wiping_waits_for_a_copy_that_is_being_made(machine):
    copies = machine.backups()
    with held(copies.folder):
        wiping = threading.Thread(target=copies.drop_all)
        wiping.start()
        time.sleep(0.3)
        assert copies.files()
    wiping.join(10)
    assert copies.files() == []


def test_a_backup_taken_while_something_is_recorded_holds_a_whole_trail(
    machine, tmp_path, monkeypatch
):
    """Head first: one that is newer than its trail says that the trail was cut off."""
    real, more = Path.read_bytes, [lambda: machine.record("granted", person=1)]

    def read_bytes(path):
        content = real(path)
        if path.name.startswith("audit.") and more:
            more.pop()()
        return content

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read_bytes)
        backup = machine.backup()
    assert not more
    empty = Machine(tmp_path / "new")
    restore(empty.places, backup, "b")
    assert verify(empty.places.trail, empty.key).problem is None


def test_the_log_of_a_store_that_was_moved_away_is_not_written_into_what_is_put_back(
    machine, tmp_path
):
    """Whoever moves a store away, as the messages say, may leave its log."""
    backup = machine.backup()
    log = machine.places.store.with_name("people.db-wal")
    with machine.store() as store:
        store.add("Cleo", vectors(1, 3))
        shutil.copy(log, tmp_path / "log")
    machine.places.store.unlink()
    shutil.copy(tmp_path / "log", log)
    assert len(restore(machine.places, backup, "b")) == 2
    assert machine.names() == ["Ann", "Bob"]


def test_an_empty_machine_on_which_a_restore_was_broken_off_is_still_empty(
    machine, tmp_path, monkeypatch
):
    """Between the key and the rest: the key that is there by then opens no store but the old."""
    empty = Machine(tmp_path / "new")
    create_key(empty.places.key)
    empty.store().close()
    empty.record("started")
    backup = machine.backup()

    def cut(path, *_, **__):
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(custody, "write_whole", cut)
        with pytest.raises(PowerCut):
            restore(empty.places, backup, "b")
    assert load_key(empty.places.key) == machine.key
    restore(empty.places, backup, "b")
    assert empty.names() == ["Ann", "Bob"]


def test_a_copy_made_while_somebody_is_forgotten_goes_too(machine, monkeypatch):
    """The daemon may copy the store between the wiping and the removal."""
    remove, copies = Store.remove, machine.backups()

    def removed(store, *how):
        copies.make(store)
        return remove(store, *how)

    monkeypatch.setattr(Store, "remove", removed)
    with machine.store() as store:
        erasure = forget(store, copies, "Bob", machine.folder)
    assert erasure.clean
    assert len(copies.files()) == 1


def test_nobody_is_forgotten_where_a_file_cannot_be_searched(machine, monkeypatch):
    notes, real = machine.folder / "notes.txt", erasure_module._content
    notes.write_text("Bob")
    # What it reads instead is no file: `cat` says so, whoever runs it.
    monkeypatch.setattr(
        erasure_module, "_content", lambda path: real(path.parent if path == notes else path)
    )
    with machine.store() as store:
        with pytest.raises(StoreError, match="cannot be searched"):
            forget(store, machine.backups(), "Bob", machine.folder)
        assert [p.name for p in store.people()] == ["Ann", "Bob"]
