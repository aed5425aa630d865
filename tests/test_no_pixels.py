"""What facegate writes by itself holds no picture and no template anybody could read."""

import base64
import os
import re
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
import yaml

from facegate import parts
from facegate.config import load_config, parse_config
from facegate.control.client import ControlClient
from facegate.daemon import Gate
from facegate.errors import FacegateError
from facegate.journal import Journal

PICTURE_BEGINNINGS = (
    *(b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xe1", b"\x89PNG", b"RIFF", b"WEBP", b"GIF8"),
    *(b"II*\0", b"MM\0*", b"ftyp"),
)


@pytest.fixture
def photo(tmp_path_factory, portraits):
    """A picture that lies elsewhere than what is searched."""
    path = tmp_path_factory.mktemp("photo") / "door.png"
    cv2.imwrite(str(path), portraits[0][:320, 80:400, ::-1])
    return path


def test_commands_and_gate_leave_no_pixels(facegate, photo, tmp_path, monkeypatch):
    for name in ("work", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    for words in (
        ("enroll", "Eileen", "--image", photo),
        ("identify", photo),
        ("detect", photo),
        ("verify", photo, photo),
        ("people", "list"),
    ):
        assert facegate(*words).code == 0, words
    config = parse_config(
        {
            "camera": {"source": f"file:{photo}", "pacing": "fast"},
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": 0.2},
            "access": {"votes_needed": 1},
        },
        "test",
    )
    vision = parts.load_vision(config)
    events = []
    with parts.open_store(config, vision.model_id) as store, parts.camera_from(config) as camera:
        templates = store.gallery().matrix.copy()
        gate = Gate(config, vision, store, camera, parts.lines_from(config), Journal(events.append))
        gate.run(threading.Event())
    assert "granted" in {e.name for e in events}

    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert any(p.name == "people.db" for p in written)
    pixels = cv2.imread(str(photo))
    rows = [pixels[120].tobytes()[:48], pixels[120, :, ::-1].tobytes()[:48]]
    secrets = [*PICTURE_BEGINNINGS, *rows, *(t.tobytes()[:16] for t in templates), b"Eileen"]
    for path in written:
        content = path.read_bytes()
        for secret in secrets:
            assert secret not in content, (path, secret)
    for event in events:
        assert not any(isinstance(v, np.ndarray | bytes) for v in event.fields.values())


NAMES = ("Eileen Quixote", "Eileen Zaragoza", "Zebedee")
WINDOW_BYTES = 32
"""So many bytes of a template or key in a row, in any file, are one too many."""


class House:
    """A daemon of its own in folders of its own; all that it writes lies below `root`."""

    def __init__(self, root, photo):
        self.root = root
        self.folders = {n: root / n for n in ("state", "run", "tmp", "home", "work", "out")}
        for folder in self.folders.values():
            folder.mkdir(mode=0o700)
        self.config = self.folders["out"] / "config.yaml"
        settings = {
            "camera": {"source": f"file:{photo}", "loop": True, "fps": 10},
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": 0.2},
            "access": {"votes_needed": 1},
            "enrolment": {"captures": 2, "interval_s": 0.05},
            "metrics": {"textfile": str(self.folders["out"] / "facegate.prom"), "every_s": 1.0},
        }
        self.config.write_text(yaml.safe_dump(settings))
        self.environment = {
            **os.environ,
            "STATE_DIRECTORY": str(self.folders["state"]),
            "RUNTIME_DIRECTORY": str(self.folders["run"]),
            "TMPDIR": str(self.folders["tmp"]),
            "HOME": str(self.folders["home"]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.journal = self.folders["out"] / "journal"
        self.client = ControlClient(self.folders["run"] / "control.sock")
        self.process = None

    def command(self, *words, **more):
        done = subprocess.run(
            [sys.executable, "-m", "facegate", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=120,
            env=self.environment,
            cwd=self.folders["work"],
            **more,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done

    def start(self):
        with self.journal.open("ab") as journal:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "facegate", "run", "--config", str(self.config)],
                stdout=journal,
                stderr=journal,
                env=self.environment,
                cwd=self.folders["work"],
            )
        self.until(lambda: self.client.running())

    def until(self, condition, seconds=60.0):
        end_s = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.journal.read_text()
            assert time.monotonic() < end_s, self.journal.read_text()
            time.sleep(0.05)

    def said(self, event):
        return f"  {event} " in self.journal.read_text()

    def stop(self, number):
        self.process.send_signal(number)
        self.process.wait(30)

    def secrets(self):
        """Give every template, key and PIN that a file must not hold, as bytes."""
        os.environ["STATE_DIRECTORY"] = str(self.folders["state"])
        config = load_config(self.config)
        vision = parts.load_vision(config)
        key = config.key_path.read_bytes()
        with parts.open_store(config, vision.model_id) as store:
            matrix = store.gallery().matrix.copy()
        assert len(matrix) >= 2
        return key, matrix


def windows(secret):
    """Give all runs of `WINDOW_BYTES` in what must not be found."""
    return {secret[i : i + WINDOW_BYTES] for i in range(len(secret) - WINDOW_BYTES + 1)}


def search(root, key_path, forbidden, words):
    """Find what no file below `root` may hold; gives the files searched and what was found."""
    found, searched = [], []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink()):
        content = path.read_bytes()
        searched.append(path)
        own_key = path == key_path
        runs = (content[i : i + WINDOW_BYTES] for i in range(len(content) - WINDOW_BYTES + 1))
        if not own_key and not forbidden.isdisjoint(runs):
            found.append((path, "a template or key"))
        found += [(path, w) for w in (*words, *PICTURE_BEGINNINGS) if w in content]
    return searched, found


def test_a_daemons_whole_life_leaves_nothing_readable(photo, tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    house = House(tmp_path, photo)
    house.start()
    try:
        house.client.enrol(NAMES[0], False, 60, lambda *_: None)
        house.until(lambda: house.said("granted"))
        with pytest.raises(FacegateError):  # the same face under another name: said, not enrolled
            house.client.enrol(NAMES[2], False, 60, lambda *_: None)
        house.client.rename(NAMES[0], NAMES[1])
        house.client.set_role(NAMES[1], "duress")
        house.client.set_pin("48291573")
        house.client.unlock()
        house.until(lambda: (house.folders["out"] / "facegate.prom").exists())
        house.until(lambda: house.said("backup_made"))
        key, matrix = house.secrets()
        # While it runs, with its log open; and after it was killed without warning.
        during = [(p, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file()]
        house.stop(signal.SIGKILL)
        house.start()
        house.until(lambda: house.said("door_locked"))
        house.client.remove(NAMES[1])
        house.until(lambda: house.said("person_removed"))
        house.stop(signal.SIGTERM)
    finally:
        if house.process.poll() is None:
            house.process.kill()
            house.process.wait(30)
    kept = tmp_path / "during"
    kept.mkdir()
    for number, (path, content) in enumerate(during):
        if path != house.folders["state"] / "key":
            (kept / f"{number}-{path.name}").write_bytes(content)

    forms = [matrix, matrix.astype(">f4"), matrix.astype("<f2"), matrix.astype("<f8")]
    forbidden = set(windows(key)) | windows(base64.b64encode(key)) | windows(key.hex().encode())
    for form in forms:
        for row in form:
            forbidden |= windows(row.tobytes())
    words = [part.encode() for name in NAMES for part in {name, *name.split()}]
    words += [w.lower() for w in words] + [b"48291573"]
    words += [repr(float(x)).encode()[:9] for row in matrix for x in row[:8]]
    searched, found = search(tmp_path, house.folders["state"] / "key", forbidden, words)
    assert found == []
    names = {p.name for p in searched}
    assert {"people.db", "audit.jsonl", "key", "pin", "journal"} <= names
    assert {"backups", "facegate.prom"} <= {n for p, _ in during for n in (p.parent.name, p.name)}
    text = house.journal.read_text()
    for event in ("enrolled", "granted", "enrolment_refused", "person_renamed", "person_removed"):
        assert f"  {event} " in text, text
    assert re.search(r"granted +person 1: come in", text)


def test_the_search_finds_what_it_looks_for(tmp_path):
    template = np.arange(128, dtype=np.float32)
    (tmp_path / "leak").write_bytes(b"xyz" + template.astype("<f2").tobytes()[50:90])
    (tmp_path / "name").write_bytes(b"..Zebedee..")
    (tmp_path / "picture").write_bytes(b"\x89PNG")
    forbidden = windows(template.astype("<f2").tobytes())
    _, found = search(tmp_path, None, forbidden, [b"Zebedee"])
    assert [(p.name, what) for p, what in found] == [
        ("leak", "a template or key"),
        ("name", b"Zebedee"),
        ("picture", b"\x89PNG"),
    ]
