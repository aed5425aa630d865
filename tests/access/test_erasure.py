"""Searching the files of a store that is open, in another process too."""

import subprocess
import sys
from pathlib import Path

import pytest
from stores import KEY, MODEL, files, vectors

from facegate.access import erasure
from facegate.access.erasure import search
from facegate.access.rolling import RollingBackups
from facegate.access.store import Store
from facegate.errors import StoreError

HELD = """
import fcntl, sys
for path in sys.argv[1:]:
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(path)
"""
BESIDE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from stores import KEY, MODEL, vectors
from facegate.access.store import Store
with Store.open(sys.argv[1], KEY, MODEL) as store:
    for number in range(30):
        store.add(f"{{sys.argv[2]}} {{number}}", vectors(1, number))
"""


def elsewhere(program, *words):
    """Run a program in a process of its own; gives the lines it prints."""
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def searched(store):
    backups = RollingBackups(store.path.parent / "backups", KEY, 3)
    return search(store.path.parent, backups, store.traces("Ann"))


def test_a_search_takes_no_lock_from_the_store_that_is_open(filled):
    with Store.open(filled, KEY, MODEL) as store:
        store.set_note("Ann", "has a dog")
        before = elsewhere(HELD, *files(filled))
        assert str(filled) in before
        assert sum(s.found for s in searched(store))
        assert elsewhere(HELD, *files(filled)) == before


def test_a_store_that_was_searched_is_not_damaged_by_whoever_writes_beside(filled, monkeypatch):
    with Store.open(filled, KEY, MODEL) as store:
        searched(store)
        elsewhere(BESIDE, filled, "early")
        tidy = store.tidy
        monkeypatch.setattr(store, "tidy", lambda: (elsewhere(BESIDE, filled, "late"), tidy()))
        store.remove("Ann")
    with Store.open(filled, KEY, MODEL) as store:
        assert len(store.people()) == 1 + 30 + 30


def test_a_file_that_is_gone_is_passed_over_and_one_that_cannot_be_read_is_not(
    store, monkeypatch, tmp_path
):
    store.add("Ann", vectors(1))
    (tmp_path / "gone").touch()
    real = erasure._content

    def gone(path):
        if path.name == "gone":
            path.unlink()
        return real(path)

    monkeypatch.setattr(erasure, "_content", gone)
    assert [s.where for s in searched(store)] == [str(p) for p in sorted(files(store.path))]
    monkeypatch.setattr(erasure, "_content", lambda _: real(tmp_path))
    with pytest.raises(StoreError, match=f"^{tmp_path}: cannot be searched: Is a directory$"):
        searched(store)
