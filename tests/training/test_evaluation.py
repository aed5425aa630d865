import json
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegate.errors import DataError, InputError
from facegate.training import calibration, data, detection, named_pairs, plots, verification
from facegate.training.data import Scene, read_pairs
from facegate.training.intervals import wilson
from facegate.training.sampling import labels_of
from facegate.training.strangers import Strangers
from facegate.types import Detection, Embedding
from facegate.vision.card import Calibration


def test_evaluating_needs_none_of_the_training_packages():
    code = (
        "import sys; from facegate.training import data, detection, plots, named_pairs;"
        "print([m for m in ('torch', 'keras', 'tensorflow', 'pyarrow', 'matplotlib')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- LFW's layout


def lfw(folder, pairs, pictures=("Ann_A/Ann_A_0001.jpg", "Ann_A/Ann_A_0002.png")):
    images = folder / "images"
    for name in (*pictures, "Bob/Bob_0001.webp"):
        path = images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((8, 8, 3), 90, np.uint8))
    (folder / "pairs.txt").write_text(pairs)
    return images, folder / "pairs.txt"


@pytest.mark.parametrize(
    ("head", "folds"), [("2\t1", [0, 0, 1, 1]), ("2", [0, 0, 0, 0]), ("1 2", [0, 0, 0, 0])]
)
def test_pairs_are_read_whatever_the_head_and_the_suffixes(tmp_path, head, folds):
    body = "Ann_A\t1\t2\nAnn_A\t1\tBob\t1\nAnn_A 2 1\n\nBob 1 Ann_A 2\n"
    images, pairs = lfw(tmp_path, f"{head}\n{body}")
    found = named_pairs.read_named_pairs(images, pairs)
    assert found.same == [True, False, True, False]
    assert found.fold == folds
    assert [p.name for p in found.a] == [
        "Ann_A_0001.jpg", "Ann_A_0001.jpg", "Ann_A_0002.png", "Bob_0001.webp",
    ]  # fmt: skip
    assert [p.name for p in found.b][-1] == "Ann_A_0002.png"


def test_a_name_with_dots_and_spaces_is_found(tmp_path):
    images, pairs = lfw(
        tmp_path, "1\nJ.R. Doe\t1\t1\nJ.R. Doe\t1\tBob\t1\n", ("J.R. Doe/J.R. Doe_0001.jpeg",)
    )
    assert named_pairs.read_named_pairs(images, pairs).a[0].name == "J.R. Doe_0001.jpeg"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: expected the numbers"),
        ("ten 300\n", "line 1: expected the numbers"),
        ("0\n", "line 1: expected the numbers"),
        ("1 2 3\n", "line 1: expected the numbers"),
        ("1\nAnn_A 1 2\nAnn_A\n", "line 3: expected `Name i j`"),
        ("1\nAnn_A 1 two\n", "line 2: expected `Name i j`"),
        ("1\nAnn_A 1 -2\n", "line 2: expected `Name i j`"),
        ("1\nAnn_A 1 Bob x\n", "line 2: expected `Name i j`"),
        ("1\n\nAnn_A 1 9\n", "line 3: .*Ann_A_0009.jpg: no such picture"),
        ("1\nAnn_A 1 Eve 1\n", "line 2: .*Eve_0001.jpg: no such picture"),
        ("1\nAnn_A 1 2\n", "1 pairs, but its first line promises 2"),
        ("2 1\nAnn_A 1 2\nAnn_A 1 Bob 1\n", "2 pairs, but its first line promises 4"),
        ("1\nAnn_A 1 2\nAnn_A 1 2\n", "2 pairs of one person and 0 of two"),
    ],
)
def test_a_bad_pairs_file_is_refused_with_its_line(tmp_path, content, said):
    images, pairs = lfw(tmp_path, content)
    with pytest.raises(DataError, match=said):
        named_pairs.read_named_pairs(images, pairs)


def test_missing_files_are_named(tmp_path):
    images, pairs = lfw(tmp_path, "1\nAnn_A 1 2\nAnn_A 1 Bob 1\n")
    with pytest.raises(DataError, match="nowhere: no such folder"):
        named_pairs.read_named_pairs(tmp_path / "nowhere", pairs)
    with pytest.raises(DataError, match=r"none\.txt: no such file"):
        named_pairs.read_named_pairs(images, tmp_path / "none.txt")
    pairs.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as text"):
        named_pairs.read_named_pairs(images, pairs)


class GreyReader:
    """Finds a face in every picture but black ones; the grey level is the person."""

    def find(self, pixels):
        box = np.array([1, 1, 7, 7], np.float32)
        return [Detection(box, np.zeros((5, 2), np.float32), 0.9)] if pixels.any() else []

    def look(self, pixels, _detection):
        return SimpleNamespace(aligned=cv2.resize(pixels, (160, 160)))

    def embed(self, face):
        angle = float(face.aligned.mean()) / 100
        return Embedding(np.array([np.cos(angle), np.sin(angle)], np.float32), "test", 1.0)


@pytest.mark.parametrize("same_person", [True, False])
def test_pairs_of_a_refused_picture_are_errors_of_either_kind(tmp_path, same_person):
    levels = {"A": (20, 22), "B": (200, 202), "C": (0, 120)}
    for name, shades in levels.items():
        (tmp_path / name).mkdir()
        for k, shade in enumerate(shades, start=1):
            path = tmp_path / name / f"{name}_{k:04d}.png"
            cv2.imwrite(str(path), np.full((8, 8, 3), shade, np.uint8))
    refused = "C 1 2\nA 2 B 2" if same_person else "B 1 2\nC 1 A 2"
    pairs = tmp_path / "pairs.txt"
    pairs.write_text(f"2 1\nA 1 2\nA 1 B 1\n{refused}\n")
    named = named_pairs.read_named_pairs(tmp_path, pairs)
    seen = named_pairs.see_pictures(GreyReader(), [*named.a, *named.b])
    assert seen.people == ["A", "A", "B", "B", *(["C"] if same_person else [])]
    assert len(seen.faces) == len(seen.people)
    assert np.isfinite(seen.faces).all()
    result = verification.figures(named_pairs.verify_pictures(seen, named))
    assert result["refused"] == 1
    assert result["accuracy"] == pytest.approx(0.75)
    assert result["comparisons"] == {"genuine": 2, "impostor": 2}


def test_the_main_face_is_large_or_central():
    def face(x1, y1, x2, y2):
        return Detection(np.array([x1, y1, x2, y2], np.float32), np.zeros((5, 2), np.float32), 0.9)

    large, small, corner = face(30, 30, 70, 70), face(45, 45, 55, 55), face(0, 0, 36, 36)
    assert named_pairs.main_face([small, corner, large], 100, 100) is large
    assert named_pairs.main_face([corner, small], 100, 100) is small
    assert named_pairs.main_face([], 100, 100) is None


# --- all pairs and calibration


def test_all_pairs_are_those_of_a_double_loop():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(700, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"p{k}" for k in rng.integers(0, 60, 700)]
    genuine, impostor = verification.all_pairs(vectors, labels_of(names))
    wanted = {True: [], False: []}
    for a in range(700):
        for b in range(a + 1, 700):
            wanted[names[a] == names[b]].append(float(vectors[a] @ vectors[b]))
    assert np.allclose(np.sort(genuine), np.sort(wanted[True]), atol=1e-5)
    assert np.allclose(np.sort(impostor), np.sort(wanted[False]), atol=1e-5)


def drawn(seed, count, genuine_at=0.6, impostor_at=0.0, spread=0.12):
    rng = np.random.default_rng(seed)
    genuine = np.clip(rng.normal(genuine_at, spread, count // 4), -1, 1).astype(np.float32)
    impostor = np.clip(rng.normal(impostor_at, spread, count), -1, 1).astype(np.float32)
    return genuine, impostor


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([40, 300, 5_000, 200_000]))
def test_the_table_says_what_share_of_impostors_lies_within(seed, count):
    genuine, impostor = drawn(seed, count)
    table = calibration.calibrate(genuine, Strangers.alike(impostor))
    distances, rates = table["distances"], table["false_match_rates"]
    assert (np.diff(distances) > 0).all()
    assert (np.diff(rates) > 0).all()
    assert table["comparisons"] == count
    assert rates[0] * count >= 9.99  # ten errors stand behind the smallest rate
    assert rates[-1] == pytest.approx(0.5, abs=0.02)
    actual = np.sqrt(2 - 2 * impostor.astype(np.float64))
    for distance, rate in zip(distances, rates, strict=True):
        assert (actual <= distance + 1e-12).mean() == pytest.approx(rate, abs=1e-9)


def test_the_probability_is_fitted_to_equally_many_of_both():
    genuine, impostor = drawn(3, 200_000)
    table = calibration.calibrate(genuine, Strangers.alike(impostor))
    curve = Calibration.of(table)
    same, other = (np.sqrt(2 - 2 * c.astype(np.float64)) for c in (genuine, impostor))
    at = curve.midpoint
    assert same.mean() < at < other.mean()
    # Of what lies near the midpoint, half is genuine when both kinds are equally many.
    near_same = (np.abs(same - at) < 0.02).mean()
    near_other = (np.abs(other - at) < 0.02).mean()
    assert near_same / (near_same + near_other) == pytest.approx(0.5, abs=0.12)
    assert curve.probability(float(same.mean())) > 0.95
    assert curve.probability(float(other.mean())) < 0.05


def test_too_few_impostors_make_no_table():
    genuine, impostor = drawn(0, 20)
    with pytest.raises(DataError, match="only 20 impostor pairs"):
        calibration.calibrate(genuine, Strangers.alike(impostor))


def test_a_refused_pair_is_never_accepted_however_far_apart_strangers_are():
    same = np.array([True, True, False, False])
    similarity = np.array([np.nan, 0.9, -0.5, -0.6], np.float32)
    told = verification.figures(verification.Verification(similarity, same, np.zeros(4, int), 1))
    assert told["tar_at_far"]["1e-2"] == 0.5
    assert told["eer"] >= 0.25


def test_folds_differ_by_so_much_and_the_eer_has_an_interval_of_its_own():
    rng = np.random.default_rng(0)
    fold, same = np.arange(400) % 4, rng.random(400) < 0.5
    similarity = (rng.normal(0, 0.3, 400) + 0.6 * same).astype(np.float32)
    told = verification.figures(verification.Verification(similarity, same, fold, 0))
    assert told["accuracy_std"] == pytest.approx(np.std(told["folds"]["accuracy"], ddof=1))
    few = min(same.sum(), (~same).sum())
    assert told["intervals"]["eer"] == pytest.approx(list(wilson(told["eer"] * few, few)))
    low, high = told["intervals"]["eer"]
    assert low < told["eer"] < high


# --- detection


def box_of(x, y, size):
    return np.array([x, y, x + size, y + size], np.float32)


def marks_of(box, off=0.0):
    x, y = box[:2]
    size = box[2] - box[0]
    unit = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)])
    return (unit * size + (x + off, y)).astype(np.float32)


class Prepared:
    """Answers with what was prepared for each picture, told apart by its first pixel."""

    def __init__(self, answers):
        self.answers = answers

    def detect(self, pixels):
        found = self.answers[int(pixels[0, 0, 0])]
        return [Detection(b, m, s) for b, m, s in found]


def scene(number, boxes, scores=None):
    pixels = np.zeros((512, 640, 3), np.uint8)  # twice the 320×256 frame
    pixels[0, 0, 0] = number
    stacked = np.array(boxes, np.float32).reshape(-1, 4)
    marks = np.array([marks_of(b) for b in stacked], np.float32).reshape(-1, 5, 2)
    sure = np.array(scores if scores is not None else [0.9] * len(stacked), np.float32)
    return Scene(pixels, stacked, marks, sure)


def test_faces_are_counted_by_their_size_in_the_frame():
    sizes = {"ge24": 48, "16to24": 47, "lt16": 31}  # pixels of the picture: halved in the frame
    boxes = [box_of(100 * k, 50, s) for k, s in enumerate(sizes.values())]
    found = [(boxes[1], marks_of(boxes[1], off=4.0), 0.9)]
    result = detection.detector_on_scenes(Prepared([found]), [scene(0, boxes)])
    assert result["faces"] == {"ge24": 1, "16to24": 1, "lt16": 1}
    assert result["recall"] == {"ge24": 0, "16to24": 1, "lt16": 0}
    assert result["landmark_nme"] == pytest.approx(4.0 / (0.4 * 47), rel=1e-3)


def test_false_alarms_twice_found_faces_and_unsure_annotations():
    face, unsure, nothing = box_of(10, 10, 60), box_of(200, 10, 60), box_of(400, 300, 60)
    said = [(b, marks_of(b), s) for b, s in ((face, 0.9), (face, 0.8), (unsure, 0.7))]
    alarm = (nothing, marks_of(nothing), 0.6)
    detector = Prepared([[*said, alarm], [alarm, alarm], []])
    scenes = [scene(0, [face, unsure], [0.9, 0.3]), scene(1, []), scene(2, [])]
    result = detection.detector_on_scenes(detector, scenes)
    assert result["false_alarms_with_faces"] == 2  # the second look at one face, and nothing
    assert result["false_alarms_per_image"] == 1
    assert result["images"] == {"with_faces": 1, "faceless": 2}
    assert result["recall"]["ge24"] == 1
    assert result["landmark_nme"] == 0
    ranking = detection.rank_detections(detector, scenes)
    assert ranking.faces == 1
    order = np.argsort(ranking.scores)
    assert ranking.scores[order] == pytest.approx([0.6, 0.6, 0.6, 0.8, 0.9])
    assert ranking.hits[order].tolist() == [False, False, False, False, True]


def test_a_box_that_overlaps_too_little_is_a_miss_and_an_alarm():
    face = box_of(100, 100, 60)
    beside = box_of(125, 100, 60)  # IoU 35 / 85
    result = detection.detector_on_scenes(
        Prepared([[(beside, marks_of(beside), 0.9)]]), [scene(0, [face])]
    )
    assert result["recall"]["ge24"] == 0
    assert result["false_alarms_with_faces"] == 1


@pytest.mark.parametrize(
    ("shape", "side", "name"),
    [
        ((512, 640), 47, "16to24"),
        ((512, 1280), 80, "16to24"),  # a wide picture is shrunk fourfold, not by half
        ((1024, 320), 80, "16to24"),
        ((512, 1280), 96, "ge24"),
        ((1024, 320), 63, "lt16"),
    ],
)
def test_a_faces_size_is_that_in_the_frame_the_picture_fits_into(shape, side, name):
    box, pixels = box_of(10, 10, side), np.zeros((*shape, 3), np.uint8)
    assert detection.size_class(box, pixels) == name


def test_landmarks_of_faces_nobody_is_sure_of_are_not_judged():
    face, unsure = box_of(10, 10, 60), box_of(200, 10, 60)
    said = [(face, marks_of(face), 0.9), (unsure, marks_of(unsure, off=30.0), 0.8)]
    told = detection.detector_on_scenes(Prepared([said]), [scene(0, [face, unsure], [0.9, 0.3])])
    assert told["landmark_nme"] == 0


# --- pictures


def test_plots_are_written_as_png(tmp_path):
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    rng = np.random.default_rng(0)
    same = np.arange(400) % 2 == 0
    similarity = (rng.normal(0, 0.2, 400) + 0.6 * same).astype(np.float32)
    similarity[:3] = np.nan
    found = verification.Verification(similarity, same, np.zeros(400, int), 2)
    ranking = detection.Ranking(rng.random(50).astype(np.float32), rng.random(50) < 0.8, 60)
    none = detection.Ranking(np.zeros(0, np.float32), np.zeros(0, bool), 3)
    written = plots.verification_plots(tmp_path / "a", found)
    written += plots.detection_plots(tmp_path / "a", ranking, 0.5)
    written += plots.detection_plots(tmp_path / "b", none, 0.5)
    for path in written:
        assert cv2.imread(str(path)).shape[0] > 300
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        plots.detection_plots(tmp_path / "file", ranking, 0.5)


# --- the command


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give either --data DIR"),
        (["--data", "d", "--images", "i"], "give either --data DIR"),
        (["--data", "d", "--pairs", "p"], "--pairs belongs to --images"),
        (["--data", "d", "--sheets", "s"], "--sheets belongs to --images"),
        (["--images", "i", "--card"], "--robustness and --card belong to --data"),
    ],
)
def test_the_command_wants_one_kind_of_data(facegate, given, said):
    assert said in facegate("evaluate", "embedder", *given).misuse


def test_the_command_wants_data_that_is_there(facegate):
    done = facegate("evaluate", "embedder", "--images", "i")
    assert done.code == DataError.exit_code
    assert "i: no such folder" in done.complaint


@pytest.mark.data
def test_the_real_pairs_fit_the_real_crops(real_data):
    import pyarrow.parquet as pq

    rows = pq.read_metadata(real_data / "faces-val.parquet").num_rows
    pairs = read_pairs(real_data / "val-pairs.csv", rows)
    assert np.bincount(pairs.fold).tolist() == [600] * 10
    assert json.dumps(data.source_names([real_data / "faces-val.parquet"]))
