"""What is read and written is UTF-8, whatever the machine's locale says."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PACKAGE = Path(__file__).parent.parent / "facegate"
LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""Python takes every file for ASCII."""
PRINTS = {"PYTHONIOENCODING": "latin-1"}
"""As in a locale of Western Europe, in which no Czech can be printed."""


def left_to_the_locale(source):
    """Find the lines of calls that read or write text and name no encoding."""
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        named = {k.arg: k.value for k in call.keywords}
        words = [v.value for v in (*call.args, named.get("mode")) if isinstance(v, ast.Constant)]
        text = name in {"read_text", "write_text"} or "text" in named
        if name in {"open", "fdopen"}:
            modes = [w for w in words if isinstance(w, str) and set(w) <= set("rwxabt+")]
            text = any("b" not in mode for mode in modes)
        if text and "encoding" not in named:
            yield call.lineno


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_no_encoding_is_left_to_the_locale(path):
    assert list(left_to_the_locale(path.read_text(encoding="utf-8"))) == []


def test_the_walk_sees_what_is_left_to_it():
    source = (
        "p.read_text()\np.open('w')\nopen(p, 'a')\nrun(c, text=True)\np.open('rb')\nStore.open(p)"
    )
    assert list(left_to_the_locale(source)) == [1, 2, 3, 4]


def plain(*words):
    """Run a command in such locales."""
    return subprocess.run(
        (sys.executable, "-m", "facegate", *words),
        capture_output=True,
        env=os.environ | LOCALE | PRINTS,
        encoding="latin-1",
    )


def test_settings_are_read_in_any_locale(tmp_path):
    file = tmp_path / "c.yaml"
    settings = {"schedule": {"groups": [{"name": "Küche", "windows": []}]}}
    file.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    done = plain("config", "check", file)
    assert done.returncode == 0, done.stderr


def test_a_passphrase_is_the_same_in_any_locale(facegate, tmp_path, eileen):
    file = tmp_path / "passphrase"
    file.write_text("zwölf Boxkämpfer\n", encoding="utf-8")
    assert facegate("enroll", "Ann", "--image", eileen).code == 0
    out = tmp_path / "all.fgbackup"
    done = plain("backup", out, "--passphrase-file", file)
    assert done.returncode == 0, done.stderr
    (tmp_path / "state_directory").rename(tmp_path / "before")
    (tmp_path / "state_directory").mkdir()
    done = facegate("restore", out, "--passphrase-file", file)
    assert done.code == 0, done.err


def test_a_name_that_the_locale_lacks_is_spelled_out(facegate, eileen):
    assert facegate("enroll", "Žofie", "--image", eileen).code == 0
    for words in (("people", "list"), ("identify", eileen)):
        done = plain(*words)
        assert done.returncode == 0, done.stderr
        assert r"\u017dofie" in done.stdout


def test_the_printed_journal_names_whoever_is_let_in(facegate, tmp_path, eileen):
    assert facegate("enroll", "Žofie", "--image", eileen).code == 0
    settings = {
        "camera": {"source": f"file:{eileen}", "pacing": "fast"},
        "gpio": {"driver": "fake"},
        "journal": {"names": True},
        "access": {"votes_needed": 1},
    }
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(settings))
    done = plain("run", "--config", file)
    assert r"\u017dofie" in next(line for line in done.stdout.splitlines() if " granted " in line)
