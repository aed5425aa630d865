"""Each command loads what it needs: on a small board the libraries take most of its time."""

import socketserver
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from importlib import import_module

import pytest
import typer

from facegate.cli.main import COMMANDS, app

NOT_NEEDED = (
    "cv2", "cryptography", "sqlite3", "facegate.daemon", "facegate.parts", "facegate.access.store",
)  # fmt: skip


class Answer(BaseHTTPRequestHandler):
    """Answers as a gate that nobody is enrolled at."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]" if self.path == "/v1/people" else b"{}")

    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with socketserver.UnixStreamServer(str(tmp_path / "control.sock"), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield
        server.shutdown()


def loaded(words):
    """Run a command; gives its exit code, what it printed, and the modules it loaded in vain."""
    code = f"""
import sys
from facegate.cli.main import main
sys.argv = ["facegate", *{words.split()!r}]
code = 0
try:
    main()
except SystemExit as ended:
    code = ended.code
print(*[name for name in {NOT_NEEDED!r} if name in sys.modules])
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    *said, modules = done.stdout.splitlines()
    return done.returncode, "\n".join([*said, done.stderr]), modules


@pytest.mark.parametrize("words", ["door unlock", "door lock", "door lockdown on", "status"])
def test_without_a_daemon_little_is_loaded_to_say_so(tmp_path, monkeypatch, words):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    code, said, modules = loaded(words)
    assert (code, modules) == (7, "")
    assert "no daemon is running" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("door unlock", "The strike is released"),
        ("people list", "Nobody is enrolled"),
        ("people list --json", "[]"),
        ("status --json", "{}"),
    ],
)
def test_what_the_daemon_does_needs_no_network_and_no_store(daemon, words, says):
    code, said, modules = loaded(words)
    assert (code, modules) == (0, ""), said
    assert says in said


@pytest.mark.parametrize("words", ["watch --event nothing", "events nothing"])
def test_watching_and_events_need_none_either(words):
    _, said, modules = loaded(words)
    assert modules == ""
    assert "no event is called so" in said


def test_every_command_can_be_loaded_and_says_what_it_does():
    root = typer.main.get_command(app)
    context = typer.Context(root, info_name="facegate")
    assert root.list_commands(context) == list(COMMANDS)
    for name, place in COMMANDS.items():
        command = root.get_command(context, name)
        assert command.name == name
        assert command.get_short_help_str()
        module, what = place.split(".")
        assert hasattr(import_module(f"facegate.cli.{module}"), what)
    assert root.get_command(context, "nothing") is None


def test_the_help_lists_them_and_a_misspelt_one_is_suggested(facegate):
    shown = facegate("--help").out
    assert all(f" {name} " in shown for name in COMMANDS)
    assert "Release" not in shown  # a group's commands are its own help's
    wrong = facegate("statsu")
    assert wrong.code == 2
    assert "'status'" in wrong.err
