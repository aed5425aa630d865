"""The gate: four threads from the camera to the relay.

capture → [frames] → detect → [faces] → identify → [decisions] → act

Between the first three the newest item wins (or, for files worked off as fast as possible, the
camera waits); a grant is never dropped. What the identify thread does is in `recogniser`, what the
act thread does in `doorkeeper`: it owns the door, and releases the relay on time even if every
other thread hangs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from facegate import parts
from facegate.access.arming import Arming
from facegate.access.door import Door
from facegate.access.lockdown import LockdownMark
from facegate.access.store import Store
from facegate.canary import Canary
from facegate.commands import Commands
from facegate.config import Config
from facegate.doorkeeper import DoorKeeper
from facegate.enroller import Enroller
from facegate.errors import LineError, StoreError
from facegate.hardware.camera import Camera
from facegate.hardware.camera_reopen import LastingCamera, Reopening
from facegate.hardware.panel import Panel, PanelState
from facegate.health import Health
from facegate.heartbeat import Heartbeat
from facegate.journal import Journal, notify_systemd
from facegate.pipeline.pipeline import Pipeline, Stage
from facegate.pipeline.queue import Channel, ChannelClosed, Overflow
from facegate.recogniser import FacesSeen, Recogniser, Seen
from facegate.reload import merge
from facegate.roster import Members, Roster
from facegate.types import Frame
from facegate.vision.tracker import Tracker

FRESH_S = 2.0
"""A frame that is older tells nothing of how many come a second."""
STOP_LOOK_S = 0.1
"""Within so long it is noticed that the gate is to stop, and chores are done."""


class Gate:
    """The parts of one door, and the threads that join them.

    Args:
        config: settings.
        vision: networks.
        store: enrolled people; closed by its owner.
        camera: frames; closed by its owner.
        lines: relay, inactive, inputs and lamps; closed by their owner.
        journal: where events go.
        observe: called from the identify thread for every frame (the demo draws with it).
        clock: monotonic seconds.
        reopen: opens the camera again when it is lost; without it a lost camera ends the gate.

    Attributes:
        commands: what the control socket offers.
    """

    def __init__(
        self,
        config: Config,
        vision: parts.Vision,
        store: Store,
        camera: Camera,
        lines: parts.Lines,
        journal: Journal,
        observe: Callable[[Seen], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        reopen: Callable[[], Camera] | None = None,
    ) -> None:
        self._config, self._vision, self._store = config, vision, store
        self._journal, self._clock = journal, clock
        self._camera = LastingCamera(
            camera,
            reopen,
            Reopening(config.camera.reopen_attempts, config.camera.reopen_wait_s),
            lost=lambda why: journal.emit("camera_lost", why),
            back=self._camera_back,
            clock=clock,
        )
        self._tracker = Tracker(config.detection.track_max_lost_frames)
        self._roster = Roster(
            config,
            vision.calibration,
            store,
            unread=lambda why: journal.emit("store_unread", why),
            clock=clock,
        )
        self._enroller = Enroller(
            config,
            vision,
            store,
            self._roster,
            journal,
            clock,
            watching=lambda: not self.faces.closed,
            ended=lambda well: self._keeper.flash(
                PanelState.ENROLLED if well else PanelState.DENIED
            ),
        )
        contact = lines.inputs.get("contact")
        self._keeper = DoorKeeper(
            Door(
                lines.relay,
                parts.door_settings(config),
                clock,
                is_open=contact is not None and contact.read(),
            ),
            lines.inputs,
            Panel(lines.lamps, clock),
            parts.schedule(config),
            Arming(config.enrolment.arm_s, clock),
            self._enroller,
            journal,
            clock,
            locked_down=LockdownMark(config.lockdown_path).on,
        )
        self._roster.told = self._tell_keeper
        self._tell_keeper(self._roster.now)
        self._canaries = {
            name: Canary(name, ask, shape, clock) for name, (ask, shape) in vision.canaries.items()
        }
        self._recogniser = Recogniser(
            vision,
            self._roster,
            self._enroller,
            self._keeper,
            self._canaries["embedder"],
            journal,
            self._tracker.end,
            observe,
        )
        self.commands = Commands(
            config, vision, store, self._roster, self._enroller, self._keeper, journal, self.status
        )
        fast = config.camera.pacing == "fast" and camera.description.startswith("file")
        overflow: Overflow = "wait" if fast else "drop-oldest"
        self.frames: Channel[Frame] = Channel(1, overflow)
        self.faces: Channel[FacesSeen] = Channel(1, overflow)
        self.decisions = self._keeper.decisions
        self._started_at_s = clock()
        self._recent: deque[float] = deque(maxlen=30)
        self._stalled: list[str] = []

    def run(self, stopping: threading.Event, chores: Callable[[], None] = lambda: None) -> None:
        """Run until the camera ends, `stopping` is set, or a part fails; then lock the door.

        Args:
            stopping: ends it.
            chores: called every `STOP_LOOK_S` from the thread that called this.

        Raises:
            DaemonError: a part failed or would not stop.
        """
        members = self._roster.now
        people, limit = len(members.names), members.limits.threshold
        self._journal.emit(
            "ready",
            f"looking through {self._camera.description}; {people} people enrolled",
            people=people,
            threshold=limit,
            model=self._vision.model_id,
        )
        notify_systemd("READY=1")
        stages = [
            Stage("capture", self._capture, self.frames.close),
            Stage("detect", self._detect, self.faces.close),
            Stage("identify", self._identify, self.decisions.close),
            Stage("act", self._keeper.run, self._keeper.lock),
        ]
        try:
            with Pipeline(stages, self._wake) as pipeline:
                heartbeat = self._heartbeat()
                while not stopping.is_set() and not pipeline.wait(STOP_LOOK_S):
                    heartbeat.beat_if_due()
                    with suppress(StoreError):  # the heartbeat tells; who is in memory stays
                        self._roster.reload_if_changed()
                    self._keeper.stalled, self._stalled = heartbeat.amiss, heartbeat.stalled
                    chores()
        finally:
            with suppress(LineError):  # the act thread failed by it; closing the line releases it
                self._keeper.lock()
            notify_systemd("STOPPING=1")
            self._keeper.close()

    def _heartbeat(self) -> Heartbeat:
        """Count the work of every part; what waits for a lost camera counts as alive."""
        health = Health(
            {
                "camera": lambda: self.frames.counts.put + self._camera.signs,
                "detector": lambda: self.faces.counts.put + self._camera.signs,
                "embedder": lambda: self.faces.counts.got + self._camera.signs,
                "door": lambda: self._keeper.beats,
            },
            self._clock,
            chain=("camera", "detector", "embedder"),
        )
        return Heartbeat(
            health,
            read_store=lambda: self._store.revision,
            camera_lost=lambda: self._camera.lost_for,
            status_line=self._status_line,
            tell=notify_systemd,
            journal=self._journal,
            clock=self._clock,
            resumed=self._ask_canaries_soon,
        )

    def _tell_keeper(self, members: Members) -> None:
        self._keeper.follow(
            members.admins, members.duress, members.groups, members.passes, members.names
        )

    def _camera_back(self, away_s: float) -> None:
        self._journal.emit("camera_back", f"pictures again after {away_s:.1f} s", away_s=away_s)
        self._ask_canaries_soon()

    def _ask_canaries_soon(self) -> None:
        for canary in self._canaries.values():
            canary.ask_soon()

    @property
    def channels(self) -> dict[str, Channel[Any]]:
        """The three channels by name."""
        return {"frames": self.frames, "faces": self.faces, "decisions": self.decisions}

    def _wake(self) -> None:
        for channel in self.channels.values():
            channel.close()

    # The first three threads; the fourth is the keeper's.

    def _capture(self, stopping: threading.Event) -> None:
        try:
            for frame in self._camera.frames(stopping):
                self.frames.put(frame)
        except ChannelClosed:
            return
        finally:
            self._camera.close()

    def _detect(self, stopping: threading.Event) -> None:
        for frame in self.frames:
            if stopping.is_set():
                return
            self._canaries["detector"].ask_if_due()
            self._canaries["refiner"].ask_if_due()
            detections = self._vision.reader.find(frame.pixels, frame.small)
            tracks = self._tracker.update(detections, frame.captured_at_s)
            self._recent.append(frame.captured_at_s)
            try:
                self.faces.put(FacesSeen(frame, tuple(tracks), self._tracker.alive))
            except ChannelClosed:
                return

    def _identify(self, stopping: threading.Event) -> None:
        self._recogniser.run(self.faces, stopping)

    def obey(self, wanted: Config) -> None:
        """Take on changed settings, as far as they need no restart; say which do."""
        merged, waiting = merge(self._config, wanted)
        # The door first: where it does not answer, nothing has changed.
        self._keeper.obey(parts.door_settings(merged), parts.schedule(merged))
        self._config = self.commands.config = merged
        self._roster.obey(merged)
        later = f"; a restart is needed for {', '.join(waiting)}" if waiting else ""
        self._keeper.say("settings_reloaded", f"access, door and hours are in force{later}")

    def status(self) -> dict[str, object]:
        """Say how the gate is doing."""
        recent = list(self._recent)
        if recent and self._clock() - recent[-1] > FRESH_S:
            recent = []
        members = self._roster.now
        people, threshold = len(members.names), members.limits.threshold
        strangers = self._vision.calibration.false_accepts(threshold, people)
        span_s = recent[-1] - recent[0] if len(recent) > 1 else 0.0
        return {
            "camera": self._camera.description,
            "camera_lost": self._camera.lost_for,
            "stalled": self._stalled,
            "uptime_s": self._clock() - self._started_at_s,
            "detected_fps": (len(recent) - 1) / span_s if span_s > 0 else 0.0,
            **self._keeper.state,
            "people": people,
            "threshold": threshold,
            "false_accepts_per_1000": strangers.per_1000,
            "false_accepts_measured": strangers.measured,
            "model_id": self._vision.model_id,
            "enrolling": self._enroller.active,
            "last_event": self._keeper.last_event,
            "queues": {
                name: {**asdict(channel.counts), "capacity": channel.capacity}
                for name, channel in self.channels.items()
            },
        }

    def _status_line(self) -> str:
        status = self.status()
        fps, people = status["detected_fps"], status["people"]
        return f"{fps:.1f} fps, {people} people, {self._keeper.last_event}"
