"""The gate: four threads from the camera to the relay.

capture → [frames] → detect → [faces] → identify → [decisions] → act

Between the first three the newest item wins (or, for files worked off as fast as possible, the
camera waits); a grant is never dropped. The act thread owns the door: it releases the relay on
time even if every other thread hangs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from facegate import parts
from facegate.access.door import Door, Outcome
from facegate.access.enrolment import EnrolmentSession, check_newcomer
from facegate.access.matcher import Matcher
from facegate.access.policy import Look, Policy, identity_of
from facegate.access.store import Person, Store
from facegate.config import Config
from facegate.errors import DaemonError, InputError, LineError, ModelError
from facegate.hardware.camera import Camera
from facegate.hardware.lines import OutputLine
from facegate.journal import EventName, Journal, notify_systemd
from facegate.pipeline.pipeline import Pipeline, Stage
from facegate.pipeline.queue import Channel, ChannelClosed, Overflow
from facegate.types import F32, Decision, Frame, Identity, Match, Quality, Track, Verdict
from facegate.vision.faces import Face
from facegate.vision.quality import ADVICE
from facegate.vision.tracker import Tracker

DECISIONS_KEPT = 16
ACT_TICK_S = 0.1
WATCHDOG_S = 2.0


@dataclass(frozen=True)
class FacesSeen:
    """A frame with its tracks, and the numbers of all tracks that have not ended."""

    frame: Frame
    tracks: tuple[Track, ...]
    alive: frozenset[int]


@dataclass(frozen=True)
class Seen:
    """What an observer is shown of every identified frame: tracks, qualities, decisions."""

    frame: Frame
    faces: tuple[tuple[Track, Quality], ...]
    decisions: tuple[Decision, ...]


class Gate:
    """The parts of one door, and the threads that join them.

    Args:
        config: settings.
        vision: networks.
        store: enrolled people; closed by its owner.
        camera: frames; closed by its owner.
        relay: the strike's line, inactive; closed by its owner.
        journal: where events go.
        observe: called from the identify thread for every frame (the demo draws with it).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        config: Config,
        vision: parts.Vision,
        store: Store,
        camera: Camera,
        relay: OutputLine,
        journal: Journal,
        observe: Callable[[Seen], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._vision, self._store = config, vision, store
        self._camera, self._journal, self._observe, self._clock = camera, journal, observe, clock
        self._tracker = Tracker(
            config.detection.track_min_iou, config.detection.track_max_lost_frames
        )
        self._door = Door(relay, config.door.pulse_s, config.door.max_decision_age_s, clock)
        gallery = store.gallery()
        self._revision = store.revision
        self._names = dict(gallery.names)
        self._matcher = Matcher(gallery)
        self._policy = Policy(
            parts.policy_settings(config, vision.calibration, len(self._names)),
            vision.calibration.probability,
            lambda person: self._names.get(person),
            clock,
        )
        fast = config.camera.pacing == "fast" and camera.description.startswith("file")
        overflow: Overflow = "wait" if fast else "drop-oldest"
        self.frames: Channel[Frame] = Channel(1, overflow)
        self.faces: Channel[FacesSeen] = Channel(1, overflow)
        self.decisions: Channel[Decision] = Channel(
            DECISIONS_KEPT, keep=lambda d: d.verdict is Verdict.GRANT
        )
        self._refused: dict[int, tuple[str, ...]] = {}
        self._enrolment: EnrolmentSession | None = None
        self._enrolling = threading.Lock()
        self._started_at_s = clock()
        self._recent: deque[float] = deque(maxlen=30)
        self._last_event = "none"

    def run(self, stopping: threading.Event) -> None:
        """Run until the camera ends, `stopping` is set, or a part fails; then lock the door.

        Raises:
            DaemonError: a part failed or would not stop.
        """
        people, limit = len(self._names), self._policy.settings.threshold
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
            Stage("act", self._act, self._door.lock),
        ]
        try:
            with Pipeline(stages, self._wake) as pipeline:
                while not stopping.is_set() and not pipeline.wait(WATCHDOG_S):
                    notify_systemd(f"WATCHDOG=1\nSTATUS={self._status_line()}")
                    if stopping.is_set():
                        break
        finally:
            notify_systemd("STOPPING=1")
            with suppress(LineError):  # the act thread failed by it; closing the line releases it
                self._door.lock()

    @property
    def channels(self) -> dict[str, Channel[Any]]:
        """The three channels by name."""
        return {"frames": self.frames, "faces": self.faces, "decisions": self.decisions}

    def _wake(self) -> None:
        for channel in self.channels.values():
            channel.close()

    # The four threads.

    def _capture(self, stopping: threading.Event) -> None:
        for frame in self._camera.frames(stopping):
            try:
                self.frames.put(frame)
            except ChannelClosed:
                return

    def _detect(self, stopping: threading.Event) -> None:
        for frame in self.frames:
            if stopping.is_set():
                return
            detections = self._vision.reader.find(frame.pixels, frame.small)
            tracks = self._tracker.update(detections, frame.captured_at_s)
            self._recent.append(frame.captured_at_s)
            try:
                self.faces.put(FacesSeen(frame, tuple(tracks), self._tracker.alive))
            except ChannelClosed:
                return

    def _identify(self, stopping: threading.Event) -> None:
        for seen in self.faces:
            if stopping.is_set():
                return
            self._reload_if_changed()
            self._policy.forget_all_but(seen.alive)
            self._refused = {t: r for t, r in self._refused.items() if t in seen.alive}
            enrolment = self._enrolment
            if enrolment is not None:
                self._collect(enrolment, seen)
                continue
            decisions = []
            faces = []
            for track in seen.tracks:
                face = self._vision.reader.look(seen.frame.pixels, track.detection)
                faces.append((track, face.quality))
                if self._policy.settled(track.track_id):
                    continue
                decision = self._look_at(track, face, seen.frame)
                if decision is None:
                    continue
                decisions.append(decision)
                if decision.verdict is not Verdict.WAIT:
                    try:
                        self.decisions.put(decision)
                    except ChannelClosed:
                        return
            if self._observe:
                self._observe(Seen(seen.frame, tuple(faces), tuple(decisions)))

    def _act(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            wait_s = ACT_TICK_S
            if self._door.deadline_s is not None:
                wait_s = min(wait_s, max(0.0, self._door.deadline_s - self._clock()))
            try:
                decision = self.decisions.get(wait_s)
            except ChannelClosed:
                # No more decisions will come; a running pulse still ends on its own time.
                if self._door.deadline_s is None:
                    return
                stopping.wait(max(0.0, self._door.deadline_s - self._clock()))
                decision = None
            if self._door.tick():
                self._emit_locked()
            if decision is not None:
                self._act_on(decision)

    # What they do with one item.

    def _look_at(self, track: Track, face: Face, frame: Frame) -> Decision | None:
        if not face.quality.passed:
            reasons = face.quality.reasons
            if self._refused.get(track.track_id) != reasons:
                self._refused[track.track_id] = reasons
                self._journal.emit(
                    "face_refused",
                    f"track {track.track_id}: {ADVICE[reasons[0]]}",
                    track=track.track_id,
                    reasons=",".join(reasons),
                    seq=frame.seq,
                )
            return None
        match = self._matcher.match(self._vision.reader.embed(face).vector)
        return self._policy.decide(Look(track.track_id, match, frame.captured_at_s, frame.seq))

    def _act_on(self, decision: Decision) -> None:
        outcome = self._door.apply(decision)
        latency_ms = (self._clock() - decision.captured_at_s) * 1000
        facts: dict[str, str | int | float] = {
            "track": decision.track_id,
            "seq": decision.seq,
            "reason": decision.reason,
            "distance": decision.distance,
            "confidence": decision.confidence,
        }
        name = decision.name or "unknown"
        if outcome is Outcome.TOO_OLD:
            self._say("decision_too_old", f"{name}: decided too late, not opened", facts)
        elif decision.verdict is Verdict.GRANT:
            facts["latency_ms"] = latency_ms
            self._say("granted", f"{name}: come in", facts)
            if outcome is Outcome.UNLOCKED:
                self._say("door_unlocked", f"for {self._config.door.pulse_s:g} s", {})
        elif decision.verdict is Verdict.DENY:
            self._say("denied", f"{name}: not let in", facts)
        else:
            self._say("unknown", "nobody enrolled looks like this", facts)

    def _say(self, name: EventName, message: str, facts: dict[str, str | int | float]) -> None:
        self._last_event = f"{name}: {message}"
        self._journal.emit(name, message, **facts)

    def _emit_locked(self) -> None:
        self._say("door_locked", "pulse over", {})

    def _reload_if_changed(self) -> None:
        revision = self._store.revision
        if revision == self._revision:
            return
        gallery = self._store.gallery()
        self._matcher.replace(gallery)
        self._names = dict(gallery.names)
        self._policy.settings = parts.policy_settings(
            self._config, self._vision.calibration, len(self._names)
        )
        self._revision = revision
        self._journal.emit(
            "store_reloaded", f"{len(self._names)} people enrolled", people=len(self._names)
        )

    # Enrolment with the gate's camera.

    def _collect(self, session: EnrolmentSession, seen: FacesSeen) -> None:
        now_s = seen.frame.captured_at_s
        if len(seen.tracks) != 1:
            session.refuse("nobody to be seen" if not seen.tracks else "one person at a time")
            return
        if not session.wants(now_s):
            return
        face = self._vision.reader.look(seen.frame.pixels, seen.tracks[0].detection)
        if face.quality.passed:
            session.offer(self._vision.reader.embed(face), now_s)
        else:
            session.refuse(ADVICE[face.quality.reasons[0]])

    def enrol(
        self, name: str, allow_duplicate: bool, progress: Callable[[int, str], None]
    ) -> Person:
        """Enrol the person in front of the camera; blocks until done, called from another thread.

        Args:
            name: who it is.
            allow_duplicate: skip the check whether the face is enrolled under another name.
            progress: called with the looks collected so far and what to do next.

        Raises:
            InputError: the name is taken or unusable, the face is enrolled already, or time is up.
            DaemonError: another enrolment is going on.
        """
        self._store.check_new_name(name)
        if not self._enrolling.acquire(blocking=False):
            raise DaemonError("another enrolment is going on; wait for it to end")
        try:
            session = EnrolmentSession(
                name,
                parts.enrolment_settings(self._config),
                self._vision.calibration.midpoint,
                self._clock(),
            )
            self._enrolment = session
            pause = threading.Event()
            said = ""
            while not session.done and not session.expired(self._clock()):
                if session.guidance != said:
                    said = session.guidance
                    progress(session.captured, said)
                if self.faces.closed:
                    raise DaemonError("the camera has stopped; nobody was enrolled")
                pause.wait(0.05)
            if not session.done:
                raise InputError(
                    f"{name}: only {session.captured} good looks in time ({session.guidance}); "
                    "nobody was enrolled"
                )
            return self.add(name, session.vectors(), self._vision.model_id, allow_duplicate)
        except InputError as error:
            self._journal.emit("enrolment_refused", str(error))
            raise
        finally:
            self._enrolment = None
            self._enrolling.release()

    # What the control socket offers.

    def add(
        self, name: str, vectors: list[F32], model_id: str, allow_duplicate: bool = False
    ) -> Person:
        """Enrol a person from embeddings made elsewhere with the same model."""
        self._check_model(model_id)
        matches: list[Match] = [] if allow_duplicate else [self._matcher.match(v) for v in vectors]
        check_newcomer(
            name,
            vectors,
            matches,
            self._names,
            self._policy.settings.threshold,
            self._vision.calibration.midpoint,
        )
        person = self._store.add(name, vectors)
        self._journal.emit(
            "enrolled", f"{person.name}, {person.templates} templates", person=person.person_id
        )
        return person

    def identify(self, vectors: list[F32], model_id: str) -> list[Identity]:
        """Say who embeddings made elsewhere with the same model are, one look each."""
        self._check_model(model_id)
        return [
            identity_of(
                self._matcher.match(v),
                self._names,
                self._policy.settings.threshold,
                self._vision.calibration.probability,
            )
            for v in vectors
        ]

    def _check_model(self, model_id: str) -> None:
        if model_id != self._vision.model_id:
            raise ModelError(
                f"embeddings of model {model_id}, the daemon runs {self._vision.model_id}; "
                "use the same models.embedder"
            )

    def rename(self, old: str, new: str) -> Person:
        """Give a person another name."""
        person = self._store.rename(old, new)
        self._journal.emit("person_renamed", f"now {person.name}", person=person.person_id)
        return person

    def remove(self, name: str) -> Person:
        """Forget a person."""
        person = self._store.remove(name)
        self._journal.emit("person_removed", f"person {person.person_id}", person=person.person_id)
        return person

    def people(self) -> list[Person]:
        """List who is enrolled."""
        return self._store.people()

    def status(self) -> dict[str, object]:
        """Say how the gate is doing."""
        recent = list(self._recent)
        span_s = recent[-1] - recent[0] if len(recent) > 1 else 0.0
        return {
            "camera": self._camera.description,
            "uptime_s": self._clock() - self._started_at_s,
            "detected_fps": (len(recent) - 1) / span_s if span_s > 0 else 0.0,
            "door": self._door.state.value,
            "people": len(self._names),
            "threshold": self._policy.settings.threshold,
            "model_id": self._vision.model_id,
            "enrolling": self._enrolment is not None,
            "last_event": self._last_event,
            "queues": {
                name: {**asdict(channel.counts), "capacity": channel.capacity}
                for name, channel in self.channels.items()
            },
        }

    def _status_line(self) -> str:
        status = self.status()
        return f"{status['detected_fps']:.1f} fps, {status['people']} people, {self._last_event}"


def with_overrides(config: Config, camera: str | None, fake_relay: bool) -> Config:
    """Apply the options of `facegate run` to the configuration."""
    if camera:
        config = config.model_copy(
            update={"camera": config.camera.model_copy(update={"source": camera})}
        )
    if fake_relay:
        relay = config.door.relay.model_copy(update={"driver": "fake"})
        config = config.model_copy(update={"door": config.door.model_copy(update={"relay": relay})})
    return config
