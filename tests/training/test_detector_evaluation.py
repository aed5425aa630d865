import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from facegate.errors import DataError
from facegate.training import conditions, detection, misses
from facegate.training.boxfile import read_box_file
from facegate.training.data import Scene
from facegate.types import Detection


def scene(boxes=(), size=(256, 320)):
    """Bright squares on grey, with landmarks inside."""
    pixels = np.full((*size, 3), 90, np.uint8)
    for x1, y1, x2, y2 in boxes:
        pixels[int(y1) : int(y2), int(x1) : int(x2)] = 220
    stacked = np.array(boxes, np.float32).reshape(-1, 4)
    spots = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    marks = stacked[:, None, :2] + spots * (stacked[:, None, 2:] - stacked[:, None, :2])
    return Scene(pixels, stacked, marks.astype(np.float32), np.full(len(stacked), 0.9, np.float32))


class BrightSquares:
    """Finds squares brighter than a level, whole ones only."""

    def __init__(self, level=150):
        self.level = level

    def detect(self, pixels):
        bright = (pixels.min(2) > self.level).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(bright)
        found = []
        for x, y, w, h, area in stats[1:]:
            if area > 0.95 * w * h and w > 8:
                box = np.array([x, y, x + w, y + h], np.float32)
                found.append(Detection(box, np.zeros((5, 2), np.float32), min(0.99, w / 100)))
        return sorted(found, key=lambda d: -d.score)


def test_conditions_tell_what_is_lost_and_on_which_faces():
    scenes = [
        scene([(100, 100, 160, 160)]),
        scene([(20, 30, 60, 70), (200, 90, 280, 170)]),
        scene(),
    ]
    plain = detection.look_at(BrightSquares(), scenes)
    assert detection.figures(plain)["recall"]["ge24"] == 1
    found = conditions.under_conditions(BrightSquares(), plain)
    assert set(found) == {"dark", "tilted", "covered"}
    assert found["dark"]["recall"]["ge24"] == 0  # 220 * 0.15 is far below the level
    assert found["dark"]["loss"]["ge24"] == 1
    assert found["tilted"]["loss"]["ge24"] == 1  # a tilted square fills no box
    assert found["covered"]["loss"]["ge24"] > 0
    nothing = conditions.under_conditions(BrightSquares(level=20), plain)
    assert nothing["dark"]["loss"]["ge24"] == pytest.approx(1 - nothing["dark"]["recall"]["ge24"])


def test_a_tilted_face_keeps_its_landmarks_and_one_that_leaves_is_not_counted():
    one = scene([(140, 110, 180, 150), (0, 0, 30, 30)])
    one.pixels[116:124, 148:156] = (255, 0, 0)  # where the left eye lies: 152, 126
    for seed in range(4):
        turned = conditions.tilted(one, np.random.default_rng(seed))
        assert turned.scores[0] > 0.5
        assert turned.scores[1] == 0
        middle = (turned.boxes[0, :2] + turned.boxes[0, 2:]) / 2
        assert np.abs(turned.landmarks[0].mean(0) - middle).max() < 8
        eyes = turned.landmarks[0, 1] - turned.landmarks[0, 0]
        assert abs(np.degrees(np.arctan2(eyes[1], eyes[0]))) == pytest.approx(30, abs=0.5)
    assert conditions.tilted(scene(), np.random.default_rng(0)).pixels.shape == (256, 320, 3)


def test_darkness_keeps_the_sensors_noise():
    dark = conditions.darkened(scene(), np.random.default_rng(0)).pixels
    assert dark.mean() == pytest.approx(90 * 0.15, abs=0.5)
    assert dark.std() > 2


def test_recall_is_compared_at_equal_false_alarms():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.float32)
    hits = np.array([True, False, True, True, False, True])
    ranking = detection.Ranking(scores, hits, 5)
    assert detection.recall_at_alarms(ranking, 0) == pytest.approx(1 / 5)
    assert detection.recall_at_alarms(ranking, 1) == pytest.approx(3 / 5)
    assert detection.recall_at_alarms(ranking, 2) == pytest.approx(4 / 5)
    assert detection.recall_at_alarms(ranking, 9) == pytest.approx(4 / 5)


def test_landmark_errors_come_as_mean_and_median_by_size():
    one = scene([(100, 100, 160, 160)])
    off = Detection(one.boxes[0], one.landmarks[0] + (2.4, 0), 0.9)
    looked = [detection.Looked(one, [off], [0])]
    figures = detection.figures(looked)
    assert figures["landmark_median"] == pytest.approx(0.1, rel=1e-3)
    assert figures["landmark_by_size"] == {
        "ge24": {"mean": pytest.approx(0.1, rel=1e-3), "median": pytest.approx(0.1, rel=1e-3)}
    }


def test_alarms_are_also_counted_where_no_face_can_have_been_overlooked():
    """A faceless picture in a set of faces, and two in a set of rooms; an alarm in each but one."""
    alarm = Detection(np.array([10, 10, 40, 40], np.float32), np.zeros((5, 2), np.float32), 0.9)
    face, nobody = scene([(100, 100, 160, 160)]), scene()
    masks = [detection.Looked(replace(face, source="masks"), [], [])] * 20
    looked = [
        *masks,
        detection.Looked(replace(nobody, source="masks"), [alarm], [-1]),
        detection.Looked(replace(nobody, source="rooms"), [alarm], [-1]),
        detection.Looked(replace(nobody, source="rooms"), [], []),
    ]
    figures = detection.figures(looked)
    assert figures["false_alarms_per_image"] == pytest.approx(2 / 3)
    assert figures["false_alarms_believed"] == pytest.approx(1 / 2)


def test_the_sheet_shows_the_largest_miss_first():
    large, small = scene([(50, 50, 150, 150)]), scene([(50, 50, 80, 80)])
    alarm = Detection(np.array([200, 100, 240, 140], np.float32), np.zeros((5, 2), np.float32), 0.8)
    sheet = misses.worst_sheet(
        [detection.Looked(small, [], []), detection.Looked(large, [alarm], [-1])]
    )
    tile = misses.TILE_PX
    assert sheet.shape == (2 * (24 + 3 * tile), 8 * tile, 3)
    first, second = sheet[24 : 24 + tile, :tile], sheet[24 : 24 + tile, tile : 2 * tile]
    inside = slice(tile // 2 - 20, tile // 2 + 20)
    assert first[inside, inside].mean() > 200
    assert second[inside, inside].mean() > 200
    assert (sheet[24 : 24 + tile, 2 * tile :] == 32).all()
    assert misses.worst_sheet([]).shape == sheet.shape


# --- a folder of one's own


def test_faces_that_cannot_be_covered_are_not_counted_as_covered():
    """A box file without landmarks does not say where a mask would sit."""
    known, unknown = scene([(100, 100, 160, 160)]), scene([(20, 30, 80, 90)])
    unknown = replace(unknown, landmarks=np.full((1, 5, 2), np.nan, np.float32))
    plain = detection.look_at(BrightSquares(), [known, unknown])
    assert conditions.under_conditions(BrightSquares(), plain)["covered"]["loss"]["ge24"] == 1
    plain = detection.look_at(BrightSquares(), [unknown])
    assert conditions.under_conditions(BrightSquares(), plain)["covered"]["loss"] == {}


@pytest.fixture
def folder(tmp_path):
    for name, boxes in (("a", [(100, 100, 160, 160)]), ("b", []), ("sub/c", [(20, 20, 60, 60)])):
        path = tmp_path / "pictures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), scene(boxes).pixels)
    return tmp_path / "pictures"


def test_a_folder_with_a_box_file_becomes_scenes(folder, tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text("file,x1,y1,x2,y2\na.png,100,100,160,160\nsub/c.png,20,20,60,60\n\n")
    scenes = read_box_file(folder, file).scenes
    assert [len(s.boxes) for s in scenes] == [1, 0, 1]
    figures = detection.detector_on_scenes(BrightSquares(), scenes)
    assert figures["recall"]["ge24"] == 1
    assert figures["images"] == {"with_faces": 2, "faceless": 1}
    assert np.isnan(figures["landmark_nme"])
    assert conditions.covered(scenes[0], np.random.default_rng(0)).pixels.shape == (256, 320, 3)


def test_a_file_that_is_no_picture_is_passed_over_with_its_faces(folder, tmp_path):
    file, said = tmp_path / "boxes.csv", []
    (folder / "torn.jpg").write_bytes(b"\xff\xd8 not all of it")
    file.write_text("file,x1,y1,x2,y2\na.png,100,100,160,160\ntorn.jpg,20,20,60,60\n")
    found = read_box_file(folder, file, said.append)
    assert [len(s.boxes) for s in found.scenes] == [1, 0, 0]
    assert found.unreadable == 1
    (line,) = said
    assert line.startswith(f"passed over: {folder / 'torn.jpg'}: not a picture")
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="none of its 4 pictures can be read"):
        read_box_file(folder, file, said.append)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name,x1\n", "first line must be file,x1,y1,x2,y2"),
        ("file,x1,y1,x2,y2\na.png,1,2,3\n", "line 2: expected a file name and 4 numbers"),
        ("file,x1,y1,x2,y2\na.png,1,2,3,x\n", "line 2"),
        ("file,x1,y1,x2,y2\na.png,9,2,3,4\n", "x1 < x2"),
        ("file,x1,y1,x2,y2\na.png,1,2,inf,4\n", "line 2"),
        ("file,x1,y1,x2,y2\nz.png,1,2,3,4\n", "z.png is not in"),
    ],
)
def test_a_bad_box_file_is_refused_with_its_line(folder, tmp_path, content, said):
    file = tmp_path / "boxes.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=said):
        read_box_file(folder, file)
    with pytest.raises(DataError, match="no such folder"):
        read_box_file(tmp_path / "nowhere", file)
    with pytest.raises(DataError, match="no such file"):
        read_box_file(folder, tmp_path / "none.csv")


def test_the_command_on_a_folder_of_portraits(facegate, portraits, tmp_path):
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "eileen.png"), portraits[0][..., ::-1])
    cv2.imwrite(str(folder / "grey.png"), np.full((200, 300, 3), 128, np.uint8))
    (folder / "torn.png").write_bytes(b"")
    (tmp_path / "boxes.csv").write_text("file,x1,y1,x2,y2\neileen.png,178,60,272,190\n")
    sheet = tmp_path / "worst.png"
    done = facegate(
        "evaluate", "detector", "--images", folder, "--boxes", tmp_path / "boxes.csv",
        "--plots", tmp_path / "plots", "--misses", sheet, "--conditions", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["recall"]["ge24"] == 1
    assert said["false_alarms_per_image"] == 0
    assert said["unreadable"] == 1
    assert "torn.png: the file is empty" in done.err
    assert set(said["conditions"]) == {"dark", "tilted", "covered"}
    assert cv2.imread(str(sheet)) is not None
    assert cv2.imread(str(tmp_path / "plots" / "precision-recall.png")) is not None
    assert "with --boxes FILE" in facegate("evaluate", "detector", "--images", folder).misuse
    boxes = ("--images", folder, "--boxes", tmp_path / "boxes.csv")
    assert "--card belongs to" in facegate("evaluate", "detector", *boxes, "--card").misuse


def test_the_command_sets_the_landmarks_beside_the_given_crops(facegate, small_data):
    done = facegate("evaluate", "landmarks", "--data", small_data, "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert set(said["detected"]) == {"16", "24", "38", "77"}
    for px, reached in said["detected"].items():
        if int(px) > 24:  # patterns are no faces: nothing is found, but for a smudge from far away
            assert reached["found"] < 0.5
            assert abs(reached["cost_of_noise"]) < 0.2
        assert reached["cost"] == pytest.approx(said["given"]["accuracy"] - reached["accuracy"])
