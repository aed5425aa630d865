import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from stores import KEY, MODEL, OTHER_KEY, raw, vectors

from facegate.access.database import APPLICATION_ID, MIGRATIONS, translated
from facegate.access.sealing import Sealer
from facegate.access.store import Store
from facegate.access.store_file import kept_model
from facegate.errors import StoreError

# Whose store it is.


def test_a_wrong_key_is_refused(filled):
    with pytest.raises(StoreError, match="this key does not open it; put back the key"):
        Store.open(filled, OTHER_KEY, MODEL)


def test_another_models_templates_are_refused(filled):
    with pytest.raises(
        StoreError,
        match=r"made by model model-a, this is model model-b; .*people migrate",
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
    with pytest.raises(StoreError, match="template 1"):
        Store.open(filled, KEY, MODEL)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE templates SET person_id = 1 WHERE person_id = 2",
        "UPDATE templates SET vector = zeroblob(528) WHERE id = 1",
        "UPDATE templates SET nonce = x'' WHERE id = 1",
        "UPDATE people SET role = 'admin' WHERE id = 1",
        "UPDATE people SET name = (SELECT name FROM people WHERE id = 2),"
        " name_nonce = (SELECT name_nonce FROM people WHERE id = 2) WHERE id = 1",
        "UPDATE people SET details = NULL WHERE id = 1",
        "UPDATE people SET created_at_wall = 0 WHERE id = 1",
        "UPDATE templates SET quality = 9 WHERE id = 1",
        "DELETE FROM templates WHERE id = 1",
        "DELETE FROM people WHERE id = 2",
        "UPDATE meta SET value = 1 WHERE key = 'revision'",
        "DELETE FROM meta WHERE key = 'content'",
        "UPDATE sqlite_sequence SET seq = 77",
        "CREATE TRIGGER t AFTER INSERT ON people BEGIN UPDATE people SET role = 'admin'; END",
        "DROP INDEX templates_of_person",
    ],
    ids=[
        "given to another",
        "zeroed",
        "no nonce",
        "made admin",
        "other name",
        "no details",
        "other time",
        "quality",
        "template gone",
        "person gone",
        "revision",
        "no digest",
        "numbers",
        "trigger",
        "no index",
    ],
)
def test_rows_changed_from_outside_are_found_out(filled, statement):
    raw(filled, statement)
    with pytest.raises(StoreError, match=r"damaged or (was|were) changed from outside"):
        Store.open(filled, KEY, MODEL)


def test_a_row_changed_while_the_store_is_open_is_found_out(filled):
    with Store.open(filled, KEY, MODEL) as store:
        raw(filled, "UPDATE people SET role = 'admin' WHERE id = 1")
        with pytest.raises(StoreError, match="the record of person 1 is damaged or was changed"):
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
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full; make room"):
        store.add("Ann", vectors(10))
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
    with pytest.raises(StoreError) as caught:
        Store.open(filled, KEY, MODEL)
    assert "Ann" not in str(caught.value)
    assert "person 1" in str(caught.value)


# Another key, an older version.


def test_another_key_opens_what_the_old_one_no_longer_does(filled):
    with Store.open(filled, KEY, MODEL, alone=True) as store:
        before, was = store.people(), store.gallery()
        store.rekey(OTHER_KEY)
        store.add("Cyd", vectors(1, 3))
    with pytest.raises(StoreError, match="this key does not open it"):
        Store.open(filled, KEY, MODEL)
    with Store.open(filled, OTHER_KEY, MODEL) as store:
        assert store.people()[:2] == before
        np.testing.assert_array_equal(store.gallery().matrix[:3], was.matrix)
        assert store.person("bob").person_id == 2


def test_who_must_be_alone_waits_for_the_others_to_leave(filled):
    with Store.open(filled, KEY, MODEL):
        with pytest.raises(StoreError, match="stop the daemon first"):
            Store.open(filled, KEY, MODEL, alone=True)
        Store.open(filled, KEY, MODEL).close()
    with (
        Store.open(filled, KEY, MODEL, alone=True),
        pytest.raises(StoreError, match="wait until that is done"),
    ):
        Store.open(filled, KEY, MODEL)


def first_version(path):
    """A store as version 1 left it, with Ann and one template."""
    sealer = Sealer(KEY, bytes(32))
    vector = vectors(1, 1)[0].astype("<f4").tobytes()
    nonce, check = sealer.seal(b"facegate store", "check")
    name_key = sealer.index("ann")
    raw(path, *MIGRATIONS[0], f"PRAGMA application_id={APPLICATION_ID}", "PRAGMA user_version=1")
    with closing(sqlite3.connect(path)) as connection, connection:
        facts = {
            "salt": bytes(32),
            "check_nonce": nonce,
            "check": check,
            "revision": 1,
            "model_id": MODEL,
        }
        connection.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        name = sealer.seal(b"Ann", "name", 1, "admin", name_key.hex())
        connection.execute(
            "INSERT INTO people VALUES (1, ?, ?, ?, 'admin', 1000.0)", (*name, name_key)
        )
        template = sealer.seal(vector, "template", 1, 1, MODEL)
        connection.execute(
            "INSERT INTO templates VALUES (1, 1, ?, ?, ?, NULL, 1000.0)", (MODEL, *template)
        )


def test_a_store_of_the_first_version_is_brought_up(path):
    first_version(path)
    for _ in range(2):
        with Store.open(path, KEY, MODEL) as store:
            (ann,) = store.people()
            assert (ann.name, ann.role, ann.templates, ann.group) == ("Ann", "admin", 1, None)
            np.testing.assert_allclose(store.gallery().matrix[0], vectors(1, 1)[0], atol=1e-6)
            store.set_note("Ann", "kept")


def test_a_store_cannot_be_made_to_look_older(path):
    first_version(path)
    Store.open(path, KEY, MODEL).close()
    raw(path, "DELETE FROM meta WHERE key LIKE 'content%'", "UPDATE people SET role = 'duress'")
    with pytest.raises(StoreError, match="changed from outside"):
        Store.open(path, KEY, MODEL)


def test_a_read_only_disk_is_named_where_sqlite_only_says_that_it_cannot_open():
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    with pytest.raises(StoreError, match="read-only"), translated(Path("people.db")):
        raise error


def test_which_network_a_store_is_of_is_said_without_its_key(tmp_path):
    path = tmp_path / "odd name?#.db"
    assert kept_model(path) is None
    with Store.open(path, KEY, MODEL) as store:
        assert kept_model(path) is None  # nobody's templates
        store.add("Ann", vectors(1))
        assert kept_model(path) == MODEL
    path.write_bytes(b"junk" * 1000)
    with pytest.raises(StoreError, match="not an enrolment store"):
        kept_model(path)
