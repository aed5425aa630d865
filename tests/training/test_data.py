"""Data sets that are none, or damaged: one line that names the file."""

import cv2
import numpy as np
import pytest

from facegate.errors import DataError

pa = pytest.importorskip("pyarrow", reason="needs the extra [train]")
pq = pytest.importorskip("pyarrow.parquet", reason="needs the extra [train]")

from facegate.training.data import (  # noqa: E402
    read_crops,
    read_pairs,
    read_scenes,
    read_sizes,
    train_faces,
)

pytestmark = pytest.mark.train


def test_what_is_learnt_from_is_read_in_one_order(tmp_path):
    assert train_faces(tmp_path / "none") == train_faces(tmp_path) == []
    names = ["faces-train-0.parquet", "faces-train-1.parquet"]
    for name in ["faces-val.parquet", *reversed(names)]:
        (tmp_path / name).touch()
    assert [p.name for p in train_faces(tmp_path)] == names


@pytest.mark.parametrize("read", [lambda p: read_crops([p]), read_scenes, read_sizes])
@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + bytes(50), None])
def test_a_file_that_is_no_parquet(tmp_path, read, content):
    path = tmp_path / "set.parquet"
    if content is None:
        pq.write_table(pa.table({"image": [b"x"] * 500}), path)
        content = path.read_bytes()[:-20]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"set\.parquet: cannot be read"):
        read(path)


@pytest.mark.parametrize("read", [lambda p: read_crops([p]), read_scenes])
def test_a_table_without_the_columns(tmp_path, read):
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"image": [b"x"]}), path)
    with pytest.raises(DataError, match="no column"):
        read(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "expected the columns"),
        (b"a,b\n1,2\n", "expected the columns"),
        (b"fold,a,b,same\n0,x,1,1\n", "expected the columns"),
        (b"fold,a,b,same\n0,1,\xe9,1\n", "expected the columns"),
        (b"fold,a,b,same\n0,0,1,1\n0,1,5,0\n", "line 3: b is 5, but the crops are numbered 0 to 4"),
        (b"fold,a,b,same\n0,-1,1,1\n", "line 2: a is -1"),
    ],
)
def test_pairs_that_are_none(tmp_path, content, told):
    path = tmp_path / "val-pairs.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_pairs(path, 5)


def test_pairs(tmp_path):
    path = tmp_path / "val-pairs.csv"
    path.write_text("fold,a,b,same\n0,0,1,1\n1,4,2,0\n")
    pairs = read_pairs(path, 5)
    assert (pairs.a.tolist(), pairs.b.tolist(), pairs.fold.tolist()) == ([0, 4], [1, 2], [0, 1])
    assert pairs.same.tolist() == [True, False]
    assert pairs.same.dtype == np.bool_


@pytest.fixture
def crops(tmp_path):
    """Two red pictures with a fine pattern; nobody says who they show."""
    red = np.zeros((160, 160, 3), np.uint8)
    red[::2, ::2, 0] = 200
    image = cv2.imencode(".png", red[..., ::-1])[1].tobytes()
    target = [[3.0, 4.0] + [0.0] * 510, [0.0] * 511 + [9.0]]
    columns = {"image": [image] * 2, "source": ["x"] * 2, "target": target}
    path = tmp_path / "crops.parquet"
    pq.write_table(pa.table({**columns, "identity": pa.array([None, None], pa.string())}), path)
    return path


def test_crops_are_red_first_and_shrunk_by_averaging(crops):
    whole, half = read_crops([crops]).pixels, read_crops([crops], 80).pixels
    assert whole[0, 0, 0].tolist() == [200, 0, 0]
    assert (half == (50, 0, 0)).all()


def test_crops_of_which_nobody_knows_whom_they_show_are_not_one_person(crops):
    assert len(set(read_crops([crops]).identity)) == 2


def test_a_teachers_embeddings_have_unit_length(crops):
    target = read_crops([crops]).target
    assert np.linalg.norm(target, axis=1) == pytest.approx([1, 1])
    assert target[0, :2] == pytest.approx([0.6, 0.8])
