"""`bench soak`: the whole gate for hours, with trouble."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facegate.cli.output import AsJson, check_writable, emit
from facegate.memory import use_one_arena

SHORT_FAULT_S, LONG_FAULT_S = 14.0, 120.0
SHORT_RUN_MINUTES = 15.0


def soak(
    minutes: Annotated[float, typer.Option(min=0.5, help="How long it runs.")] = 120.0,
    fault_every: Annotated[
        float | None,
        typer.Option(
            min=5, help="Seconds between two faults; 14 in runs under 15 minutes, else 120."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="PNG of memory, threads and files over time.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the gate on a looping film of people who come and go, while parts of it are broken.

    A camera that is lost or frozen, a store held by another program, a slow look, a broken relay,
    commands in a row. Exit status 1 unless memory stayed flat, no thread or file leaked, and every
    visit that no fault fell into was decided rightly. Lines, camera and people are made up; the
    networks, threads, store and socket are real.
    """
    from facegate.endurance.soak import Soak

    check_writable(plot)
    use_one_arena()
    every_s = fault_every or (SHORT_FAULT_S if minutes < SHORT_RUN_MINUTES else LONG_FAULT_S)
    with tempfile.TemporaryDirectory(prefix="facegate-") as scratch:
        run = Soak(Path(scratch), minutes, every_s, lambda text: typer.echo(text, err=True))
        result = run.run()
    if plot is not None:
        from facegate.endurance.picture import draw

        draw(plot, run)
    threads, files = result.threads, result.files
    emit(
        {**asdict(result), "passed": result.passed},
        as_json,
        [
            f"{result.minutes:g} minutes, {result.visits} visits: {result.decided} decided "
            f"rightly, {result.disturbed} disturbed by a fault, {result.undecided} undecided",
            "faults    " + ", ".join(f"{n} × {what}" for what, n in result.faults.items()),
            f"memory    {result.rss_mb:.1f} MiB, {result.rss_growth_percent:+.2f} % over the run",
            f"threads   {threads[0]} at first, {threads[1]} at the end",
            f"files     {files[0]} at first, {files[1]} at the end",
            *(f"BAD       {failure}" for failure in result.failures),
            "passed" if result.passed else "failed",
        ],
    )
    if not result.passed:
        raise typer.Exit(1)
