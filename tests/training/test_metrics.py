import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facegate.training.metrics import (
    best_threshold,
    equal_error_rate,
    fold_accuracy,
    tar_at_far,
    threshold_at_far,
)

# Few distinct values, so that ties are common.
VALUE = st.integers(-8, 8).map(lambda n: n / 8)
PAIRS = st.lists(st.tuples(VALUE, st.booleans()), min_size=2, max_size=30)
BOTH_KINDS = PAIRS.filter(lambda p: len({same for _, same in p}) == 2)


def arrays(pairs):
    similarity, same = zip(*pairs, strict=True)
    return np.array(similarity, np.float32), np.array(same)


def accuracy(similarity, same, threshold):
    return ((similarity >= threshold) == same).mean()


@given(PAIRS)
def test_no_threshold_is_better_than_the_best(pairs):
    similarity, same = arrays(pairs)
    found = accuracy(similarity, same, best_threshold(similarity, same))
    every = [-2.0, 2.0, *(similarity - 0.01), *(similarity + 0.01)]
    assert found == max(accuracy(similarity, same, t) for t in every)


@given(BOTH_KINDS, st.sampled_from([0.5, 0.25, 0.1, 0.05]))
def test_tar_is_the_best_that_keeps_the_far(pairs, far):
    similarity, same = arrays(pairs)
    impostor, genuine = similarity[~same], similarity[same]
    found = tar_at_far(similarity, same, far)
    if len(impostor) * far < 1:
        assert threshold_at_far(impostor, far) == impostor.max()
    limits = np.unique(np.concatenate([similarity, [-2.0]]))
    allowed = [t for t in limits if (impostor > t).mean() <= far + 1e-9]
    assert found == max((genuine > t).mean() for t in allowed)


@given(BOTH_KINDS)
def test_eer_is_where_the_two_errors_come_nearest(pairs):
    similarity, same = arrays(pairs)
    gaps = {}
    for t in np.unique(similarity):
        missed = (similarity[same] < t).mean()
        matched = (similarity[~same] >= t).mean()
        gaps.setdefault(round(abs(missed - matched), 9), []).append((missed + matched) / 2)
    candidates = gaps[min(gaps)]
    assert any(abs(equal_error_rate(similarity, same) - c) < 1e-6 for c in candidates)


def test_without_impostors_there_is_no_rate():
    assert np.isnan(threshold_at_far(np.zeros(0, np.float32), 0.1))


def test_perfect_and_inverted_scores():
    same = np.array([True] * 5 + [False] * 5)
    perfect = np.where(same, 0.9, 0.1).astype(np.float32)
    assert equal_error_rate(perfect, same) == 0
    assert tar_at_far(perfect, same, 0.2) == 1
    assert equal_error_rate(-perfect, same) == 1
    assert tar_at_far(-perfect, same, 0.2) == 0


def test_the_threshold_of_a_fold_comes_from_the_others():
    # In fold 1 all similarities are shifted: its own best threshold would be right every time.
    similarity = np.array([0.8, 0.2, 0.8, 0.2, 0.1, -0.5], np.float32)
    same = np.array([True, False] * 3)
    fold = np.array([0, 0, 0, 0, 1, 1])
    assert fold_accuracy(similarity, same, fold).tolist() == [0.5, 0.5]


def test_a_single_fold_is_judged_by_its_own_threshold():
    similarity = np.array([0.9, 0.2, 0.8, 0.1], np.float32)
    assert fold_accuracy(similarity, similarity > 0.5, np.zeros(4, int)).tolist() == [1.0]


@pytest.mark.parametrize("truth", [True, False])
def test_a_pair_without_a_similarity_is_an_error_whichever_the_truth(truth):
    similarity = np.array([0.9, 0.1, 0.9, 0.1, np.nan], np.float32)
    same = np.array([True, False, True, False, truth])
    fold = np.array([0, 0, 1, 1, 1])
    assert fold_accuracy(similarity, same, fold).tolist() == pytest.approx([1, 2 / 3])


def test_nothing_comparable_is_all_wrong():
    nothing = np.full(4, np.nan, np.float32)
    same = np.array([True, True, True, False])
    assert fold_accuracy(nothing, same, np.array([0, 0, 1, 1])).tolist() == [0, 0]
