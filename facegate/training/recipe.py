"""What decides how an embedder training goes: its stages and its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facegate.errors import UsageError
from facegate.training import architectures
from facegate.training.card_file import made_by
from facegate.training.mining import MINING


@dataclass(frozen=True)
class Stage:
    """Part of a run.

    Attributes:
        side: of the views in pixels, a multiple of 16.
        strength: of the augmentation, 0 to 1.
        views: crops shown.
        triplets: learn from triplets, in batches of P people with K pictures; distillation, where
            the data has a teacher's targets, stays on.
    """

    side: int
    strength: float
    views: int
    triplets: bool = False


DEFAULT_STAGES = (Stage(64, 0.0, 800_000), Stage(96, 0.3, 300_000), Stage(160, 0.4, 100_000))
TRIPLET_STAGES = (
    Stage(64, 0.2, 200_000, True),
    Stage(96, 0.3, 100_000, True),
    Stage(160, 0.4, 50_000, True),
)
"""Where there is no teacher: pictures of one's own."""


@dataclass(frozen=True)
class Variant:
    """Which embedder: its architecture, and what that is built with."""

    architecture: str = "inception_resnet_lite"
    width: float = 1.0
    blocks: tuple[int, int, int] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What the architecture is built with, and the card names."""
        return {"width": self.width} | ({"blocks": self.blocks} if self.blocks else {})

    @property
    def options(self) -> list[str]:
        """What a command is told, but for what it takes anyhow."""
        usual, told = Variant(), list[str]()
        if self.architecture != usual.architecture:
            told += ["--architecture", self.architecture]
        if self.width != usual.width:
            told += ["--width", f"{self.width:g}"]
        return told + (["--blocks", "/".join(map(str, self.blocks))] if self.blocks else [])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides how an embedder training goes; the command has the usual numbers.

    Attributes:
        others: crops of anybody that a batch of triplets has besides its people, so that those few
            do not bend the space.
        hold_statistics: leave BatchNorms with the statistics of the weights that the run begins
            with: those of a batch of few people are other ones.
    """

    architecture: str = Variant.architecture
    width: float = Variant.width
    blocks: tuple[int, int, int] | None = Variant.blocks
    stages: tuple[Stage, ...]
    batch: int
    people: int
    pictures: int
    mining: str
    margin: float
    others: int = 0
    peak_rate: float
    weight_decay: float = 0.05
    fake_quantisation: bool = False
    hold_statistics: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in architectures.EMBEDDERS:
            known = ", ".join(architectures.EMBEDDERS)
            raise UsageError(f"architecture {self.architecture}: known are {known}")
        if self.mining not in MINING:
            raise UsageError(f"mining {self.mining}: known are {', '.join(MINING)}")
        least = architectures.EMBEDDERS[self.architecture].shape.smallest_px
        if small := [s.side for s in self.stages if s.side < least]:
            raise UsageError(
                f"{self.architecture} needs {least} px or more, and a stage shows {small[0]}"
            )

    @property
    def variant(self) -> Variant:
        """Which embedder is trained."""
        return Variant(self.architecture, self.width, self.blocks)


def default_stages(
    architecture: str, teacher: bool = True, begun: bool = False
) -> tuple[Stage, ...]:
    """Give the stages of a run that says none: views never smaller than the network takes.

    Args:
        architecture: of the network.
        teacher: the data has one.
        begun: it begins with weights. Without a teacher small views would unlearn what those know
            of large ones.
    """
    stages = DEFAULT_STAGES if teacher else TRIPLET_STAGES[-1:] if begun else TRIPLET_STAGES
    if architecture not in architectures.EMBEDDERS:
        return stages
    least = architectures.EMBEDDERS[architecture].shape.smallest_px
    return tuple(replace(s, side=max(s.side, least)) for s in stages)


def variant_behind(weights: Path | None) -> Variant:
    """Say of which embedder some weights are: by an exported one's card, or by the run's folder."""
    told = made_by(weights) if weights is not None else {}
    settings = told.get("settings") or {}
    arguments = told.get("arguments") or settings
    blocks = arguments.get("blocks")
    return Variant(
        told.get("architecture") or settings.get("architecture") or Variant.architecture,
        arguments.get("width") or Variant.width,
        tuple(blocks) if blocks else None,
    )


def variant_of(
    architecture: str | None, width: float | None, blocks: str | None, weights: Path | None
) -> Variant:
    """Take what is asked for, and where nothing is asked what the weights are of.

    Raises:
        UsageError: `blocks` are no three numbers.
        InputError: what tells of the weights cannot be read.
    """
    behind = variant_behind(weights)
    if architecture not in (None, behind.architecture):
        behind = Variant(architecture)
    return Variant(
        behind.architecture,
        width or behind.width,
        parse_blocks(blocks) if blocks else behind.blocks,
    )


def parse_blocks(text: str) -> tuple[int, int, int]:
    """Read how many blocks A, B and C, as in `5/10/5`."""
    numbers = text.split("/")
    if len(numbers) != 3 or not all(n.isdecimal() and int(n) for n in numbers):
        raise UsageError(f"blocks {text!r}: expected three numbers, as in 5/10/5")
    a, b, c = map(int, numbers)
    return a, b, c


def parse_stage(text: str) -> Stage:
    """Read `SIDE:STRENGTH:VIEWS`, for example `64:0.2:500000`; `triplet:` may stand before it."""
    kind, _, rest = text.partition(":")
    triplets = kind == "triplet"
    try:
        side, strength, views = (rest if triplets else text).split(":")
        stage = Stage(int(side), float(strength), int(views), triplets)
    except ValueError:
        raise UsageError(
            f"stage {text!r}: expected SIDE:STRENGTH:VIEWS, as in 64:0.2:500000 or "
            "triplet:160:0.3:100000"
        ) from None
    if stage.side % 16 or stage.side <= 0 or not 0 <= stage.strength <= 1 or stage.views <= 0:
        raise UsageError(f"stage {text!r}: side a multiple of 16, strength 0 to 1, views positive")
    return stage
