"""Whole Debian systems for tests: built by mmdebstrap, entered or booted by systemd-nspawn."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""The systems that Raspberry Pi OS is made of, each with its Python."""

NSPAWN = ("systemd-nspawn", "-q", "--register=no", "--keep-unit", "--private-network")


def run(*words: str | Path, **options) -> str:
    """Run a command that must succeed; its standard output."""
    done = subprocess.run(
        [str(w) for w in words], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def needs_root_and(*tools: str) -> None:
    """Skip, by name, where the machine cannot build or boot such a system."""
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"this machine has no {tool}")


def build(tree: Path, suite: str, packages: str, *options: str) -> None:
    """Make a Debian system in a folder.

    Args:
        tree: the folder, made.
        suite: for example "bookworm".
        packages: beside the variant's own, with commas.
        options: of mmdebstrap, such as "--architectures=arm64".
    """
    variant = () if any(o.startswith("--variant") for o in options) else ("--variant=apt",)
    run(
        "mmdebstrap", "--quiet", *variant, "--components=main", f"--include={packages}",
        *options, suite, tree,
    )  # fmt: skip


def wheels(folder: Path, python: str, machine: str) -> None:
    """Collect the locked wheels and facegate's own into a folder."""
    script = ROOT / "deploy/wheels.sh"
    run(script, folder, python, machine, env=os.environ | {"PYTHON": sys.executable})


def inside(tree: Path, *words: str) -> str:
    """Run a command in the system, not booted; it must succeed. Options of nspawn may lead."""
    return run(*NSPAWN, "-D", tree, "--console=pipe", *words)


JOIN = """
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done
shift
exec "$@"
"""
"""A shell's script: it joins the control groups named before `--` and becomes what comes after."""


def boot(tree: Path, timeout_s: float, *options: str) -> str:
    """Boot the system until something in it ends it; what its console showed."""
    with control_groups(f"facegate-{os.getpid()}-{tree.name}") as groups:
        done = subprocess.run(
            [
                *("sh", "-c", JOIN, "sh", *map(str, groups), "--"),
                *(*NSPAWN, "--boot", "-D", str(tree), "--console=pipe", *options),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
    return done.stdout


@contextmanager
def control_groups(name: str) -> Iterator[list[Path]]:
    """Make a control group in every hierarchy, below this process's own, for one booted system.

    Two systems booted in one group share it: each systemd would find the other's processes in
    `system.slice/facegate.service`, could not end them, and would take the group away from under
    the other's service.
    """
    made = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mount = Path("/sys/fs/cgroup", controllers.removeprefix("name="))
        if not controllers and (mount / "unified").is_dir():
            mount /= "unified"
        group = mount / path.lstrip("/") / name
        with suppress(OSError):  # a hierarchy that is not mounted
            group.mkdir(exist_ok=True)
            made.append(group)
    yield made
    for group in made:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
