import json

from typer.testing import CliRunner

from facegate.benchmark.tracking import scene
from facegate.cli.bench import app
from facegate.vision.tracker import Tracker


def test_bench_match_prints_figures_of_every_size():
    words = ["match", "--people", "300", "--people", "20", "--repeat", "5", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    sizes = json.loads(done.output)["sizes"]
    assert [s["people"] for s in sizes] == [300, 20]
    for figures in sizes:
        assert 0 < figures["microseconds"] < 1e6
        ratio = figures["microseconds"] / figures["read_microseconds"]
        assert abs(ratio - figures["ratio_to_read"]) < 0.1 * ratio


def test_bench_match_says_it_in_words():
    done = CliRunner().invoke(app, ["match", "--people", "20", "--repeat", "2"])
    assert "one match among 20 people" in done.output


def test_without_a_size_it_takes_ten_and_a_hundred_thousand():
    done = CliRunner().invoke(app, ["match", "--repeat", "1", "--json"])
    assert [s["people"] for s in json.loads(done.output)["sizes"]] == [10_000, 100_000]


def test_bench_match_refuses_nobody():
    assert CliRunner().invoke(app, ["match", "--people", "0"]).exit_code == 2


def test_bench_tracker_sets_the_cost_beside_the_frames_budget(tmp_path):
    (tmp_path / "c.yaml").write_text("camera: {fps: 20.0}\n")
    words = ["tracker", "--faces", "6", "--faces", "1", "--seconds", "2", "--json"]
    done = CliRunner().invoke(app, [*words, "--config", str(tmp_path / "c.yaml")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["budget_microseconds"] == 50_000
    assert [s["faces"] for s in said["sizes"]] == [6, 1]
    for size in said["sizes"]:
        assert 0 < size["microseconds"]["50"] <= size["microseconds"]["99"]
        for mark, us in size["microseconds"].items():
            assert abs(us / 50_000 - size["share_of_budget"][mark]) < 1e-5
    many, one = (s["microseconds"]["50"] for s in said["sizes"])
    assert many > one


def test_bench_tracker_follows_the_faces_of_its_scene():
    """Or it would time a tracker that has nothing to do."""
    fps, tracker = 15.0, Tracker()
    seen = [len(tracker.update(d, k / fps)) for k, d in enumerate(scene(4, 300, fps))]
    assert 2.5 < sum(seen) / len(seen) <= 4
    assert len(tracker.alive) <= 8


def test_more_people_than_memory_holds_are_refused():
    done = CliRunner().invoke(app, ["match", "--people", "10000000000"])
    assert done.exit_code == 2
