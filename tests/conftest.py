"""What many tests share: the command line in process, a clock, two faces that all may use."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest

from facegate.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def complaint(self):
        """The one line that it said on standard error."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]

    @property
    def misuse(self):
        """What it said of options that are wrong, or wrong together, out of its frame."""
        assert self.code == 2, self.err
        assert "Traceback" not in self.err
        return " ".join(re.sub("[╭─╮│╰╯]", " ", self.err).split())


@pytest.fixture
def facegate(tmp_path, monkeypatch, capsys):
    """Run a command as a shell would, with a store of its own."""
    for name in ("HOME", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("FACEGATE_CONFIG", raising=False)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["facegate", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        return Done(code, *capsys.readouterr())

    return run


class Clock:
    """Monotonic seconds that stand still until a test moves `now_s`."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def portraits():
    """Eileen Collins and Grace Hopper, in the public domain: uint8 (H, W, 3) RGB each."""
    pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
    pytest.importorskip("matplotlib", reason="the portraits need facegate[demo]")
    from facegate.demo import walkup

    friend, stranger = walkup.portraits()
    return friend.pixels, stranger.pixels


@pytest.fixture
def write(tmp_path):
    """Write RGB pixels as PNG; gives the path."""

    def written(name, pixels) -> Path:
        path = tmp_path / f"{name}.png"
        assert cv2.imwrite(str(path), pixels[..., ::-1])
        return path

    return written


@pytest.fixture
def eileen(write, portraits):
    return write("eileen", portraits[0][:320, 80:400])


@pytest.fixture
def grace(write, portraits):
    return write("grace", portraits[1][60:420, 80:440])
