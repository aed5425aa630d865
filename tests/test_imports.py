"""The import rules: which part may know which."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "facegate"

# What a part may import of facegate itself; a part may always import its own package.
ALLOWED = {
    "errors": set(),
    "types": set(),
    "closing": set(),
    "hardware": {"types", "errors", "closing"},
    "vision": {"types", "errors"},
    "access": {"types", "errors", "closing"},
    "pipeline": {"errors"},
    "control": {"types", "errors", "closing", "events", "feed", "access"},
    "events": set(),
    "catalog": {"events"},
    "health": set(),
    "memory": set(),
    "metrics": {"events", "journal", "access"},
    "doctor": {"errors", "config", "parts", "control", "vision", "access"},
    "canary": {"types", "errors"},
    "heartbeat": {"errors", "health", "journal"},
    "journal": {"events"},
    "feed": {"journal"},
    "repeats": {"events", "journal"},
    "settings": {"types"},
    "mistakes": {"types", "settings", "config"},  # of the latter the type alone
    "config": {"errors", "settings", "mistakes"},
    "parts": {
        "types", "errors", "closing", "settings", "config", "hardware", "vision", "access",
    },
    "sentences": {"access"},
    "unlock_hours": {"access"},
    "clock_watch": set(),
    "unused_grants": {"access"},
    "outbox": {"closing", "journal"},
    "recorder": {"errors", "closing", "events", "journal", "outbox", "access"},
    "safekeeper": {"closing", "journal", "access"},
    "reload": {"config", "mistakes"},
    "hold": {"errors", "config", "hardware"},
    "roster": {"errors", "config", "parts", "vision", "access"},
    "doorkeeper": {
        "types", "errors", "events", "journal", "sentences", "unlock_hours", "unused_grants",
        "hardware", "access", "pipeline",
    },
    "enroller": {"types", "errors", "config", "journal", "parts", "roster", "access"},
    "commands": {
        "types", "errors", "config", "journal", "parts", "roster", "doorkeeper", "enroller",
        "sentences", "access",
    },
    "recogniser": {
        "types", "journal", "canary", "parts", "roster", "doorkeeper", "enroller", "hardware",
        "vision", "access", "pipeline",
    },
    "daemon": {
        "types", "errors", "config", "journal", "health", "heartbeat", "canary", "parts", "roster",
        "doorkeeper", "enroller", "recogniser", "commands", "reload", "hardware", "vision",
        "access", "pipeline",
    },
    "demo": {"types", "errors", "journal", "recogniser", "vision", "access"},
    "benchmark": {
        "types", "errors", "config", "journal", "parts", "daemon", "roster", "vision", "access",
    },
    "endurance": {
        "types", "errors", "closing", "config", "journal", "recorder", "parts", "daemon", "demo",
        "control", "hardware", "access",
    },
    "training": {"types", "errors", "vision"},
}  # fmt: skip


def own_imports(path: Path, anywhere: bool) -> set[str]:
    """Names of facegate's parts that a file imports; only at its top level unless `anywhere`."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if anywhere else iter(tree.body)
    found = set()
    for node in nodes:
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
            if node.module == "facegate":
                names = [f"facegate.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("facegate.")}
    return found


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


FILES = sorted(p for p in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_part_imports_only_what_it_may(path):
    part = part_of(path)
    if part not in ALLOWED:
        assert part in {"cli", "__init__", "__main__"}, f"{part} has no import rule"
        return
    wrong = own_imports(path, anywhere=True) - ALLOWED[part] - {part}
    assert not wrong, f"{path.name} imports {wrong}"


@pytest.mark.parametrize("part", ALLOWED)
def test_no_part_may_import_what_it_does_not(part):
    used = [own_imports(p, anywhere=True) for p in FILES if part_of(p) == part]
    assert ALLOWED[part] <= set().union(*used)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_runtime_never_imports_training(path):
    if part_of(path) == "training":
        return
    # Commands that train, export or evaluate reach it from inside a function.
    inside = part_of(path) == "cli"
    assert "training" not in own_imports(path, anywhere=not inside)


def test_the_walk_sees_forbidden_imports(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("from facegate import training\nimport facegate.vision.card\n")
    assert own_imports(file, anywhere=True) == {"training", "vision"}
