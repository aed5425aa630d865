"""The whole gate for minutes, or for hours where FACEGATE_SOAK_MINUTES says so, with trouble.

FACEGATE_SOAK_MINUTES=120 pytest -m soak is the long form.
"""

import json
import os

import pytest

pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
pytest.importorskip("matplotlib", reason="the portraits need facegate[demo]")

pytestmark = pytest.mark.soak
MINUTES = os.environ.get("FACEGATE_SOAK_MINUTES", "2.5")


def test_nothing_leaks_and_every_visit_is_decided(facegate, tmp_path):
    picture = tmp_path / "soak.png"
    done = facegate("bench", "soak", "--minutes", MINUTES, "--plot", picture, "--json")
    result = json.loads(done.out)
    assert result["failures"] == []
    assert done.code == 0
    assert result["visits"] - result["disturbed"] >= 3
    assert result["restarts"] >= 1
    assert set(result["faults"]) == {
        "camera lost", "store locked", "slow look", "camera frozen", "relay broken",
        "commands given",
    }  # fmt: skip
    assert picture.stat().st_size > 10_000
