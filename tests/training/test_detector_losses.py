"""What a detector pays for in training: scores, boxes and landmarks, each by hand."""

import numpy as np
import pytest
from test_scenes import scene

from facegate.vision.decoding import STRIDES, cell_centres

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("keras", reason="needs the extra [train]")
training = pytest.importorskip("facegate.training.detector")

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.*"),
]

CENTRES, STRIDES_OF = (torch.from_numpy(a) for a in cell_centres(64, 64))


def said(score, offsets, marks):
    """Nine maps of a network for 64×64 pixels that says the same in every cell of a stride."""
    maps = {}
    for s in STRIDES:
        n = 64 // s
        for kind, values in (("score", [score]), ("box", offsets), ("landmarks", marks)):
            maps[f"{kind}_{s}"] = (
                torch.tensor(values).float()[None, :, None, None].expand(1, len(values), n, n)
            )
    return maps


def lesson(kind_at_the_first_cell):
    """One face of 16 pixels about the middle of the first cell of stride 8."""
    cells = len(CENTRES)
    kind = torch.zeros((1, cells), dtype=torch.int64)
    kind[0, 0] = kind_at_the_first_cell
    box = torch.tensor([-4.0, -4.0, 12.0, 12.0]).expand(1, cells, 4)
    marks = torch.tensor([4.0, 4.0] * 5).expand(1, cells, 10)
    return training.Batch(torch.zeros(0), kind, box, marks)


EXACT = (0.0, 0.0, float(np.log(2)), float(np.log(2)))


def terms(score=0.0, offsets=EXACT, marks=(0.0,) * 10, kind=1):
    found = training.loss_terms(said(score, offsets, marks), lesson(kind), CENTRES, STRIDES_OF)
    return {name: float(value) for name, value in found.items()}


def test_a_face_that_is_found_exactly_costs_nothing_but_its_score():
    right = terms()
    assert right["box"] == pytest.approx(0, abs=1e-6)
    assert right["landmarks"] == pytest.approx(0, abs=1e-6)
    assert right["score"] > 0
    assert terms(score=9.0, kind=1)["score"] > terms(score=-9.0, kind=1)["score"]  # 83 cells alarm


def test_landmarks_cost_what_they_are_off_in_sizes_of_the_face():
    off = terms(marks=(0.4,) * 10)["landmarks"]  # 3.2 px of 16
    assert off == pytest.approx(0.2 - 0.005, rel=1e-3)


def test_a_box_that_is_off_costs_more_the_farther_it_is_off():
    near, far = (terms(offsets=(d, 0.0, *EXACT[2:]))["box"] for d in (0.5, 6.0))
    assert near == pytest.approx(1 - 12 / 20 + 16 / (20**2 + 16**2), rel=1e-4)
    assert far > 1 > near  # apart, the distance still teaches


def test_what_is_to_be_ignored_costs_nothing():
    cells = len(CENTRES)
    sure = terms(score=9.0, kind=0)["score"]
    assert terms(score=9.0, kind=-2)["score"] == pytest.approx(sure * (cells - 1) / cells)


def test_the_score_should_say_how_well_the_box_fits():
    """With a box that overlaps by 0.6, a score of 0.6 is right and a surer one is not."""
    offsets = (0.5, 0.0, *EXACT[2:])

    def cost(share):
        logit = float(np.log(share / (1 - share)))
        face, none = (terms(logit, offsets, kind=k)["score"] for k in (1, 0))
        return face - none * (len(CENTRES) - 1) / len(CENTRES)

    assert cost(0.6) == pytest.approx(0, abs=1e-4)
    assert cost(0.95) > cost(0.7) > cost(0.6)
    assert cost(0.2) > cost(0.5)


def test_lessons_say_what_is_face_background_and_neither():
    """As composed: a picture with a face nobody is sure of, and its cells are left alone."""
    unsure = scene((120, 80, 200, 180))
    unsure.scores[:] = 0.3
    settings = training.Settings(views=8, batch=8, peak_rate=1e-3)
    (sure,) = training._batches([scene((120, 80, 200, 180))], [], None, settings, 0, 1)
    (left,) = training._batches([unsure], [], None, settings, 0, 1)
    assert set(sure.kind.unique().tolist()) >= {0, 1}
    assert set(left.kind.unique().tolist()) == {-2, 0}
    assert (sure.kind == 0).float().mean() > 0.5
