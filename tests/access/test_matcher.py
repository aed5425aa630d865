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
    """Nearest person and margin, one template after the other, in float64."""
    nearest = {}
    for row, person in zip(gallery.matrix, gallery.person_ids, strict=True):
        distance = math.dist(row.astype(float), probe.astype(float))
        nearest[int(person)] = min(distance, nearest.get(int(person), 9.0))
    ranked = sorted((d, p) for p, d in nearest.items())
    margin = ranked[1][0] - ranked[0][0] if len(ranked) > 1 else math.inf
    return ranked[0][1], ranked[0][0], margin


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), min_size=1, max_size=24))
def test_it_agrees_with_brute_force(seed, templates_of):
    gallery, probe = random_gallery(seed, templates_of)
    match = Matcher(gallery).match(probe)
    person, distance, margin = brute_force(gallery, probe)
    assert match.person_id == person
    assert match.distance == pytest.approx(distance, abs=1e-5)
    assert match.margin == pytest.approx(margin, abs=1e-5)


def test_the_runner_up_is_another_person():
    close, also_close, far = np.eye(128, dtype=np.float32)[:3]
    also_close = unit(close + 0.1 * also_close)
    gallery = Gallery(np.stack([close, far, also_close]), np.array([7, 3, 7]), {7: "a", 3: "b"})
    match = Matcher(gallery).match(close)
    assert match.person_id == 7
    assert match.distance == 0.0
    assert match.margin == pytest.approx(math.sqrt(2), abs=1e-6)


def test_two_people_with_one_face_have_no_margin():
    face = np.eye(128, dtype=np.float32)[0]
    match = Matcher(Gallery(np.stack([face, face]), np.array([1, 2]), {})).match(face)
    assert match.margin == 0.0


def test_one_person_alone_has_an_infinite_margin():
    gallery, probe = random_gallery(1, [4, 4])
    assert Matcher(gallery).match(probe).margin == math.inf


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
    wide = gallery.matrix.astype(np.float64)
    for seed in range(100, 120):
        probe = unit(np.random.default_rng(seed).standard_normal(128))
        distances = np.sqrt(((wide - probe) ** 2).sum(axis=1))
        best = int(distances.argmin())
        others = distances[gallery.person_ids != gallery.person_ids[best]]
        match = matcher.match(probe)
        assert match.person_id == gallery.person_ids[best]
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
