"""The identify thread on scripted faces: who is looked at, in which order, and how often."""

import itertools
import math
import threading
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from facegate.access.patience import LOOKS_IN_VAIN
from facegate.access.policy import PolicySettings
from facegate.hardware.panel import PanelState
from facegate.pipeline.queue import Channel
from facegate.recogniser import FacesSeen, Recogniser
from facegate.types import Detection, Embedding, Frame, Match, Quality, Track, Verdict
from facegate.vision.faces import Face

FPS = 15
STRANGER, FRIEND, MASKED, AWAY = "stranger", "friend", "masked", "away"
VECTOR = np.eye(1, 128, dtype=np.float32)[0]


class Hall:
    """Stands in for networks and door; says who each track is, and notes every look."""

    def __init__(self, votes_of=5, turn_within_s=None):
        self.who, self.looks, self.decisions = {}, [], []
        self.advised, self.events, self.yaw = [], [], 0.0
        limits = PolicySettings(
            threshold=1.0, min_margin=0.05, votes_needed=3, votes_of=votes_of,
            turn_within_s=turn_within_s,
        )  # fmt: skip
        members = SimpleNamespace(
            limits=limits, names={1: "Ann"}, admins=frozenset(), duress=frozenset(), groups={},
            passes={}, matcher=self, revision=1,
        )  # fmt: skip
        calibration = SimpleNamespace(distance_at=lambda _: 1.0, probability=lambda _: 0.9)
        self.keeper = SimpleNamespace(
            unused=SimpleNamespace(due=lambda _: []), follow=lambda *_: None,
            advise=self.advised.append, decisions=SimpleNamespace(put=self.decisions.append),
        )  # fmt: skip
        self.recogniser = Recogniser(
            SimpleNamespace(calibration=calibration, reader=self),
            SimpleNamespace(now=members),
            SimpleNamespace(active=False),
            self.keeper,
            SimpleNamespace(ask_if_due=lambda: None),
            SimpleNamespace(emit=lambda name, *_, **__: self.events.append(name)),
            lambda _: None,
            None,
        )
        self._seq = itertools.count()

    # As the networks and the matcher.

    def look(self, _pixels, detection):
        track = int(detection.score)
        away = self.who[track] == AWAY
        return Face(detection, VECTOR, Quality(80, 20, 120, self.yaw, 0, ("turned_away",) * away))

    def read(self, face):
        track = int(face.detection.score)
        if not face.quality.passed:
            return face, None
        self.looks.append(track)
        if self.who[track] == MASKED:
            return Face(face.detection, VECTOR, Quality(80, 20, 120, 0, 0, ("occluded",))), None
        self._read = track
        return face, Embedding(VECTOR, "m", 1.0)

    def match(self, _vector):
        return Match(1, 0.5 if self.who[self._read] == FRIEND else 1.5, math.inf)

    def frames(self, count, *tracks):
        """Show these tracks in so many frames; gives the looks of each frame."""
        each = []
        for seq in itertools.islice(self._seq, count):
            channel = Channel(1, "wait")
            shown = tuple(
                Track(t, Detection(np.zeros(4, "f4"), np.zeros((5, 2), "f4"), t), 9, 0.0)
                for t in tracks
            )
            frame = Frame(np.zeros((2, 2, 3), np.uint8), seq / FPS, seq)
            channel.put(FacesSeen(frame, shown, frozenset(self.who)))
            channel.close()
            self.looks.clear()
            self.recogniser.run(channel, threading.Event())
            each.append(list(self.looks))
        return each


def test_a_face_that_stays_unknown_is_embedded_a_few_times_a_second():
    hall = Hall()
    hall.who[1] = STRANGER
    assert hall.frames(LOOKS_IN_VAIN, 1) == [[1]] * LOOKS_IN_VAIN
    hall.frames(3 * FPS - LOOKS_IN_VAIN, 1)
    assert 6 <= sum(map(len, hall.frames(2 * FPS, 1))) <= 8
    assert [d.verdict for d in hall.decisions] == [Verdict.UNKNOWN]


def test_so_is_one_that_is_refused_once_the_network_has_seen_it():
    hall = Hall()
    hall.who[1] = MASKED
    assert hall.frames(LOOKS_IN_VAIN, 1) == [[1]] * LOOKS_IN_VAIN
    assert 6 <= sum(map(len, hall.frames(2 * FPS, 1))) <= 8


def test_one_that_is_refused_before_costs_little_and_never_waits():
    hall = Hall()
    hall.who[1] = AWAY
    hall.frames(3 * LOOKS_IN_VAIN, 1)
    hall.who[1] = FRIEND
    assert hall.frames(3, 1) == [[1]] * 3
    assert [d.verdict for d in hall.decisions] == [Verdict.GRANT]


@pytest.mark.parametrize("before", [STRANGER, MASKED])
def test_who_takes_the_hat_off_is_let_in(before):
    hall = Hall()
    hall.who[1] = before
    hall.frames(3 * LOOKS_IN_VAIN, 1)
    hall.who[1] = FRIEND
    looks = hall.frames(FPS // 2, 1)
    first = looks.index([1])
    assert first <= 5
    assert looks[first : first + 3] == [[1]] * 3  # the full rate, until the third vote grants
    assert hall.decisions[-1].verdict is Verdict.GRANT
    assert hall.decisions[-1].name == "Ann"


def test_who_comes_is_looked_at_before_strangers_whose_faces_are_clearer():
    hall = Hall()
    crowd = [1, 2, 3, 4, 5]
    hall.who.update(dict.fromkeys(crowd, STRANGER))
    assert hall.frames(1, *crowd) == [crowd]
    hall.frames(4, *crowd)  # all are told apart from members, none waits yet
    hall.who[6] = FRIEND
    assert hall.frames(1, *crowd, 6) == [[6, *crowd]]
    del hall.who[6]
    hall.frames(LOOKS_IN_VAIN, *crowd)
    hall.who[7] = FRIEND
    looks = hall.frames(3, *crowd, 7)
    assert [frame[0] for frame in looks] == [7, 7, 7]
    assert max(map(len, looks)) == 2
    assert hall.decisions[-1].verdict is Verdict.GRANT


def test_strangers_who_wait_take_turns():
    hall = Hall()
    crowd = [1, 2, 3, 4, 5, 6, 7]
    hall.who.update(dict.fromkeys(crowd, STRANGER))
    hall.frames(LOOKS_IN_VAIN, *crowd)
    looks = hall.frames(5 * FPS, *crowd)
    assert max(map(len, looks)) == 1
    counts = Counter(itertools.chain(*looks))
    assert set(counts) == set(crowd)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_nobody_waits_before_a_verdict_that_takes_many_looks():
    hall = Hall(votes_of=50)
    hall.who[1] = STRANGER
    assert hall.frames(50, 1) == [[1]] * 50
    assert [d.verdict for d in hall.decisions] == [Verdict.UNKNOWN]


def test_whoever_is_recognised_is_asked_to_turn_the_head_and_let_in_once_they_did():
    hall = Hall(turn_within_s=8.0)
    hall.who[1] = FRIEND
    hall.frames(FPS, 1)
    assert hall.advised[-1] is PanelState.TURN_HEAD
    assert not hall.decisions
    for turn in np.sin(np.linspace(0, 2 * np.pi, FPS)):
        hall.yaw = 0.3 * turn
        hall.frames(1, 1)
    assert [d.verdict for d in hall.decisions] == [Verdict.GRANT]
    assert hall.events == ["turn_wanted"], "said once"


def test_whoever_turns_it_too_far_is_not_told_to_look_at_the_camera():
    hall = Hall(turn_within_s=8.0)
    hall.who[1] = FRIEND
    hall.frames(FPS, 1)
    hall.advised.clear()
    hall.who[1] = AWAY
    hall.frames(5, 1)
    hall.who[1] = FRIEND
    hall.frames(5, 1)
    assert set(hall.advised) == {PanelState.TURN_HEAD}


def test_who_does_not_turn_it_is_told_so_once_and_looked_at_less():
    hall = Hall(turn_within_s=3.0)
    hall.who[1] = FRIEND
    hall.frames(12 * FPS, 1)
    assert [d.verdict for d in hall.decisions] == [Verdict.SPOOF]
    assert hall.decisions[0].name == "Ann"
    assert sum(map(len, hall.frames(2 * FPS, 1))) <= 8
    assert hall.advised[-1] is PanelState.LOOKING


def test_whoever_shows_a_picture_and_takes_it_away_is_told():
    hall = Hall(turn_within_s=8.0)
    hall.who[1] = FRIEND
    hall.frames(5 * FPS, 1)
    del hall.who[1]
    hall.frames(1)
    assert [(d.verdict, d.reason) for d in hall.decisions] == [(Verdict.SPOOF, "left_unturned")]


@pytest.mark.parametrize("other", [STRANGER, AWAY, MASKED])
def test_somebody_behind_does_not_take_the_light_from_who_is_to_turn(other):
    hall = Hall(turn_within_s=8.0)
    hall.who.update({1: FRIEND, 2: other})
    hall.frames(FPS, 1, 2)
    hall.advised.clear()
    hall.frames(FPS, 2, 1)
    assert set(hall.advised) == {PanelState.TURN_HEAD}


@pytest.mark.parametrize("turn_within_s", [None, 1.0])
def test_nothing_is_kept_of_tracks_that_have_ended(turn_within_s):
    """Thousands of passers-by a day: what is left of each fills the memory in weeks."""
    hall = Hall(turn_within_s=turn_within_s)
    for number in range(1, 40):
        hall.who = {number: (AWAY, FRIEND, STRANGER)[number % 3]}
        hall.frames(4, number)
    hall.who = {}
    hall.frames(1)
    of_tracks = hall.recogniser
    parts = (of_tracks._continuity, of_tracks._patience, of_tracks._policy)
    kept = [of_tracks._refused, of_tracks._asked_to_turn]
    kept += [held for part in parts for held in vars(part).values()]
    assert not any(held for held in kept if isinstance(held, dict | set))


def test_the_canary_is_asked_between_frames():
    hall, asked = Hall(), []
    hall.recogniser._canary.ask_if_due = lambda: asked.append(1)
    hall.who[1] = STRANGER
    hall.frames(3, 1)
    assert len(asked) == 3
