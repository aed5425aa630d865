"""The disk fails in the middle of an enrolment: a clear refusal, and the gate goes on recognising.

A real file system each time: a small tmpfs that fills up, an ext4 that remounts itself read-only
after an error (as a worn card does), and one that answers everything with EIO.
"""

import fcntl
import os
import shutil
import struct
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegate import parts
from facegate.access.audit import AuditTrail, read, verify
from facegate.access.keys import load_key
from facegate.access.rows import Rows
from facegate.access.store import Store
from facegate.config import parse_config
from facegate.daemon import Gate
from facegate.errors import StoreError
from facegate.journal import Journal
from facegate.recorder import Recorder

walkup = pytest.importorskip("facegate.demo.walkup", reason="the portraits need facegate[demo]")
pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
pytest.importorskip("matplotlib", reason="the portraits need facegate[demo]")

pytestmark = pytest.mark.host
EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = struct.pack("I", 2)


def call(*words):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True)


class Disk:
    """A small file system of its own, that can be made to fail."""

    def __init__(self, folder):
        self.at, self._image = folder / "disk", folder / "image"
        self.at.mkdir()

    def mount(self):
        self._image.write_bytes(bytes(16 << 20))
        call("mkfs.ext4", "-q", self._image)
        self.again()

    def again(self):
        call("mount", "-o", "loop,errors=remount-ro", self._image, self.at)

    def umount(self):
        until(self._away, 20)  # whoever looked at what was mounted may still be busy with it

    def _away(self):
        done = subprocess.run(["umount", str(self.at)], capture_output=True, text=True)
        return done.returncode == 0 or "not mounted" in done.stderr


class Full(Disk):
    said = "the disk is full; make room"

    def mount(self):
        call("mount", "-t", "tmpfs", "-o", "size=512k", "none", self.at)

    def fail(self):
        with (self.at / "filler").open("wb", buffering=0) as filler:
            for size in (4096, 1):
                with suppress(OSError):  # no space left
                    while filler.write(bytes(size)) == size:
                        pass
        assert os.statvfs(self.at).f_bavail == 0

    def mend(self):
        (self.at / "filler").unlink()


class ReadOnly(Disk):
    said = "the disk fails or is full|cannot be written"

    def fail(self):
        device = Path(call("findmnt", "-n", "-o", "SOURCE", self.at).stdout.strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test\n")


class Failing(Disk):
    said = "the disk fails or is full"

    def fail(self):
        descriptor = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(descriptor)


@pytest.fixture
def disk(request, tmp_path):
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs root and mkfs.ext4")
    disk = request.param(tmp_path)
    try:
        disk.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine mounts no such disk: {error.stderr}")
    yield disk
    disk.umount()


@pytest.fixture
def passing(tmp_path):
    """Somebody comes and goes, again and again."""
    friend, _ = walkup.portraits()
    actor = walkup.Actor(friend, lambda t: 0.5, lambda t: 140)
    film = (walkup.Act("friend", 0.8, (actor,)), walkup.Act("nobody", 0.8, ()))
    folder = tmp_path / "film"
    folder.mkdir()
    for number, (_, pixels) in enumerate(walkup.film(film)):
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return folder


def until(condition, seconds=90.0):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize("disk", [Full, ReadOnly, Failing], indirect=True)
def test_the_disk_fails_in_the_middle_of_an_enrolment(disk, passing, monkeypatch):
    config = parse_config(
        {
            "camera": {"source": f"file:{passing}", "pacing": "fast", "loop": True},
            "state": {"folder": str(disk.at)},
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": 0.1},
        },
        "test",
    )
    vision = parts.load_vision(config)
    friend, stranger = walkup.portraits()
    views = [
        vision.reader.embed(vision.reader.look(p, vision.reader.find(p)[0])).vector
        for p in (friend.pixels, stranger.pixels)
    ]
    events, stopping = [], threading.Event()
    insert = Rows.insert_templates

    def failing_in_the_middle(self, *args):
        insert(self, *args)
        disk.fail()

    def granted():
        return sum(e.name == "granted" for e in events)

    with ExitStack() as stack:
        store = stack.enter_context(parts.open_store(config, vision.model_id))
        trail = stack.enter_context(parts.open_audit(config))
        journal = Journal(events.append)
        journal.add(stack.enter_context(Recorder(trail)))
        camera = stack.enter_context(parts.camera_from(config))
        lines = stack.enter_context(parts.lines_from(config))
        gate = Gate(config, vision, store, camera, lines, journal)
        gate.commands.add("Eileen", [views[0]], vision.model_id)
        thread = threading.Thread(target=gate.run, args=(stopping,))
        thread.start()
        stack.callback(thread.join, 20)
        stack.callback(stopping.set)
        until(lambda: granted() >= 1 and len(list(read(config.audit_path))) >= 2)
        with monkeypatch.context() as patched:
            patched.setattr(Rows, "insert_templates", failing_in_the_middle)
            with pytest.raises(StoreError, match=disk.said):
                gate.commands.add("Grace", [views[1]], vision.model_id)
        before = granted()
        until(lambda: granted() >= before + 2)
        if isinstance(disk, Full):
            disk.mend()
            assert gate.commands.add("Grace", [views[1]], vision.model_id).name == "Grace"
    assert not thread.is_alive()

    names = ["Eileen", "Grace"] if isinstance(disk, Full) else ["Eileen"]
    if not isinstance(disk, Full):
        disk.umount()
        disk.again()
    key = load_key(config.key_path)
    with Store.open(config.store_path, key, vision.model_id) as store:
        assert [p.name for p in store.people()] == names
        np.testing.assert_allclose(store.gallery().matrix[0], views[0], atol=1e-6)
    AuditTrail.open(config.audit_path, key).close()
    finding = verify(config.audit_path, key)
    assert finding.problem is None
    assert finding.records >= 2
