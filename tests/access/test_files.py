"""Files that are written, replaced and wiped, and what is left where that is broken off."""

import errno
import os
from pathlib import Path

import pytest

from facegate.access import files
from facegate.access.files import InPlaceError, drop_scratch, wipe, wiping_old, write_whole
from facegate.access.keys import write_key
from facegate.access.lockdown import LockdownMark
from facegate.access.pin import PinFile
from facegate.errors import StoreError


class PowerCut(BaseException):
    """Nothing after it is done, not even what tidies up."""


def cut(*_, **__):
    raise PowerCut


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"plain")
    return path


def left(path):
    return sorted(p.read_bytes() for p in path.parent.iterdir())


def test_a_file_whose_wiping_is_broken_off_has_its_name_no_more(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files, "_overwrite", cut)
        with pytest.raises(PowerCut):
            wipe(path)
    assert left(path) == [b"plain"]
    assert not path.exists()
    with next(path.parent.iterdir()).open("rb") as old:
        drop_scratch(path.parent, "secret")
        assert left(path) == []
        assert old.read() == bytes(5)


def test_what_was_replaced_is_overwritten_though_that_was_broken_off(path, monkeypatch):
    with path.open("rb") as old:
        with monkeypatch.context() as patch:
            patch.setattr(files, "_overwrite", cut)
            with pytest.raises(PowerCut), wiping_old(path):
                write_whole(path, b"sealed")
        assert left(path) == [b"plain", b"sealed"]
        drop_scratch(path.parent, ".+")
        assert left(path) == [b"sealed"]
        assert old.read() == bytes(5)


def test_nothing_is_overwritten_where_nothing_was_put_in_its_place(path, monkeypatch):
    def fail():
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"), wiping_old(path):
        write_whole(path, b"sealed", ready=fail)
    assert left(path) == [b"plain"]
    monkeypatch.setattr(Path, "unlink", cut)
    with pytest.raises(PowerCut), wiping_old(path):
        pass
    monkeypatch.undo()
    assert left(path) == [b"plain", b"plain"]
    drop_scratch(path.parent, "secret")  # two names of one file
    assert left(path) == [b"plain"]


def test_what_is_being_written_is_let_be(path):
    def look():
        drop_scratch(path.parent, "secret")
        assert left(path) == [b"new", b"plain"]

    write_whole(path, b"new", ready=look)
    with wiping_old(path):
        drop_scratch(path.parent, "secret")
        assert left(path) == [b"new", b"new"]
        write_whole(path, b"newer")
    assert left(path) == [b"newer"]


def test_a_file_that_has_its_place_already_is_not_called_unwritten(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    key = tmp_path / "key"
    write_key(key, bytes(32))
    monkeypatch.setattr(files, "sync_folder", fail)
    with pytest.raises(InPlaceError):
        write_whole(tmp_path / "any", b"x")
    for name, write in {
        "key": lambda: write_key(key, bytes(range(32))),
        "pin": lambda: PinFile(tmp_path / "pin").set("4829"),
        "lockdown": lambda: LockdownMark(tmp_path / "lockdown").set(True),
    }.items():
        with pytest.raises(StoreError, match=f"{name}: written, but a power cut may undo that: "):
            write()
        assert (tmp_path / name).read_bytes()
    monkeypatch.undo()
    monkeypatch.setattr(os, "pwrite", lambda *_: fail(None))
    with pytest.raises(StoreError, match="written, but what was there before was not overwritten"):
        write_key(key, bytes(32))
    assert key.read_bytes() == bytes(32)


def test_a_link_goes_and_what_it_leads_to_stays(path):
    link = path.with_name("link")
    link.symlink_to(path)
    wipe(link)
    os.symlink(path, path.with_name(".secret.0123456789abcdef"))
    drop_scratch(path.parent, "secret")
    assert left(path) == [b"plain"]
