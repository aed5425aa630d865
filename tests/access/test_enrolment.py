from dataclasses import replace

import numpy as np
import pytest
from stores import at, unit, vectors

from facegate.access.enrolment import (
    EnrolmentSession,
    EnrolmentSettings,
    check_looks,
    name_to_enrol,
)
from facegate.access.matcher import Matcher
from facegate.errors import InputError, NameTakenError, NotEnrolledError
from facegate.types import Embedding

ONE_PERSON, THRESHOLD = 1.0, 0.8


def near(vector, seed=0):
    """Another look at the same person."""
    return unit(vector + 0.1 * vectors(1, 100 + seed)[0])


def look(vector):
    return Embedding(vector, "model-a", 1.0)


@pytest.fixture
def session():
    return EnrolmentSession("Ann", EnrolmentSettings(3, 0.5, 10.0), ONE_PERSON, started_at_s=100.0)


def test_looks_are_collected_until_there_are_enough(session):
    ann = vectors(1)[0]
    looks = [near(ann, seed) for seed in range(4)]
    session.offer(look(looks[0]), 100.0)
    assert (session.captured, session.guidance) == (1, "2 more: turn your head a little")
    session.offer(look(looks[1]), 100.4)  # too soon
    assert not session.wants(100.4)
    assert session.captured == 1
    session.offer(look(looks[1]), 100.5)
    session.offer(look(looks[2]), 101.0)
    assert (session.done, session.guidance) == (True, "done")
    session.offer(look(looks[3]), 102.0)
    assert np.array_equal(session.vectors(), looks[:3])
    assert not session.expired(1000.0)


def test_what_cannot_be_used_is_said_and_counts_as_no_look(session):
    session.offer("come closer", 100.0)
    assert (session.captured, session.guidance) == (0, "come closer")
    session.offer(look(vectors(1)[0]), 100.1)
    assert session.captured == 1
    assert not session.expired(110.0)
    assert session.expired(110.1)
    assert "Ann: only 1 good looks (2 more" in str(session.too_few)


def test_another_face_starts_the_collection_again_and_that_is_said(session):
    ann, ben = vectors(2)
    session.offer(look(ann), 100.0)
    session.offer(look(near(ann)), 101.0)
    session.offer(look(ben), 102.0)
    assert session.guidance == "another face: starting again, 2 more"
    session.offer(look(near(ben)), 103.0)
    assert session.guidance == "1 more: turn your head a little"
    session.offer(look(near(ben, 1)), 104.0)
    assert np.array_equal(session.vectors()[0], ben)


def test_the_name_is_looked_at_before_the_face(store):
    store.add("Ann", vectors(1))
    assert name_to_enrol(store, " Ben ", more=False) == "Ben"
    assert name_to_enrol(store, "ANN", more=True) == "Ann"
    with pytest.raises(NameTakenError):
        name_to_enrol(store, "ann", more=False)
    with pytest.raises(NotEnrolledError):
        name_to_enrol(store, "Ben", more=True)


@pytest.fixture
def check(store):
    def checked(name, looks, **how):
        gallery = store.gallery()
        check_looks(name, looks, Matcher(gallery), gallery.names, THRESHOLD, ONE_PERSON, **how)

    return checked


def test_looks_at_two_people_are_refused(check):
    ann, ben = vectors(2)
    check("Ann", [ann, near(ann)])
    with pytest.raises(InputError, match="pictures 1 and 3 do not look like one person"):
        check("Ann", [ann, near(ann), ben], allow_duplicate=True)


def test_who_is_enrolled_already_is_refused_unless_that_is_wanted(check, store):
    ann, ben = vectors(2)
    store.add("Ann", [ann])
    check("Ben", [ben])
    with pytest.raises(InputError, match="this is already Ann"):
        check("Ben", [near(ann)])
    check("Ben", [near(ann)], allow_duplicate=True)
    with pytest.raises(NameTakenError, match="--more adds looks"):
        check("ann", [near(ann)])


def test_more_looks_must_resemble_those_enrolled_and_nobody_elses(check, store):
    ann, ben = vectors(2)
    returning = store.add("Ann", [ann])
    check("Ann", [near(ann), near(ann, 1)], returning=returning)
    for duplicate in (False, True):
        with pytest.raises(InputError, match="does not resemble the ones enrolled"):
            check("Ann", [ben], returning=returning, allow_duplicate=duplicate)
    store.add("Ben", [ben])
    check("Ann", [near(ann)], returning=returning)
    with pytest.raises(InputError, match="this is already Ben"):
        check("Ann", [unit(0.6 * ann + 0.8 * ben)], returning=returning)


def test_one_look_that_resembles_brings_no_others_along(check, store):
    """With 0.6 of each, 29 degrees from Ann and 61 from Ben, who would be let in as Ann then."""
    ann, ben = vectors(2)
    returning = store.add("Ann", [ann])
    with pytest.raises(InputError, match=r"look 2 of 2 does not resemble .* \(distance 1\.4"):
        check("Ann", [unit(ann + 0.6 * ben), ben], returning=returning, allow_duplicate=True)


def test_of_two_who_look_alike_both_get_more_looks(check, store):
    """A new look of one may be nearer to the other: it need not be nearest to its own."""
    ann, other = vectors(2)
    first = store.add("Ann", [ann])
    twin = store.add("Twin", [near(ann)])
    for returning, look in ((first, near(near(ann), 1)), (twin, near(ann, 1))):
        with pytest.raises(InputError, match=r"this is already (Ann|Twin) .* --allow-duplicate"):
            check(returning.name, [look], returning=returning)
        check(returning.name, [look], returning=returning, allow_duplicate=True)
        with pytest.raises(InputError, match="does not resemble"):
            check(returning.name, [other], returning=returning, allow_duplicate=True)


def test_more_than_nothing_is_refused_before_anybody_looks(check, store, monkeypatch):
    returning = replace(store.add("Ann", vectors(1)), templates=0)  # a new network forgets looks
    monkeypatch.setattr(store, "person", lambda _: returning)
    with pytest.raises(InputError, match="no looks yet"):
        name_to_enrol(store, "Ann", more=True)
    with pytest.raises(InputError, match="no looks yet"):
        check("Ann", vectors(1), returning=returning)


def test_every_look_is_compared_with_every_other(check):
    """At 58 degrees two are one unit apart: the first resembles both, and they not each other."""
    with pytest.raises(InputError, match="pictures 2 and 3 do not look like one person"):
        check("Ann", at(0, 40, -40))
    with pytest.raises(InputError, match="pictures 1 and 3 do not look like one person"):
        check("Ann", at(-40, 0, 40))


def test_a_look_need_resemble_only_one_of_those_before(session):
    for number, seen in enumerate(at(0, 45, 90)):
        session.offer(look(seen), 100.0 + number)
    assert session.done


def test_looks_of_somebody_else_are_never_added_even_where_duplicates_are_wanted(
    check,
    store,
):
    ann, ben = vectors(2)
    returning = store.add("Ann", [ann])
    store.add("Ben", [ben])
    with pytest.raises(InputError, match="does not resemble the ones enrolled"):
        check("Ann", [near(ben)], returning=returning, allow_duplicate=True)
