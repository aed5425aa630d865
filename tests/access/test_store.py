import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing

import numpy as np
import pytest
from stores import KEY, MODEL, files, raw, vectors

from facegate.access.store import Store
from facegate.errors import InputError, StoreError

# What it keeps.


def test_a_person_survives_closing(path):
    given = vectors(3)
    with Store.open(path, KEY, MODEL, wall_clock=lambda: 1000.0) as first:
        ann = first.add("  Ann Ó Brien ", given, role="admin")
    assert (ann.person_id, ann.name, ann.role, ann.templates) == (1, "Ann Ó Brien", "admin", 3)
    with Store.open(path, KEY, MODEL) as again:
        assert again.people() == [ann]
        assert again.person("ann ó brien") == ann
        gallery = again.gallery()
    assert gallery.names == {1: "Ann Ó Brien"}
    assert gallery.person_ids.tolist() == [1, 1, 1]
    np.testing.assert_allclose(gallery.matrix, np.stack(given), atol=1e-6)
    assert gallery.matrix.dtype == np.float32
    assert gallery.matrix.flags.c_contiguous


def test_embeddings_of_another_size_are_kept_where_the_model_says_so(path):
    wide = [np.resize(v, 512) / 2 for v in vectors(2)]
    with Store.open(path, KEY, "model-b-512d") as store:
        with pytest.raises(InputError, match="has 512 numbers"):
            store.add("Ann", vectors(1))
        store.add("Ann", wide)
    with Store.open(path, KEY, "model-b-512d") as again:
        assert np.allclose(again.gallery().matrix, wide, atol=1e-6)


def test_an_empty_store_gives_an_empty_gallery(store):
    gallery = store.gallery()
    assert gallery.matrix.shape == (0, 128)
    assert gallery.person_ids.dtype == np.int64
    assert store.people() == []


def test_people_come_by_name(store):
    for number, name in enumerate(["cyd", "Ann", "Bob"]):
        store.add(name, vectors(1, number))
    assert [p.name for p in store.people()] == ["Ann", "Bob", "cyd"]


def test_the_file_is_ours_alone(store, path):
    store.add("Ann", vectors(1))
    assert len(files(path)) == 3, "the file, its log and the log's index"
    assert {stat.S_IMODE(p.stat().st_mode) for p in files(path)} == {0o600}


def test_neither_names_nor_templates_lie_there_in_plain(store, path):
    given = vectors(2)
    store.add("Wilhelmina", given)
    store.rename("Wilhelmina", "Bartholomew")
    store.remove("Bartholomew")
    store.add("Wilhelmina", given)
    content = b"".join(p.read_bytes() for p in files(path))
    for name in ("Wilhelmina", "wilhelmina", "Bartholomew"):
        assert name.encode() not in content
    assert not any(v[i : i + 4].tobytes() in content for v in given for i in range(124))


def test_a_removed_person_is_gone_and_overwritten(store, path):
    store.add("Ann", vectors(2))
    with closing(sqlite3.connect(path)) as connection:
        sealed = connection.execute("SELECT vector FROM templates").fetchall()
    assert any(sealed[0][0] in p.read_bytes() for p in files(path))
    assert store.remove("ANN").templates == 2
    assert store.people() == []
    assert len(store.gallery().matrix) == 0
    content = b"".join(p.read_bytes() for p in files(path))
    assert not any(row[0] in content for row in sealed)


def test_the_number_of_a_removed_person_is_not_given_again(store):
    store.add("Ann", vectors(1))
    store.remove("Ann")
    assert store.add("Bob", vectors(1)).person_id == 2


# Names.


@pytest.mark.parametrize("second", ["ann", "ANN", " Ann ", "A\u200cnn"])
def test_names_that_differ_in_case_only_are_one(store, second):
    store.add("Ann", vectors(1))
    with pytest.raises(InputError, match="somebody of this name is enrolled"):
        store.add(second, vectors(1, 5))
    with pytest.raises(InputError, match="somebody of this name"):
        store.check_new_name(second)
    assert len(store.people()) == 1


def test_composed_and_decomposed_letters_are_one(store):
    store.add("Zo\u00eb", vectors(1))
    assert store.person("ZOE\u0308").name == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("  \t ", "empty"),
        ("\u200d", "empty"),
        ("x" * 65, "at most 64"),
        ("a\nb", "control"),
        ("a\x00b", "control"),
        ("a\u202eb", "control"),
        ("a\udcffb", "control"),
    ],
)
def test_unusable_names_are_refused(store, name, said):
    with pytest.raises(InputError, match=said):
        store.add(name, vectors(1))


@pytest.mark.parametrize("name", ["x" * 64, "علی‌رضا", "李小龍", "O'Brien-Smith, Jr."])
def test_ordinary_names_are_kept(store, name):
    assert store.add(name, vectors(1)).name == name
    assert store.person(name).name == name


def test_a_name_not_there_brings_the_nearest(store):
    store.add("Katherine", vectors(1))
    with pytest.raises(InputError, match="did you mean Katherine"):
        store.person("catherine")
    with pytest.raises(InputError, match="see facegate people list"):
        store.remove("Xi")


def test_renaming(store):
    ann = store.add("Ann", vectors(1))
    store.add("Bob", vectors(1, 2))
    assert store.rename("ann", "ANN").name == "ANN"
    assert store.rename("Ann", "Anna").person_id == ann.person_id
    with pytest.raises(InputError, match="somebody of this name"):
        store.rename("Anna", "bob")
    assert [p.name for p in store.people()] == ["Anna", "Bob"]
    assert store.gallery().names == {1: "Anna", 2: "Bob"}


# All or nothing.


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [np.ones(128, np.float32)],
        [np.full(128, np.nan, np.float32)],
        [np.eye(64, dtype=np.float32)[0]],
        [vectors(1)[0], vectors(1)[0] * 1.01],
    ],
    ids=["none", "too long", "nan", "64 numbers", "second one bad"],
)
def test_embeddings_that_are_none_are_refused(store, wrong):
    with pytest.raises(InputError, match="embedding"):
        store.add("Ann", wrong)
    assert store.people() == []


def test_an_unknown_role_is_refused(store):
    with pytest.raises(InputError, match="boss: no such role; use member, admin, duress"):
        store.add("Ann", vectors(1), role="boss")


def test_an_enrolment_broken_off_leaves_nothing(store, path):
    raw(
        path,
        "CREATE TRIGGER broken BEFORE INSERT ON templates WHEN new.id = 3 "
        "BEGIN SELECT raise(ABORT, 'broken off'); END",
    )
    store.add("Bob", vectors(1))
    before = store.revision
    with pytest.raises(StoreError, match="broken off"):
        store.add("Ann", vectors(2))
    assert [p.name for p in store.people()] == ["Bob"]
    assert len(store.gallery().matrix) == 1
    assert store.revision == before
    raw(path, "DROP TRIGGER broken")
    assert store.add("Ann", vectors(2)).templates == 2


KILLED_WHILE_ENROLLING = """
import os, signal, sys
import numpy as np
from facegate.access.sealing import Sealer
from facegate.access.store import Store
seal, calls = Sealer.seal, []
def fatal(self, *args):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return seal(self, *args)
store = Store.open(sys.argv[1], bytes(range(32)), "model-a")
Sealer.seal = fatal
store.add("Cyd", list(np.eye(128, dtype=np.float32)[:4]))
"""


def test_a_kill_while_enrolling_leaves_the_store_as_it_was(filled):
    child = subprocess.run([sys.executable, "-c", KILLED_WHILE_ENROLLING, filled], timeout=60)
    assert child.returncode == -signal.SIGKILL
    with Store.open(filled, KEY, MODEL) as store:
        assert [p.name for p in store.people()] == ["Ann", "Bob"]
        assert len(store.gallery().matrix) == 3
        assert store.add("Cyd", vectors(1)).person_id == 3


def test_a_failed_store_call_leaves_no_transaction_open(store, path):
    store.add("Ann", vectors(1))
    with pytest.raises(InputError):
        store.add("ann", vectors(1))
    with Store.open(path, KEY, MODEL, busy_wait_s=0) as other:
        other.add("Bob", vectors(1))


def test_many_threads_may_enrol_at_once(store):
    threads = [threading.Thread(target=store.add, args=(f"P{i}", vectors(2, i))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.people()) == 8
    assert len(store.gallery().matrix) == 16


def test_the_revision_rises_with_every_change_of_anybody(store, path):
    seen = [store.revision]
    store.add("Ann", vectors(1))
    seen.append(store.revision)
    with Store.open(path, KEY, MODEL) as other:
        seen.append(store.revision)
        other.rename("Ann", "Anna")
        seen.append(store.revision)
        other.remove("Anna")
    seen.append(store.revision)
    assert seen[1] == seen[2], "opening is no change"
    assert seen[0] < seen[1] < seen[3] < seen[4]


# Groups, notes, more templates, another model.


def test_a_group_and_a_note_are_kept_and_sealed(filled):
    with Store.open(filled, KEY, MODEL) as store:
        store.set_group("Ann", " night shift ")
        store.set_note("Ann", "lost her badge\nin May")
    with Store.open(filled, KEY, MODEL) as store:
        ann = store.person("Ann")
        assert (ann.group, ann.note) == ("night shift", "lost her badge in May")
        assert store.set_group("Ann", None).group is None
        assert store.person("Bob").group is None
        with pytest.raises(InputError, match="at most 500"):
            store.set_note("Ann", "x" * 501)
    content = b"".join(p.read_bytes() for p in files(filled))
    assert b"night" not in content
    assert b"badge" not in content


def test_the_end_of_a_pass_is_kept_and_taken_away(filled):
    with Store.open(filled, KEY, MODEL) as store:
        store.set_note("Ann", "a dog")
        store.set_until("Ann", 1.8e9)
        with pytest.raises(InputError, match="no moment"):
            store.set_until("Ann", float("nan"))
    with Store.open(filled, KEY, MODEL) as store:
        ann = store.person("Ann")
        assert (ann.until_wall, ann.note) == (1.8e9, "a dog")
        assert store.person("Bob").until_wall is None
        store.set_role("Ann", "admin")
        assert store.rename("Ann", "Anna").until_wall == 1.8e9
        assert store.set_until("Anna", None).until_wall is None


def test_more_looks_are_taken_in_and_ten_that_differ_kept(store):
    store.add("Ann", vectors(8, 1))
    assert store.extend("Ann", vectors(1, 2)).templates == 9
    same = [vectors(1, 1)[0]] * 5
    assert store.extend("Ann", same).templates == 10
    matrix = store.gallery().matrix
    kept = [any(np.allclose(row, v, atol=1e-6) for row in matrix) for v in vectors(8, 1)]
    assert all(kept), "copies of one look push nothing else out"


def test_after_another_model_people_stay_and_are_enrolled_again(filled):
    with Store.open(filled, KEY, MODEL) as store:
        store.set_role("Ann", "admin")
        store.set_group("Ann", "staff")
    with Store.open(filled, KEY, "model-b", take_on=True) as store:
        ann, bob = store.people()
        assert (ann.templates, bob.templates) == (0, 0)
        assert len(store.gallery().matrix) == 0
        again = store.add("ann", vectors(3, 7))
        assert (again.person_id, again.name, again.role) == (ann.person_id, "Ann", "admin")
        assert (again.group, again.templates) == ("staff", 3)
        with pytest.raises(InputError, match="somebody of this name"):
            store.add("Ann", vectors(1, 8))
    with Store.open(filled, KEY, "model-b") as store:
        assert store.gallery().person_ids.tolist() == [1, 1, 1]


def test_taking_on_the_model_that_is_there_drops_nothing(filled):
    with Store.open(filled, KEY, MODEL, take_on=True) as store:
        assert len(store.gallery().matrix) == 3


def test_a_name_that_nobody_typed_is_one_that_nobody_has(store):
    assert store.next_name() == "person-0001"
    store.add("Person-0002", vectors(1))
    assert store.next_name() == "person-0003"
    store.add("person-0003", vectors(1, 1))
    assert store.next_name() == "person-0004"
