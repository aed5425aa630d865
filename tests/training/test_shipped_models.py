"""The models that ship: whole for XNNPACK, and what their cards say."""

import json

import pytest

from facegate.parts import DETECTOR_FILE, EMBEDDER_FILE
from facegate.vision.card import card_path, read_card
from facegate.vision.tflite import model_folder

SHIPPED = {"embedder": (EMBEDDER_FILE, 1), "detector": (DETECTOR_FILE, 3)}


@pytest.fixture(params=SHIPPED)
def shipped(request):
    name, most_partitions = SHIPPED[request.param]
    path = model_folder() / name
    if not path.is_file():
        pytest.skip(f"models/{name} is not there yet")
    return request.param, path, most_partitions


@pytest.mark.train
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_xnnpack_takes_it_nearly_whole(shipped):
    pytest.importorskip("tensorflow", reason="needs the extra [train]")
    from facegate.training.export import partitions

    kind, path, most = shipped
    found = partitions(path)
    assert found <= most
    assert read_card(path, kind).raw["xnnpack_partitions"] == found


def test_the_card_fits_and_is_strict_json(shipped):
    kind, path, _ = shipped
    card = read_card(path, kind)
    json.loads(card_path(path).read_text(), parse_constant=pytest.fail)
    assert "Research use only" in card.raw["data"]["licence"]
    assert card.raw["bytes"] == path.stat().st_size
    assert card.raw["commands"]
    assert (card.calibration is not None) == (kind == "embedder")
