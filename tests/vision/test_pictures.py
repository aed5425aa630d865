import errno
import os
from pathlib import Path

import cv2
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


def test_red_is_red_on_the_way_in_and_out(tmp_path):
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    cv2.imwrite(str(tmp_path / "theirs.png"), red[..., ::-1])  # OpenCV's own order is BGR
    assert np.array_equal(read_picture(tmp_path / "theirs.png"), red)
    write_picture(tmp_path / "ours.png", red)
    assert np.array_equal(cv2.imread(str(tmp_path / "ours.png"))[..., ::-1], red)


EXIF = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0%c\0\0\0\0\0\0"
"""A JPEG's segment that says its orientation. Source: Exif 2.3, tag 0x0112."""


@pytest.mark.parametrize(("orientation", "bright"), [(1, "top"), (3, "bottom"), (6, "right")])
def test_a_phones_picture_stands_upright(tmp_path, orientation, bright):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:10] = 255
    _, data = cv2.imencode(".jpg", pixels)
    path = tmp_path / "phone.jpg"
    path.write_bytes(data[:2].tobytes() + EXIF % orientation + data[2:].tobytes())
    seen = read_picture(path)
    edge = {"top": seen[:5], "bottom": seen[-5:], "right": seen[:, -5:]}[bright]
    assert edge.mean() > 200 > 100 > seen.mean()
