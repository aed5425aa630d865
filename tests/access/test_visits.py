import itertools

import pytest

from facegate.access.audit_record import Record
from facegate.access.visits import visits


@pytest.fixture
def record():
    seq = itertools.count(1)

    def make(event, wall_s=0.0, **facts):
        return Record(next(seq), wall_s, wall_s, "boot", event, facts, "")

    return make


def test_visits_are_counted_and_those_that_began_with_a_refusal(record):
    ann, ben = visits(
        [
            record("started"),
            record("granted", 10.0, person=1, track=1, distance=0.6),
            record("granted", 12.0, person=1, track=1, distance=0.8),  # stood there still
            record("unknown", 20.0, track=2),
            record("granted", 21.0, person=1, track=2, distance=0.9),
            record("denied", 30.0, track=3, person=2),
            record("granted", 31.0, person=2, track=3, distance=1.0),
            record("unknown", 40.0, track=4),  # a stranger
        ]
    )
    assert (ann.person, ann.times, ann.hesitant) == (1, 2, 1)
    assert (ann.first_wall_s, ann.last_wall_s, ann.distance) == (10.0, 21.0, 0.8)
    assert (ben.person, ben.times, ben.hesitant, ben.distance) == (2, 1, 1, 1.0)


def test_visits_that_were_denied_count_for_both_whom_the_face_was_near(record):
    ann, ben, cid = visits(
        [
            record("denied", 10.0, track=1, person=1, runner_up=2),
            record("denied", 15.0, track=1, person=2, runner_up=1),  # the same face
            record("started"),
            record("denied", 20.0, track=1, person=1, runner_up=3),
            record("denied", 30.0, track=2, person=1, runner_up=2),
            record("granted", 31.0, track=2, person=1),
            record("denied", 32.0, track=2, person=1, runner_up=2),  # stood there still
        ]
    )
    assert [(v.person, v.times, v.hesitant, v.denied) for v in (ann, ben, cid)] == [
        (1, 1, 1, 2),
        (2, 0, 0, 1),
        (3, 0, 0, 1),
    ]
    assert (ann.first_wall_s, ann.last_wall_s) == (10.0, 31.0)
    assert (ben.first_wall_s, ben.last_wall_s, ben.distance) == (10.0, 15.0, None)


def test_a_denial_from_before_the_other_was_named_counts_for_one(record):
    (ann,) = visits([record("denied", track=1, person=1)])
    assert (ann.times, ann.denied) == (0, 1)


def test_after_a_restart_the_same_track_is_another_face(record):
    (ann,) = visits(
        [
            record("unknown", track=1),
            record("granted", person=1, track=2),
            record("started"),
            record("granted", person=1, track=1),
            record("granted", person=1, track=2),
        ]
    )
    assert (ann.times, ann.hesitant, ann.distance) == (3, 0, None)


def test_odd_records_count_for_nobody(record):
    assert visits([record("granted"), record("granted", person="1"), record("enrolled")]) == []
    (ann,) = visits([record("unknown", track=[1]), record("granted", person=1, track=[1])])
    assert (ann.times, ann.hesitant) == (1, 0)
