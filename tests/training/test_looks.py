"""What several looks at enrolment gain, on made-up embeddings whose truth is known."""

import numpy as np
import pytest

from facegate.access.gallery import Gallery
from facegate.access.matcher import Matcher
from facegate.training.looks import COUNTS, LEFT, RATES, means_of, several_looks


def crowd(people, pictures, noise, seed=0, size=32):
    """People are directions, some more like each other; each picture has noise of its own."""
    rng = np.random.default_rng(seed)
    families = rng.standard_normal((6, size))
    centres = 0.7 * rng.standard_normal((people, size)) + 0.7 * families[np.arange(people) % 6]
    wide = np.repeat(centres, pictures, axis=0) + noise * rng.standard_normal(
        (people * pictures, size)
    )
    unit = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return unit, np.repeat(np.arange(people), pictures)


def test_the_mean_of_five_looks_knows_more_and_errs_no_more_than_it_may():
    vectors, person = crowd(120, 12, noise=1.2)
    found = several_looks(vectors, person)
    assert found["people"] == 120
    for name, wanted in RATES.items():
        one, five = found["rates"][name]["1"], found["rates"][name]["5"]
        for said in ("tar", "fmr"):  # but for the rounding of cosines at the very threshold
            assert one["mean"][said] == pytest.approx(one["nearest"][said], rel=0.05)
        assert five["mean"]["tar"] > five["nearest"]["tar"] > one["mean"]["tar"]
        assert five["mean"]["fmr"] < 1.5 * wanted
        assert 0.6 * wanted < one["mean"]["fmr"] < 1.5 * wanted


def test_those_who_are_seldom_let_in_are_counted():
    """Half of the people are easy to know, the others look otherwise in every picture."""
    easy, person = crowd(30, 10, noise=0.2)
    hard, _ = crowd(30, 10, noise=6.0, seed=1)
    found = several_looks(np.concatenate([easy, hard]), np.concatenate([person, 30 + person]))
    assert found["rates"]["1e-3"]["5"]["mean"]["people_seldom"] == pytest.approx(0.5)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_it_measures_what_the_door_does(count):
    vectors, _ = crowd(7, count, noise=1.0)
    probe = crowd(1, 1, noise=1.0, seed=9)[0][0]
    looks = vectors.reshape(7, count, -1)
    door = Matcher(Gallery(vectors, np.repeat(np.arange(7), count), {})).match(probe)
    alike = means_of(looks) @ probe
    assert door.person_id == alike.argmax()
    assert door.distance == pytest.approx(np.sqrt(2 - 2 * alike.max()), abs=1e-5)


def test_looks_that_cancel_out_are_nobody():
    one = np.eye(4, dtype=np.float32)[:1]
    assert not means_of(np.stack([one[0], -one[0]])[None]).any()


def test_too_few_pictures_give_nothing():
    vectors, person = crowd(20, max(COUNTS) + LEFT - 1, noise=1.0)
    assert several_looks(vectors, person) == {}


def test_the_same_seed_draws_the_same_looks():
    vectors, person = crowd(20, 9, noise=1.2)
    first = several_looks(vectors, person, seed=1)
    assert first == several_looks(vectors, person, seed=1)
    assert first != several_looks(vectors, person, seed=2)
