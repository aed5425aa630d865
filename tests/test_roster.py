"""The roster follows the store, and whoever recognises never waits for it."""

import threading

import numpy as np
import pytest

from facegate import parts
from facegate.config import Config
from facegate.errors import StoreError
from facegate.roster import Roster
from facegate.vision.card import read_card

MODEL = "model-a"


def vector(seed):
    v = np.random.default_rng(seed).standard_normal(128).astype(np.float32)
    return v / np.linalg.norm(v)


@pytest.fixture
def calibration():
    return parts.calibration_of(read_card(parts.embedder_path(Config()), "embedder"))


@pytest.fixture
def store(tmp_path):
    config = Config.model_validate({"state": {"folder": str(tmp_path)}})
    with parts.open_store(config, MODEL) as opened:
        yield opened


@pytest.fixture
def roster(calibration, store):
    store.add("Ann", [vector(1)], "admin")
    return Roster(Config(), calibration, store)


def test_a_change_is_in_force_when_it_is_acknowledged(roster, store):
    with roster.changing():
        ben = store.add("Ben", [vector(2)], "duress")
    assert roster.now.matcher.match(vector(2)).person_id == ben.person_id
    assert (roster.now.names[ben.person_id], roster.now.duress) == ("Ben", {"ben"})
    with roster.changing():
        store.remove("Ben")
    assert roster.now.matcher.match(vector(2)).person_id != ben.person_id
    assert ben.person_id not in roster.now.names


def test_a_change_from_elsewhere_is_followed(roster, store):
    before = roster.now
    roster.reload_if_changed()
    assert roster.now is before
    ben = store.add("Ben", [vector(2)])
    roster.reload_if_changed()
    assert roster.now.matcher.match(vector(2)).person_id == ben.person_id


class SlowStore:
    """The store, whose templates take as long to read as the test likes."""

    def __init__(self, store):
        self._store, self.reading, self.go_on = store, threading.Event(), threading.Event()
        self.go_on.set()

    def __getattr__(self, name):
        return getattr(self._store, name)

    def gallery(self):
        self.reading.set()
        assert self.go_on.wait(20)
        return self._store.gallery()


def test_nobody_waits_while_the_store_is_read(calibration, store):
    store.add("Ann", [vector(1)])
    slow = SlowStore(store)
    roster = Roster(Config(), calibration, slow)
    slow.go_on.clear()
    slow.reading.clear()

    def enrol():
        with roster.changing():
            store.add("Ben", [vector(2)])

    changing = threading.Thread(target=enrol)
    changing.start()
    try:
        assert slow.reading.wait(20)
        for _ in range(100):  # would hang here if it waited
            roster.reload_if_changed()
            assert roster.now.names == {1: "Ann"}
            assert roster.now.matcher.match(vector(1)).distance == pytest.approx(0, abs=1e-3)
    finally:
        slow.go_on.set()
        changing.join(20)
    assert set(roster.now.names.values()) == {"Ann", "Ben"}


def test_matching_goes_on_while_people_come_and_go(roster, store):
    stopping, wrong, matched = threading.Event(), [], [0]

    def recognise():
        while not stopping.is_set():
            roster.reload_if_changed()
            now = roster.now
            match = now.matcher.match(vector(1))
            if now.names.get(match.person_id) != "Ann" or match.distance > 1e-3:
                wrong.append(match)
            other = now.matcher.match(vector(2))
            if other.person_id not in now.names:
                wrong.append(other)
            matched[0] += 1

    recognising = threading.Thread(target=recognise)
    recognising.start()
    try:
        for _ in range(25):
            with roster.changing():
                store.add("Ben", [vector(2), vector(3)])
            with roster.changing():
                store.remove("Ben")
    finally:
        stopping.set()
        recognising.join(20)
    assert wrong == []
    assert matched[0] > 0
    assert set(roster.now.names.values()) == {"Ann"}


def test_a_store_that_cannot_be_read_leaves_who_is_in_memory(roster, store):
    with roster.changing():
        store.close()
    assert roster.now.names == {1: "Ann"}
    with pytest.raises(StoreError):
        roster.reload_if_changed()
    assert roster.now.matcher.match(vector(1)).person_id == 1


def test_limits_follow_the_settings(roster):
    roster.obey(Config.model_validate({"access": {"threshold": 0.5}}))
    assert roster.now.limits.threshold == 0.5
