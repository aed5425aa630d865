"""`models`: what networks there are, and bringing one of one's own."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate import parts
from facegate.cli.figures import figure_lines
from facegate.cli.options import ConfigFile, named_model
from facegate.cli.output import AsJson, emit
from facegate.cli.training import keras_to_convert, needs, progress, say, without_paths
from facegate.config import load_config
from facegate.errors import InputError, ModelError, NoEmbeddingError
from facegate.vision.card import ModelCard, card_path, read_card
from facegate.vision.tflite import model_folder

app = typer.Typer(help="The networks: list, show, import.", no_args_is_help=True)


class Normalisation(StrEnum):
    """The names that `facegate.vision.network_input` knows."""

    FIXED = "fixed"
    SYMMETRIC = "symmetric"
    UNIT = "unit"
    RAW = "raw"
    STANDARDISED = "standardised"


class Precision(StrEnum):
    """How the weights of a Keras model are stored."""

    FP16 = "fp16"
    FP32 = "fp32"


@app.command("list")
def list_models(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the shipped networks and those that the settings name; * is what runs."""
    settings = load_config(config)
    files = (parts.detector_path, parts.refiner_path, parts.embedder_path)
    in_use = {path(settings).resolve() for path in files}
    paths = {p.resolve() for p in model_folder().glob("*.tflite")} | in_use
    result, lines = [], []
    for path in sorted(paths):
        row = _row(path) | {"in_use": path in in_use}
        result.append(row)
        mark = "*" if row["in_use"] else " "
        said = row["problem"] or _summary(row)
        lines.append(f"{mark} {path.name:<34} {said}")
    emit(result, as_json, lines)


def _row(path: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"path": str(path), "problem": None}
    try:
        card = read_card(path)
    except ModelError as error:
        return row | {"problem": str(error)}
    raw = card.raw
    figures = raw.get("figures") or {}
    return row | {
        "kind": card.kind,
        "architecture": card.architecture,
        "model_id": card.model_id,
        "bytes": raw.get("bytes"),
        "input": raw.get("input"),
        "floats": card.embedding_floats if card.kind == "embedder" else None,
        "accuracy": figures.get("accuracy"),
        "recall": (figures.get("recall") or {}).get("ge24"),
    }


def _summary(row: dict[str, Any]) -> str:
    side = (row["input"] or {}).get("shape", [0, 0, 0, 0])
    words = [f"{row['kind']:<9}", f"{(row['bytes'] or 0) / 1e6:6.1f} MB", f"{side[2]}×{side[1]} px"]
    if row["floats"]:
        words.append(f"{row['floats']} numbers")
    if row["accuracy"] is not None:
        words.append(f"accuracy {row['accuracy']:.1%}")
    if row["recall"] is not None:
        words.append(f"recall {row['recall']:.1%}")
    return "  ".join(words)


@app.command()
def show(
    model: Annotated[
        Path | None, typer.Argument(help="A .tflite, or a shipped one's name; else what runs.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a network's card: what it is, where it comes from, how good it is."""
    path = named_model(model) if model else parts.embedder_path(load_config(config))
    card = read_card(path)
    raw = card.raw
    lines = [
        f"model        {path}",
        f"kind         {card.kind}, {card.architecture}",
        f"model id     {card.model_id}",
        f"made         {raw.get('created', 'not said')}, facegate {raw.get('facegate', '?')}",
        *_what_it_takes(card),
        *[f"command      {c}" for c in raw.get("commands", [])],
        f"licence      {(raw.get('data') or {}).get('licence', 'not said')}",
    ]
    if card.kind == "embedder":
        lines += figure_lines(raw["figures"]) if "intervals" in (raw.get("figures") or {}) else []
        calibrated = card.calibration.comparisons if card.calibration is not None else 0
        lines.append(f"calibration  {calibrated:,} pairs of two people" if calibrated else _BARE)
    emit(raw, as_json, lines)


_BARE = "calibration  none: the daemon refuses it; facegate calibrate --model FILE --data DIR"


def _what_it_takes(card: ModelCard) -> list[str]:
    wants = card.raw.get("input") or {}
    lines = [
        f"input        {wants.get('shape')} {wants.get('dtype', 'int8')}, normalisation "
        f"{wants.get('normalisation') or 'fixed'}"
    ]
    if card.kind == "embedder":
        lines.append(f"output       {card.embedding_floats} numbers")
    return lines


@app.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="The network: .tflite, .keras or .h5.")],
    out: Annotated[Path, typer.Option(help="The .tflite file to write; the card goes beside it.")],
    data: Annotated[
        Path | None, typer.Option(help="Measure on faces-val.parquet and val-pairs.csv there.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Measure on a folder of people, NAME/PICTURE, instead.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="LFW's pairs.txt for --images; else pairs are drawn.")
    ] = None,
    normalisation: Annotated[
        Normalisation,
        typer.Option(
            help="What it takes pixels as: fixed (p-127.5)/128, symmetric (p-127.5)/127.5, unit "
            "p/255, raw p, or standardised by each picture's mean and deviation."
        ),
    ] = Normalisation.FIXED,
    precision: Annotated[
        Precision, typer.Option(help="Of the weights of a .keras or .h5.")
    ] = Precision.FP16,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring somebody else's face embedder: measure it, and write the card that the daemon wants."""
    if (data is None) == (images is None):
        raise typer.BadParameter(
            "give either --data DIR or --images DIR: an unmeasured network opens no door"
        )
    if pairs is not None and images is None:
        raise typer.BadParameter("--pairs belongs to --images DIR")
    if out.suffix != ".tflite":
        raise typer.BadParameter(f"{out}: choose a name that ends in .tflite")
    if out.exists() or card_path(out).exists():
        raise InputError(f"{out}: there is a model or a card already; choose another name")
    keras_to_convert()
    needs(*(["tensorflow", "keras"] if file.suffix in (".h5", ".keras") else []))
    if data is not None:
        needs("pyarrow")
    from facegate.training import foreign
    from facegate.training.card_file import replacing, write_card, write_whole
    from facegate.vision.embedder import TFLiteFaceEmbedder

    settings = load_config(config)
    content = foreign.read_foreign(file, precision is Precision.FP16)
    with replacing(out) as made:
        write_whole(made, content)
        command = shlex.join(without_paths(["facegate", *sys.argv[1:]], file, out))
        card = foreign.describe(made, file.name, normalisation.value, command)
        write_card(made, card)  # the runtime's classes read it
        embedder = TFLiteFaceEmbedder(made, settings.models.embedder_threads)
        typer.echo("measuring ...", err=True)
        try:
            if data is not None:
                card |= foreign.measure_on_data(embedder, data, progress)
            elif images is not None:
                reader = parts.reader_for(settings, embedder)
                card |= foreign.measure_on_images(reader, images, pairs, progress, say)
        except NoEmbeddingError as error:
            raise ModelError(
                f"{file}: gives zeros or no numbers for a face; does it want pixels otherwise? Try "
                "another --normalisation"
            ) from error
        write_card(made, card)
    emit(
        {"model": str(out), **card},
        as_json,
        [
            f"model        {out}",
            *_what_it_takes(read_card(out, "embedder")),
            *figure_lines(card["figures"]),
            f"wrote        {out} and {card_path(out).name}; to use it set models.embedder: "
            f"{out.absolute()}",
            "             who is enrolled with another network: facegate people migrate",
        ],
    )
