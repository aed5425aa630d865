"""A gate with people in a plain dict behind a real socket, and ways to knock at it."""

import http.client
import json
import socket
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from facegate.access.likeness import Likeness
from facegate.access.store import Person
from facegate.control.limits import Limits
from facegate.errors import InputError, NotEnrolledError, StoreError
from facegate.types import Identity

LOOSE = Limits(
    connections=100,
    connections_each=100,
    requests_per_s=1e6,
    burst=1_000_000,
    changes_per_s=1e6,
    changes_burst=1_000_000,
)


def person(number, name, role="member", templates=1):
    return Person(number, name, role, templates, 1.0)


def unit(vector):
    return vector / np.linalg.norm(vector)


STATUS = {
    "door": "locked",
    "kept_unlocked_s": None,
    "second_factor_wanted": None,
    "lockdown": False,
    "tamper": False,
    "lockout": False,
    "panel": "idle",
    "people": 1,
    "threshold": 0.8,
    "model_id": "m1",
    "enrolling": False,
    "camera": "file",
    "uptime_s": 1.0,
    "camera_lost": None,
    "stalled": [],
    "false_accepts_per_1000": 0.3,
    "false_accepts_measured": True,
    "detected_fps": 15.0,
    "last_event": "none",
    "queues": {},
}


class Gate:
    """What the socket reaches."""

    def __init__(self):
        self.rows = {"Ann": person(1, "Ann"), "Root": person(7, "Root", "admin")}
        self.added = []
        self.broken = False
        self.hung_up = False

    def status(self):
        if self.broken:
            raise RuntimeError("a defect")
        unlocked = getattr(self, "unlocked", False)
        return {
            **STATUS,
            "door": "unlocked" if unlocked else "locked",
            "kept_unlocked_s": self.for_s if unlocked else None,
            "lockdown": getattr(self, "locked_down", False),
        }

    def people(self):
        return list(self.rows.values())

    def likenesses(self):
        return [Likeness(1, 0.4, 7, 0.6, 0.8, True), Likeness(7, None, 1, 0.6, 0.8, True)]

    def add(self, name, vectors, model_id, allow_duplicate, more, admins):
        self.added.append((name, vectors, model_id, allow_duplicate, admins))
        return person(2, name, templates=len(vectors))

    def enrol(self, name, allow_duplicate, progress, more, admins):
        self.admins = admins
        progress(0, "look at the camera")
        progress(1, "turn a little")
        if name == "Nobody":
            raise InputError("Nobody: only 1 good looks")
        return person(3, name)

    def identify(self, vectors, model_id):
        between = Identity(None, 0.5, 0.8, 0.9, ("Ann", "Root"))
        return [Identity("Ann", 0.5, 0.8, 0.9), between][: len(vectors)]

    def rename(self, old, new):
        if old not in self.rows:
            raise NotEnrolledError(f"{old}: nobody of this name is enrolled")
        return person(1, new)

    def set_role(self, name, role):
        return person(1, name, role)

    def set_group(self, name, group):
        return replace(person(1, name), group=group)

    def set_until(self, name, until_wall):
        return replace(person(1, name), until_wall=until_wall)

    def set_note(self, name, note):
        return replace(person(1, name), note=note)

    def unlock(self, for_s):
        self.unlocked, self.for_s = True, for_s

    def lock(self):
        self.unlocked = False

    def enter_pin(self, pin):
        if pin != "4829":
            raise InputError("wrong PIN; show your face again")

    def set_pin(self, pin):
        self.new_pin = pin

    def lockdown(self, on):
        self.locked_down = on

    def remove(self, name):
        if name == "Ann":
            raise StoreError("the disk is full")
        if name not in self.rows:
            raise NotEnrolledError(f"{name}: nobody of this name is enrolled")
        return self.rows.pop(name)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict
    text: str

    @property
    def json(self):
        return json.loads(self.text)


JSON = {"Content-Type": "application/json"}


def ask(client, method, path, body=None, headers=JSON):
    """Send a request as any HTTP library would."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    connection.sock.connect(str(client.path))
    data = json.dumps(body) if isinstance(body, dict | list) else body
    with suppress(ConnectionError):  # refused before all was sent; the answer waits
        connection.request(method, path, data, headers)
    response = connection.getresponse()
    endless = path.partition("?")[0] == "/v1/events"
    text = response.readline() if endless else response.read()
    reply = Reply(response.status, dict(response.headers), text.decode())
    connection.close()
    return reply


def send_raw(client, data, end=True):
    """Send bytes as they are, and read all that comes back."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(client.path))
        try:
            peer.sendall(data)
            if end:
                peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return received(peer)


def received(peer):
    got = b""
    try:
        while part := peer.recv(65536):
            got += part
    except ConnectionError:
        pass
    return got
