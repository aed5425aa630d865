"""The daemon started and ended again and again on simulated lines, in each way it can end.

Runs in the virtual machine with facegate's own Python. Packages and networks are loaded once; every
life is a fork of that, and goes through the whole of `facegate run`: settings, lines, store, trail,
camera, socket and the four threads. Four lives, one a wiring, go on at the same time.
"""

import itertools
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
from simulator import Noted

from facegate import daemon, parts
from facegate.access.door import Door
from facegate.access.policy import Policy
from facegate.cli.main import main
from facegate.config import Config, parse_config
from facegate.control.client import ControlClient
from facegate.errors import DaemonError
from facegate.hardware.camera_file import FileCamera
from facegate.vision.faces import FaceReader

PATIENCE_S = 200.0
HANG_PULSE_S = 1.0

LABEL, FIRST_LINE = "pinctrl-rp1", 0
WIRINGS = list(itertools.product((False, True), (0, 1)))  # active low, pull
BOTH = (False, True)
THREADS = {
    "capture": (FileCamera, "frames"),
    "detect": (FaceReader, "find"),
    "identify": (Policy, "forget_all_but"),
    "act": (Door, "tick"),
}
"""What each thread calls in every round."""

CANARIES = ("detector", "refiner", "embedder")

tripped = threading.Event()


class Life:
    """One process that runs one gate."""

    def __init__(self, number, active_low, pull, pulse_s):
        self.line = FIRST_LINE + number
        self.active_low, self.pull = active_low, pull
        self.folder = Path(f"/run/lives/{number}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "config.yaml"
        self.log = self.folder / "log"
        settings = {
            "camera": {"source": "file:/srv/board/empty.jpg", "loop": True, "fps": 1.0},
            "gpio": {"chip": LABEL},
            "door": {
                "relay": {"line": f"GPIO{self.line}", "active_low": active_low},
                "pulse_s": pulse_s,
            },
            "state": {"folder": str(self.folder), "socket": str(self.folder / "control.sock")},
            "models": {"detector_threads": 1, "embedder_threads": 1},
        }
        self.config.write_text(json.dumps(settings))
        self.client = ControlClient(parse_config(settings, "").socket_path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = self.folder / "notify"
        address.unlink(missing_ok=True)
        self.notify.bind(str(address))
        self.notify.settimeout(PATIENCE_S)

    def begin(self, thread, hangs):
        self.began_s = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._live(thread, hangs)
            finally:
                os._exit(99)

    def _live(self, thread, hangs):
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["NOTIFY_SOCKET"] = str(self.folder / "notify")
        os.environ.pop("JOURNAL_STREAM", None)  # of the probe's unit; events go to the console
        signal.signal(signal.SIGUSR1, lambda *_: tripped.set())
        if thread:
            trip(*THREADS[thread], hangs)
        sys.argv = ["facegate", "run", "--config", str(self.config)]
        try:
            main()
        except SystemExit as end:
            os._exit(end.code or 0)

    def await_ready(self):
        while b"READY=1" not in self.notify.recv(4096):
            pass

    def unlock(self):
        """Ask for a pulse; on so slow a processor the door may need to be asked again."""
        for patience in range(10, -1, -1):
            try:
                self.client.unlock()
                return
            except DaemonError:
                if not patience:
                    raise

    def await_event(self, name):
        end_s = time.monotonic() + PATIENCE_S
        while name not in self.log.read_text():
            assert time.monotonic() < end_s, f"no {name}: {self.log.read_text()}"
            time.sleep(0.02)

    def await_end(self):
        _, status = os.waitpid(self.pid, 0)
        self.ended_s = time.monotonic()
        return os.waitstatus_to_exitcode(status)


def trip(owner, name, hangs):
    """Have a method raise, or hang, from the moment that SIGUSR1 came."""
    whole = getattr(owner, name)

    def fail():
        if tripped.is_set():
            if hangs:
                print("hang on purpose", flush=True)
                threading.Event().wait()
            raise RuntimeError("crash on purpose")

    def one(*args, **options):
        fail()
        return whole(*args, **options)

    def each(*args, **options):
        for item in whole(*args, **options):
            fail()
            yield item

    setattr(owner, name, each if name == "frames" else one)


def round_of_lives(kind, unlocked, threads=(None, None, None, None), pulse_s=30.0):
    """Let one gate a wiring live and end; what became of each, without its edges yet.

    Args:
        unlocked: with which `active_low` the strike is released when the end comes.
        threads: which one crashes or hangs, by wiring.
    """
    hangs = kind == "hang"
    lives = [Life(n, *wiring, pulse_s) for n, wiring in enumerate(WIRINGS)]
    for life, thread in zip(lives, threads, strict=True):
        life.begin(thread, hangs)
    for life in lives:
        life.await_ready()
    if hangs:  # before the pulse, so that all of it falls into the hang
        for life in lives:
            os.kill(life.pid, signal.SIGUSR1)
        for life in lives:
            life.await_event("hang on purpose")
    for life in lives:
        if life.active_low in unlocked:
            life.unlock()
    for life in lives:
        if kind == "reload":
            os.kill(life.pid, signal.SIGHUP)
            life.await_event("settings_reloaded")
            os.kill(life.pid, signal.SIGTERM)
        elif kind == "crash":
            os.kill(life.pid, signal.SIGUSR1)
        elif not hangs:
            os.kill(life.pid, {"term": signal.SIGTERM, "kill": signal.SIGKILL}[kind])
    for life in lives:
        if hangs:
            life.await_event("pulse over")
            os.kill(life.pid, signal.SIGKILL)
    return [
        {
            "kind": kind,
            "thread": thread,
            "unlocked": life.active_low in unlocked,
            "pulse_s": pulse_s,
            "active_low": life.active_low,
            "pull": life.pull,
            "line": life.line,
            "status": life.await_end(),
            "span": (life.began_s, time.monotonic()),
            "log": life.log.read_text()[-2000:],
        }
        for life, thread in zip(lives, threads, strict=True)
    ]


def turned(names, number):
    """Give each wiring one of the names, in another round another one."""
    return [names[(number + n) % len(names)] for n in range(len(WIRINGS))]


def run(repeats, crashes, hangs):
    """Live through every kind of end.

    Args:
        repeats: lives a wiring that end by SIGTERM, SIGKILL, and after a reload; half of them
            unlocked, in turn.
        crashes: of each thread, unlocked with every wiring first.
        hangs: rounds; after three each thread but the door's hung once with every wiring.
    """
    vision = parts.load_vision(
        Config().model_copy(
            update={
                "models": parse_config(
                    {"models": {"detector_threads": 1, "embedder_threads": 1}}, ""
                ).models
            }
        )
    )
    parts.load_vision = daemon.parts.load_vision = lambda _: vision
    # Whether the networks are sound is not asked here: it takes this processor seconds.
    parts.Vision.canaries = property(
        lambda _: {name: (lambda _: np.ones(1, np.float32), (1,)) for name in CANARIES}
    )
    ended = []
    for number in range(repeats):
        for turn, kind in enumerate(("term", "kill", "reload")):
            ended += round_of_lives(kind, {(number + turn) % 2 == 1})
    for number in range(crashes):
        unlocked = BOTH if number // len(WIRINGS) % 2 == 0 else ()
        ended += round_of_lives("crash", unlocked, turned(list(THREADS), number))
    for number in range(hangs):
        hanging = turned(["capture", "detect", "identify"], number)
        ended += round_of_lives("hang", BOTH, hanging, HANG_PULSE_S)
    noted = Noted()
    for life in ended:
        begin_s, end_s = life.pop("span")
        life["edges"] = noted.edges(LABEL, life["line"], life["pull"], life["pull"], begin_s, end_s)
    return {"lives": ended, "lost": noted.lost}


if __name__ == "__main__":
    began_s = time.monotonic()
    out, *wanted = sys.argv[1:]
    result = run(*map(int, wanted))
    result["took_s"] = time.monotonic() - began_s
    Path(out).write_text(json.dumps(result))
