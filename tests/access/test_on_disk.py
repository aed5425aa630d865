"""What must be on disk before it is acknowledged, by the order of what is done to the disk."""

import os
from pathlib import Path

import pytest
from stores import KEY, MODEL, vectors

from facegate.access.audit import AuditTrail
from facegate.access.database import connect
from facegate.access.files import wipe, write_whole
from facegate.access.store import Store


@pytest.fixture
def done(monkeypatch):
    """What was done to the disk, in order: (what, name), and the content that was put on disk."""
    steps = []

    def path_of(descriptor):
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))

    def noting(what, real, name):
        def step(first, *rest, **more):
            steps.append((what, name(first, *rest)))
            return real(first, *rest, **more)

        return step

    def sync(descriptor):
        path = path_of(descriptor)
        folder = path.is_dir()
        steps.append(
            ("sync", "folder" if folder else path.name, b"" if folder else path.read_bytes())
        )
        return real_sync(descriptor)

    real_sync = os.fsync
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", noting("move", Path.replace, lambda a, b: Path(b).name))
    monkeypatch.setattr(Path, "rename", noting("move", Path.rename, lambda a, b: a.name))
    monkeypatch.setattr(Path, "unlink", noting("remove", Path.unlink, lambda a, *_: a.name))
    monkeypatch.setattr(os, "link", noting("move", os.link, lambda a, b: Path(b).name))
    return steps


@pytest.mark.parametrize("replace", [True, False])
def test_a_file_is_on_disk_before_it_has_its_name_and_its_name_before_it_returns(
    tmp_path, done, replace
):
    write_whole(tmp_path / "key", b"secret", replace=replace)
    order = [step[0] for step in done if step[0] != "remove"]
    assert order == ["sync", "move", "sync"]
    assert done[0][2] == b"secret"
    assert done[-1][1] == "folder"


def test_what_is_wiped_is_overwritten_on_disk_before_it_is_gone_and_gone_for_good(tmp_path, done):
    (tmp_path / "old").write_bytes(b"secret")
    wipe(tmp_path / "old")
    moved, named, overwritten, removed, gone = done
    assert moved == ("move", "old")
    assert overwritten[::2] == ("sync", bytes(6))
    assert removed == ("remove", overwritten[1])
    assert named == gone == ("sync", "folder", b"")


def test_a_new_store_has_its_name_on_disk(tmp_path, done):
    connect(tmp_path / "people.db", 0.0).close()
    assert ("sync", "folder", b"") in done


def test_a_record_is_on_disk_when_it_is_acknowledged(tmp_path, done):
    with AuditTrail.open(tmp_path / "audit.jsonl", KEY) as trail:
        done.clear()
        record = trail.append("granted", {"person": 1})
    assert ("sync", "audit.jsonl", record.line) in done


def test_a_torn_end_is_cut_off_on_disk(tmp_path, done):
    path = tmp_path / "audit.jsonl"
    with AuditTrail.open(path, KEY) as trail:
        line = trail.append("granted", {"person": 1}).line
    path.write_bytes(line + b'{"seq": 2, "wal')
    done.clear()
    AuditTrail.open(path, KEY).close()
    assert ("sync", "audit.jsonl", line) in done


def test_the_store_waits_for_the_disk_and_overwrites_what_it_takes_out(tmp_path):
    with Store.open(tmp_path / "people.db", KEY, MODEL) as store:
        store.add("Ann", vectors(1))

        def said(pragma):
            return store._connection.execute(f"PRAGMA {pragma}").fetchone()[0]

        assert said("journal_mode") == "wal"
        assert said("synchronous") == 2  # FULL. Source: SQLite, PRAGMA synchronous
        assert said("secure_delete") == 1
        assert said("foreign_keys") == 1
        assert said("trusted_schema") == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to write for somebody else")
def test_what_root_writes_belongs_to_whom_the_folder_belongs(tmp_path):
    """The daemon must read the key, PIN and backups that `sudo facegate` wrote."""
    os.chown(tmp_path, 1234, 2345)
    write_whole(tmp_path / "key", b"x")
    AuditTrail.open(tmp_path / "audit.jsonl", KEY).close()
    connect(tmp_path / "people.db", 0.0).close()
    for path in tmp_path.iterdir():
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (1234, 2345), path.name
