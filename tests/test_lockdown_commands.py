"""Commands where the disk will not have them."""

import errno
import threading
from pathlib import Path

import pytest
from doors import rules

from facegate.access.door import Door
from facegate.access.lockdown import LockdownMark
from facegate.commands import Commands
from facegate.config import Config
from facegate.errors import LineError, StoreError
from facegate.hardware.fake import FakeOutput


class Keeper:
    """Acts at once, without a thread."""

    def __init__(self):
        self.door = Door(FakeOutput("relay"), rules(), lambda: 0.0)

    def command(self, command):
        return command(self.door)


@pytest.fixture
def commands(tmp_path):
    config = Config.model_validate({"state": {"folder": str(tmp_path / "state")}})
    return Commands(config, None, None, None, None, Keeper(), None, dict)


def test_a_lockdown_that_cannot_be_noted_is_on_and_says_so(commands, tmp_path):
    with pytest.raises(StoreError, match=r"only until a restart: .*No such file"):
        commands.lockdown(True)
    assert commands._keeper.door.locked_down
    (tmp_path / "state").mkdir()
    commands.lockdown(True)
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["lockdown"]


def test_a_lockdown_outlives_the_restart_that_its_own_command_causes(commands, tmp_path):
    (tmp_path / "state").mkdir()

    def broken(_):
        raise LineError("the relay cannot be driven")

    commands._keeper.command = broken
    with pytest.raises(LineError):
        commands.lockdown(True)
    assert (tmp_path / "state" / "lockdown").exists()


def test_mark_and_door_agree_after_commands_at_once(commands, tmp_path):
    (tmp_path / "state").mkdir()
    at_the_door, goes_on = threading.Event(), threading.Event()
    act = commands._keeper.command

    def slow(command):
        at_the_door.set()
        goes_on.wait(10)
        return act(command)

    commands._keeper.command = slow
    first = threading.Thread(target=commands.lockdown, args=(True,))
    first.start()
    at_the_door.wait(10)
    commands._keeper.command = act
    second = threading.Thread(target=commands.lockdown, args=(False,))
    second.start()
    second.join(0.2)  # it waits for the first, or it would be over by now
    goes_on.set()
    first.join(10)
    second.join(10)
    assert not commands._keeper.door.locked_down
    assert not (tmp_path / "state" / "lockdown").exists()


def test_a_lockdown_whose_mark_stays_goes_on(commands, tmp_path):
    (tmp_path / "state" / "lockdown").mkdir(parents=True)
    commands._keeper.door.lockdown(True)
    with pytest.raises(StoreError, match="cannot be removed"):
        commands.lockdown(False)
    assert commands._keeper.door.locked_down


def test_a_mark_that_is_not_there_need_not_be_removed(tmp_path, monkeypatch):
    def unlink(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", unlink)
    LockdownMark(tmp_path / "lockdown").set(False)


def test_a_mark_that_cannot_be_looked_at_counts_as_a_lockdown(tmp_path):
    (tmp_path / "file").touch()
    assert LockdownMark(tmp_path / "file" / "lockdown").on
    assert not LockdownMark(tmp_path / "lockdown").on
