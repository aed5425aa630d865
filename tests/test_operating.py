"""The operator's guide names only what there is: commands, options, events, settings, metrics."""

import re
from pathlib import Path

import pytest
import typer

from facegate.cli.main import app
from facegate.config import Config
from facegate.events import EVENTS

GUIDE = (Path(__file__).parent.parent / "docs" / "operating.md").read_text()
CODE = [re.sub(r"\s+", " ", c) for c in re.findall(r"(?<!`)`([^`]+)`(?!`)", GUIDE)]
LINES = [
    line.split("#")[0]
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.S)
    for line in block.splitlines()
]
COMMANDS = sorted(
    {
        match[1].strip()
        for text in (*CODE, *LINES)
        for match in re.finditer(r"(?:^|sudo |&& )(facegate [a-z][^&]*)", text)
    }
)


def test_the_guide_has_commands():
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_exists_with_its_options(words):
    command = typer.main.get_command(app)
    _, *rest = words.split()
    while rest and hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"{words}: no command {name}"
        command = command.commands[name]
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    wanted = [word for word in rest if word.startswith("-")]
    assert set(wanted) <= known, words
    arguments = [p for p in command.params if p.param_type_name == "argument" and p.required]
    if wanted or rest:
        assert len(rest) - len(wanted) >= len(arguments), words


def test_every_event_exists():
    named = {c for c in CODE if re.fullmatch(r"[a-z]+(_[a-z]+)+|granted|unknown|denied|stalled", c)}
    named |= set(re.findall(r'event="(\w+)"', GUIDE))
    named -= {"node_textfile_mtime_seconds"}
    assert len(named) > 12
    assert named <= set(EVENTS)


def test_every_setting_exists():
    named = re.findall(r"`((?:camera|models|access|door|metrics|quality)\.[a-z_.]+)[`:]", GUIDE)
    assert len(set(named)) >= 6
    for path in named:
        part = Config()
        for name in path.split("."):
            assert hasattr(part, name), path
            part = getattr(part, name)
