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
