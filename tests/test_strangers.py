"""Another user of the machine gets nothing: not from the socket, the state folder or the key."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from users import as_user

from facegate import parts
from facegate.config import parse_config
from facegate.control.client import ControlClient
from facegate.control.server import ControlServer
from facegate.daemon import Gate
from facegate.errors import FacegateError
from facegate.journal import Journal
from facegate.recorder import Recorder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")

STRANGER = 65_534


def as_stranger(work):
    """Run `work` in a child that is another user, without groups; gives the text it returned."""
    return as_user(STRANGER, STRANGER, lambda: work().encode()).decode()


def attempt(work):
    try:
        return f"got {work()!r}"
    except (OSError, FacegateError) as error:
        return f"refused: {type(error).__name__}"


@pytest.fixture
def house(tmp_path, monkeypatch, write):
    """A gate with a person, a PIN, a backup and a trail, its socket served; the way to it open."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o750)
    picture = write("grey", np.full((120, 160, 3), 128, np.uint8))
    config = parse_config(
        {
            "state": {"folder": str(tmp_path / "state")},
            "camera": {"source": f"file:{picture}"},
            "gpio": {"driver": "fake"},
        },
        "test",
    )
    for folder in (tmp_path, *tmp_path.parents):
        if "pytest" in str(folder):
            folder.chmod(0o755)
    vision = parts.load_vision(config)
    vector = np.zeros(128, np.float32)
    vector[0] = 1
    old = os.umask(0)  # no file may owe its mode to a lucky umask
    try:
        with (
            parts.open_store(config, vision.model_id) as store,
            parts.open_audit(config) as trail,
            Recorder(trail) as recorder,
            parts.lines_from(config) as lines,
            parts.camera_from(config) as camera,
        ):
            gate = Gate(config, vision, store, camera, lines, Journal(recorder))
            with ControlServer(config.socket_path, gate.commands):
                gate.commands.add("Ann", [vector], vision.model_id)
                gate.commands.set_pin("48291573")
                parts.rolling_backups(config).make(store)
                yield config
    finally:
        os.umask(old)


def written(config):
    found = (config.state_folder, *config.state_folder.rglob("*"))
    return [p for p in found if not p.name.startswith(".")]  # scratch, which comes and goes


def test_nothing_in_the_state_folder_is_open_to_others(house):
    found = {p.relative_to(house.state_folder).as_posix(): p for p in written(house)}
    assert {"people.db", "key", "pin", "audit.jsonl", "backups"} <= set(found)
    for name, path in found.items():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, name


def test_a_stranger_reads_and_lists_nothing(house):
    paths = [(p, p.is_dir()) for p in written(house) if p != house.state_folder]
    house.state_folder.chmod(0o755)  # even then each file keeps itself shut

    def work():
        lines = []
        for path, is_folder in paths:
            look = (lambda p=path: os.listdir(p)) if is_folder else path.read_bytes
            lines.append(attempt(look))
            lines.append(attempt(lambda p=path: p.rename(p.with_name("mine"))))
        lines.append(attempt(lambda: (house.state_folder / "new").write_text("x")))
        return "\n".join(lines)

    said = as_stranger(work).splitlines()
    assert len(said) == 2 * len(paths) + 1
    # A scratch file may have gone meanwhile; what is there refuses.
    gone = 2 * sum(not path.exists() for path, _ in paths)
    assert said.count("refused: PermissionError") >= len(said) - gone
    assert not [line for line in said if line.startswith("got")]


def test_a_stranger_gets_nothing_from_the_socket(house):
    client = ControlClient(house.socket_path)
    assert client.people()[0].name == "Ann"
    asked = (client.status, client.people, client.unlock, lambda: client.remove("Ann"))

    def work():
        return "\n".join(attempt(ask) for ask in asked)

    assert set(as_stranger(work).splitlines()) == {"refused: DaemonError"}
    house.socket_path.parent.chmod(0o755)
    house.socket_path.chmod(0o666)  # even then the server itself hangs up
    assert set(as_stranger(work).splitlines()) == {"refused: DaemonError"}
    assert client.people()[0].name == "Ann"


def test_root_is_let_through_so_that_the_test_can_fail(house):
    assert attempt((house.state_folder / "people.db").read_bytes).startswith("got")
    assert Path(house.socket_path).is_socket()
