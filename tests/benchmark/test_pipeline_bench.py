"""`facegate bench pipeline` from end to end; what it finds depends on the machine."""

import json

import pytest

from facegate.benchmark.stages import NETWORKS

pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
pytest.importorskip("matplotlib", reason="the portraits need facegate[demo]")


def test_it_times_steps_networks_and_a_live_run(facegate, tmp_path):
    picture = tmp_path / "bench.png"
    done = facegate("bench", "pipeline", "--seconds", 8, "--rounds", 3, "--plot", picture, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    live = result["live"]
    assert 0 < live["looked_at"] <= live["offered"]
    assert live["latencies_ms"]
    assert live["peak_rss_mb"] > 50
    stages = {s["stage"]: s for s in result["stages"]}
    assert {"detector network", "embedder network"} < set(stages)
    for stage in stages.values():
        assert stage["percentiles"] == sorted(stage["percentiles"])
        assert stage["mean"] > 0
    inside = sum(stage["mean"] for name, stage in stages.items() if name in NETWORKS)
    outside = 1 - inside / sum(s["mean"] for s in stages.values())
    assert result["outside_networks"] == pytest.approx(outside, abs=0.001)
    for network in result["networks"]:
        speed = network["mega_macs"] / network["milliseconds"]
        assert network["giga_macs_per_s"] == pytest.approx(speed, rel=0.02)
        assert 0 < network["share_of_peak"] < 1.5
        kinds = result["layers"][network["name"]]
        assert sum(k["share_of_time"] for k in kinds) == pytest.approx(1, abs=0.01)
        assert sum(k["share_of_macs"] for k in kinds) == pytest.approx(1, abs=0.01)
    assert picture.stat().st_size > 10_000


def test_a_picture_that_cannot_be_written_says_so(facegate, tmp_path):
    done = facegate("bench", "pipeline", "--plot", tmp_path / "none" / "b.png")
    assert done.code == 3
    assert "none" in done.complaint
