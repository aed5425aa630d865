"""The identify thread: who the faces in a frame are, look by look, until an answer stands."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from facegate import parts
from facegate.access.continuity import Continuity
from facegate.access.patience import LOOKS_IN_VAIN, Patience
from facegate.access.policy import NOT_TURNED, TURN_WANTED, Look, Policy
from facegate.canary import Canary
from facegate.doorkeeper import DoorKeeper
from facegate.enroller import Enroller
from facegate.hardware.panel import PanelState
from facegate.journal import Journal
from facegate.pipeline.queue import Channel, ChannelClosed
from facegate.roster import Roster
from facegate.types import Decision, Frame, Quality, Track, Verdict
from facegate.vision.faces import Face
from facegate.vision.quality import ADVICE

ADVICE_LIGHTS = {
    "too_small": PanelState.COME_CLOSER,
    "too_dark": PanelState.TOO_DARK,
    "turned_away": PanelState.TURN_TO_ME,
}
"""What the panel says to a face that was refused for a reason; else that it is looking."""

SAME_FACE = 0.9
"""Probability from which two looks at one track are taken for one person. Looks seconds apart are
more alike than the pictures behind the calibration. At even odds one stranger in 37 who steps into
somebody's place would pass unnoticed at a look, at this one in 240 (the shipped card's rates)."""


@dataclass(frozen=True)
class FacesSeen:
    """A frame with its tracks, and the numbers of all tracks that have not ended."""

    frame: Frame
    tracks: tuple[Track, ...]
    alive: frozenset[int]


@dataclass(frozen=True)
class Seen:
    """What an observer is shown of every identified frame: tracks, qualities, decisions.

    A track whose answer stands, or that shows nobody for long, is not looked at in every frame, and
    has no quality then.
    """

    frame: Frame
    faces: tuple[tuple[Track, Quality | None], ...]
    decisions: tuple[Decision, ...]


class Recogniser:
    """Looks at every face whose answer does not stand yet, and hands decisions to the door.

    Whoever was not judged yet comes first, whatever else the frame shows; whoever shows nobody for
    long comes last, and not in every frame.

    Args:
        vision: networks.
        roster: who is enrolled.
        enroller: takes the frames while somebody is being enrolled.
        keeper: of the door; takes the decisions, and says on the panel what a visitor should do.
        canary: of the embedder, which is asked between frames.
        journal: where events go.
        end_track: called with the number of a track that shows somebody else than before.
        observe: called for every frame, from the identify thread.
    """

    def __init__(
        self,
        vision: parts.Vision,
        roster: Roster,
        enroller: Enroller,
        keeper: DoorKeeper,
        canary: Canary,
        journal: Journal,
        end_track: Callable[[int], None],
        observe: Callable[[Seen], None] | None,
    ) -> None:
        self._vision, self._roster, self._enroller, self._keeper = vision, roster, enroller, keeper
        self._canary, self._journal = canary, journal
        self._end_track, self._observe = end_track, observe
        self._continuity = Continuity(vision.calibration.distance_at(SAME_FACE))
        self._patience = Patience()
        self._members = roster.now
        self._policy = Policy(
            self._members.limits,
            vision.calibration.probability,
            lambda person: self._members.names.get(person),
        )
        self._refused: dict[int, tuple[str, ...]] = {}
        self._asked_to_turn: set[int] = set()
        self._turning = False
        self._follow()

    def run(self, faces: Channel[FacesSeen], stopping: threading.Event) -> None:
        """Work frames off until none come any more or `stopping` is set.

        Raises:
            ModelError: the embedder answers a known picture otherwise than at the start.
        """
        for seen in faces:
            if stopping.is_set():
                return
            self._canary.ask_if_due()
            self._follow_if_changed()
            now_s = seen.frame.captured_at_s
            left = self._policy.forget_all_but(seen.alive)
            if not all(map(self._hand_over, left)):
                return
            for track_id in self._keeper.unused.due(seen.alive):
                self._policy.begin_anew(track_id)
            self._continuity.forget_all_but(seen.alive)
            self._patience.forget_all_but(seen.alive)
            self._refused = {t: r for t, r in self._refused.items() if t in seen.alive}
            self._asked_to_turn &= seen.alive
            if self._enroller.active:
                self._enroller.collect(seen.frame, seen.tracks)
                continue
            decisions: list[Decision] = []
            faces_seen: list[tuple[Track, Quality | None]] = []
            tracks = [t for t in seen.tracks if not self._continuity.over(t.track_id)]
            self._turning = any(self._policy.awaits_turn(t.track_id, now_s) for t in tracks)
            left_out = self._left_out({t.track_id for t in tracks}, now_s)
            for track in sorted(tracks, key=self._turn):
                if track.track_id in left_out:
                    faces_seen.append((track, None))
                    continue
                self._patience.look(track.track_id, now_s)
                face = self._vision.reader.look(seen.frame.pixels, track.detection)
                faces_seen.append((track, face.quality))
                decision = self._look_at(track, face, seen.frame)
                if decision is None:
                    continue
                decisions.append(decision)
                if not self._hand_over(decision):
                    return
            if self._observe:
                self._observe(Seen(seen.frame, tuple(faces_seen), tuple(decisions)))

    def _hand_over(self, decision: Decision) -> bool:
        """Give the door a decision, unless it is to wait; returns whether the door takes any."""
        if decision.verdict is not Verdict.WAIT:
            try:
                self._keeper.decisions.put(decision)
            except ChannelClosed:
                return False
        return True

    def _left_out(self, numbers: set[int], now_s: float) -> set[int]:
        """Say which tracks of a frame captured at `now_s` are not looked at in it."""
        settled = {n for n in numbers if self._policy.settled(n)}
        checked = {n for n in settled if not self._continuity.due(n, now_s)}
        return checked | self._patience.left_out(numbers - checked, now_s)

    def _turn(self, track: Track) -> tuple[bool, bool]:
        """Give what the tracks of a frame are sorted by; else the best-seen comes first."""
        return self._patience.can_wait(track.track_id), self._policy.judged(track.track_id)

    def _look_at(self, track: Track, face: Face, frame: Frame) -> Decision | None:
        embedded = face.quality.passed
        face, embedding = self._vision.reader.read(face)
        if embedding is None:
            if embedded:  # else it cost little
                self._patience.learn(track.track_id, in_vain=True)
            self._refuse(track, face, frame)
            return None
        self._advise(PanelState.LOOKING)
        vector = embedding.vector
        if not self._continuity.same(track.track_id, vector, frame.captured_at_s):
            self._end_track(track.track_id)
            self._journal.emit(
                "person_changed",
                f"track {track.track_id}: somebody else stepped in",
                track=track.track_id,
                seq=frame.seq,
            )
            return None
        if self._policy.settled(track.track_id):
            return None
        match = self._members.matcher.match(vector)
        yaw = face.quality.yaw
        decision = self._policy.decide(
            Look(track.track_id, match, frame.captured_at_s, frame.seq, yaw)
        )
        in_vain = decision.person_id is None or decision.reason == NOT_TURNED
        self._patience.learn(track.track_id, in_vain)
        if decision.reason == TURN_WANTED:
            self._ask_for_turn(decision)
        return decision

    def _advise(self, state: PanelState) -> None:
        """Say on the panel what to do; while somebody is to turn their head, that alone."""
        self._keeper.advise(PanelState.TURN_HEAD if self._turning else state)

    def _ask_for_turn(self, decision: Decision) -> None:
        """Say that a head must be turned: on the panel always, in the journal once a track."""
        self._turning = True
        self._advise(PanelState.TURN_HEAD)
        if decision.track_id not in self._asked_to_turn:
            self._asked_to_turn.add(decision.track_id)
            self._journal.emit(
                "turn_wanted",
                f"{decision.name}: recognised, must turn the head",
                called=[decision.name],
                track=decision.track_id,
                seq=decision.seq,
                **({} if decision.person_id is None else {"person": decision.person_id}),
            )

    def _refuse(self, track: Track, face: Face, frame: Frame) -> None:
        """Say what is wrong with a face: on the panel always, in the journal once."""
        reasons = face.quality.reasons
        self._advise(ADVICE_LIGHTS.get(reasons[0], PanelState.LOOKING))
        if self._refused.get(track.track_id) != reasons:
            self._refused[track.track_id] = reasons
            self._journal.emit(
                "face_refused",
                f"track {track.track_id}: {ADVICE[reasons[0]]}",
                track=track.track_id,
                reasons=",".join(reasons),
                seq=frame.seq,
            )

    def _follow(self) -> None:
        """Take on who is enrolled now, and what follows for the policy."""
        self._members = members = self._roster.now
        self._policy.settings = members.limits
        self._patience.looks = max(LOOKS_IN_VAIN, members.limits.votes_of)

    def _follow_if_changed(self) -> None:
        """Follow the roster; the store itself is read by other threads."""
        before, now = self._members, self._roster.now
        if now is before:
            return
        self._follow()
        if now.revision != before.revision or now.names != before.names:
            people = len(now.names)
            self._journal.emit("store_reloaded", f"{people} people enrolled", people=people)
