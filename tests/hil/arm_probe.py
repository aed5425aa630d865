"""What the shipped networks say to the pictures in a folder; the same on every machine.

Runs on this machine and, under emulation, on an aarch64 system: python arm_probe.py FOLDER OUT.
"""

import importlib
import json
import platform
import sys
from pathlib import Path

import cv2
import numpy as np

from facegate import parts
from facegate.config import Config
from facegate.vision.preprocess import align

# What the daemon imports beside its own; each has a wheel with machine code in it.
for name in ("cryptography.hazmat.primitives.ciphers.aead", "gpiod", "pydantic", "yaml"):
    importlib.import_module(name)
importlib.import_module("facegate.cli.gate")

folder, out = map(Path, sys.argv[1:])
vision = parts.load_vision(Config())
answers = {}
for path in sorted(folder.glob("*.png")):
    pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    (face,) = vision.reader.find(pixels)
    height, width, _ = vision.detector.model.input_shape
    answers[path.stem] = {
        "box": face.box.tolist(),
        "detector": {
            name: values.ravel().tolist()
            for name, values in vision.detector.model.run(
                cv2.resize(pixels, (width, height))
            ).items()
        },
        "embedding": vision.embedder.embed(align(pixels, face.landmarks)).vector.tolist(),
    }
out.write_text(
    json.dumps(
        {
            "machine": platform.machine(), "python": platform.python_version(),
            "numpy": np.__version__, "cv2": cv2.__version__,
            "delegate": vision.embedder.model.delegate, "answers": answers,
        }
    )
)  # fmt: skip
