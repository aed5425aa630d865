import subprocess
import sys

import pytest


def hold(*words):
    return subprocess.run(
        [sys.executable, "-m", "facegate.hold", *map(str, words)], capture_output=True, text=True
    )


def test_without_lines_there_is_nothing_to_hold(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("gpio: {driver: fake}\n")
    done = hold(config)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("settings", "status", "told"),
    [("gpio: {chip: no-such-chip}", 6, "no such gpiochip"), ("doer: {}", 2, "unknown setting")],
)
def test_it_says_when_the_strike_cannot_be_held(tmp_path, settings, status, told):
    config = tmp_path / "c.yaml"
    config.write_text(settings)
    done = hold(config)
    assert done.returncode == status
    assert done.stderr.startswith("facegate: the strike may be released: ")
    assert told in done.stderr


def test_it_loads_no_network_and_no_camera():
    heavy = "{'cv2', 'ai_edge_litert', 'tflite_runtime', 'typer'} & set(sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, facegate.hold; print({heavy})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "set()"
