import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing

import numpy as np
import pytest

from facegate.access.store import Store
from facegate.errors import InputError, StoreError

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
MODEL = "model-a"


def vectors(count, seed=0):
    rows = np.random.default_rng(seed).standard_normal((count, 128)).astype(np.float32)
    return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path, KEY, MODEL, wall_clock=lambda: 1000.0) as opened:
        yield opened


@pytest.fixture
def filled(path):
    """A closed store with Ann (2 templates) and Bob (1)."""
    with Store.open(path, KEY, MODEL) as opened:
        opened.add("Ann", vectors(2, 1))
        opened.add("Bob", vectors(1, 2))
    return path


def raw(path, *statements):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def files(path):
    return [p for p in path.parent.iterdir() if p.name.startswith(path.name)]


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


# Whose store it is.


def test_a_wrong_key_is_refused(filled):
    with pytest.raises(StoreError, match="this key does not open it; put back the key"):
        Store.open(filled, OTHER_KEY, MODEL)


def test_another_models_templates_are_refused(filled):
    with pytest.raises(
        StoreError, match="made by model model-a, this is model model-b: enrol again, or configure"
    ):
        Store.open(filled, KEY, "model-b")


def test_a_store_without_templates_takes_on_another_model(path):
    with Store.open(path, KEY, MODEL) as old:
        old.add("Ann", vectors(1))
        old.remove("Ann")
        with Store.open(path, KEY, "model-b") as new:
            new.add("Bob", vectors(1))
            with pytest.raises(StoreError, match="now of another model; restart"):
                old.add("Ann", vectors(1))
            with pytest.raises(StoreError, match="template 2 of person 2"):
                old.gallery()


def test_a_foreign_database_is_refused_and_left_alone(path):
    raw(path, "CREATE TABLE cakes (x)", "INSERT INTO cakes VALUES (1)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's database"):
        Store.open(path, KEY, MODEL)
    assert path.read_bytes() == before


def test_a_newer_store_is_refused(filled):
    raw(filled, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"newer facegate \(store version 99"):
        Store.open(filled, KEY, MODEL)


# Damage.


@pytest.mark.parametrize("content", [b"xyz", b"hello\n" * 30, bytes(5000), b"garbage " * 4000])
def test_a_garbage_file_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"not an enrolment store|damaged"):
        Store.open(path, KEY, MODEL)
    assert path.read_bytes() == content


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_truncated_file_is_refused(filled, share):
    content = filled.read_bytes()
    filled.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(StoreError, match="damaged"):
        Store.open(filled, KEY, MODEL)


def test_swapped_templates_are_found_out(filled):
    raw(
        filled,
        "CREATE TABLE t AS SELECT id, nonce, vector FROM templates",
        "UPDATE templates SET (nonce, vector) ="
        " (SELECT nonce, vector FROM t WHERE t.id = 4 - templates.id) WHERE id IN (1, 3)",
        "DROP TABLE t",
    )
    with Store.open(filled, KEY, MODEL) as store, pytest.raises(StoreError, match="template 1"):
        store.gallery()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE templates SET person_id = 1 WHERE person_id = 2",
        "UPDATE templates SET vector = zeroblob(528) WHERE id = 1",
        "UPDATE templates SET nonce = x'' WHERE id = 1",
        "UPDATE people SET role = 'admin' WHERE id = 1",
        "UPDATE people SET name = (SELECT name FROM people WHERE id = 2),"
        " name_nonce = (SELECT name_nonce FROM people WHERE id = 2) WHERE id = 1",
    ],
    ids=["given to another", "zeroed", "no nonce", "made admin", "other name"],
)
def test_rows_changed_from_outside_are_found_out(filled, statement):
    raw(filled, statement)
    with (
        Store.open(filled, KEY, MODEL) as store,
        pytest.raises(StoreError, match="damaged or was changed from outside"),
    ):
        store.gallery()


# The place it lies in.


def test_a_missing_folder_says_what_to_do(tmp_path):
    with pytest.raises(StoreError, match="no such folder; make it, or set"):
        Store.open(tmp_path / "none" / "store", KEY, MODEL)


def test_a_folder_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="a folder, not a store"):
        Store.open(tmp_path, KEY, MODEL)


def test_a_store_that_is_being_written_is_waited_for_then_refused(filled):
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="in use by another program; wait, or stop it"):
            Store.open(filled, KEY, MODEL, busy_wait_s=0.01)


def test_a_full_store_says_so(store):
    store._connection.execute("PRAGMA max_page_count = 12")
    with pytest.raises(StoreError, match="the disk is full; make room"):
        store.add("Ann", vectors(60))
    assert store.people() == []


def test_a_store_that_may_only_be_read_says_so(store):
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="cannot be written"):
        store.add("Ann", vectors(1))


def test_closing_twice_is_fine_and_nothing_works_after(store):
    store.close()
    store.close()
    for call in (store.people, store.gallery, lambda: store.revision):
        with pytest.raises(StoreError, match="the store is closed"):
            call()


def test_no_error_tells_a_name_or_a_key(filled):
    raw(filled, "UPDATE people SET role = 'admin' WHERE id = 1")
    with Store.open(filled, KEY, MODEL) as store, pytest.raises(StoreError) as caught:
        store.people()
    assert "Ann" not in str(caught.value)
    assert "person 1" in str(caught.value)
