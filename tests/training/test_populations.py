"""Strangers of one population, each person counted once, against plain double loops."""

import numpy as np
import pytest

from facegate.training.calibration import calibrate_people, crowd
from facegate.training.groups import false_matches_by_group
from facegate.training.strangers import PeoplePairs, Strangers, strangers
from facegate.vision.card import Calibration, Curve


def town(seed=0, size=16):
    """Three populations of unlike size and likeness; people have 1 to 4 pictures."""
    rng = np.random.default_rng(seed)
    vectors, person, lives = [], [], []
    number = 0
    for name, people, kin in (("hill", 20, 1.0), ("coast", 12, 0.3), ("alone", 1, 0.0)):
        family = rng.normal(size=size)
        for _ in range(people):
            centre = kin * family + rng.normal(size=size)
            for _ in range(rng.integers(1, 5)):
                vectors.append(centre + 0.5 * rng.normal(size=size))
                person.append(number)
                lives.append(name)
            number += 1
    unit = np.array(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), np.array(person), lives


def pairs_by_hand(vectors, person, lives):
    """Give cosine → weight: each two people of a population share what one of its people has."""
    found = []
    people = {name: {p for p, o in zip(person, lives, strict=True) if o == name} for name in lives}
    counted = sum(len(p) for p in people.values() if len(p) > 1)
    for a in range(len(person)):
        for b in range(a):
            if person[a] == person[b] or lives[a] != lives[b]:
                continue
            number = len(people[lives[a]])
            of_two = (person == person[a]).sum() * (person == person[b]).sum()
            pairs = number * (number - 1) / 2
            found.append((float(vectors[a] @ vectors[b]), number / counted / pairs / of_two))
    return sorted(found, reverse=True)


def test_each_person_counts_once_and_only_within_a_population():
    vectors, person, lives = town()
    found, wanted = strangers(vectors, person, lives), pairs_by_hand(vectors, person, lives)
    assert found.cosine == pytest.approx([c for c, _ in wanted], abs=1e-5)
    assert np.sort(found.weight) == pytest.approx(np.sort([w for _, w in wanted]), rel=1e-6)
    far = 0.05
    passed = [w for c, w in wanted if c > found.threshold(far) + 1e-6]
    assert sum(passed) <= far
    assert sum(passed) > far - max(w for _, w in wanted)


def test_pictures_of_somebody_given_twice_change_nothing():
    vectors, person, lives = town()
    whole = np.flatnonzero(np.isin(person, person[:9]))  # all pictures of whom it concerns
    again = np.concatenate([vectors, vectors[whole]]), np.concatenate([person, person[whole]])
    once = strangers(vectors, person, lives)
    twice = strangers(*again, [*lives, *(lives[k] for k in whole)])
    for far in (0.01, 0.1, 0.5):
        assert twice.threshold(far) == pytest.approx(once.threshold(far), abs=1e-5)


def test_without_strangers_there_is_no_threshold():
    nobody = strangers(np.eye(4, dtype=np.float32), np.zeros(4, int))
    assert np.isnan(nobody.threshold(0.1))
    assert nobody.lowest_rate == 1


def test_the_lowest_rate_is_that_of_ten_false_matches():
    assert Strangers.alike(np.zeros(4000, np.float32)).lowest_rate == pytest.approx(10 / 4000)
    uneven = Strangers.alike(np.zeros(4000, np.float32), np.arange(4000.0))
    assert uneven.lowest_rate > 10 / 4000


def test_the_rate_between_people_and_how_far_it_may_be_off():
    vectors, person, lives = town()
    lives = np.array(lives)
    alike = vectors @ vectors.T > 0.3
    for group, different in (
        (None, person[:, None] != person[None]),
        (lives, lives[:, None] != lives[None]),
    ):
        found = PeoplePairs.of(vectors, person, 0.3, group)
        above = alike & different
        assert (found.false_matches, found.pairs) == (above.sum() // 2, different.sum() // 2)
        number = person.max() + 1
        shares = [
            above[np.ix_(person == a, person == b)].mean()
            for a in range(number)
            for b in range(number)
            if different[np.ix_(person == a, person == b)].all()
        ]
        assert found.pairs_of_people == len(shares) // 2
        assert found.rate == pytest.approx(np.mean(shares), rel=1e-5)
        low, high = found.interval()
        assert low < found.rate < high


def test_the_interval_holds_the_true_rate_where_few_people_err_together():
    """Some resemble everybody: a rate over pairs alone would seem far surer than it is."""
    rng = np.random.default_rng(1)
    hit = 0
    for _ in range(60):
        common = rng.random(40) < 0.1
        share = ((common[:, None] | common[None]) & ~np.eye(40, dtype=bool)).astype(np.float32)
        low, high = PeoplePairs(share, np.arange(40), 0, 0).interval()
        hit += low <= 1 - 0.9**2 <= high
    assert hit >= 50


def test_groups_of_unequal_people_have_intervals_that_hold_their_rates():
    rng = np.random.default_rng(4)
    pictures = rng.choice([1, 2, 20], 60)
    person = np.arange(60).repeat(pictures)
    centres = rng.normal(size=(60, 8))
    vectors = centres[person] + 0.5 * rng.normal(size=(len(person), 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = false_matches_by_group(vectors, person, ["ab"[p % 2] for p in person], far=0.05)
    for said in (*found["within"].values(), found["between"]):
        low, high = said["interval"]
        assert low <= said["false_match_rate"] <= high
    alone = false_matches_by_group(vectors[:9], np.arange(9), [str(k) for k in range(9)])
    assert (alone["within"], alone["between"]["false_match_rate"]) == ({}, None)


def test_a_crowd_lets_through_as_many_as_wanted_or_tells():
    rng = np.random.default_rng(2)
    people = 400
    vectors = rng.normal(size=(people, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    person, lives = np.arange(people), ["all"] * people
    cosine = vectors @ vectors.T
    genuine = rng.normal(0.8, 0.05, 500).astype(np.float32)
    from facegate.training.calibration import calibrate

    exact = Calibration.of(calibrate(genuine, strangers(vectors, person)))
    found = crowd(vectors, person, lives, exact, 1)
    assert found["measured"] == pytest.approx(1e-3, rel=0.4)
    assert set(found["by_population"]) == {"all"}
    lax = Calibration((0.9, 1.2), (1e-3, 1e-2), exact.curve, 10)
    limit = 1 - lax.threshold(1e-3, 1) ** 2 / 2
    told = crowd(vectors, person, lives, lax, 1)["measured"]
    assert told == pytest.approx((cosine[~np.eye(people, dtype=bool)] > limit).mean(), rel=0.2)
    assert crowd(vectors, person, lives, exact, 10) is None  # eight false matches show nothing


def test_a_population_of_look_alikes_shows_in_the_crowds():
    rng = np.random.default_rng(3)
    kin = rng.normal(size=24)
    centres = np.concatenate([rng.normal(size=(150, 24)), kin + rng.normal(size=(150, 24))])
    vectors = centres.repeat(2, axis=0) + 0.4 * rng.normal(size=(600, 24))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    lives = ["many"] * 300 + ["kin"] * 300
    table = calibrate_people(vectors, np.arange(300).repeat(2), lives)
    assert table["populations"] == 2
    (one,) = table["crowds"]
    assert one["people"] == 1
    assert one["by_population"]["kin"] > 2 * one["by_population"]["many"]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_crowd_counts_strangers_not_comparisons():
    """Who passes as any of ten passes once: nearly ten times as often as by one of them."""
    people = 500
    vectors = unit(np.random.default_rng(2).normal(size=(people, 24)))
    lax = Calibration((0.9, 1.3), (1e-5, 1e-3), Curve(0.0, -20.0, 6.0), 10)
    found = crowd(vectors, np.arange(people), ["all"] * people, lax, 10)
    limit = 1 - lax.threshold(1e-3, 10) ** 2 / 2
    cosine = vectors @ vectors.T
    one = (cosine[~np.eye(people, dtype=bool)] > limit).mean()
    assert found["measured"] == pytest.approx(1 - (1 - one) ** 10, rel=0.1)
    assert found["measured"] > 5 * one


def test_a_population_counts_by_its_people():
    rng = np.random.default_rng(3)
    kin = rng.normal(size=24)
    centres = np.concatenate([rng.normal(size=(450, 24)), kin + rng.normal(size=(150, 24))])
    lives = ["many"] * 450 + ["kin"] * 150
    lax = Calibration((0.9, 1.3), (1e-4, 1e-2), Curve(0.0, -20.0, 6.0), 10)
    found = crowd(unit(centres), np.arange(600), lives, lax, 1)
    by = found["by_population"]
    assert by["kin"] > 2 * by["many"]
    assert found["measured"] == pytest.approx(0.75 * by["many"] + 0.25 * by["kin"])
