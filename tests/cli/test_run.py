"""`facegate run` as a process of its own, with commands that talk to it over its socket."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import yaml

from facegate.cli.gate import event_of
from facegate.config import Config
from facegate.errors import DaemonError, LineError, RelayError
from facegate.parts import embedder_path

walkup = pytest.importorskip("facegate.demo.walkup", reason="the portraits need facegate[demo]")
pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
pytest.importorskip("matplotlib", reason="the portraits need facegate[demo]")

EMBEDDER = embedder_path(Config())


class Daemon:
    def __init__(self, folder, source, relay="fake"):
        self.config = folder / "config.yaml"
        self.socket = folder / "control.sock"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "camera": {"source": str(source), "loop": True},
                    "state": {"folder": str(folder / "state"), "socket": str(self.socket)},
                    "gpio": {"driver": relay},
                    "enrolment": {"captures": 2, "interval_s": 0.1},
                }
            )
        )
        self.process = None

    def command(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "facegate", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "facegate", "run", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.wait_for(lambda: self.socket.exists())

    def wait_for(self, condition, seconds=30.0):
        end_s = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.process.stdout.read()
            assert time.monotonic() < end_s, "waited in vain"
            time.sleep(0.05)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return said


@pytest.fixture
def daemon(tmp_path):
    picture = tmp_path / "eileen.png"
    friend, _ = walkup.portraits()
    cv2.imwrite(str(picture), friend.pixels[:320, 80:400, ::-1])
    made = Daemon(tmp_path, f"file:{picture}")
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(daemon, number):
    daemon.start()
    began_s = time.monotonic()
    said = daemon.stop(number)
    assert daemon.process.returncode == 0, said
    assert time.monotonic() - began_s < 5
    assert "stopped" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not daemon.socket.exists()


def network_sockets(pid):
    """Give the sockets of a process that belong to a network, from the kernel's own tables."""
    numbers = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            numbers |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
        except FileNotFoundError:
            continue  # closed meanwhile
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "icmp", "packet"):
        path = Path(f"/proc/{pid}/net/{table}")
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            found += [(table, n) for n in numbers & set(line.split())]
    return found


def test_nothing_of_it_is_on_a_network(daemon):
    daemon.start()
    daemon.command("status")
    assert network_sockets(daemon.process.pid) == []
    with socket.socket() as here:
        here.bind(("127.0.0.1", 0))
        here.listen()
        assert [table for table, _ in network_sockets(os.getpid())].count("tcp") >= 1
    daemon.stop()


def test_commands_reach_it_through_its_socket(daemon, tmp_path):
    daemon.start()
    status = json.loads(daemon.command("status", "--json").stdout)
    assert (status["people"], status["door"]) == (0, "locked")
    assert set(status["queues"]) == {"frames", "faces", "decisions"}

    enrolled = daemon.command("enroll", "Eileen", "--json")
    assert enrolled.returncode == 0, enrolled.stderr
    assert json.loads(enrolled.stdout)["templates"] == 2
    assert "captured" in enrolled.stderr

    picture = str(tmp_path / "eileen.png")
    (identified,) = json.loads(daemon.command("identify", picture, "--json").stdout)
    assert identified["name"] == "Eileen"
    shown = json.loads(daemon.command("people", "show", "Eileen", "--json").stdout)
    assert (shown["templates"], shown["nearest"]) == (2, None)
    assert 0 <= shown["spread"] < shown["threshold"]
    again = daemon.command("enroll", "Eve", "--image", picture, "--allow-duplicate")
    assert again.returncode == 0, again.stderr
    assert json.loads(daemon.command("people", "show", "Eileen", "--json").stdout)["too_near"]
    (identified,) = json.loads(daemon.command("identify", picture, "--json").stdout)
    assert identified["name"] is None
    assert set(identified["between"]) == {"Eve", "Eileen"}
    assert daemon.command("people", "remove", "Eve", "--yes").returncode == 0

    other = daemon.command("enroll", "Ben", "--camera", "file:elsewhere.png")
    assert (other.returncode, "leave it out" in other.stderr) == (2, True)
    again = daemon.command("enroll", "eileen")
    assert again.returncode == 3
    assert "eileen" in again.stderr.lower()

    assert daemon.command("people", "rename", "Eileen", "Col. Collins").returncode == 0
    people = json.loads(daemon.command("people", "list", "--json").stdout)
    assert [p["name"] for p in people] == ["Col. Collins"]
    assert json.loads(daemon.command("status", "--json").stdout)["people"] == 1

    assert daemon.command("people", "remove", "Col. Collins", "--yes").returncode == 0
    assert json.loads(daemon.command("people", "list", "--json").stdout) == []
    said = daemon.stop()
    for event in ("ready", "enrolled", "person_renamed", "person_removed", "store_reloaded"):
        assert f"  {event} " in said, said


def test_metrics_are_written_where_they_are_asked_for(daemon, tmp_path):
    file = tmp_path / "facegate.prom"
    settings = yaml.safe_load(daemon.config.read_text())
    settings["metrics"] = {"textfile": str(file), "every_s": 1.0}
    daemon.config.write_text(yaml.safe_dump(settings))
    daemon.start()
    daemon.wait_for(lambda: file.exists() and 'event="ready"' in file.read_text())
    text = file.read_text()
    daemon.stop()
    assert 'facegate_events_total{event="ready"} 1' in text
    assert "facegate_camera_up 1" in text
    assert not file.exists()


def test_a_second_one_is_refused(daemon):
    daemon.start()
    second = daemon.command("run")
    trail = (daemon.config.parent / "state" / "audit.jsonl").read_text()
    assert trail.count('"event":"started"') == 1
    assert second.returncode in (5, 7)
    assert len(second.stderr.strip().splitlines()) == 1
    daemon.stop()
    assert daemon.process.returncode == 0


@pytest.mark.parametrize("source", ["file:/nowhere/film.avi", "v4l2:/dev/video99"])
def test_a_camera_named_by_hand_that_is_not_there_ends_it_with_its_code(daemon, source):
    done = daemon.command("run", "--camera", source)
    assert done.returncode == 6
    assert source.partition(":")[2] in done.stderr
    assert "Traceback" not in done.stderr


def test_status_without_a_daemon_says_how_to_start_one(daemon):
    done = daemon.command("status")
    assert done.returncode == 7
    assert "facegate run" in done.stderr


def test_what_happens_can_be_followed_until_it_ends(daemon):
    daemon.start()
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        peer.connect(str(daemon.socket))
        peer.sendall(b"GET /v1/events?after=0 HTTP/1.1\r\n\r\n")
        with peer.makefile("rb") as lines:
            head = b"".join(iter(lines.readline, b"\r\n"))
            assert b"200 OK" in head
            daemon.stop()
            told = [json.loads(line) for line in lines]
    events = [line["event"] for line in told if line["seq"]]
    assert [line["seq"] for line in told if line["seq"]] == list(range(1, len(events) + 1))
    assert {"started", "ready"} <= set(events)
    assert events[-1] == "stopped"


def test_sighup_reads_the_settings_again_and_keeps_the_old_ones_if_they_are_wrong(daemon):
    daemon.start()
    settings = daemon.config.read_text()
    trail = daemon.config.parent / "state/audit.jsonl"
    for pulse_s, told in ((1.5, "settings_reloaded"), (99.0, "settings_refused")):
        daemon.config.write_text(f"{settings}door: {{pulse_s: {pulse_s}}}\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for(lambda event=told: event in trail.read_text())
    daemon.config.write_text(settings)
    assert daemon.command("door", "unlock").returncode == 0
    said = daemon.stop()
    assert "for 1.5 s" in said
    assert "door.pulse_s: 99.0" in said


def test_the_door_works_without_a_camera_until_it_is_there(daemon, tmp_path):
    picture = tmp_path / "eileen.png"
    away = picture.rename(tmp_path / "away.png")
    daemon.start()

    def status():
        return json.loads(daemon.command("status", "--json").stdout)

    daemon.wait_for(lambda: status()["camera_lost"])
    assert str(picture) in status()["camera_lost"]
    assert daemon.command("door", "unlock").returncode == 0
    assert "stands unlocked for 5 min" in daemon.command("door", "unlock", "--minutes", "5").stdout
    assert "kept unlocked by command for 0:0" in daemon.command("status").stdout
    assert 290 < status()["kept_unlocked_s"] <= 300
    assert "no longer" in daemon.command("door", "lock").stdout
    assert status()["kept_unlocked_s"] is None
    wrong = daemon.command("door", "unlock", "--minutes", "721")
    assert (wrong.returncode, "720" in wrong.stderr) == (2, True)
    away.rename(picture)
    daemon.wait_for(lambda: status()["camera_lost"] is None and status()["detected_fps"] > 0)
    assert status()["camera"] == f"file {picture}"
    said = daemon.stop()
    assert daemon.process.returncode == 0, said
    happened = [line.split()[1] for line in said.splitlines()]
    assert "camera_opened" not in happened
    wanted = ["ready", "camera_lost", "door_unlocked", "camera_back"]
    assert [e for e in happened if e in wanted] == wanted


def test_wrong_settings_end_it_at_once_with_their_own_code(daemon):
    daemon.config.write_text(daemon.config.read_text() + "dor: {}\n")
    done = daemon.command("run")
    assert done.returncode == 2
    assert "dor" in done.stderr


def test_an_older_store_or_a_removed_trail_is_told_at_the_next_start(daemon, tmp_path):
    state = tmp_path / "state"

    def events():
        daemon.start()
        daemon.wait_for(lambda: json.loads(daemon.command("status", "--json").stdout)["camera"])
        return daemon.stop()

    picture = str(tmp_path / "eileen.png")
    assert daemon.command("enroll", "Eileen", "--image", picture).returncode == 0
    before = (state / "people.db").read_bytes()
    assert daemon.command("people", "remove", "Eileen", "--yes").returncode == 0
    assert "store_older" not in events()
    for left in state.glob("people.db*"):
        left.unlink()
    (state / "people.db").write_bytes(before)
    said = events()
    assert "store_older" in said, said
    assert "audit_missing" not in said
    assert "store_older" not in events()
    for left in state.glob("audit.*"):
        left.unlink()
    said = events()
    assert "audit_missing" in said
    assert "1 people are enrolled" in said


def test_a_store_changed_without_a_record_is_told_at_the_next_start(daemon, tmp_path):
    state = tmp_path / "state"

    def told():
        daemon.start()
        daemon.wait_for(lambda: json.loads(daemon.command("status", "--json").stdout)["camera"])
        said = daemon.stop()
        return "store_newer" in said or "store_older" in said

    picture = str(tmp_path / "eileen.png")
    assert daemon.command("enroll", "Eileen", "--image", picture).returncode == 0
    assert daemon.command("people", "role", "Eileen", "admin").returncode == 0
    assert daemon.command("key", "rotate").returncode == 0
    assert not told()
    before = {path: path.read_bytes() for path in state.glob("audit.*")}
    assert daemon.command("people", "role", "Eileen", "member").returncode == 0
    for path, content in before.items():
        path.write_bytes(content)
    assert told()
    assert not told()


def test_a_storm_of_signals_is_obeyed(daemon):
    daemon.start()
    for _ in range(60):
        daemon.process.send_signal(signal.SIGHUP)
    for _ in range(20):
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGHUP)
    said, _ = daemon.process.communicate(timeout=30)
    assert daemon.process.returncode == 0, said
    assert "stopped" in said


def test_why_it_could_not_start_is_in_the_journal(daemon, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "people.db").write_bytes(b"no database" * 1000)
    (state / "key").write_bytes(bytes(32))
    (state / "key").chmod(0o600)
    done = daemon.command("run")
    assert done.returncode == 5
    assert "start_failed" in done.stdout
    assert "people.db" in done.stdout


def test_a_relay_that_is_not_obeyed_is_worse_than_another_part():
    error = DaemonError("act failed: stuck")
    assert event_of(error) == ("part_failed", "act failed: stuck")
    error.__cause__ = LineError("GPIO5: the button cannot be read")
    assert event_of(error) == ("part_failed", "act failed: stuck")
    error.__cause__ = RelayError("stuck")
    assert event_of(error) == ("relay_failed", "act failed: stuck")
    assert event_of(ValueError("x")) == ("part_failed", "ValueError('x')")


def test_changed_settings_or_thresholds_are_told_at_the_next_start(daemon, tmp_path):
    card = tmp_path / "own.json"
    for source, copy in ((EMBEDDER, "own.tflite"), (EMBEDDER.with_suffix(".json"), card.name)):
        (tmp_path / copy).write_bytes(source.read_bytes())
    settings = yaml.safe_load(daemon.config.read_text())
    settings["models"] = {"embedder": "own.tflite"}
    daemon.config.write_text(yaml.safe_dump(settings))

    def told():
        daemon.start()
        daemon.wait_for(lambda: json.loads(daemon.command("status", "--json").stdout)["camera"])
        return re.findall(r"settings_changed +(\w+): from", daemon.stop())

    assert told() == []
    assert told() == []
    card.write_text(card.read_text() + " ")
    assert told() == ["card"]
    settings["access"] = {"votes_of": 9}
    daemon.config.write_text(yaml.safe_dump(settings))
    assert told() == ["settings"]
