"""From single matches to one decision a face: enough agreeing looks, and a clear runner-up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from facegate.access.liveness import HeadTurn
from facegate.types import Decision, Identity, Match, Verdict

TURN_WANTED, NOT_TURNED = "turn_wanted", "not_turned"
"""Why a decision waits for whoever is recognised and must turn their head; and did not in time."""

LEFT_AFTER_S = 3.0
"""Whoever was asked to for so long and goes away unturned counts as one who did not."""


@dataclass(frozen=True)
class PolicySettings:
    """When a face is a person.

    Attributes:
        threshold: greatest distance that counts as a match, 0 to 2.
        min_margin: least extra distance of the runner-up, 0 to 2.
        votes_needed, votes_of: so many of the last so many looks must agree.
        turn_within_s: seconds in which somebody recognised must turn their head; None asks nobody
            to.
    """

    threshold: float
    min_margin: float
    votes_needed: int
    votes_of: int
    turn_within_s: float | None = None

    def vote(self, match: Match) -> tuple[Verdict, str]:
        """Say what one look speaks for, and why."""
        if match.person_id is None:
            return Verdict.UNKNOWN, "nobody_enrolled"
        if not match.distance <= self.threshold:
            return Verdict.UNKNOWN, "no_match"
        if not match.margin >= self.min_margin:
            return Verdict.DENY, "ambiguous"
        return Verdict.GRANT, "match"


@dataclass(frozen=True)
class Look:
    """One embedding of a tracked face, matched.

    Attributes:
        track_id: the face.
        match: the nearest person enrolled.
        captured_at_s, seq: of the frame; monotonic seconds.
        yaw: of the head, as in `facegate.types.Quality`.
    """

    track_id: int
    match: Match
    captured_at_s: float
    seq: int
    yaw: float = 0.0


@dataclass
class _Case:
    votes: deque[tuple[Verdict, int | None]]
    settled: bool = False
    said: set[Verdict] = field(default_factory=set)
    turns: dict[int | None, HeadTurn] = field(default_factory=dict)
    turned: set[int | None] = field(default_factory=set)
    asked: tuple[int | None, float] | None = None
    """Who was asked to turn their head, and when."""
    last: Look | None = None


class Policy:
    """Decide about every track; a grant settles it until it ends, or is asked about anew.

    A face that stays unknown is looked at further (it may come closer); the verdict is said once.

    Args:
        settings: limits.
        confidence: distance → probability that it is that person.
        name_of: person_id → name.
    """

    def __init__(
        self,
        settings: PolicySettings,
        confidence: Callable[[float], float],
        name_of: Callable[[int], str | None],
    ) -> None:
        self.settings = settings
        self._confidence, self._name_of = confidence, name_of
        self._cases: dict[int, _Case] = {}

    def settled(self, track_id: int) -> bool:
        """Whether a track's answer stands, so that no more embeddings are needed."""
        case = self._cases.get(track_id)
        return case is not None and case.settled

    def judged(self, track_id: int) -> bool:
        """Whether anything but to wait was said of a track."""
        case = self._cases.get(track_id)
        return case is not None and not case.said <= {Verdict.WAIT}

    def awaits_turn(self, track_id: int, now_s: float) -> bool:
        """Whether somebody was asked to turn their head, and has time left for it."""
        case, within_s = self._cases.get(track_id), self.settings.turn_within_s
        if case is None or case.asked is None or case.settled or within_s is None:
            return False
        return now_s - case.asked[1] <= within_s

    def begin_anew(self, track_id: int) -> None:
        """Forget what was decided of a track: its grant opened no door, and looks count again.

        Whoever turned their head need not do it again: it is the same face that is followed.
        """
        case = self._cases.pop(track_id, None)
        if case is not None and case.turned:
            self._cases[track_id] = replace(self._new_case(), turned=case.turned)

    def forget_all_but(self, alive: frozenset[int]) -> list[Decision]:
        """Drop what is known about tracks that have ended.

        Returns:
            A SPOOF for everybody who went away after `LEFT_AFTER_S` or more, asked to turn their
            head, and did not: else a picture could be shown again and again, and never count.
        """
        left = []
        for track_id in [t for t in self._cases if t not in alive]:
            case = self._cases.pop(track_id)
            if case.asked is None or case.last is None or case.settled or self._told(case):
                continue
            person, since_s = case.asked
            if case.last.captured_at_s - since_s >= LEFT_AFTER_S:
                left.append(self._decision(case.last, Verdict.SPOOF, "left_unturned", person))
        return left

    def decide(self, look: Look) -> Decision:
        """Take one more look at a face.

        Returns:
            GRANT when `votes_needed` of the last `votes_of` looks agree on a person, who turned
            their head if that is asked for; SPOOF, once, when they did not in time; DENY when the
            runner-up was too near in all of a full round, whoever was nearest; UNKNOWN when a full
            round found nobody; WAIT until then, and where the same was said of this track before.
        """
        case = self._cases.setdefault(look.track_id, self._new_case())
        case.last = look
        if case.votes.maxlen != self.settings.votes_of:  # the settings were read again
            case.votes = deque(case.votes, self.settings.votes_of)
        verdict, reason = self.settings.vote(look.match)
        person = look.match.person_id if verdict is not Verdict.UNKNOWN else None
        case.votes.append((verdict, person if verdict is Verdict.GRANT else None))
        agreeing = case.votes.count(case.votes[-1])
        if verdict is Verdict.GRANT:
            case.turns.setdefault(person, HeadTurn()).look(look.yaw, look.captured_at_s)
        agreed = verdict is Verdict.GRANT and agreeing >= self.settings.votes_needed
        within_s = self.settings.turn_within_s
        if within_s is None:
            case.asked = None  # the settings were read again
        elif verdict is Verdict.GRANT and case.turns[person].seen:
            case.turned.add(person)
        if agreed and (within_s is None or person in case.turned):
            case.settled = True
        elif within_s is not None and (agreed or case.asked is not None):
            verdict, reason, person = self._await_turn(case, person, look, within_s)
        elif verdict is Verdict.GRANT or agreeing < self.settings.votes_of or verdict in case.said:
            verdict, reason = Verdict.WAIT, "more_looks_needed"
        case.said.add(verdict)
        return self._decision(look, verdict, reason, person)

    def _await_turn(
        self, case: _Case, person: int | None, look: Look, within_s: float
    ) -> tuple[Verdict, str, int | None]:
        """Wait for a turn of the head; while one lasts, looks may well show nobody.

        A turn that comes too late still lets in; that it was late is said once.
        """
        case.asked = case.asked or (person, look.captured_at_s)
        person, since_s = case.asked
        if look.captured_at_s - since_s <= within_s or person in case.turned:
            return Verdict.WAIT, TURN_WANTED, person
        return Verdict.WAIT if self._told(case) else Verdict.SPOOF, NOT_TURNED, person

    @staticmethod
    def _told(case: _Case) -> bool:
        return Verdict.SPOOF in case.said

    def _new_case(self) -> _Case:
        return _Case(deque(maxlen=self.settings.votes_of))

    def _decision(self, look: Look, verdict: Verdict, reason: str, person: int | None) -> Decision:
        runner_up = look.match.runner_up if verdict is Verdict.DENY else None
        return Decision(
            verdict=verdict,
            reason=reason,
            track_id=look.track_id,
            person_id=person,
            name=None if person is None else self._name_of(person),
            distance=look.match.distance,
            confidence=self._confidence(look.match.distance),
            captured_at_s=look.captured_at_s,
            seq=look.seq,
            runner_up=runner_up,
            runner_up_name=None if runner_up is None else self._name_of(runner_up),
        )


def identity_of(
    match: Match,
    names: Mapping[int, str],
    settings: PolicySettings,
    probability: Callable[[float], float],
) -> Identity:
    """Say who one look shows: whom it speaks for at the door."""
    if match.person_id is None:
        return Identity(None, None, settings.threshold, 0.0)
    verdict, _ = settings.vote(match)
    name = names[match.person_id] if verdict is Verdict.GRANT else None
    between: tuple[str, ...] = ()
    if verdict is Verdict.DENY and match.runner_up is not None:
        between = (names[match.person_id], names[match.runner_up])
    confidence = probability(match.distance)
    return Identity(name, match.distance, settings.threshold, confidence, between)
