"""`evaluate`: how good the networks are, on the data sets or on one's own pictures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facegate import parts
from facegate.access.liveness import HeadTurn
from facegate.cli.figures import figure_lines
from facegate.cli.options import ConfigFile, named_model
from facegate.cli.output import AsJson, check_writable, emit, make_folder
from facegate.cli.training import check_sources, needs, portrait_figures, progress, say
from facegate.config import load_config
from facegate.errors import InputError
from facegate.types import U8
from facegate.vision.embedder import TFLiteFaceEmbedder
from facegate.vision.faces import FaceReader
from facegate.vision.pictures import read_picture, write_picture

if TYPE_CHECKING:
    from facegate.training import boxfile
    from facegate.training.identity_folder import NamedPicture
    from facegate.training.verification import Verification

app = typer.Typer(help="Measure the networks.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="Folder with the validation sets.")]
Model = Annotated[
    Path | None,
    typer.Option(help="A .tflite with its card, or a shipped one's name, instead of config's."),
]
ToCard = Annotated[bool, typer.Option("--card", help="Write the figures into the card too.")]
Plots = Annotated[Path | None, typer.Option(help="Folder to write curves into, as PNG.")]


@app.command()
def embedder(
    data: Data = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of people, NAME/PICTURE; LFW's layout is one.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="LFW's pairs.txt for --images; else pairs are drawn.")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV of NAME,GROUP for --images: false matches by group.")
    ] = None,
    sheets: Annotated[
        Path | None,
        typer.Option(help="Folder for the worst pairs of --images, as PNG that shows faces."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawn pairs.")] = 0,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="With --data: how much bad light and so on cost.")
    ] = False,
    card: ToCard = False,
    model: Model = None,
    plots: Plots = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Verification accuracy, EER and TAR at low FAR, with 95 % intervals; all as fractions."""
    if (data is None) == (images is None):
        raise typer.BadParameter(
            "give either --data DIR, or --images DIR (with or without --pairs FILE)"
        )
    for name, option in (("pairs", pairs), ("groups", groups), ("sheets", sheets)):
        if option is not None and images is None:
            raise typer.BadParameter(f"--{name} belongs to --images DIR")
    if data is None and (robustness or card):
        raise typer.BadParameter("--robustness and --card belong to --data DIR")
    from facegate.training import plots as drawing
    from facegate.training import verification
    from facegate.training.card_file import amend_card
    from facegate.training.robustness import robustness as robustness_on

    if plots:
        needs("matplotlib")
    settings = load_config(config)
    for folder in (plots, sheets):
        make_folder(folder)
    path = named_model(model) if model else parts.embedder_path(settings)
    embedder = TFLiteFaceEmbedder(path, settings.models.embedder_threads)
    result: dict[str, Any] = {"model": str(path), "model_id": embedder.model_id}
    written: list[Path] = []
    if data is not None:
        needs("pyarrow")
        figures, found, _, _ = verification.embedder_on_data(embedder, data, progress)
        if robustness:
            reader = parts.reader_for(settings, embedder)
            figures["robustness"] = robustness_on(reader, embedder, data, progress)
        if card:
            figures |= portrait_figures(parts.reader_for(settings, embedder))
            known = embedder.model.card.raw.get("figures", {})
            amend_card(path, {"figures": {**known, **figures}})
            written.append(embedder.model.card.path)
    elif images is not None:
        reader = parts.reader_for(settings, embedder)
        figures, found, written = _on_images(reader, images, pairs, groups, sheets, seed)
    result |= figures
    if plots:
        written += drawing.verification_plots(plots, found)
    result["plots"] = [str(p) for p in written]
    emit(
        result,
        as_json,
        [f"model        {path}", *figure_lines(result), *[f"wrote        {p}" for p in written]],
    )


def _on_images(
    reader: FaceReader,
    images: Path,
    pairs: Path | None,
    groups: Path | None,
    sheets: Path | None,
    seed: int,
) -> tuple[dict[str, Any], Verification, list[Path]]:
    """Measure on a folder of people; without a file of pairs everybody is compared too."""
    from facegate.training import identity_folder, named_pairs, verification
    from facegate.training.groups import false_matches_by_group
    from facegate.training.sampling import labels_of
    from facegate.training.sheets import failure_sheets

    paths, named = identity_folder.read_to_compare(images, pairs, seed, say)
    people = {p.parent.name for p in paths}
    group = identity_folder.read_groups(groups, people) if groups is not None else None
    seen = named_pairs.see_pictures(reader, paths, progress, say)
    found = named_pairs.verify_pictures(seen, named)
    figures = verification.figures(found) | {"unreadable": seen.unreadable}
    names, person = seen.people, labels_of(seen.people)
    if pairs is None and len(set(names)) > 1:
        figures |= verification.everybody(seen.faces, person)
    if group is not None:
        figures["groups"] = false_matches_by_group(seen.faces, person, [group[n] for n in names])
    written = failure_sheets(sheets, seen, named) if sheets is not None else []
    return figures, found, written


@app.command()
def quality(
    data: Annotated[Path, typer.Option(help="Folder with faces-val and faces-train.")],
    model: Model = None,
    plots: Plots = None,
    card: ToCard = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What the quality gate refuses, and whether that is what verifies worst."""
    needs("pyarrow", *(["matplotlib"] if plots else []))
    from facegate.training import plots as drawing
    from facegate.training import quality as measuring
    from facegate.training.card_file import amend_card

    settings = load_config(config)
    make_folder(plots)
    path = named_model(model) if model else parts.embedder_path(settings)
    embedder = TFLiteFaceEmbedder(path, settings.models.embedder_threads)
    result = measuring.quality_on_data(embedder, parts.gate_settings(settings), data, progress)
    learnt = {name: result.pop(name) for name in ("lengths", "coverage")}
    if card:
        amend_card(path, {"quality": result, **learnt})
    written = drawing.quality_plots(plots, result["error_versus_reject"]) if plots else []
    curve = result["error_versus_reject"]
    rows = zip(curve["refused"], curve["by_quality"], curve["at_random"], strict=True)
    emit(
        {"model": str(path), "model_id": embedder.model_id, **result}
        | ({"plots": [str(p) for p in written]} if plots else {}),
        as_json,
        [
            f"model    {path}",
            "refused  false non-matches at FAR 1e-3: the worst refused, at random",
            *[f"{share:7.0%}  {worst:.4f}  {chance:.4f}" for share, worst, chance in rows],
            "reason           crops   their pairs' misses   the others'",
            *[
                f"{name:<16} {r['share']:5.1%}   {r['fnmr']:.3f} of {r['pairs']:<6}"
                f"       {r['fnmr_of_others']:.3f}"
                for name, r in result["refused"].items()
                if r["pairs"]
            ],
            *[f"wrote    {p}" for p in written],
        ],
    )


@app.command()
def detector(
    data: Annotated[Path | None, typer.Option(help="Folder with scenes-val.parquet.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of pictures, with --boxes.")] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="CSV of their faces: file,x1,y1,x2,y2[,ten for landmarks].")
    ] = None,
    model: Model = None,
    plots: Plots = None,
    misses: Annotated[
        Path | None, typer.Option(help="PNG to write its worst mistakes into: parts of pictures.")
    ] = None,
    conditions: Annotated[
        bool, typer.Option("--conditions", help="Also in the dark, tilted, with mouths covered.")
    ] = False,
    card: ToCard = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Recall by face size, false alarms, landmark error, of detector and refiner together.

    All are fractions, not percent. --model names another detector; --card writes into the card of
    the refiner, which has the last word.
    """
    check_sources(data, images, boxes)
    if card and data is None:
        raise typer.BadParameter("--card belongs to --data DIR")
    needs(*(["pyarrow"] if data else []), *(["matplotlib"] if plots else []))
    from facegate.training import detection
    from facegate.training import plots as drawing
    from facegate.training.card_file import amend_card
    from facegate.training.conditions import under_conditions
    from facegate.training.misses import worst_sheet
    from facegate.vision.detector import TFLiteFaceDetector
    from facegate.vision.finder import FaceFinder

    settings = load_config(config)
    make_folder(plots)
    check_writable(misses)
    path = named_model(model) if model else parts.detector_path(settings)
    candidates = TFLiteFaceDetector(path)
    refiner = parts.load_refiner(settings)
    finder = parts.finder_of(settings, candidates, refiner)
    annotated = _annotated(data, images, boxes)
    looked = detection.look_at(finder, annotated.scenes, progress)
    result: dict[str, Any] = {**detection.figures(looked), "min_score": finder.min_score}
    if conditions:
        result["conditions"] = under_conditions(finder, looked, progress)
    if card:
        used = {"detector": candidates.model.card.model_id}
        kept = refiner.model.card.raw.get("figures", {})
        amend_card(parts.refiner_path(settings), {"figures": {**kept, **used, **result}})
    result = {"model": str(path), **result, "unreadable": annotated.unreadable}
    written = []
    if plots:
        eager = FaceFinder(candidates, refiner, detection.LOWEST_SCORE)
        ranking = detection.rank_detections(eager, annotated.scenes, progress)
        written += drawing.detection_plots(plots, ranking, finder.min_score)
    if misses:
        write_picture(misses, worst_sheet(looked))
        written.append(misses)
    if written:
        result["plots"] = [str(p) for p in written]
    lines = [*_found_lines(result), *[f"wrote         {p}" for p in written]]
    emit(result, as_json, lines)


def _annotated(data: Path | None, images: Path | None, boxes: Path | None) -> boxfile.Annotated:
    """Read the pictures to measure on, of the sets or of one's own."""
    from facegate.training import boxfile
    from facegate.training.data import read_scenes, val_scenes

    if data is not None:
        return boxfile.Annotated(read_scenes(val_scenes(data)), unreadable=0)
    assert images is not None
    assert boxes is not None
    return boxfile.read_box_file(images, boxes, say)


def _found_lines(result: dict[str, Any]) -> list[str]:
    """Say how well faces are found."""
    shown, unreadable = result["images"], result["unreadable"]
    return [
        f"model         {result['model']}",
        *([f"passed over   {unreadable} that are no pictures"] if unreadable else []),
        f"recall        {_by_size(result['recall'])}",
        f"pictures      {shown['with_faces']} with faces, {shown['faceless']} without",
        f"false alarms  {result['false_alarms_per_image']:.4f} a picture without faces, "
        f"{result['false_alarms_with_faces']:.4f} with; "
        f"{result['false_alarms_believed']:.4f} where no face can have been overlooked",
        f"landmarks     {result['landmark_nme']:.4f} of the eyes' distance, "
        f"median {result['landmark_median']:.4f}",
        *[
            f"  {name:<11} {e['mean']:.4f}, median {e['median']:.4f}"
            for name, e in result["landmark_by_size"].items()
        ],
        *[
            f"{name:<13} {_by_size(r['recall'])}  lost {_by_size(r['loss'])}"
            for name, r in result.get("conditions", {}).items()
        ],
    ]


def _by_size(values: dict[str, float]) -> str:
    return "  ".join(f"{k} {v:.4f}" for k, v in values.items())


@app.command()
def landmarks(
    data: Annotated[Path, typer.Option(help="Folder with faces-val and val-pairs.")],
    card: ToCard = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What the landmarks that are found cost in verification accuracy, against the given crops."""
    needs("pyarrow")
    from facegate.training.alignment import landmark_cost
    from facegate.training.card_file import amend_card

    settings = load_config(config)
    embedder = TFLiteFaceEmbedder(parts.embedder_path(settings), settings.models.embedder_threads)
    result = landmark_cost(parts.reader_for(settings, embedder), embedder, data, progress)
    if card:
        path = parts.refiner_path(settings)
        amend_card(path, {"landmark_cost": {"embedder": embedder.model_id, **result}})
    emit(
        result,
        as_json,
        [
            f"given crops   accuracy {result['given']['accuracy']:.4f}",
            *[
                f"{px:>4}-px faces  accuracy {r['accuracy']:.4f}  cost {r['cost']:+.4f}, "
                f"of noise {r['cost_of_noise']:+.4f}  found {r['found']:.4f}"
                for px, r in result["detected"].items()
            ],
        ],
    )


def _readable(pictures: list[NamedPicture]) -> Iterator[U8]:
    """Give one picture of everybody: the first that can be read."""
    seen: set[str] = set()
    for picture in pictures:
        if picture.person in seen:
            continue
        try:
            pixels = read_picture(picture.path)
        except InputError as error:
            say(f"passed over: {error}")
            continue
        seen.add(picture.person)
        yield pixels


@app.command()
def liveness(
    data: Annotated[Path | None, typer.Option(help="Folder with scenes-val.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of people, NAME/PICTURE, instead.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Photographs to use at most.")] = 60,
    sheet: Annotated[
        Path | None, typer.Option(help="PNG with moments of every act, of one photograph.")
    ] = None,
    card: ToCard = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """How often photographs, held before the camera, pass for a head that turns, and heads do.

    Photographs are waved, bent, creased and changed for others; heads are simulated from them. For
    `access.liveness: head_turn`. Of a folder of people the first readable picture of each is taken.
    A photograph takes about half a minute.
    """
    if (data is None) == (images is None):
        raise typer.BadParameter("give one of --data and --images: where the photographs are")
    if card and data is None:
        raise typer.BadParameter("--card belongs to --data DIR")
    needs(*(["pyarrow"] if data else []))
    from facegate.training import liveness as measuring
    from facegate.training.card_file import amend_card
    from facegate.training.data import read_scenes, val_scenes
    from facegate.training.identity_folder import read_folder

    settings = load_config(config)
    check_writable(sheet)
    vision = parts.load_vision(settings)
    pictures: Iterator[U8]
    if data is not None:
        pictures = (scene.pixels for scene in read_scenes(val_scenes(data)))
    else:
        assert images is not None
        pictures = _readable(read_folder(images))
    photos = list(islice(measuring.usable(vision.reader, pictures), most))
    threshold = parts.threshold_for(settings, vision.calibration, 1)
    acts = measuring.turn_rates(vision.reader, threshold, HeadTurn, photos, progress)
    if sheet is not None:
        write_picture(sheet, measuring.sheet(photos[0]))
    if card:
        amend_card(
            parts.refiner_path(settings), {"head_turn": {"embedder": vision.model_id, **acts}}
        )
    emit(
        {"photographs": len(photos), "embedder": vision.model_id, "acts": acts},
        as_json,
        [
            f"photographs {len(photos)}",
            "passed          of    95 %              turn, median, greatest   looks that counted",
            *[
                f"{r['passed']:>5}     {r['films']:>8}    {r['rate_95'][0]:.3f} to "
                f"{r['rate_95'][1]:.3f}    {r['median_turn']:.2f}  {r['greatest_turn']:.2f}"
                f"               {r['looks_counted']:4.0%}   {name}"
                for name, r in acts.items()
            ],
        ],
    )
