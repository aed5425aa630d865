"""The roster follows the store, and whoever recognises never waits for it."""

import sqlite3
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


def test_roles_and_groups_are_of_those_who_have_them(roster, store):
    with roster.changing():
        store.add("Ben", [vector(2)])
        store.add("Cleo", [vector(3)], "duress")
        store.add("Dan", [vector(4)])
        store.set_group("Ben", "Night Watch")
        store.set_until("Ben", 1.8e9)
    ann, ben = (store.person(name).person_id for name in ("Ann", "Ben"))
    assert roster.now.admins == {ann}
    assert roster.now.duress == {"cleo"}
    assert roster.now.groups == {ben: "Night Watch"}
    assert roster.now.passes == {ben: 1.8e9}
    assert set(roster.now.names.values()) == {"Ann", "Ben", "Cleo", "Dan"}


def test_who_is_removed_is_nothing_any_more_though_the_store_cannot_be_read(roster, store):
    with roster.changing():
        ben = store.add("Ben", [vector(2)], "duress").person_id
        store.set_group("Ben", "staff")
        store.set_until("Ben", 1.8e9)
    told, roster.told = [], lambda members: told.append(members)
    left = roster.now.without(ben)
    assert ben not in left.names
    assert (left.duress, left.groups, left.passes) == (frozenset(), {}, {})
    ann = store.person("Ann").person_id
    assert roster.now.without(ann).admins == frozenset()
    roster.remove("Ben")
    assert [ben in members.names for members in told] == [False, False]


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
    store.close()
    with pytest.raises(StoreError):
        roster.reload_if_changed()
    assert roster.now.names == {1: "Ann"}
    assert roster.now.matcher.match(vector(1)).person_id == 1


def test_whoever_is_removed_is_known_no_more_though_another_record_is_damaged(
    calibration, store, tmp_path
):
    for number, name in enumerate(("Ann", "Ben", "Cleo"), 1):
        store.add(name, [vector(number)], "admin" if name == "Ann" else "member")
    now_s, told = [100.0], []
    roster = Roster(Config(), calibration, store, told.append, lambda: now_s[0])
    good = sqlite3.connect(tmp_path / "people.db")
    (sound,) = good.execute("SELECT vector FROM templates WHERE person_id = 2").fetchone()
    change = "UPDATE templates SET vector = ? WHERE person_id = 2"
    good.execute(change, (bytes([sound[0] ^ 1]) + sound[1:],))
    good.commit()
    roster.remove("Ann")
    assert told == [next(t for t in told if "template 2 of person 2" in t)]
    assert roster.now.names == {2: "Ben", 3: "Cleo"}
    assert roster.now.matcher.match(vector(1)).person_id != 1
    assert roster.now.matcher.match(vector(3)).person_id == 3
    # It is tried again, but not without a pause, and told once.
    reading = SlowStore(store)
    roster._store = reading
    for now_s[0] in (101.0, 105.0, 109.9):
        roster.reload_if_changed()
    assert not reading.reading.is_set()
    now_s[0] = 111.0
    roster.reload_if_changed()
    assert reading.reading.is_set()
    assert len(told) == 1
    good.execute(change, (sound,))
    good.commit()
    good.close()
    now_s[0] = 122.0
    roster.reload_if_changed()
    assert roster.now.revision == store.revision
    assert roster.now.names == {2: "Ben", 3: "Cleo"}


def test_the_last_one_can_be_removed(roster):
    roster.remove("ann")
    assert roster.now.names == {}
    assert roster.now.matcher.match(vector(1)).person_id is None


def test_limits_follow_the_settings(roster):
    roster.obey(Config.model_validate({"access": {"threshold": 0.5}}))
    assert roster.now.limits.threshold == 0.5


def test_a_change_while_it_reads_is_not_missed(roster, store, monkeypatch):
    """Somebody else enrols between reading the templates and reading the revision."""
    read, more = store.gallery, [lambda: store.add("Cleo", [vector(3)])]

    def gallery():
        found = read()
        if more:
            more.pop()()
        return found

    monkeypatch.setattr(store, "gallery", gallery)
    store.add("Ben", [vector(2)])
    roster.reload_if_changed()
    roster.reload_if_changed()
    cleo = store.person("Cleo").person_id
    assert roster.now.matcher.match(vector(3)).person_id == cleo


def test_the_door_is_told_before_anybody_can_be_recognised(roster, store):
    """Else a new person could be granted whom the door takes for a stranger."""
    seen = []
    roster.told = lambda members: seen.append(members is roster.now)
    with roster.changing():
        store.add("Ben", [vector(2)])
    assert seen == [False]
