import errno
import os
from pathlib import Path

import numpy as np
import pytest

from facegate.errors import InputError
from facegate.vision.pictures import read_picture, write_picture

GREY = np.full((8, 8, 3), 90, np.uint8)


def test_a_picture_is_read_as_it_was_written(tmp_path):
    write_picture(tmp_path / "a.png", GREY)
    assert np.array_equal(read_picture(tmp_path / "a.png"), GREY)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_leaves_the_picture_that_was_there(tmp_path, monkeypatch):
    write_picture(tmp_path / "a.png", GREY)

    def full(path, data):
        path.open("wb").close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        write_picture(tmp_path / "a.png", GREY // 2)
    assert np.array_equal(read_picture(tmp_path / "a.png"), GREY)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_keeps_its_mode_and_a_link_to_it(tmp_path):
    write_picture(tmp_path / "a.png", GREY)
    (tmp_path / "a.png").chmod(0o600)
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    write_picture(tmp_path / "link.png", GREY // 2)
    assert (tmp_path / "link.png").is_symlink()
    assert np.array_equal(read_picture(tmp_path / "a.png"), GREY // 2)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o600


def test_a_link_to_itself_is_one_line(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "a.png")
    write_picture(tmp_path / "a.png", GREY)
    assert np.array_equal(read_picture(tmp_path / "a.png"), GREY)


def test_a_suffix_that_names_no_format_is_said(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.png or \.jpg"):
        write_picture(tmp_path / "a.xyz", GREY)
