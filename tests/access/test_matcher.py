import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegate.access.gallery import Gallery
from facegate.access.matcher import Matcher
from facegate.errors import InputError


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def random_gallery(seed, templates_of):
    """`templates_of` names the person of each row, in any order."""
    rng = np.random.default_rng(seed)
    ids = np.array(templates_of, np.int64)
    matrix = unit(rng.standard_normal((len(ids), 128))) if len(ids) else np.empty((0, 128), "f4")
    return Gallery(matrix, ids, {int(i): f"p{i}" for i in ids}), unit(rng.standard_normal(128))


def brute_force(gallery, probe):
    """Nearest person and margin, one person after the other, in float64."""
    ranked = []
    for person in sorted(set(gallery.person_ids.tolist())):
        mean = gallery.matrix[gallery.person_ids == person].astype(float).mean(0)
        alike = sum(a * b for a, b in zip(mean, probe.tolist(), strict=True))
        ranked.append((math.sqrt(2 - 2 * alike * math.hypot(*mean) ** (-2 / 3)), person))
    ranked.sort()
    if len(ranked) == 1:
        return ranked[0][1], ranked[0][0], math.inf, None
    return ranked[0][1], ranked[0][0], ranked[1][0] - ranked[0][0], ranked[1][1]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), min_size=1, max_size=24))
def test_it_agrees_with_brute_force(seed, templates_of):
    gallery, probe = random_gallery(seed, templates_of)
    match = Matcher(gallery).match(probe)
    person, distance, margin, runner_up = brute_force(gallery, probe)
    assert (match.person_id, match.runner_up) == (person, runner_up)
    assert match.distance == pytest.approx(distance, abs=1e-5)
    assert match.margin == pytest.approx(margin, abs=1e-5)


def test_the_runner_up_is_another_person():
    close, aside, far = np.eye(128, dtype=np.float32)[:3]
    looks = np.stack([unit(close + aside), far, unit(close - aside)])
    match = Matcher(Gallery(looks, np.array([7, 3, 7]), {7: "a", 3: "b"})).match(close)
    assert (match.person_id, match.runner_up) == (7, 3)
    length = 0.5 ** (1 / 6)  # the third root of that of the mean of two at a right angle
    assert match.distance == pytest.approx(math.sqrt(2 - 2 * length), abs=1e-6)
    assert match.distance + match.margin == pytest.approx(math.sqrt(2), abs=1e-6)


def test_looks_that_are_alike_count_as_one():
    gallery, probe = random_gallery(3, [1, 2])
    often = Gallery(gallery.matrix[[0, 0, 0, 1]], np.array([1, 1, 1, 2]), {})
    once, now = Matcher(gallery).match(probe), Matcher(often).match(probe)
    assert now.person_id == once.person_id
    assert now.distance == pytest.approx(once.distance, abs=1e-6)
    assert now.margin == pytest.approx(once.margin, abs=1e-6)


def test_looks_that_cancel_out_resemble_nobody():
    one, other = np.eye(128, dtype=np.float32)[:2]
    gallery = Gallery(np.stack([one, -one, other]), np.array([1, 1, 2]), {})
    match = Matcher(gallery).match(unit(one + 0.1 * other))
    assert match.person_id == 2
    assert match.distance > 1.3


def test_two_people_with_one_face_have_no_margin():
    face = np.eye(128, dtype=np.float32)[0]
    match = Matcher(Gallery(np.stack([face, face]), np.array([1, 2]), {})).match(face)
    assert (match.person_id, match.runner_up, match.margin) == (1, 2, 0.0)


def test_one_person_alone_has_an_infinite_margin():
    gallery, probe = random_gallery(1, [4, 4])
    match = Matcher(gallery).match(probe)
    assert (match.margin, match.runner_up) == (math.inf, None)


def test_an_empty_gallery_knows_nobody():
    gallery, probe = random_gallery(1, [])
    match = Matcher(gallery).match(probe)
    assert (match.person_id, match.distance, match.margin) == (None, 2.0, math.inf)


def test_a_broken_embedding_matches_nobody():
    gallery, _ = random_gallery(1, [1, 2])
    assert Matcher(gallery).match(np.full(128, np.nan, np.float32)).person_id is None


def test_ten_thousand_people_agree_with_brute_force():
    gallery, _ = random_gallery(4, [n // 2 for n in range(10_000)])
    matcher = Matcher(gallery)
    wide = (gallery.matrix[0::2].astype(np.float64) + gallery.matrix[1::2]) / 2
    wide *= np.linalg.norm(wide, axis=1, keepdims=True) ** (-2 / 3)
    for seed in range(100, 120):
        probe = unit(np.random.default_rng(seed).standard_normal(128))
        distances = np.sqrt(2 - 2 * wide @ probe)
        best = int(distances.argmin())
        others = np.delete(distances, best)
        match = matcher.match(probe)
        next_best = int(distances.argsort()[1])
        found = [match.person_id, match.runner_up]
        assert found == gallery.person_ids[[2 * best, 2 * next_best]].tolist()
        assert match.distance == pytest.approx(distances[best], abs=1e-5)
        assert match.margin == pytest.approx(others.min() - distances[best], abs=1e-5)


def test_a_match_runs_on_one_core():
    """Cores that the networks use answer late, and a product shared out waits for all of them."""
    code = (
        "import os\n"
        "from facegate.access.matcher import Matcher\n"
        "import numpy as np\n"
        "np.ones((50_000, 128), np.float32) @ np.ones(128, np.float32)\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean
    )
    assert done.stdout.strip() == "1"


def test_a_probe_of_another_size_is_refused():
    gallery, _ = random_gallery(0, [1, 2])
    with pytest.raises(InputError, match=r"has 128 numbers, not shape \(512,\)"):
        Matcher(gallery).match(unit(np.ones(512)))
