import tracemalloc

import numpy as np
import pytest
from test_decoding import reader

from facegate.vision.decoding import HEADS, STRIDES, Canvas, faces_in
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.preprocess import letterbox
from facegate.vision.tflite import model_folder


@pytest.fixture(scope="module")
def shipped():
    return TFLiteFaceDetector(model_folder() / "yunet_like.tflite", min_score=0.4)


def test_each_output_goes_by_the_name_of_its_head(shipped, portraits):
    canvas, _ = letterbox(portraits[0], *shipped.model.input_shape[1::-1])
    outputs = shipped.model.run(canvas)
    heads = shipped.heads(canvas)
    assert set(heads) == {f"{kind}_{stride}" for kind in HEADS for stride in STRIDES}
    for head, values in heads.items():
        assert np.array_equal(values, outputs[shipped.model.card.raw["outputs"][head]])


def test_reading_only_what_answers_gives_what_reading_all_gives(shipped, portraits):
    for pixels in (*portraits, portraits[0][:200, :90]):
        found = shipped.detect(pixels)
        shown, scale = letterbox(pixels, *shipped.model.input_shape[1::-1])
        read = reader({k: v.reshape(-1, v.shape[-1]) for k, v in shipped.heads(shown).items()})
        height, width = pixels.shape[:2]
        canvas = Canvas(*shipped.model.input_shape[1::-1], (width, height), scale)
        wanted = faces_in(read, canvas, 0.4)
        assert [d.box.tolist() for d in found] == [d.box.tolist() for d in wanted]
        assert [d.landmarks.tolist() for d in found] == [d.landmarks.tolist() for d in wanted]
    assert shipped.detect(portraits[0])[0].score > 0.5


def test_a_frame_leaves_nothing_of_the_one_before(shipped, portraits):
    before = [d.box.tolist() for d in shipped.detect(portraits[1])]
    shipped.detect(np.full((90, 400, 3), 255, np.uint8))
    assert [d.box.tolist() for d in shipped.detect(portraits[1])] == before


@pytest.mark.parametrize("size", [(360, 640), (180, 320)])
def test_nothing_is_allocated_for_a_frame_but_the_results(shipped, size):
    corridor = np.full((*size, 3), 90, np.uint8)
    assert shipped.detect(corridor) == []
    tracemalloc.start()
    shipped.detect(corridor)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The network's input alone has 245,760 bytes, its outputs as floats 100,800.
    assert peak < 16_000


def test_a_face_that_the_border_cuts_off_is_found_once(shipped, portraits):
    cut = portraits[0][:, 215:]  # through the middle of her face
    found = shipped.detect(cut)
    assert len([d for d in found if d.box[0] < 20]) <= 1
    for d in found:
        assert d.box[0] < cut.shape[1]
