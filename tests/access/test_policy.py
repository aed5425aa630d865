import math
from dataclasses import replace

import pytest

from facegate.access.policy import Look, Policy, PolicySettings, identity_of
from facegate.types import Match, Verdict

NAMES = {1: "Ann", 2: "Ben"}


@pytest.fixture
def policy():
    settings = PolicySettings(threshold=1.0, min_margin=0.05, votes_needed=3, votes_of=5)
    return Policy(settings, lambda d: 1 - d / 2, NAMES.get)


def look(person=1, distance=0.5, margin=math.inf, track=1, seq=0, at_s=1.5, yaw=0.0):
    return Look(track, Match(person, distance, margin, 3 - person), at_s, seq, yaw)


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
    assert (said[-1].name, said[-1].runner_up, said[-1].runner_up_name) == ("Ann", 2, "Ben")
    assert {d.runner_up for d in said[:-1]} == {None}


def test_two_alike_are_denied_whichever_of_them_is_nearer(policy):
    said = verdicts(policy, [look(1 + k % 2, margin=0.01) for k in range(12)])
    assert said == [Verdict.WAIT] * 4 + [Verdict.DENY] + [Verdict.WAIT] * 7


def test_one_between_several_is_denied_whoever_of_them_is_next(policy):
    near = [replace(look(margin=0.01), match=Match(1, 0.5, 0.01, other)) for other in (2, 3)]
    assert verdicts(policy, near * 3)[4] is Verdict.DENY


def test_a_grant_names_no_runner_up(policy):
    decision = [policy.decide(look()) for _ in range(3)][-1]
    assert (decision.runner_up, decision.runner_up_name) == (None, None)


@pytest.mark.parametrize(
    ("match", "name", "between"),
    [
        (Match(1, 0.5, 0.2, 2), "Ann", ()),
        (Match(1, 0.5, math.inf), "Ann", ()),
        (Match(2, 0.5, 0.01, 1), None, ("Ben", "Ann")),
        (Match(1, 1.2, 0.01, 2), None, ()),
    ],
)
def test_one_look_names_whom_the_door_would_let_in(policy, match, name, between):
    found = identity_of(match, NAMES, policy.settings, lambda d: 1 - d / 2)
    assert (found.name, found.between, found.distance) == (name, between, match.distance)


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


@pytest.fixture
def wary(policy):
    """A policy that wants a turn of the head within 8 s; it is asked five times a second."""
    policy.settings = replace(policy.settings, turn_within_s=8.0)
    return policy


def filmed(yaws, start_s=0.0, **changes):
    """Looks, five a second, at a face that turns."""
    return [look(yaw=y, at_s=start_s + n / 5, **changes) for n, y in enumerate(yaws)]


SHAKE = [0.3 * math.sin(n / 3) for n in range(19)]


def reasons(policy, looks):
    return [policy.decide(one).reason for one in looks]


def test_whoever_turns_the_head_is_let_in(wary):
    assert reasons(wary, filmed([0.0] * 10))[2:] == ["turn_wanted"] * 8
    said = verdicts(wary, filmed(SHAKE, 2.0))
    assert said.index(Verdict.GRANT) > 8
    assert wary.settled(1)


def test_so_is_who_turned_it_before_anybody_asked(wary):
    far = filmed(SHAKE, distance=1.2)
    assert Verdict.GRANT not in verdicts(wary, far), "nobody was recognised meanwhile"
    near = filmed(SHAKE, 4.0)
    assert Verdict.GRANT in verdicts(wary, near)


def test_a_picture_is_told_once_after_a_while(wary):
    said = verdicts(wary, filmed([0.01 * (n % 5) for n in range(300)]))
    assert said.index(Verdict.SPOOF) == 2 + 8 * 5 + 1
    assert said.count(Verdict.SPOOF) == 1
    assert Verdict.GRANT not in said
    assert not wary.awaits_turn(1, 60.0), "the panel goes on to others"
    assert reasons(wary, filmed([0.0], 60.0)) == ["not_turned"]


def test_who_turns_too_late_is_let_in_all_the_same(wary):
    said = verdicts(wary, filmed([0.0] * 60))
    assert said.count(Verdict.SPOOF) == 1
    assert Verdict.GRANT in verdicts(wary, filmed(SHAKE, 12.0))


def test_a_picture_that_is_taken_away_in_time_counts_too(wary):
    verdicts(wary, filmed([0.0] * 30))
    assert wary.forget_all_but(frozenset({1})) == []
    (left,) = wary.forget_all_but(frozenset())
    assert (left.verdict, left.reason, left.name) == (Verdict.SPOOF, "left_unturned", "Ann")
    assert wary.forget_all_but(frozenset()) == []


@pytest.mark.parametrize(
    "yaws", [[0.0] * 10, [0.0] * 60, [0.0] * 3 + SHAKE], ids=["soon", "told before", "let in"]
)
def test_who_passes_by_was_told_or_let_in_does_not_count_for_leaving(wary, yaws):
    verdicts(wary, filmed(yaws))
    assert wary.forget_all_but(frozenset()) == []


def test_who_turned_need_not_turn_again_while_they_are_followed(wary):
    verdicts(wary, filmed(SHAKE))
    wary.begin_anew(1)
    assert verdicts(wary, filmed([0.0] * 3, 60.0))[-1] is Verdict.GRANT
    assert Verdict.GRANT not in verdicts(wary, filmed([0.0] * 9, 60.0, track=2))


def test_looks_at_a_turning_face_that_show_nobody_are_no_refusal(wary):
    looks = filmed([0.0] * 4)
    looks += filmed([0.3] * 8, 0.8, distance=1.4)
    assert set(verdicts(wary, looks)) == {Verdict.WAIT}
    later = filmed([0.0] * 40, 2.4, distance=1.4)
    assert verdicts(wary, later).count(Verdict.SPOOF) == 1, "but it does not wait for ever"


def test_one_persons_turn_is_not_anothers(wary):
    half = len(SHAKE) // 4
    left = filmed(SHAKE[: 2 * half], person=1)
    right = filmed(SHAKE[2 * half :], 2.0, person=2)
    assert Verdict.GRANT not in verdicts(wary, left + right)


def test_without_being_asked_for_no_turn_is_needed(policy):
    assert verdicts(policy, filmed([0.0] * 3))[-1] is Verdict.GRANT


def test_nobody_waits_any_more_once_no_turn_is_asked_for(wary):
    verdicts(wary, filmed([0.0] * 10))
    wary.settings = replace(wary.settings, turn_within_s=None)
    assert verdicts(wary, filmed([0.0], 2.0, distance=1.4)) == [Verdict.WAIT]
    assert verdicts(wary, filmed([0.0], 2.2)) == [Verdict.GRANT]
