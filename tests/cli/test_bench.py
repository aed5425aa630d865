import json

from typer.testing import CliRunner

from facegate.cli.bench import app


def test_bench_match_prints_figures():
    done = CliRunner().invoke(app, ["match", "--people", "300", "--repeat", "5", "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.output)
    assert figures["people"] == 300
    assert 0 < figures["microseconds"] < 1e6
    ratio = figures["microseconds"] / figures["read_microseconds"]
    assert figures["ratio_to_read"] > 0
    assert abs(ratio - figures["ratio_to_read"]) < 0.1 * ratio


def test_bench_match_says_it_in_words():
    done = CliRunner().invoke(app, ["match", "--people", "20", "--repeat", "2"])
    assert "one match among 20 people" in done.output


def test_bench_match_refuses_nobody():
    assert CliRunner().invoke(app, ["match", "--people", "0"]).exit_code == 2
