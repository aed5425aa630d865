import math

import pytest

from facegate.access.policy import Look, Policy, PolicySettings
from facegate.types import Match, Verdict

NAMES = {1: "Ann", 2: "Ben"}


@pytest.fixture
def policy():
    settings = PolicySettings(threshold=1.0, min_margin=0.05, votes_needed=3, votes_of=5)
    return Policy(settings, lambda d: 1 - d / 2, NAMES.get)


def look(person=1, distance=0.5, margin=math.inf, track=1, seq=0):
    return Look(track, Match(person, distance, margin), 1.5, seq)


def verdicts(policy, looks):
    return [policy.decide(one).verdict for one in looks]


def test_enough_agreeing_looks_let_a_person_in(policy):
    assert verdicts(policy, [look()] * 3) == [Verdict.WAIT, Verdict.WAIT, Verdict.GRANT]
    assert policy.settled(1)


def test_a_grant_says_who_and_how_sure(policy):
    decision = [policy.decide(look(seq=k)) for k in range(3)][-1]
    assert (decision.name, decision.person_id, decision.seq) == ("Ann", 1, 2)
    assert decision.confidence == pytest.approx(0.75)
    assert decision.captured_at_s == 1.5


def test_one_bad_look_among_good_ones_only_delays(policy):
    assert verdicts(policy, [look(), look(distance=1.4), look(), look()])[-1] is Verdict.GRANT


def test_votes_for_different_people_do_not_add_up(policy):
    looks = [look(1), look(2), look(1), look(2)]
    assert Verdict.GRANT not in verdicts(policy, looks)


def test_old_votes_fall_out_of_the_window(policy):
    far = look(distance=1.9)
    assert Verdict.GRANT not in verdicts(policy, [look(), look(), far, far, far, far, look()])


def test_a_stranger_is_told_once(policy):
    said = verdicts(policy, [look(distance=1.5)] * 12)
    assert said.count(Verdict.UNKNOWN) == 1
    assert said[4] is Verdict.UNKNOWN
    assert not policy.settled(1)


def test_a_stranger_who_comes_closer_can_still_be_known(policy):
    said = verdicts(policy, [look(distance=1.5)] * 6 + [look()] * 5)
    assert said[-3:].count(Verdict.GRANT) + said[-5:-3].count(Verdict.GRANT) >= 1


def test_a_near_runner_up_is_denied_not_granted(policy):
    said = [policy.decide(look(margin=0.01)) for _ in range(5)]
    assert said[-1].verdict is Verdict.DENY
    assert said[-1].reason == "ambiguous"


@pytest.mark.parametrize("distance", [1.0001, 1.5, math.nan, math.inf])
def test_distances_beyond_the_threshold_never_let_in(policy, distance):
    assert Verdict.GRANT not in verdicts(policy, [look(distance=distance)] * 20)


def test_a_margin_that_is_no_number_never_lets_in(policy):
    assert Verdict.GRANT not in verdicts(policy, [look(margin=math.nan)] * 20)


def test_nobody_enrolled_means_unknown(policy):
    decisions = [policy.decide(Look(1, Match(None, 2.0, math.inf), 0, 0)) for _ in range(5)]
    assert decisions[-1].verdict is Verdict.UNKNOWN
    assert decisions[-1].reason == "nobody_enrolled"


def test_tracks_are_separate_and_forgotten_when_they_end(policy):
    verdicts(policy, [look(track=1)] * 3)
    assert not policy.settled(2)
    policy.forget_all_but(frozenset({2}))
    assert not policy.settled(1)


def test_a_track_that_is_begun_anew_is_voted_on_anew(policy):
    verdicts(policy, [look()] * 3)
    policy.begin_anew(1)
    assert not policy.settled(1)
    assert verdicts(policy, [look()] * 3) == [Verdict.WAIT, Verdict.WAIT, Verdict.GRANT]
    policy.begin_anew(7)  # one that has ended


def test_a_track_follows_the_settings(policy):
    verdicts(policy, [look(distance=1.9)] * 2)
    policy.settings = PolicySettings(1.0, 0.05, votes_needed=7, votes_of=8)
    assert verdicts(policy, [look()] * 7)[-1] is Verdict.GRANT
