import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def figures(name):
    card = json.loads((ROOT / "models" / f"{name}.json").read_text())
    return {**card["figures"], "parameters": card["parameters"], "macs": card["multiply_adds"]}


def row(start):
    """Give the shipped and the float figure of a row of the README's tables."""
    line = next(x for x in (ROOT / "README.md").read_text().splitlines() if x.startswith(start))
    cells = [c.strip() for c in line.strip("|").split("|")]
    return cells[1:3]


def number(cell):
    return float(re.match(r"[\d.]+", cell)[0]) / (100 if "%" in cell else 1)


def test_the_readme_says_what_the_embedders_card_says():
    f = figures("inception_resnet_lite")
    accuracy, in_float = row("| accuracy")
    assert accuracy == f"{f['accuracy']:.1%} ± {100 * f['accuracy_std']:.1f}".replace("%", " %")
    assert number(in_float) == pytest.approx(f["float"]["accuracy"], abs=6e-4)
    for rate in ("1e-2", "1e-3"):
        shipped, in_float = row(f"| TAR at FAR {rate}")
        assert number(shipped) == pytest.approx(f["tar_at_far"][rate], abs=6e-4)
        assert number(in_float) == pytest.approx(f["float"]["tar_at_far"][rate], abs=6e-4)
    assert number(row("| TAR at FAR 1e-4")[0]) == pytest.approx(
        f["all_pairs"]["tar_at_far"]["1e-4"], abs=6e-4
    )
    assert number(row("| equal error rate")[0]) == pytest.approx(f["eer"], abs=6e-4)


def test_the_readme_says_what_the_detectors_card_says():
    f = figures("yunet_like")
    rows = {
        "| faces found, 24": lambda g: g["recall"]["ge24"],
        "| faces found, 16": lambda g: g["recall"]["16to24"],
        "| false alarms": lambda g: g["false_alarms_per_image"],
    }
    for start, of in rows.items():
        shipped, in_float = row(start)
        assert number(shipped) == pytest.approx(of(f), abs=6e-4)
        assert number(in_float) == pytest.approx(of(f["float"]), abs=6e-4)
    assert number(row("| landmark error")[0]) == pytest.approx(f["landmark_nme"], abs=6e-3)
