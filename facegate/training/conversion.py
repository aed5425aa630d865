"""From a Keras network to a TFLite file, full-integer or float.

Post-training quantisation with per-channel weights, calibrated on real pictures; the ranges of
embedder and refiner are drawn in (`ranges`). Their last layer stays in float inside the graph: an
INT8 scale on the embedder's raw 128 values would round weak faces to almost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from facegate.errors import ModelError
from facegate.training.chatter import hushed
from facegate.training.partitions import interpreter_of
from facegate.training.ranges import drawn_in
from facegate.types import F32, U8
from facegate.vision.network_input import INPUT_SCALE, INPUT_ZERO_POINT
from facegate.vision.preprocess import to_float


def to_int8_tflite(
    model: keras.Model, pictures: U8, float_output: bool, before: str | None = None
) -> bytes:
    """Quantise a network.

    Args:
        model: with fixed batch 1.
        pictures: uint8 (N, H, W, 3), what activations are calibrated on.
        float_output: keep the last layer, and the output, in float32.
        before: name of a convolution before it that is kept in float32 too.

    Returns:
        The TFLite file; its input is int8 with scale 1/128 and zero point -1.

    Raises:
        ModelError: the converter gave the input another scale.
    """
    # The private entry is the only one that quantises a calibrated graph but for named outputs.
    from tensorflow.lite.python.convert import mlir_quantize

    def representative() -> Iterator[list[F32]]:
        for level in (0, 255):  # pins the input's scale to the full range of a pixel
            yield [to_float(np.full((1, *pictures.shape[1:]), level, np.uint8))]
        for picture in pictures:
            yield [to_float(picture[None])]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.inference_input_type = tf.int8
    with hushed():
        if float_output:
            converter._experimental_calibrate_only = True
            calibrated = drawn_in(converter.convert(), pictures)
            interpreter = interpreter_of(calibrated)
            kept = [d["name"] for d in interpreter.get_output_details()]
            if before is not None:
                names = [d["name"] for d in interpreter.get_tensor_details()]
                kept += [n for n in names if f"/{before}_relu" in n]
            content = bytes(
                mlir_quantize(
                    calibrated,
                    disable_per_channel=False,
                    input_data_type=tf.int8,
                    output_data_type=tf.float32,
                    denylisted_nodes=kept,
                    enable_variable_quantization=False,
                )
            )
        else:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_output_type = tf.int8
            content = bytes(converter.convert())
    scale, zero_point = interpreter_of(content).get_input_details()[0]["quantization"]
    if zero_point != INPUT_ZERO_POINT or abs(scale / INPUT_SCALE - 1) > 1e-3:
        raise ModelError(
            f"the converter quantised the input with scale {scale}, zero point {zero_point}; "
            f"needed: {INPUT_SCALE}, {INPUT_ZERO_POINT}"
        )
    return content


def to_float_tflite(model: keras.Model, half: bool = False) -> bytes:
    """Convert a network without quantising it.

    Args:
        model: with fixed batch 1.
        half: store the weights in 16 bits; what is computed stays float32.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with hushed():
        return bytes(converter.convert())
