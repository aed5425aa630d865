"""The two networks that ship: their cards, their graphs, and what they see in real faces."""

import json

import cv2
import numpy as np
import pytest

from facegate import parts
from facegate.config import parse_config
from facegate.training.partitions import partitions
from facegate.vision.card import card_path, read_card

PATHS = {"embedder": parts.embedder_path, "detector": parts.detector_path}
MOST_PARTITIONS = {"embedder": 1, "detector": 3}


@pytest.fixture(scope="module")
def config():
    return parse_config({}, "test")


@pytest.fixture(scope="module")
def vision(config):
    return parts.load_vision(config)


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_xnnpack_takes_it_nearly_whole(config, kind):
    pytest.importorskip("ai_edge_litert", reason="only ai-edge-litert lists a graph's operators")
    path = PATHS[kind](config)
    found = partitions(path)
    assert 1 <= found <= MOST_PARTITIONS[kind]
    assert read_card(path, kind).raw["xnnpack_partitions"] == found


@pytest.mark.parametrize("kind", PATHS)
def test_the_card_fits_and_is_strict_json(config, kind):
    path = PATHS[kind](config)
    card = read_card(path, kind)
    json.loads(card_path(path).read_text(), parse_constant=pytest.fail)
    assert "Research use only" in card.raw["data"]["licence"]
    assert card.raw["bytes"] == path.stat().st_size
    assert card.raw["commands"][0].startswith(f"facegate train {kind}")
    assert card.raw["commands"][-1].startswith(f"facegate export {kind}")
    assert all(len(digest) == 64 for digest in card.raw["data"]["files"].values())
    assert (card.calibration is not None) == (kind == "embedder")


def test_the_delegate_is_named(vision):
    for network in (vision.detector, vision.embedder):
        # tflite-runtime leaves INT8 operators to its own kernels, float ones to XNNPACK.
        known = {"XNNPACK"} | ({"built-in kernels"} if "tflite" in network.model.runtime else set())
        assert network.model.delegate in known


@pytest.mark.parametrize("size", [1.0, 0.5])
def test_the_detector_finds_the_one_face_of_each_portrait(vision, portraits, size):
    for pixels, cut in zip(portraits, ((0, 320, 80, 400), (60, 420, 80, 440)), strict=True):
        top, bottom, left, right = cut
        face = cv2.resize(pixels[top:bottom, left:right], None, fx=size, fy=size)
        (found,) = vision.reader.find(face)
        left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
        x1, y1, x2, y2 = found.box
        assert x1 < left_eye[0] < x2
        assert y1 < left_eye[1] < y2


def test_no_face_is_found_where_there_is_none(vision):
    rng = np.random.default_rng(0)
    ramp = np.tile(np.linspace(0, 255, 320, dtype=np.uint8), (240, 1))
    board = (np.indices((240, 320)) // 24).sum(0) % 2 * np.uint8(255)
    for grey in (np.zeros_like(ramp), np.full_like(ramp, 255), ramp, board.astype(np.uint8)):
        assert vision.reader.find(np.repeat(grey[:, :, None], 3, axis=2)) == []
    assert vision.reader.find(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)) == []


def test_an_embedding_is_a_unit_vector_and_always_the_same(vision, portraits):
    (found,) = vision.reader.find(portraits[0][:320, 80:400])
    face = vision.reader.look(portraits[0][:320, 80:400], found)
    first, second = (vision.reader.embed(face) for _ in range(2))
    assert first.vector.shape == (128,)
    assert first.vector.dtype == np.float32
    assert np.linalg.norm(first.vector) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(first.vector, second.vector)
    assert first.model_id == vision.model_id
    assert first.length > 0


def test_her_face_in_other_light_is_nearer_than_another_face(vision, portraits):
    def embed(pixels):
        best = vision.reader.find(pixels)[0]
        return vision.reader.embed(vision.reader.look(pixels, best)).vector

    eileen, grace = portraits[0][:320, 80:400], portraits[1][60:420, 80:440]
    plain, other = embed(eileen), embed(grace)
    limit = vision.calibration.threshold(1e-3, 1)
    for view in (
        cv2.convertScaleAbs(eileen, alpha=0.4),
        cv2.GaussianBlur(eileen, (0, 0), 1.5),
        cv2.resize(eileen, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    ):
        distance = np.linalg.norm(plain - embed(view))
        assert distance < limit
        assert distance < np.linalg.norm(embed(view) - other)
    assert np.linalg.norm(plain - other) > limit
