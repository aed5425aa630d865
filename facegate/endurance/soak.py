"""A soak run: a gate on a looping film, with something going wrong every few minutes."""

from __future__ import annotations

import gc
import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median

from facegate import parts
from facegate.access.store import Store
from facegate.config import Config, parse_config
from facegate.control.client import ControlClient
from facegate.control.server import ControlServer
from facegate.daemon import Gate
from facegate.demo import walkup
from facegate.endurance.leaks import Sample, growth_percent, sample
from facegate.endurance.theatre import SETTLE_S, Theatre, Visit, Who, acts
from facegate.errors import DaemonError
from facegate.hardware.fake import FakeOutput
from facegate.journal import Event, Journal
from facegate.recorder import Recorder

SAMPLE_S = 1.0
MAX_GROWTH_PERCENT = 2.0
WARM_UP_SHARE = 0.2
"""At first caches fill. What counts is what happens after this share of the run, and after every
fault was met once: each takes ways not gone before, and memory that is kept from then on."""

LOCKED_STORE_S = 2.0
SLOW_LOOK_S = 3.0
FROZEN_S = 4.0
RELAY_TRIES_S = 20.0
"""A broken relay is noticed at the next visit of somebody enrolled."""


@dataclass
class SoakResult:
    """What a soak run came to; `passed` is the verdict, `failures` the reasons against it."""

    minutes: float
    visits: int = 0
    decided: int = 0
    disturbed: int = 0
    undecided: int = 0
    missed: list[str] = field(default_factory=list)
    wrongly_granted: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    rss_mb: float = 0.0
    rss_growth_percent: float = 0.0
    threads: tuple[int, int] = (0, 0)
    files: tuple[int, int] = (0, 0)
    failures: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing leaked and every visit was decided."""
        return not self.failures


class Soak:
    """One run.

    Args:
        scratch: an empty folder.
        minutes: how long.
        fault_every_s: from the end of one fault to the next.
        say: takes lines for whoever waits.

    Attributes:
        samples: what the process held.
        fault_times: when each fault began, seconds since the start, and which.
    """

    def __init__(
        self, scratch: Path, minutes: float, fault_every_s: float, say: Callable[[str], None]
    ) -> None:
        self._minutes, self._every_s, self._say = minutes, fault_every_s, say
        self._config = _config(scratch)
        self._over = threading.Event()
        self._slow_s = 0.0
        self._relay: FakeOutput | None = None
        self._began_s = 0.0
        self._ended_by_fault = False
        self._counts: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._failures: list[str] = []
        self._restarts = 0
        self._all_met_s = math.inf
        self.samples: list[Sample] = []
        self.fault_times: list[tuple[float, str]] = []

    def run(self) -> SoakResult:
        """Run until time is up or the gate ends as it should not."""
        friend, stranger = walkup.portraits()
        scenes = _film(self._config, acts(friend, stranger))
        vision = parts.load_vision(self._config)
        self._theatre = Theatre(Path(self._config.camera.source.removeprefix("file:")), scenes)
        with parts.open_store(self._config, vision.model_id) as store:
            walkup.enrol(vision.reader, store, friend)
            self._began_s = time.monotonic()
            director = threading.Thread(target=self._direct, name="soak-director", daemon=True)
            director.start()
            try:
                while not self._over.is_set():
                    self._open_and_run(vision, store)
            finally:
                self._over.set()
                director.join(60)
        return self._result()

    def _open_and_run(self, vision: parts.Vision, store: Store) -> None:
        """Run a gate until it ends; of what `facegate run` adds, trail and socket alone."""
        journal = Journal(self._listen)
        with ExitStack() as stack:
            lines = stack.enter_context(parts.lines_from(self._config))
            assert isinstance(lines.relay, FakeOutput)
            self._relay = lines.relay
            trail = stack.enter_context(parts.open_audit(self._config))
            journal.add(stack.enter_context(Recorder(trail, self._failures.append)))
            eye = stack.enter_context(self._theatre.open())
            gate = Gate(
                self._config,
                vision,
                store,
                eye,
                lines,
                journal,
                observe=self._look,
                reopen=self._theatre.open,
            )
            stack.enter_context(
                ControlServer(self._config.socket_path, gate.commands, journal.emit)
            )
            try:
                gate.run(self._over)
            except DaemonError as error:
                if not self._ended_by_fault:
                    self._failures.append(f"the gate ended: {error}")
                    self._over.set()
                self._restarts += 1
        # systemd would start a new process; here the ended gate's cycles are let go instead.
        del gate, eye, lines
        gc.collect()

    def _listen(self, event: Event) -> None:
        self._counts[event.name] += 1
        if event.name == "stalled" and self._theatre.quiet:
            self._failures.append(event.message)
        if event.name in ("granted", "unknown"):
            self._theatre.decided(event.name)

    def _look(self, _: object) -> None:
        slow_s, self._slow_s = self._slow_s, 0.0
        if slow_s:
            self._over.wait(slow_s)

    # The director's thread: samples, and faults in turn.

    def _direct(self) -> None:
        try:
            self._sample_and_break()
        except Exception as error:  # a soak that only seems to run would be worse than none
            self._failures.append(f"the soak itself failed: {error!r}")
        finally:
            self._over.set()

    def _sample_and_break(self) -> None:
        faults = cycle(self._all_faults().items())
        end_s = self._began_s + self._minutes * 60
        due_s = self._began_s + self._every_s
        told_s = self._began_s
        while not self._over.wait(SAMPLE_S) and (now_s := time.monotonic()) < end_s:
            self.samples.append(sample(now_s - self._began_s, self._theatre.quiet))
            if now_s - told_s >= 60:
                told_s = now_s
                self._tell()
            if now_s >= due_s and end_s - now_s > RELAY_TRIES_S + SETTLE_S:
                name, fault = next(faults)
                self._faults[name] += 1
                self.fault_times.append((now_s - self._began_s, name))
                self._theatre.fault_began()
                fault()
                self._theatre.fault_ended()
                due_s = time.monotonic() + self._every_s
                if len(self._faults) == len(self._all_faults()):
                    self._all_met_s = min(self._all_met_s, due_s - self._every_s - self._began_s)

    def _all_faults(self) -> dict[str, Callable[[], None]]:
        return {
            "camera lost": self._lose_camera,
            "store locked": self._lock_store,
            "slow look": self._slow_look,
            "camera frozen": self._freeze_camera,
            "relay broken": self._break_relay,
            "commands given": self._ask_and_unlock,
        }

    def _lose_camera(self) -> None:
        before = self._counts["camera_back"]
        self._theatre.refusals = 2
        self._theatre.break_now.set()
        self._wait_for(lambda: self._counts["camera_back"] > before, 30, "the camera to come back")

    def _lock_store(self) -> None:
        """Hold the store as another program might; a change asked for meanwhile waits its turn."""
        holder = threading.Thread(target=self._hold_store, name="soak-holder")
        holder.start()
        client = ControlClient(self._config.socket_path)
        name = client.people()[0].name
        client.rename(name, name[:-1] if name.endswith("!") else f"{name}!")
        holder.join()

    def _hold_store(self) -> None:
        other = sqlite3.connect(self._config.store_path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            self._over.wait(LOCKED_STORE_S)
            other.execute("COMMIT")
        finally:
            other.close()

    def _slow_look(self) -> None:
        self._slow_s = SLOW_LOOK_S
        self._over.wait(SLOW_LOOK_S)

    def _freeze_camera(self) -> None:
        self._theatre.freeze_s = FROZEN_S
        self._over.wait(FROZEN_S)

    def _break_relay(self) -> None:
        """End the gate as a dead relay must; it is started again with a working one."""
        before, relay = self._restarts, self._relay
        assert relay is not None
        self._ended_by_fault = True
        relay.failure = "no such device"
        self._wait_for(lambda: self._restarts > before, RELAY_TRIES_S, "the gate to end")
        self._wait_for(lambda: self._relay is not relay, 10, "the gate to start again")
        self._ended_by_fault = False

    def _ask_and_unlock(self) -> None:
        client = ControlClient(self._config.socket_path)
        for _ in range(20):
            client.status()
        client.unlock()

    def _wait_for(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        end_s = time.monotonic() + seconds
        while not condition() and not self._over.wait(0.05):
            if time.monotonic() > end_s:
                self._failures.append(f"waited {seconds:g} s in vain for {what}")
                return

    def _tell(self) -> None:
        last = self.samples[-1]
        self._say(
            f"{last.at_s / 60:5.1f} min  {last.rss_mb:.1f} MiB, {last.threads} threads, "
            f"{last.files} files, {len(self._theatre.visits)} visits, "
            f"{sum(self._faults.values())} faults"
        )

    # The verdict.

    def _result(self) -> SoakResult:
        ran_s = self.samples[-1].at_s if self.samples else 0.0
        whole = [v for v in self._theatre.visits if v.ended_s is not None][:-1]
        calm = [v for v in whole if not v.disturbed]
        warm_s = max(WARM_UP_SHARE * ran_s, self._all_met_s)
        counted = [s for s in self.samples if s.quiet and s.at_s >= warm_s]
        result = SoakResult(
            minutes=round(ran_s / 60, 2),
            visits=len(whole),
            decided=sum(v.decided for v in whole),
            disturbed=sum(v.disturbed for v in whole),
            undecided=sum(not v.decided for v in calm),
            wrongly_granted=sum(v.verdict == "granted" and v.who == "stranger" for v in whole),
            faults=dict(self._faults),
            events=dict(self._counts),
            restarts=self._restarts,
            failures=self._failures,
        )
        if len(counted) < 10:
            result.failures.append("too short to say anything about leaks; run it longer")
            return result
        third = max(1, len(counted) // 3)
        first, last = counted[:third], counted[-third:]
        result.rss_mb = round(median(s.rss_mb for s in counted), 1)
        growth = growth_percent([s.at_s for s in counted], [s.rss_mb for s in counted])
        result.rss_growth_percent = round(growth, 3)
        result.threads = (_usual([s.threads for s in first]), _usual([s.threads for s in last]))
        result.files = (_usual([s.files for s in first]), _usual([s.files for s in last]))
        result.missed = [
            f"{v.who} at {(v.began_s - self._began_s) / 60:.1f} min: {v.verdict or 'no verdict'}"
            for v in calm
            if not v.decided
        ]
        result.failures += _complaints(result, calm, self._theatre)
        return result


def _film(config: Config, script: tuple[walkup.Act, ...]) -> list[Who | None]:
    """Write the film, and give who is in each of its frames."""
    walkup.write_film(Path(config.camera.source.removeprefix("file:")), script)
    scenes: list[Who | None] = []
    for act in script:
        who: Who | None = "friend" if act.title == "friend" else "stranger"
        scenes += [who if act.actors else None] * walkup.frame_count(act)
    return scenes


def _config(scratch: Path) -> Config:
    return parse_config(
        {
            "camera": {
                "source": f"file:{scratch / 'film.avi'}",
                "loop": True,
                "reopen_wait_s": 0.5,
            },
            "state": {
                "folder": str(scratch / "state"),
                "socket": str(scratch / "control.sock"),
            },
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": 1.0},
        },
        "soak",
    )


def _usual(counts: list[int]) -> int:
    return int(median(counts))


def _complaints(result: SoakResult, calm: list[Visit], theatre: Theatre) -> list[str]:
    wrong = []
    if not calm:
        wrong.append("no visit was left undisturbed")
    if result.undecided:
        wrong.append(
            f"{result.undecided} undisturbed visits were not decided rightly: "
            f"{'; '.join(result.missed[:3])}"
        )
    if result.wrongly_granted:
        wrong.append(f"{result.wrongly_granted} strangers were let in")
    if result.rss_growth_percent > MAX_GROWTH_PERCENT:
        wrong.append(f"memory grew by {result.rss_growth_percent:.2f} %")
    for what in ("threads", "files"):
        before, after = getattr(result, what)
        if after > before:
            wrong.append(f"{what}: {before} at first, {after} at the end")
    if theatre.most_open > 1:
        wrong.append(f"{theatre.most_open} cameras were open at once")
    if theatre.open_cameras:
        wrong.append(f"{theatre.open_cameras} cameras were never closed")
    return wrong
