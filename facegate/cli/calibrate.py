"""`calibrate`: what a distance means, and how often a stranger would pass."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facegate import parts
from facegate.cli.options import ConfigFile, named_model
from facegate.cli.output import AsJson, emit, make_folder
from facegate.cli.training import needs, progress, say
from facegate.config import Config, load_config
from facegate.errors import DataError, InputError
from facegate.vision.card import Calibration, card_path, read_card
from facegate.vision.tflite import model_folder

if TYPE_CHECKING:
    from facegate.types import F32, I64

CROWDS = (1, 5, 20, 100, 500)
"""Numbers of people enrolled that the answer is given for."""


def calibrate(
    data: Annotated[Path | None, typer.Option(help="Folder with faces-val.parquet.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of people, NAME/PICTURE: your own door's visitors.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A .tflite, or a shipped one's name, instead of config's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Copy the model to this .tflite, and write there.")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder for the curves, as PNG.")] = None,
    people: Annotated[int | None, typer.Option(min=1, help="Answer for so many enrolled.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Measure distance → false matches and → probability into the card; or say what it holds."""
    if data is not None and images is not None:
        raise typer.BadParameter("give either --data DIR or --images DIR")
    if out is not None and data is None and images is None:
        raise typer.BadParameter("--out belongs to --data DIR or --images DIR")
    if out is not None and out.suffix != ".tflite":
        raise typer.BadParameter(f"{out}: choose a name that ends in .tflite")
    if plots:
        needs("matplotlib")
    settings = load_config(config)
    make_folder(plots)
    path = named_model(model) if model else parts.embedder_path(settings)
    if images is not None and (out or path).resolve().parent == model_folder().resolve():
        raise InputError(
            f"{out or path} ships with facegate: give --out own.tflite, or every gate takes "
            "on the thresholds of these few people"
        )
    card = read_card(path, "embedder").raw
    written: list[Path] = []
    if data is not None or images is not None:
        from facegate.training.calibration import calibrate_people
        from facegate.training.data import val_faces

        card["calibration"] = {
            **calibrate_people(*_faces(settings, path, data, images)),
            "pictures": "a folder of one's own" if data is None else val_faces(data).name,
        }
        path = _write(path, out or path, card["calibration"])
        written.append(card_path(path))
    if "probability" not in (card.get("calibration") or {}):
        raise DataError(f"{card_path(path)}: no calibration yet; give --data DIR or --images DIR")
    if plots:
        from facegate.training.plots import calibration_plots

        written += calibration_plots(plots, card["calibration"])
    calibration = Calibration.of(card["calibration"])
    crowds = CROWDS if people is None else (people,)
    result = {
        "model": str(path),
        "calibration": card["calibration"],
        "target_fmr": settings.access.target_fmr,
        "strangers": [strangers(settings, calibration, n) for n in crowds],
        "written": [str(p) for p in written],
    }
    lines = [f"model        {path}", *_lines(card["calibration"], calibration)]
    lines += _stranger_lines(settings, result["strangers"])
    emit(result, as_json, [*lines, *[f"wrote        {p}" for p in written]])


def strangers(settings: Config, calibration: Calibration, people: int) -> dict[str, Any]:
    """Say at which distance a door with `people` enrolled opens, and whom that lets in."""
    threshold = parts.threshold_for(settings, calibration, people)
    passing = calibration.false_accepts(threshold, people)
    return {
        "people": people,
        "threshold": threshold,
        "false_accepts_per_1000": passing.per_1000,
        "measured": passing.measured,
    }


def _faces(
    settings: Config, path: Path, data: Path | None, images: Path | None
) -> tuple[F32, I64, Sequence[str] | None]:
    """Embed the pictures to calibrate on: unit vectors, who is in each, and of which population."""
    from facegate.training import identity_folder, named_pairs, verification
    from facegate.training.sampling import labels_of
    from facegate.vision.embedder import TFLiteFaceEmbedder

    embedder = TFLiteFaceEmbedder(path, settings.models.embedder_threads)
    if images is None:
        assert data is not None
        needs("pyarrow")
        from facegate.training.data import read_crops, val_faces

        crops = read_crops([val_faces(data)])
        vectors = verification.embed_all(embedder, crops.pixels, progress)
        return vectors, labels_of(crops.identity), crops.source
    pictures = identity_folder.read_distinct(images, say)
    reader = parts.reader_for(settings, embedder)
    seen = named_pairs.see_pictures(reader, [p.path for p in pictures], progress, say)
    say(
        f"faces found in {len(seen.people)} of {len(seen.paths)} pictures, "
        f"{seen.unreadable} of them unreadable"
    )
    return seen.faces, labels_of(seen.people), None


def _write(model: Path, out: Path, calibration: dict[str, Any]) -> Path:
    """Write a calibration into the model's card, or both under another name; all of it or nothing.

    Returns:
        The model whose card has it.
    """
    from facegate.training.card_file import amend_card, replacing

    if out.exists() and out.samefile(model):
        amend_card(model, {"calibration": calibration})
        return model
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as made:
            shutil.copyfile(model, made)
            shutil.copyfile(card_path(model), card_path(made))
            amend_card(made, {"calibration": calibration})
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error
    return out


def _lines(table: dict[str, Any], calibration: Calibration) -> list[str]:
    lines = [f"pairs        {calibration.comparisons:,} of two people"]
    if people := table.get("people"):
        lines[0] += f", from {people:,} people"
    lines.append(
        "distance     "
        + "   ".join(f"{d:.3f} is {calibration.probability(d):.0%}" for d in _marks(calibration))
    )
    if not (found := table.get("reliability")):
        return lines
    at = found["at_95"]
    told = "nobody was near it" if at["was"] is None else f"{at['was']:.1%} were that person"
    lines.append(
        f'"95 %"       of looks said to be {at["said"][0]:.1%} to {at["said"][1]:.1%}, {told} '
        f"({at['genuine']:,} genuine, {at['impostor']:,} impostor, weighed alike)"
    )
    lines.append(
        f"curve        off by {found['expected_calibration_error']:.1%} on average, on people it "
        "was not fitted to"
    )
    for rate in table["held_out_rates"]:
        low, high = rate["between_folds"]
        lines.append(
            f"  FMR {rate['wanted']:<8g} was {rate['measured']:.2g} on people it was not fitted to "
            f"({low:.2g} to {high:.2g} between folds; {rate['false_matches']:,} false matches)"
            if rate.get("resolved", True)  # of a card from before
            else f"  FMR {rate['wanted']:<8g} is less than so few people show; it is extrapolated"
        )
    return [*lines, *_crowd_lines(table.get("crowds", []))]


def _crowd_lines(crowds: list[dict[str, Any]]) -> list[str]:
    """Say what was measured at doors with so many people enrolled."""
    lines = []
    for crowd in crowds:
        each = crowd["by_population"]
        worst = max(each, key=lambda name: each[name])
        worst_said = f"; among {worst} {1000 * each[worst]:.2g}" if len(each) > 1 else ""
        lines.append(
            f"  {crowd['people']:>4} people, threshold {crowd['threshold']:.3f}: "
            f"{1000 * crowd['measured']:.2g}{worst_said}"
        )
    if lines:
        lines[:0] = [
            "measured     of 1,000 strangers of one population, how many passed one look,",
            "             on the people that the table was made with:",
        ]
    return lines


def _marks(calibration: Calibration) -> list[float]:
    return [calibration.distance_at(p) for p in (0.99, 0.95, 0.5, 0.05)]


def _stranger_lines(settings: Config, found: list[dict[str, Any]]) -> list[str]:
    access = settings.access
    by_hand = access.threshold is not None
    source = "threshold set by hand" if by_hand else f"target_fmr {access.target_fmr:g}"
    lines = [f"strangers    of 1,000, how many pass one look as anybody enrolled ({source}):"]
    for one in found:
        few = "" if one["measured"] else " (extrapolated: below what was measured)"
        lines.append(
            f"  {one['people']:>4} people, threshold {one['threshold']:.3f}: "
            f"{one['false_accepts_per_1000']:.2g}{few}"
        )
    return [
        *lines,
        f"  The door wants {access.votes_needed} of {access.votes_of} looks to agree. Looks at one "
        "face are alike: that helps little",
        "  against a stranger who resembles somebody, and one who stays gets many looks.",
    ]
