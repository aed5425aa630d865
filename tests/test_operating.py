"""Guides and README name only what there is: commands, options, events, settings, metrics."""

import re
from pathlib import Path

import pytest
import typer

from facegate.access.continuity import LOOKS_KEPT
from facegate.access.selection import KEPT_AT_MOST
from facegate.cli.main import app
from facegate.config import Config
from facegate.doctor.gate import ENDED_LONG_AGO_DAYS
from facegate.events import EVENTS
from facegate.feed import KEPT
from facegate.types import EMBEDDING_FLOATS

ROOT = Path(__file__).parent.parent
GUIDE, README, PRIVACY = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("docs/operating.md", "README.md", "docs/data-protection.md")
)


def quoted(text):
    """Give what stands between single backticks."""
    return [re.sub(r"\s+", " ", c) for c in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]


def commands(text):
    """Give the calls of facegate that a text shows, in its blocks and in its sentences."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.S)
    lines = [x.split("#")[0] for b in blocks for x in b.replace("\\\n", " ").splitlines()]
    call = r"(?:^|sudo |&& |\.venv/bin/)(facegate [a-z][^&]*)"
    return {
        match[1].strip() for said in (*quoted(text), *lines) for match in re.finditer(call, said)
    }


COMMANDS = sorted(commands(GUIDE) | commands(README) | commands(PRIVACY))


@pytest.mark.parametrize(
    ("text", "least"),
    [(GUIDE, 15), (README, 40), (PRIVACY, 10)],
    ids=["guide", "README", "privacy"],
)
def test_a_text_has_commands(text, least):
    assert len(commands(text)) > least


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_exists_with_its_options(words):
    command = typer.main.get_command(app)
    _, *rest = words.split()
    while rest and hasattr(command, "commands"):
        name = rest.pop(0)
        assert name in command.commands, f"{words}: no command {name}"
        command = command.get_command(None, name)
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
    wanted = [word for word in rest if word.startswith("-")]
    assert set(wanted) <= known, words
    arguments = [p for p in command.params if p.param_type_name == "argument" and p.required]
    if wanted or rest:
        assert len(rest) - len(wanted) >= len(arguments), words


def test_every_event_exists():
    named = {
        c
        for c in quoted(GUIDE)
        if re.fullmatch(r"[a-z]+(_[a-z]+)+|granted|unknown|denied|stalled", c)
    }
    named |= set(re.findall(r'event="(\w+)"', GUIDE))
    named -= {"node_textfile_mtime_seconds"}
    assert len(named) > 12
    assert named <= set(EVENTS)


def test_every_setting_exists():
    sections = "|".join(Config.model_fields)
    named = re.findall(
        rf"`((?:{sections})\.(?!jsonl\b|py\b)[a-z_.]+)[`:]", GUIDE + README + PRIVACY
    )
    assert len(set(named)) >= 18
    for path in named:
        part = Config()
        for name in path.split("."):
            assert hasattr(part, name), path
            part = getattr(part, name)


def test_what_is_said_to_be_kept_is_what_is_kept():
    text, kept = " ".join(PRIVACY.split()), Config()
    units = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "systemd").iterdir()}
    journal = units["journald-facegate.conf"]
    assert "MaxRetentionSec=6month" in journal
    assert "SystemMaxUse=200M" in journal
    full = re.search(r"KEEP=(\d+)", units["facegate-backup.service"])[1]
    for said in (
        f"templates, {KEPT_AT_MOST} of a person at most",
        f"is {EMBEDDING_FLOATS} numbers",
        f"`audit.keep_days`, {kept.audit.keep_days:g}; {kept.audit.max_mb:g} MB at most",
        "six months, 200 MB",
        f"the newest {kept.backup.keep} |",
        f"the newest {full}; those taken elsewhere",
        f"replaced every {kept.metrics.every_s:g} s",
        f"the newest {KEPT} events",
        f"`quality.min_size_px` ({kept.quality.min_size_px:g})",
        f"ended more than {ENDED_LONG_AGO_DAYS} days ago",
    ):
        assert said in text, said
    assert LOOKS_KEPT == kept.detection.track_max_lost_frames == 5
    assert "The last five looks at a face" in text
    assert "until five frames went by without it" in text


def test_what_is_pointed_at_in_the_readme_is_there():
    headings = re.findall(r"^#+ (.*)$", README, flags=re.M)
    named = re.findall(r'README, ("[^|:]*)', PRIVACY)
    titles = [t for said in named for t in re.findall(r'"([^"]+)"', said)]
    assert len(titles) > 6
    assert [t for t in titles if t not in headings and f"**{t}.**" not in README] == []


def test_every_file_that_the_readme_lists_exists():
    table = README.partition("## Where things are")[2].partition("Training needs")[0]
    named = [c for row in table.splitlines() for c in quoted(row.split("|")[1] if row else "")]
    named = [name for name in named if not name.startswith("/")]
    assert len(named) > 20
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "facegate" / name).exists(), name


def test_a_new_network_is_named_after_the_backup_which_is_of_the_old_one():
    section = GUIDE.split("## A new network")[1].split("## ")[0]
    steps = ("facegate backup", "models.embedder: the new one", "facegate people migrate")
    places = [section.index(step) for step in steps]
    assert places == sorted(places)
