import numpy as np
import pytest

from facegate.training.data import Scene
from facegate.training.quantisation import equal_alarms, head_report
from facegate.types import Detection
from facegate.vision.detector import TFLiteFaceDetector
from facegate.vision.tflite import model_folder

MODEL = model_folder() / "yunet_like.tflite"


@pytest.fixture(scope="module")
def shipped():
    return TFLiteFaceDetector(MODEL, 0.4)


class NearlyTheSame:
    """The shipped detector's own heads, a known distance away; finds nothing."""

    min_score = 0.5

    def __init__(self, shipped, off):
        self.shipped, self.off = shipped, off

    def heads(self, canvas):
        return {k: v + np.float32(self.off) for k, v in self.shipped.heads(canvas).items()}

    def detect(self, pixels):
        assert self.min_score < 0.5
        return []


def test_every_head_is_reported_with_its_scale_and_error(shipped, portraits):
    canvas = np.ascontiguousarray(portraits[0][:256, 100:420])
    report = head_report(shipped, NearlyTheSame(shipped, 0.25), [canvas, canvas[:, ::-1].copy()])
    assert set(report) == {f"{k}_{s}" for k in ("score", "box", "landmarks") for s in (8, 16, 32)}
    for head, figures in report.items():
        assert figures["max_error"] == pytest.approx(0.25, abs=1e-5)
        assert figures["scale"] == shipped.head_scales[head] > 0
    values = shipped.heads(canvas)["box_8"] + 0.25
    flipped = shipped.heads(canvas[:, ::-1].copy())["box_8"] + 0.25
    power = np.mean([np.square(values).mean(), np.square(flipped).mean()])
    assert report["box_8"]["sqnr_db"] == pytest.approx(10 * np.log10(power / 0.0625), abs=0.01)
    exact = head_report(shipped, NearlyTheSame(shipped, 0.0), [canvas])
    assert all(figures["max_error"] == 0 for figures in exact.values())


def test_recall_is_compared_where_false_alarms_are_equal(shipped, portraits):
    pixels = portraits[0]
    found = shipped.detect(pixels)[0]
    face = Scene(pixels, found.box[None], found.landmarks[None], np.ones(1, np.float32))
    nobody = Scene(np.full((200, 300, 3), 90, np.uint8), *([np.zeros(0, np.float32)] * 3))
    blind = NearlyTheSame(shipped, 0.0)
    compared = equal_alarms(shipped, blind, [face, nobody])
    assert compared == {"false_alarms": 0, "int8": 1.0, "float": 0.0}
    assert blind.min_score == 0.5
    assert isinstance(found, Detection)
