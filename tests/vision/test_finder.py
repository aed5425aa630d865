from dataclasses import replace

import numpy as np
import pytest
from test_refiner import face

from facegate.vision.finder import MOST_CANDIDATES, FaceFinder

FULL = np.zeros((1080, 1920, 3), np.uint8)
SMALL = np.zeros((180, 320, 3), np.uint8)


class Candidates:
    """A detector that says what it is told to, and remembers what it was shown."""

    def __init__(self, *found):
        self.found, self.shown = found, []

    def detect(self, pixels):
        self.shown.append(pixels)
        return list(self.found)


class Shifting:
    """A refiner that moves every candidate by a pixel of what it is shown, and scores it."""

    side_px = 64

    def __init__(self, *scores):
        self.scores, self.shown = list(scores), []

    def refine(self, pixels, candidate):
        self.shown.append(pixels)
        score = self.scores.pop(0) if self.scores else candidate.score
        return replace(
            candidate, box=candidate.box + 1, landmarks=candidate.landmarks + 1, score=score
        )


def test_the_refiner_has_the_last_word():
    finder = FaceFinder(
        Candidates(face(10, 10, 40, 0.9), face(100, 50, 40, 0.2), face(200, 50, 40, 0.3)),
        Shifting(0.1, 0.7, 0.95),
        min_score=0.5,
    )
    first, second = finder.detect(SMALL)
    assert (first.score, second.score) == (0.95, 0.7)
    np.testing.assert_allclose(first.box, face(201, 51, 40).box)
    np.testing.assert_allclose(second.landmarks, face(101, 51, 40).landmarks, rtol=1e-6)


def test_candidates_that_turn_out_to_be_one_face_are_one():
    finder = FaceFinder(Candidates(face(10, 10, 40), face(14, 10, 40)), Shifting(0.7, 0.8), 0.5)
    (found,) = finder.detect(SMALL)
    assert found.score == 0.8


@pytest.mark.parametrize(("side", "where", "moved"), [(20, FULL, 1), (40, SMALL, 6)])
def test_far_faces_are_refined_in_all_their_pixels_and_near_ones_in_enough(side, where, moved):
    """The low-resolution picture is searched; six pixels of the full one are one of it."""
    detector, refiner = Candidates(face(50, 60, side)), Shifting()
    (found,) = FaceFinder(detector, refiner, 0.5).detect(FULL, SMALL)
    assert detector.shown[0] is SMALL
    assert refiner.shown[0] is where
    np.testing.assert_allclose(found.box, face(300, 360, 6 * side).box + moved, rtol=1e-6)
    np.testing.assert_allclose(
        found.landmarks, face(300, 360, 6 * side).landmarks + moved, rtol=1e-6
    )


def test_a_picture_full_of_candidates_costs_no_more_than_the_best_of_them():
    crowd = [face(10 * k, 10, 8, 0.9 - 0.002 * k) for k in range(3 * MOST_CANDIDATES)]
    refiner = Shifting()
    found = FaceFinder(Candidates(*crowd), refiner, 0.5).detect(SMALL)
    assert len(refiner.shown) == len(found) == MOST_CANDIDATES
    assert found[0].score == 0.9


def test_nobody_is_found_where_nothing_is_seen():
    refiner = Shifting()
    assert FaceFinder(Candidates(), refiner, 0.5).detect(FULL, SMALL) == []
    assert not refiner.shown


def test_tiles_are_searched_too():
    """A face near an inner seam is left to the tile that shows it whole."""
    detector, refiner = Candidates(face(10, 10, 40)), Shifting()
    finder = FaceFinder(detector, refiner, 0.5, tiles=2)
    found = sorted(d.box[0] for d in finder.detect(FULL, SMALL))
    assert len(detector.shown) == 5
    assert found == [11.0, 66.0]  # in the first tile; in the small picture, moved by a pixel of it
