"""The demo's film."""

import resource
from contextlib import contextmanager

import pytest

from facegate.demo.walkup import Act, write_film
from facegate.errors import HardwareError

EMPTY = (Act("empty corridor", 1.0),)


@contextmanager
def files_of_at_most(size):
    """Let no file of this process grow larger, as if the disk were full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_film_that_has_no_space_is_told_with_its_folder(tmp_path):
    assert write_film(tmp_path / "whole.avi", EMPTY) == [(0.0, "empty corridor")]
    size = (tmp_path / "whole.avi").stat().st_size
    with (
        files_of_at_most(size // 2),
        pytest.raises(HardwareError, match=f"no space in {tmp_path}; set TMPDIR"),
    ):
        write_film(tmp_path / "torn.avi", EMPTY)
