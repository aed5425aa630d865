import numpy as np
import pytest

from facegate.training.groups import false_matches_by_group
from facegate.training.intervals import RankedPairs, bootstrap, hull, resolved, wilson
from facegate.training.metrics import tar_at_far, threshold_at_far
from facegate.training.strangers import strangers
from facegate.training.verification import Verification, everybody, figures


def test_wilsons_interval_is_that_of_the_tables():
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_rate_wants_ten_errors_to_be_resolved():
    assert resolved(1e-3, 10_000)
    assert not resolved(1e-3, 9_999)
    assert hull((0.2, 0.5), (0.1, 0.4)) == [0.1, 0.5]
    assert hull((0.2, 0.5), None) == [0.2, 0.5]


def made_up(people, each, seed, spread=0.9):
    """Embed people as points around a centre of their own."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=(people, 16)).repeat(each, axis=0)
    vectors = centre + spread * rng.normal(size=centre.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.arange(people).repeat(each)


def verified(vectors, person):
    a, b = np.triu_indices(len(vectors), 1)
    return Verification(
        (vectors[a] * vectors[b]).sum(1),
        person[a] == person[b],
        np.zeros(len(a), int),
        0,
        np.stack([person[a], person[b]], axis=1),
    )


def test_few_people_make_wide_intervals_however_many_pairs():
    few = figures(verified(*made_up(8, 16, seed=1)))
    many = figures(verified(*made_up(80, 2, seed=1)))
    assert few["comparisons"]["genuine"] > 10 * many["comparisons"]["genuine"]

    def width(f):
        low, high = f["intervals"]["tar_at_far"]["1e-2"]
        return high - low

    assert width(few) > width(many)


def test_the_interval_holds_the_true_rate_most_times():
    """Of 30 small samples nearly all must cover what a large one measures."""
    large = verified(*made_up(300, 2, seed=99))
    truth = tar_at_far(large.similarity, large.same, 1e-2)
    inside = 0
    for seed in range(30):
        v = verified(*made_up(25, 3, seed))
        ranked = RankedPairs.of(v.similarity, v.same, v.people)
        drawn = bootstrap(ranked, {"1e-2": 1e-2}, replicates=100)["1e-2"]
        rate, n = tar_at_far(v.similarity, v.same, 1e-2), v.same.sum()
        low, high = hull(wilson(rate * n, n), drawn)
        inside += low <= truth <= high
    assert inside >= 26


def test_without_the_people_wilsons_interval_stands_alone():
    v = verified(*made_up(10, 4, seed=0))
    blind = figures(Verification(v.similarity, v.same, v.fold, 0))
    n = blind["comparisons"]["genuine"]
    rate = blind["tar_at_far"]["1e-2"]
    assert blind["intervals"]["tar_at_far"]["1e-2"] == pytest.approx(list(wilson(rate * n, n)))


def test_the_draws_over_the_alike_pairs_are_those_over_all_pairs():
    vectors, person = made_up(60, 4, seed=3)
    v = verified(vectors, person)
    whole = bootstrap(RankedPairs.of(v.similarity, v.same, v.people), {"1e-3": 1e-3})
    low, high = everybody(vectors, person)["all_pairs"]["intervals"]["tar_at_far"]["1e-3"]
    assert low <= whole["1e-3"][0] + 1e-6
    assert high >= whole["1e-3"][1] - 1e-6
    genuine = v.similarity[v.same]
    rate = (genuine > threshold_at_far(v.similarity[~v.same], 1e-3)).mean()
    wide = hull(wilson(rate * len(genuine), len(genuine)), whole["1e-3"])
    assert [low, high] == pytest.approx(wide, abs=1e-6)


def test_groups_are_counted_as_a_double_loop_does():
    vectors, person = made_up(40, 3, seed=4)
    group = [("old", "young", "other")[p % 3] for p in person]
    found = false_matches_by_group(vectors, person, group, far=0.02)
    limit = strangers(vectors, person, group).threshold(0.02)
    impostor = [
        (float(vectors[a] @ vectors[b]) > limit, group[a], group[b])
        for b in range(len(person))
        for a in range(b)
        if person[a] != person[b]
    ]
    for name, said in found["within"].items():
        inside = [c for c, g, h in impostor if g == h == name]
        assert (said["impostors"], said["false_matches"]) == (len(inside), sum(inside))
        assert said["false_match_rate"] == pytest.approx(np.mean(inside))  # three pictures of each
        low, high = said["interval"]
        assert low < said["false_match_rate"] < high
    people = [14, 13, 13]  # of 40, numbered in turn
    rates = [found["within"][name]["false_match_rate"] for name in ("old", "young", "other")]
    assert np.average(rates, weights=people) == pytest.approx(0.02, rel=0.05)
    across = [c for c, g, h in impostor if g != h]
    assert found["between"]["false_matches"] == sum(across)
    assert found["between"]["impostors"] == len(across)
    assert found["between"]["false_match_rate"] == pytest.approx(np.mean(across), rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_people_with_one_picture_count_though_they_resemble_nobody(seed):
    rng = np.random.default_rng(seed)
    pictures = rng.normal(size=(34, 16)).astype(np.float32)
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    person = np.array([p for p in range(12) for _ in range(1 if p in (3, 11) else 3)][:32])
    found = everybody(pictures[: len(person)], person)["all_pairs"]
    assert found["people"] == 12
    for name, rate in found["tar_at_far"].items():
        low, high = found["intervals"]["tar_at_far"][name]
        assert low <= rate <= high


def test_pairs_count_alike_however_unequal_the_folds_are():
    fold = np.array([0] * 98 + [1] * 2)
    same = np.arange(100) % 2 == 0
    similarity = np.where(same, 0.9, 0.1).astype(np.float32)
    similarity[98] = 0.0  # one wrong pair, in the small fold
    found = figures(Verification(similarity, same, fold, 0))
    assert found["accuracy"] == pytest.approx(0.99)
    low, high = found["intervals"]["accuracy"]
    assert low < 0.99 < high
