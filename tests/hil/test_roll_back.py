"""What the installer does with the store of a version that it goes back to, by its own lines."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from facegate.access.store import Store

pytestmark = pytest.mark.host
INSTALLER = Path(__file__).parents[2] / "deploy/install.sh"
KEY, MODEL = bytes(32), "model-a"
GIVEN = """
set -euo pipefail
systemctl() { :; }
put_files() { :; }
start() { :; }
previous=none
"""


def installer(tmp_path, *lines):
    """Run lines of a shell that knows the installer's functions."""
    text = INSTALLER.read_text()
    known = [
        re.search(rf"^{name}\(\) \{{\n.*?^\}}\n", text, re.M | re.S)[0]
        for name in ("form", "copy_store", "roll_back")
    ]
    given = [f"python={sys.executable}", f"STATE={tmp_path}/state", f"work={tmp_path}/work"]
    script = "\n".join([GIVEN, *given, *known, *lines])
    subprocess.run(["bash", "-c", script], check=True, timeout=60)


@pytest.fixture
def state(tmp_path):
    """A folder with the store of a gate that died before its log was in the store's file."""
    (tmp_path / "work").mkdir()
    folder = tmp_path / "state"
    folder.mkdir()
    child = os.fork()
    if child == 0:
        try:
            store = Store.open(folder / "people.db", KEY, MODEL)
            store.next_name()
            with store._reading() as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("CREATE TABLE late (x)")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert (folder / "people.db-wal").stat().st_size
    return folder


def tables(path):
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}


SAVE = 'copy_store "$STATE/people.db" "$work/people.db"'


def test_the_copy_holds_what_only_the_log_held(tmp_path, state):
    (state / "people.db").chmod(0o640)
    installer(tmp_path, SAVE)
    (copy,) = (tmp_path / "work").iterdir()
    assert "late" in tables(copy)
    assert copy.stat().st_mode & 0o777 == 0o640
    # And comes back as a whole, in the place of a store that the old version does not know.
    with closing(sqlite3.connect(state / "people.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    installer(tmp_path, "roll_back")
    assert {p.name for p in state.iterdir()} == {"people.db"}
    assert "late" in tables(state / "people.db")


def test_what_was_done_since_stays_where_the_store_has_its_old_form(tmp_path, state):
    installer(tmp_path, SAVE)
    with closing(sqlite3.connect(state / "people.db")) as connection:
        connection.execute("CREATE TABLE since (x)")
    installer(tmp_path, "roll_back")
    assert {"late", "since"} <= tables(state / "people.db")


def test_a_store_that_cannot_be_read_any_more_is_put_back(tmp_path, state):
    installer(tmp_path, SAVE)
    (state / "people.db").write_bytes(b"damaged" * 1000)
    installer(tmp_path, "roll_back")
    assert "late" in tables(state / "people.db")


def test_what_is_purged_is_overwritten_first(tmp_path):
    wiped = tmp_path / "etc" / "deep"
    wiped.mkdir(parents=True)
    (wiped / "key").write_bytes(KEY + b"k")
    (tmp_path / "disk").hardlink_to(wiped / "key")  # what lies on the disk under the name
    text = INSTALLER.read_text(encoding="utf-8")
    wipe = re.search(r"^wipe\(\) \{\n.*?^\}\n", text, re.M | re.S)[0]
    run = 'run() { "$@"; }\nsay() { echo "$@"; }\n'
    script = f'set -euo pipefail\n{run}{wipe}\nwipe "$1/etc" "$1"/none*'
    subprocess.run(["bash", "-c", script, "-", str(tmp_path)], check=True, timeout=60)
    assert not (wiped / "key").exists()
    assert KEY not in (tmp_path / "disk").read_bytes()


def test_a_purge_and_the_end_of_an_upgrade_wipe_what_holds_people():
    text = INSTALLER.read_text(encoding="utf-8")
    purge = text.partition('if [ "$purge" = yes ]')[2].partition("exit 0")[0]
    assert 0 < purge.index('wipe "$path"') < purge.index('rm -rf "$path"')
    end = text.partition("finish() {")[2].partition("\n}")[0]
    assert 0 < end.index('wipe "$work"/people.db*') < end.index('rm -rf "$work"')
