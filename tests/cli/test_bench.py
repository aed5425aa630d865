import json

from typer.testing import CliRunner

from facegate.cli.bench import app


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
