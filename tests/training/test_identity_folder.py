"""A folder of people: how it is read, how pairs are drawn, and what the command says of it."""

import itertools
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from facegate.errors import DataError
from facegate.training import identity_folder
from facegate.training.identity_folder import NamedPicture


def pictures(counts):
    return [
        NamedPicture(Path(f"{name}/{name}_{k:04d}.jpg"), name)
        for name, count in counts.items()
        for k in range(count)
    ]


def test_pairs_are_balanced_share_no_person_between_folds_and_come_back():
    counts = {f"p{k:02d}": 1 + k % 5 for k in range(50)}
    found = identity_folder.draw_pairs(pictures(counts), seed=3)
    assert identity_folder.draw_pairs(pictures(counts), seed=3) == found
    assert identity_folder.draw_pairs(pictures(counts), seed=4) != found
    fold, same = np.array(found.fold), np.array(found.same)
    assert len(set(found.fold)) == 10
    everybody = []
    for f in range(10):
        inside = fold == f
        assert 0 < (inside & same).sum() == (inside & ~same).sum()
        everybody.append(
            {p.parent.name for p, i in zip(found.a + found.b, [*inside, *inside], strict=True) if i}
        )
    assert not any(a & b for a, b in itertools.combinations(everybody, 2))
    for a, b, one in zip(found.a, found.b, found.same, strict=True):
        assert a != b
        assert (a.parent == b.parent) == one
    pairs = [frozenset(p) for p in zip(found.a, found.b, strict=True)]
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize("counts", [{"a": 1, "b": 1}, {"a": 5}, {"a": 5, "b": 1, "c": 1}])
def test_too_few_people_make_no_pairs(counts):
    with pytest.raises(DataError, match="two pictures or more"):
        identity_folder.draw_pairs(pictures(counts))


def test_files_that_are_there_twice_are_passed_over(tmp_path):
    for name, content in {
        "A/1.jpg": b"one", "A/2.jpg": b"two", "A/copy.jpg": b"two", "B/1.jpg": b"one",
        "B/2.jpg": b"six", "C/1.jpg": b"more than three", "A/none.jpg": b"", "B/none.jpg": b"",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    told = []
    found = identity_folder.read_distinct(tmp_path, told.append)
    left = [str(p.path.relative_to(tmp_path)) for p in found]  # the empty ones are told later
    assert left == ["A/2.jpg", "A/none.jpg", "B/2.jpg", "B/none.jpg", "C/1.jpg"]
    assert sorted(told) == [
        f"passed over: {tmp_path}/A/1.jpg: the same file is under B",
        f"passed over: {tmp_path}/A/copy.jpg: the same file as {tmp_path}/A/2.jpg",
        f"passed over: {tmp_path}/B/1.jpg: the same file is under A",
    ]


def test_a_folder_of_nothing_but_doubles_is_refused(tmp_path):
    for name in "AB":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"one")
    with pytest.raises(DataError, match="each picture is there under two names"):
        identity_folder.read_distinct(tmp_path, str)


def test_a_folder_without_people_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        identity_folder.read_folder(tmp_path / "nowhere")
    (tmp_path / "lonely.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="one folder a person"):
        identity_folder.read_folder(tmp_path)


def test_groups_are_read_and_a_missing_person_is_named(tmp_path):
    file = tmp_path / "groups.csv"
    file.write_text("Ann, old\n\nBob, J.,young\n")
    assert identity_folder.read_groups(file, {"Ann"}) == {"Ann": "old", "Bob, J.": "young"}
    with pytest.raises(DataError, match="no group for 'Cy' and 1 others"):
        identity_folder.read_groups(file, {"Ann", "Cy", "Di"})
    file.write_text("Ann,old\n", encoding="utf-8-sig")  # as Excel writes it
    assert identity_folder.read_groups(file, {"Ann"}) == {"Ann": "old"}
    file.write_text("Ann\n")
    with pytest.raises(DataError, match="line 1: expected `NAME,GROUP`"):
        identity_folder.read_groups(file, {"Ann"})
    with pytest.raises(DataError, match="no such file"):
        identity_folder.read_groups(tmp_path / "none", set())


# --- the command, through the shipped detector and embedder


def test_a_folder_of_people_is_evaluated_and_its_worst_pairs_drawn(
    facegate, people_folder, tmp_path
):
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib")
    images = tmp_path / "images"
    shutil.copytree(people_folder, images)
    (images / "Person_G").mkdir()
    cv2.imwrite(str(images / "Person_G" / "wall.png"), np.full((90, 90, 3), 120, np.uint8))
    (images / "Person_H").mkdir()
    (images / "Person_H" / "torn.jpg").write_bytes(b"\xff\xd8 not all of it")
    shutil.copy(images / "Person_A" / "Person_A_0001.jpg", images / "Person_B" / "stolen.jpg")
    shutil.copy(images / "Person_C" / "Person_C_0001.jpg", images / "Person_C" / "again.jpg")
    groups = tmp_path / "groups.csv"
    groups.write_text("".join(f"Person_{c},{'one' if c < 'D' else 'two'}\n" for c in "ABCDEFGH"))
    done = facegate(
        "evaluate", "embedder", "--images", images, "--groups", groups, "--json",
        "--sheets", tmp_path / "sheets", "--plots", tmp_path / "plots",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["refused"] >= 2  # the wall, and the file that is no picture
    assert found["unreadable"] == 1
    assert "passed over: " in done.err
    assert "torn.jpg: not a picture" in done.err
    assert "stolen.jpg: the same file is under Person_A" in done.err
    assert found["comparisons"]["genuine"] == found["comparisons"]["impostor"] == 33
    assert found["all_pairs"]["comparisons"]["genuine"] <= 33
    assert set(found["groups"]["within"]) == {"one", "two"}
    assert not found["resolved"]["1e-3"]
    low, high = found["intervals"]["accuracy"]
    assert low <= found["accuracy"] <= high
    for path in found["plots"]:
        assert cv2.imread(path).shape[1] > 300
    assert len(found["plots"]) == 4
    said = facegate("evaluate", "embedder", "--images", images)
    assert "too few impostor pairs to resolve this rate" in said.out
    assert "33 genuine, 33 impostor" in said.out


def test_pictures_without_any_face_are_said(facegate, tmp_path):
    for shade, name in enumerate(("A_0001", "A_0002", "B_0001", "B_0002"), start=120):
        path = tmp_path / "images" / name[0] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((90, 90, 3), shade, np.uint8))
    for command in (("evaluate", "embedder"), ("calibrate", "--out", tmp_path / "own.tflite")):
        done = facegate(*command, "--images", tmp_path / "images")
        assert done.code == 8
        assert done.complaint.endswith("no face found in any of 4 pictures")


def test_lfws_layout_with_its_pairs_goes_the_whole_way(facegate, people_folder, tmp_path):
    names = sorted(p.name for p in people_folder.iterdir())
    lines = ["2\t3"]
    for fold in (names[:3], names[3:]):
        lines += [f"{n}\t1\t2" for n in fold]
        lines += [f"{a}\t3\t{b}\t4" for a, b in itertools.combinations(fold, 2)]
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("\n".join(lines) + "\n")
    done = facegate("evaluate", "embedder", "--pairs", pairs, "--images", people_folder, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["comparisons"] == {"genuine": 6, "impostor": 6}
    assert found["tar_at_far"]["1e-2"] > 0.5  # the same made-up person is recognised
    assert "all_pairs" not in found
