import os
import subprocess
import sys

import pytest

from facegate.config import parse_config
from facegate.hold import leave_note


def hold(*words, service=None):
    place = {} if service is None else {"RUNTIME_DIRECTORY": str(service)}
    return subprocess.run(
        [sys.executable, "-m", "facegate.hold", *map(str, words)],
        capture_output=True,
        text=True,
        env=os.environ | place,
    )


def test_without_lines_there_is_nothing_to_hold(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("gpio: {driver: fake}\n")
    done = hold(config)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("settings", "status", "told"),
    [("gpio: {chip: no-such-chip}", 6, "no such gpiochip"), ("doer: {}", 2, "unknown setting")],
)
def test_it_says_when_the_strike_cannot_be_held(tmp_path, settings, status, told):
    config = tmp_path / "c.yaml"
    config.write_text(settings)
    done = hold(config)
    assert done.returncode == status
    assert done.stderr.startswith("facegate: the strike may be released: ")
    assert told in done.stderr


def test_the_line_that_was_driven_is_held_though_the_settings_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    leave_note(parse_config({"gpio": {"chip": "the-chip-of-then"}}, ""))
    config = tmp_path / "c.yaml"
    config.write_text("gpio: {driver: fake}\n")
    done = hold(config, service=tmp_path)
    assert done.returncode == 6
    assert "the-chip-of-then: no such gpiochip" in done.stderr


@pytest.mark.parametrize("note", [None, "", '["half', "[]"])
def test_without_a_whole_note_the_settings_tell(tmp_path, note):
    if note is not None:
        (tmp_path / "relay.json").write_text(note)
    config = tmp_path / "c.yaml"
    config.write_text("gpio: {chip: the-chip-of-now}\n")
    assert "the-chip-of-now: no such gpiochip" in hold(config, service=tmp_path).stderr


def test_no_note_without_hardware_or_without_a_service(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    leave_note(parse_config({"gpio": {"driver": "fake"}}, ""))
    monkeypatch.delenv("RUNTIME_DIRECTORY")
    leave_note(parse_config({}, ""))
    assert list(tmp_path.iterdir()) == []


def test_it_loads_neither_network_nor_camera_nor_what_reads_settings():
    heavy = "{'cv2', 'numpy', 'ai_edge_litert', 'tflite_runtime', 'typer', 'pydantic'}"
    heavy += " & set(sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, facegate.hold; print({heavy})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "set()"
