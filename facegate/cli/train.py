"""`train`: make the networks from pictures."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate.cli.output import make_folder
from facegate.cli.training import annotated_sets, check_sources, needs, progress, without_paths
from facegate.errors import DataError, InputError, UsageError

RATE, GENTLE_RATE = 5e-3, 2e-4
"""Of an embedder that begins at random; of one that knows people already, whom 5e-3 unlearns."""

BACKENDS = ("torch", "tensorflow", "jax")
"""That Keras may build networks with; they learn in torch in any case."""

app = typer.Typer(help="Train the networks.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="Folder of the training sets.")]
Images = Annotated[
    Path | None, typer.Option(help="Folder of pictures of your own instead, with --boxes.")
]
Boxes = Annotated[
    Path | None,
    typer.Option(help="CSV of the faces in --images: file,x1,y1,x2,y2 and ten for landmarks."),
]
Blocks = Annotated[
    str | None, typer.Option(help="How many blocks A/B/C instead of its own, as in 5/10/5.")
]
Pictures = Annotated[
    Path, typer.Option(help="Folder of the training sets, or of people's pictures: NAME/PICTURE.")
]
Architecture = Annotated[
    str | None,
    typer.Option(
        help="Of the embedder: inception_resnet_lite, _v1 or _v2; else what the weights are of, or "
        "the first."
    ),
]
Width = Annotated[
    float | None, typer.Option(min=0.05, help="Of the embedder: multiplies its filters.")
]
Rate = Annotated[float, typer.Option(min=1e-9, help="Peak learning rate.")]
Out = Annotated[Path, typer.Option(help="Folder of the run; an interrupted run goes on there.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
StartFrom = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Weights to begin with: of a run (.weights.h5), .keras, .h5, or an exported .tflite.",
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads; all if not given.")]


@app.command()
def embedder(
    data: Pictures,
    out: Out,
    architecture: Architecture = None,
    width: Width = None,
    blocks: Blocks = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            help="SIDE:STRENGTH:VIEWS or triplet:SIDE:STRENGTH:VIEWS, repeat for more: pixels, "
            "0 to 1, crops shown."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=2, help="Crops a step of distillation.")] = 128,
    people: Annotated[int, typer.Option(min=2, help="People in a batch of triplets.")] = 32,
    pictures: Annotated[int, typer.Option(min=2, help="Pictures of each of them.")] = 4,
    others: Annotated[
        int, typer.Option(min=0, help="Crops of anybody besides, in a batch of triplets.")
    ] = 0,
    mining: Annotated[str, typer.Option(help="Triplets: semi-hard or batch-hard.")] = "semi-hard",
    margin: Annotated[float, typer.Option(min=0.0, help="Triplets: on squared distance.")] = 0.2,
    rate: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            help=f"Peak learning rate; {RATE:g}, with --start-from {GENTLE_RATE:g}.",
        ),
    ] = None,
    fake_quantisation: Annotated[
        bool,
        typer.Option(
            "--fake-quantisation",
            help="Round as INT8 will: to fine-tune what loses too much by it.",
        ),
    ] = False,
    hold_statistics: Annotated[
        bool,
        typer.Option(
            "--hold-statistics",
            help="Leave BatchNorms with those of --start-from, which views of few people change.",
        ),
    ] = False,
    start_from: StartFrom = None,
    seed: Seed = 0,
    threads: Threads = None,
    checkpoint_every: Annotated[float, typer.Option(min=0, help="Seconds.")] = 120,
) -> None:
    """Train an embedder: distil it from a teacher's embeddings, then sharpen it with triplets.

    On a folder of people's pictures: find and align the faces, hold some people out, and learn from
    triplets alone. The crops lie in OUT/prepared until you delete it. What --start-from begins with
    is compared with what comes out; where people held out are told apart worse, that is said.
    """
    _prepare(threads)
    from facegate.training import embedder as training
    from facegate.training import recipe
    from facegate.training.data import val_pairs
    from facegate.training.own_pictures import is_folder_of_people

    if not data.is_dir():
        raise DataError(f"{data}: no such folder")
    own = is_folder_of_people(data)
    variant = recipe.variant_of(architecture, width, blocks, start_from)
    default = recipe.default_stages(variant.architecture, not own, start_from is not None)
    stages = tuple(recipe.parse_stage(s) for s in stage or ()) or default
    settings = recipe.Settings(
        architecture=variant.architecture,
        width=variant.width,
        blocks=variant.blocks,
        stages=stages,
        batch=batch,
        people=people,
        pictures=pictures,
        mining=mining,
        margin=margin,
        others=others,
        peak_rate=rate or (RATE if start_from is None else GENTLE_RATE),
        seed=seed,
        fake_quantisation=fake_quantisation,
        hold_statistics=hold_statistics,
    )
    if own and not all(stage.triplets for stage in settings.stages):
        raise UsageError(
            "people's pictures have no teacher's embeddings to learn from: begin each --stage with "
            "triplet:, as in triplet:160:0.3:100000"
        )
    if hold_statistics and start_from is None:
        raise UsageError("--hold-statistics holds those of weights: name --start-from")
    make_folder(out)
    if own:
        training.network_of(settings.variant, start_from)  # before all the pictures are looked at
        data = _prepared(data, out, seed)
    _remember(out, asdict(settings), start_from)
    path = training.train(data, out, settings, start_from, typer.echo, checkpoint_every)
    if start_from is not None and val_pairs(data).is_file() and not fake_quantisation:
        side = settings.stages[-1].side
        change = training.change_since(start_from, path, data, variant, side)
        typer.echo(change.line)
        if change.worse:
            typer.echo(f"wrote {path}: worse than what it began with; lower --rate, another --out")
            return
    typer.echo(f"wrote {path}; next: {_export('embedder', path, data, *variant.options)}")


@app.command()
def metric(
    data: Pictures,
    out: Out,
    weights: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Of the embedder: of a run (.weights.h5), .keras, .h5, or an exported .tflite.",
        ),
    ],
    centre_only: Annotated[
        bool, typer.Option("--centre-only", help="Centre it, and do not even it out.")
    ] = False,
    seed: Seed = 0,
    threads: Threads = None,
) -> None:
    """Settle the last layer of a trained embedder: centred, and one person's pictures close.

    Takes minutes, and nothing but the last layer changes. It helps some networks and not others,
    and a narrow one may gain by the centre alone: compare what `export` says of each.
    """
    _prepare(threads)
    from facegate.training import embedder as training
    from facegate.training import recipe
    from facegate.training.card_file import made_by
    from facegate.training.data import val_pairs
    from facegate.training.last_layer import settle_last_layer
    from facegate.training.own_pictures import is_folder_of_people

    if not data.is_dir():
        raise DataError(f"{data}: no such folder")
    path = out / "embedder.weights.h5"
    if path.exists():
        raise InputError(f"{path}: is there already, and may be what was trained; another --out")
    variant = recipe.variant_behind(weights)
    model = training.network_of(variant, weights)
    make_folder(out)
    if is_folder_of_people(data):
        data = _prepared(data, out, seed)
    told = made_by(weights)
    _remember(out, told.get("settings") or told.get("training") or asdict(variant), weights)
    settle_last_layer(model, data, typer.echo, progress, centre_only)
    model.save_weights(path)
    if val_pairs(data).is_file():
        typer.echo(training.change_since(weights, path, data, variant).line)
    typer.echo(f"wrote {path}; next: {_export('embedder', path, data, *variant.options)}")


@app.command()
def detector(
    out: Out,
    data: Data = None,
    images: Images = None,
    boxes: Boxes = None,
    views: Annotated[int, typer.Option(min=1, help="Pictures shown.")] = 150_000,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a step.")] = 16,
    rate: Rate = 4e-3,
    start_from: StartFrom = None,
    seed: Seed = 0,
    threads: Threads = None,
) -> None:
    """Train the face detector on annotated pictures.

    Of --images a fifth is held out. What is learned from lies in OUT/prepared until you delete it.
    """
    check_sources(data, images, boxes)
    _prepare(threads)
    from facegate.training import detector as training

    settings = training.Settings(views=views, batch=batch, peak_rate=rate, seed=seed)
    make_folder(out)
    data = annotated_sets(data, images, boxes, out / "prepared", typer.echo)
    _remember(out, asdict(settings), start_from)
    path = training.train(data, out, settings, start_from, typer.echo)
    typer.echo(f"wrote {path}; next: {_export('detector', path, data)}")


@app.command()
def refiner(
    out: Out,
    data: Data = None,
    images: Images = None,
    boxes: Boxes = None,
    views: Annotated[int, typer.Option(min=1, help="Candidates shown.")] = 1_200_000,
    batch: Annotated[int, typer.Option(min=1, help="Candidates a step.")] = 256,
    rate: Rate = 3e-3,
    start_from: StartFrom = None,
    seed: Seed = 0,
    threads: Threads = None,
) -> None:
    """Train the refiner, on annotated pictures, with what the detector in use takes for faces.

    Of --images a fifth is held out. What is learned from lies in OUT/prepared until you delete it.
    """
    check_sources(data, images, boxes)
    _prepare(threads)
    from facegate import parts
    from facegate.config import load_config
    from facegate.training import refiner as training
    from facegate.training.candidates import EAGER_SCORE
    from facegate.vision.detector import TFLiteFaceDetector

    settings = training.Settings(views=views, batch=batch, peak_rate=rate, seed=seed)
    detector = TFLiteFaceDetector(parts.detector_path(load_config(None)), EAGER_SCORE)
    make_folder(out)
    data = annotated_sets(data, images, boxes, out / "prepared", typer.echo)
    _remember(out, asdict(settings), start_from)
    path = training.train(data, out, settings, detector, start_from, typer.echo, progress)
    typer.echo(f"wrote {path}; next: {_export('refiner', path, data)}")


def _export(kind: str, weights: Path, data: Path, *shape: str) -> str:
    """Give the command that makes a model of trained weights."""
    out = weights.with_name(f"{kind}.tflite")
    words = ["export", kind, "--weights", str(weights), "--out", str(out), "--data", str(data)]
    return shlex.join(["facegate", *words, *shape])


def _prepare(threads: int | None) -> None:
    """Choose the backend before Keras is imported."""
    backend = os.environ.get("KERAS_BACKEND") or "torch"
    os.environ["KERAS_BACKEND"] = backend
    if threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    needs("torch", "pyarrow")
    if backend not in BACKENDS or find_spec(backend) is None:
        raise InputError(
            f"KERAS_BACKEND={backend} "
            + ("is not installed" if backend in BACKENDS else f"is none of {', '.join(BACKENDS)}")
            + "; unset it, and training takes torch"
        )
    needs("keras")
    if threads:
        import torch

        torch.set_num_threads(threads)


def _prepared(images: Path, out: Path, seed: int) -> Path:
    """Turn a folder of people's pictures into sets to train on, with the shipped detector."""
    from facegate import parts
    from facegate.config import load_config
    from facegate.training.own_pictures import prepare
    from facegate.vision.embedder import TFLiteFaceEmbedder

    settings = load_config(None)
    reader = parts.reader_for(settings, TFLiteFaceEmbedder(parts.embedder_path(settings)))
    return prepare(images, out, reader, seed, typer.echo, progress)


def _remember(out: Path, settings: dict[str, Any], start_from: Path | None) -> None:
    """Write the command and settings beside the weights, for the card; folders are left out.

    Where the run begins with the weights of another, that one's commands come first.
    """
    from facegate.training.card_file import RUN_FILE, made_by

    if (out / "checkpoint.pt").is_file() and (out / RUN_FILE).is_file():
        return  # the run goes on; what is told of it holds, or training refuses the folder
    words = without_paths(["facegate", *sys.argv[1:]])
    before = made_by(start_from).get("commands", []) if start_from is not None else []
    run = {"commands": [*before, shlex.join(words)], "settings": settings}
    (out / RUN_FILE).write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
