"""Drawing activations' ranges in before they are quantised."""

import numpy as np
import pytest

from facegate.training.ranges import REACHES, drawn_in, errors

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow.*"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ai_edge_litert.*"),
]


def best(values, least, greatest):
    return REACHES[errors(np.asarray(values, np.float32), least, greatest).argmin()]


def test_a_rare_peak_is_clipped_for_finer_steps():
    rng = np.random.default_rng(0)
    bulk = np.abs(rng.normal(0, 0.02, 100_000))
    bulk[0] = 0.9
    assert best(bulk, 0.0, 1.0) < 0.9  # the peak alone, rounded to what is left


def test_values_that_fill_their_range_keep_it():
    assert best(np.linspace(-1, 1, 10_001), -1.0, 1.0) == 1.0
    assert best(np.linspace(0, 3, 10_001), 0.0, 3.0) == 1.0


def test_the_cost_is_that_of_rounding_to_256_steps():
    halves = np.float32([0.5, 1.5, 2.5])  # each half a step off, of 255 over the range
    assert errors(halves, 0.0, 255.0)[0] == pytest.approx(3 * (0.5 / 255) ** 2.4, rel=1e-5)
    assert (errors(np.float32([0, 0]), 0.0, 0.0) == 0).all()


def test_a_range_above_nothing_begins_at_nothing():
    """Padding is zero: a scale that cannot say it is of no use."""
    assert errors(np.float32([2, 4]), 2.0, 4.0) == pytest.approx(errors(np.float32([2, 4]), 0, 4))


@pytest.mark.train
def test_a_network_is_nearer_to_its_float_self_for_it(perturb, answers, monkeypatch):
    pytest.importorskip("tensorflow", reason="needs the extra [train]")
    keras = pytest.importorskip("keras", reason="needs the extra [train]")
    from facegate.training import architectures, conversion, export

    keras.utils.set_random_seed(0)
    model = export.for_xnnpack(
        perturb(architectures.inception_resnet_lite(width=0.25, input_px=96, batch_size=1))
    )
    rng = np.random.default_rng(0)
    # Smooth pictures, and few of them bright: as faces are.
    rough = rng.integers(0, 256, (60, 6, 6, 3)) * rng.uniform(0.2, 1, (60, 1, 1, 1)) ** 2
    pictures = rough.astype(np.uint8).repeat(16, 1).repeat(16, 2)
    wanted = answers(conversion.to_float_tflite(model), pictures)

    before = {}

    def watched(calibrated, shown):
        before["calibrated"], before["drawn in"] = calibrated, drawn_in(calibrated, shown)
        return before["drawn in"]

    monkeypatch.setattr(conversion, "drawn_in", watched)
    narrow = answers(conversion.to_int8_tflite(model, pictures[:40], float_output=True), pictures)
    monkeypatch.setattr(conversion, "drawn_in", lambda calibrated, shown: calibrated)
    wide = answers(conversion.to_int8_tflite(model, pictures[:40], float_output=True), pictures)
    error = [np.square(seen - wanted).mean() for seen in (narrow, wide)]
    assert error[0] < 0.9 * error[1]

    from tensorflow.lite.tools import flatbuffer_utils

    drawn, whole = (
        flatbuffer_utils.convert_bytearray_to_object(bytearray(before[k])).subgraphs[0]
        for k in ("drawn in", "calibrated")
    )
    some = 0
    for number, (a, b) in enumerate(zip(drawn.tensors, whole.tensors, strict=True)):
        if b.quantization is None or b.quantization.max is None:
            continue
        share = a.quantization.max[0] / b.quantization.max[0]
        assert REACHES[-1] - 1e-3 <= share <= 1 + 1e-6
        if number in whole.inputs:
            assert share == 1
        some += share < 1
    assert some > 10
