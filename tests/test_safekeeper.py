import time
from contextlib import contextmanager

import numpy as np
import pytest

from facegate.access.rolling import RollingBackups
from facegate.access.store import Store
from facegate.errors import StoreError
from facegate.journal import Journal
from facegate.safekeeper import SafeKeeper

KEY = bytes(32)


def until(condition, seconds=60.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


@contextmanager
def kept(tmp_path, backups=None, every_s=1e9):
    events = []
    copies = backups or RollingBackups(tmp_path / "backups", KEY, 3)
    with (
        Store.open(tmp_path / "people.db", KEY, "m") as store,
        SafeKeeper(store, copies, Journal(events.append), every_s, look_s=0.02),
    ):
        yield store, copies, events


def person(seed):
    return [np.eye(128, dtype=np.float32)[seed]]


def test_every_change_is_copied_and_no_change_is_not(tmp_path):
    with kept(tmp_path) as (store, copies, events):
        until(lambda: len(events) == 1)
        store.add("Ann", person(1))
        until(lambda: copies.latest_mark() == store.mark)
        until(lambda: len(events) == 2)
    assert [e.name for e in events] == ["backup_made"] * 2
    with kept(tmp_path) as (_, _, events):
        time.sleep(0.3)
    assert events == [], "what was copied before the restart is not copied again"


def test_a_copy_is_made_from_time_to_time(tmp_path):
    with kept(tmp_path, every_s=0.05) as (_, copies, events):
        until(lambda: len(events) >= 3)
    assert len(copies.files()) == 3


class Counting(RollingBackups):
    tries = 0

    def make(self, store):
        self.tries += 1
        raise StoreError("a record is damaged")


def test_a_copy_that_fails_is_tried_less_and_less_and_anew_after_a_change(tmp_path):
    copies = Counting(tmp_path / "backups", KEY, 3)
    with kept(tmp_path, copies) as (store, _, events):
        until(lambda: copies.tries >= 3)
        time.sleep(0.3)
        tries = copies.tries
        assert tries <= 6  # of about 30 looks
        store.add("Ann", person(1))
        until(lambda: copies.tries > tries, 2.0)
    assert [e.name for e in events] == ["backup_failed"]


class FullDisk(RollingBackups):
    full = True
    error = StoreError("the disk is full")

    def make(self, store):
        if self.full:
            raise self.error
        return super().make(store)


@pytest.mark.parametrize("error", [StoreError("the disk is full"), MemoryError()])
def test_what_fails_is_told_once_and_tried_again(tmp_path, error):
    backups = FullDisk(tmp_path / "backups", KEY, 3)
    backups.error = error
    with kept(tmp_path, backups) as (_, _, events):
        until(lambda: events)
        time.sleep(0.2)
        assert [e.name for e in events] == ["backup_failed"]
        backups.full = False
        until(lambda: len(events) == 2)
    assert [e.name for e in events] == ["backup_failed", "backup_made"]


def test_after_its_time_one_copy_is_made_not_one_a_look(tmp_path):
    events, now_s = [], [0.0]
    copies = RollingBackups(tmp_path / "backups", KEY, 3)
    with (
        Store.open(tmp_path / "people.db", KEY, "m") as store,
        SafeKeeper(store, copies, Journal(events.append), 100.0, 0.02, lambda: now_s[0]),
    ):
        until(lambda: len(events) == 1)
        now_s[0] = 101.0
        until(lambda: len(events) == 2)
        time.sleep(0.3)
    assert len(events) == 2


def test_a_later_failure_is_told_too(tmp_path):
    backups = FullDisk(tmp_path / "backups", KEY, 3)
    with kept(tmp_path, backups) as (store, _, events):
        until(lambda: len(events) == 1)
        backups.full = False
        until(lambda: len(events) == 2)
        backups.full = True
        store.add("Ann", person(1))
        until(lambda: len(events) == 3)
    assert [e.name for e in events] == ["backup_failed", "backup_made", "backup_failed"]
