"""Settling an embedder's last layer: on made-up people, and on a small network."""

import numpy as np
import pytest

from facegate.errors import DataError

pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")

from facegate.training.last_layer import metric_of

D = 16


def crowd(people, each, rng, noise_along, off):
    """People as points; pictures of one differ most along the first axis, and all lie `off`."""
    spread = np.ones(D)
    spread[0] = noise_along
    means = rng.normal(0, 1, (people, D))
    raw = np.repeat(means, each, 0) + 0.3 * rng.normal(0, 1, (people * each, D)) * spread
    return (raw + off).astype(np.float32), np.repeat(np.arange(people), each)


def hits(raw, label, metric=None, far=1e-2):
    """True accepts at a false accept rate, among all pairs."""
    x = raw if metric is None else (raw - metric.centre) @ metric.spread
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    a, b = np.triu_indices(len(x), 1)
    cosine, same = (x[a] * x[b]).sum(1), label[a] == label[b]
    return (cosine[same] > np.quantile(cosine[~same], 1 - far)).mean()


def test_people_it_did_not_see_are_told_apart_better():
    rng = np.random.default_rng(0)
    learnt = metric_of(*crowd(400, 4, rng, 6.0, 2.0))
    held_out = crowd(60, 5, rng, 6.0, 2.0)
    assert learnt.people == 400
    assert hits(*held_out, learnt) > hits(*held_out) + 0.2
    assert learnt.spread[0, 0] < 0.6 * learnt.spread[1, 1]
    assert np.trace(learnt.spread) == pytest.approx(D)


def test_few_people_change_little():
    rng = np.random.default_rng(1)
    few, many = (metric_of(*crowd(n, 4, rng, 6.0, 2.0)) for n in (5, 2000))
    off = [np.abs(m.spread - np.eye(D)).max() for m in (few, many)]
    assert off[0] < 0.3 * off[1]
    assert np.linalg.norm(few.centre) < 0.5 * np.linalg.norm(many.centre)
    assert np.linalg.norm(many.centre) == pytest.approx(2.0 * np.sqrt(D), rel=0.05)


def test_everybody_counts_the_same_however_many_pictures_there_are():
    rng = np.random.default_rng(2)
    raw, label = crowd(50, 3, rng, 1.0, 1.0)
    star = rng.normal(8, 5, (500, D)).astype(np.float32)
    with_star = metric_of(np.concatenate([raw, star]), np.append(label, np.full(500, 99)))
    assert np.linalg.norm(with_star.centre - metric_of(raw, label).centre) < 0.25 * 8


def test_who_has_one_picture_tells_the_centre_alone():
    rng = np.random.default_rng(3)
    raw, label = crowd(40, 3, rng, 3.0, 0.0)
    alone = rng.normal(5, 1, (4000, D)).astype(np.float32)
    both = metric_of(np.concatenate([raw, alone]), np.append(label, 100 + np.arange(4000)))
    assert both.spread == pytest.approx(metric_of(raw, label).spread)
    assert both.centre == pytest.approx(np.full(D, 5.0), abs=0.2)


def test_without_two_pictures_of_anybody_it_says_so():
    with pytest.raises(DataError, match="nobody has two pictures"):
        metric_of(np.ones((3, D), np.float32), np.arange(3))


def test_centring_alone_leaves_how_pictures_differ():
    raw, label = crowd(400, 4, np.random.default_rng(0), 6.0, 2.0)
    centred = metric_of(raw, label, centre_only=True)
    assert (centred.spread == np.eye(D)).all()
    assert centred.centre == pytest.approx(metric_of(raw, label).centre)
    assert hits(raw, label, centred) > hits(raw, label)
    alone = metric_of(raw[::4], label[::4], centre_only=True)  # one picture of each
    assert (alone.people, alone.centre[0]) == (0, pytest.approx(2.0, abs=0.5))
