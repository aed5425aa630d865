from dataclasses import replace

import numpy as np
import pytest

from facegate.training import scenes
from facegate.training.data import Scene, without_faces
from facegate.training.scenes import MIN_FACE_PX, SIZE_RANGES, assign, backlight, compose
from facegate.vision.decoding import cell_centres

HEIGHT, WIDTH = 256, 320


def scene(box, width=320, height=256):
    """A grey picture with one bright face, its landmarks inside the box."""
    x1, y1, x2, y2 = box
    pixels = np.full((height, width, 3), 90, np.uint8)
    pixels[max(0, int(y1)) : int(y2), max(0, int(x1)) : int(x2)] = 220
    spots = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    landmarks = np.array([x1, y1]) + spots * np.array([x2 - x1, y2 - y1])
    return Scene(
        pixels,
        np.array([box], np.float32),
        landmarks[None].astype(np.float32),
        np.array([0.9], np.float32),
    )


@pytest.mark.parametrize("count", [1, 4])
def test_boxes_and_landmarks_move_with_the_pixels(count):
    """Whatever scale, tilt and mirror: landmarks lie in their box, eyes in order, mouth below."""
    seen = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        canvas = compose([scene((120, 80, 200, 180))] * count, HEIGHT, WIDTH, rng)
        for box, marks, ignore in zip(canvas.boxes, canvas.landmarks, canvas.ignore, strict=True):
            middle = (box[:2] + box[2:]) / 2
            if ignore or not (8 < middle[0] < WIDTH - 8 and 8 < middle[1] < HEIGHT - 8):
                continue
            seen += 1
            sides = box[2:] - box[:2]
            assert (marks > box[:2] - 0.3 * sides).all()
            assert (marks < box[2:] + 0.3 * sides).all()
            across, down = marks[1] - marks[0], marks[3:].mean(0) - marks[:2].mean(0)
            assert across[0] > 0  # the left eye, as seen, stays on the left
            assert down[1] > 0
    assert seen > 30


def test_annotations_lie_on_the_pixels_to_a_tenth_of_one(monkeypatch):
    """Also in the mirror and after shrinking: a half pixel is a twentieth of a far face's eyes."""
    monkeypatch.setattr(scenes, "MASKED_SHARE", 0.0)
    face = scene((500, 300, 900, 700), 1400, 1000)
    face.pixels[face.pixels == 90] = 0
    off = []
    for seed in range(300):
        canvas = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        rng = np.random.default_rng(seed)
        boxes, *_ = scenes._place(face, canvas, (0, 0, WIDTH, HEIGHT), rng)
        bright = canvas[..., 0].astype(float)
        if not len(boxes) or max(bright[[0, -1]].max(), bright[:, [0, -1]].max()) > 0:
            continue  # the face reaches the border
        at = [
            np.average(np.arange(n) + 0.5, weights=bright.sum(a)) for n, a in ((320, 0), (256, 1))
        ]
        off.append(at - (boxes[0, :2] + boxes[0, 2:]) / 2)
    assert len(off) > 100
    assert np.abs(off).max() < 0.1


def test_a_face_that_the_picture_itself_cuts_off_is_to_be_found():
    """Two thirds of the box lie outside the picture; what is seen of it counts in full."""
    found = 0
    for seed in range(80):
        canvas = compose([scene((-80, 60, 40, 200))], HEIGHT, WIDTH, np.random.default_rng(seed))
        found += int((~canvas.ignore).sum())
    assert found > 20


def test_a_face_that_only_the_view_cuts_off_is_ignored():
    canvas = None
    for seed in range(300):
        canvas = compose([scene((100, 60, 180, 160))], HEIGHT, WIDTH, np.random.default_rng(seed))
        if canvas.ignore.any():
            break
    assert canvas is not None
    assert canvas.ignore.any()
    centres, strides = cell_centres(HEIGHT, WIDTH)
    assert (assign(canvas, centres, strides) < 0).all()


def test_a_face_that_the_annotator_missed_is_no_background():
    """A picture without a face is believed in a set of rooms, not in a set of faces."""
    face = scene((100, 60, 180, 160))
    nobody = {"boxes": face.boxes[:0], "landmarks": face.landmarks[:0], "scores": face.scores[:0]}
    given = [
        *[replace(face, source="masks")] * 30,
        replace(face, source="masks", **nobody),
        replace(face, source="rooms"),
        *[replace(face, source="rooms", **nobody)] * 3,
        replace(face, **nobody),
    ]
    assert [s.source for s in without_faces(given)] == ["rooms"] * 3 + [""]


@pytest.mark.train
def test_the_pictures_that_alarm_the_detector_weigh_most():
    torch = pytest.importorskip("torch")
    from facegate.training.negatives import FLOOR, hardness

    class Bright(torch.nn.Module):
        """Takes bright places for faces."""

        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            seen = x.mean(1, keepdim=True) * 20
            return {f"score_{s}": torch.nn.functional.avg_pool2d(seen, s) for s in (8, 16, 32)}

    network = Bright().train()
    dark = scene((0, 0, 1, 1))
    bright = Scene(np.full((256, 320, 3), 250, np.uint8), *([np.zeros(0, np.float32)] * 3))
    weights = hardness(network, [dark, bright, dark], HEIGHT, WIDTH)
    assert weights[1] > 0.9
    assert weights[0] == weights[2] == pytest.approx(FLOOR)
    assert network.training


def test_backlight_darkens_the_faces_and_lets_the_rest_glare():
    pixels = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    box = np.array([[120, 60, 200, 160]], np.float32)
    for seed in range(10):
        lit = backlight(pixels, box, np.random.default_rng(seed))
        assert lit[95:125, 145:175].mean() < 100
        assert lit[:40, :60].mean() > 150
    assert (pixels == 120).all()
    empty = backlight(pixels, np.zeros((0, 4), np.float32), np.random.default_rng(0))
    assert empty.mean() > 150


def test_the_recipe_shows_what_a_door_camera_meets():
    """Over many canvases: small faces, tilted heads, darkness, grey pictures, covered mouths."""
    rng = np.random.default_rng(0)
    coloured = scene((120, 80, 200, 180))
    coloured.pixels[..., 0] //= 2
    sizes, tilts, levels, grey = [], [], [], 0
    for _ in range(300):
        canvas = compose([coloured], HEIGHT, WIDTH, rng)
        levels.append(canvas.pixels.mean())
        spread = canvas.pixels.astype(int)
        grey += int(np.abs(spread[..., 0] - spread[..., 2]).mean() < 1)
        for box, marks, ignore in zip(canvas.boxes, canvas.landmarks, canvas.ignore, strict=True):
            if not ignore:
                sizes.append(float(np.sqrt(np.prod(box[2:] - box[:2]))))
                across = marks[1] - marks[0]
                tilts.append(abs(float(np.degrees(np.arctan2(across[1], across[0])))))
    assert MIN_FACE_PX <= 12
    assert np.mean(np.array(sizes) < 16) > 0.08
    assert np.mean(np.array(tilts) > 20) > 0.05
    assert max(tilts) > 29
    assert np.mean(np.array(levels) < 40) > 0.05
    assert grey > 20


def canvas(*boxes, ignore=()):
    boxes = np.array(boxes, np.float32)
    none = np.zeros((len(boxes), 5, 2), np.float32)
    ignored = np.isin(np.arange(len(boxes)), ignore)
    return scenes.Canvas(np.zeros((HEIGHT, WIDTH, 3), np.uint8), boxes, none, ignored)


@pytest.mark.parametrize(
    ("size", "strides"), [(20, {8}), (40, {8, 16}), (60, {16}), (90, {16, 32}), (150, {32})]
)
def test_each_stride_learns_faces_of_its_own_sizes(size, strides):
    centres, of = cell_centres(HEIGHT, WIDTH)
    answer = assign(canvas([160 - size / 2, 128 - size / 2, 160 + size / 2, 128 + size / 2]),
                    centres, of)  # fmt: skip
    assert set(of[answer == 0].tolist()) == strides
    for stride in strides:
        near = centres[(answer == 0) & (of == stride)]
        assert len(near) == 4  # within a stride of the middle, which lies on a corner of cells
        assert np.abs(near - (160, 128)).max() < stride
    assert SIZE_RANGES[-1][1] > 1e6


def test_of_two_faces_in_one_place_the_smaller_keeps_the_cell():
    centres, of = cell_centres(HEIGHT, WIDTH)
    large, small = [140, 108, 180, 148], [144, 112, 176, 144]
    for boxes, wanted in (((large, small), 1), ((small, large), 0)):
        assert set(assign(canvas(*boxes), centres, of)[of == 8].tolist()) == {-1, wanted}


def test_light_and_noise_never_run_over():
    """A white wall stays bright and a black coat dark, whatever the gain and the noise."""
    for level, least, most in ((250, 8, 255), (3, 0, 120)):
        for seed in range(60):
            lit = scenes.light(np.full((64, 64, 3), level, np.uint8), np.random.default_rng(seed))
            spread = lit.astype(int)
            assert spread.max(axis=(0, 1)).max() - spread.min(axis=(0, 1)).min() < 200, seed
            assert least <= lit.mean() <= most
