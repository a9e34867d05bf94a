"""`residua fit`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Bits, FollowLinks, Memory, Quiet, Root, Seed, Source, names
from residua.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console


class Job(StrEnum):
    """What the autoencoder is for."""

    reconstruct = "reconstruct"
    detect = "detect"
    classify = "classify"


class Aspect(StrEnum):
    """How resizing treats proportions."""

    stretch = "stretch"
    keep = "keep"
    area = "area"


class Family(StrEnum):
    """Kinds of network."""

    conv = "conv"
    dense = "dense"


class Strategy(StrEnum):
    """How a classifier and an autoencoder share a network."""

    joint = "joint"
    joint_flat = "joint-flat"
    sequential = "sequential"
    fine_tune = "fine-tune"
    plain = "plain"


class Distance(StrEnum):
    """What a reconstruction's loss is beside a classifier's."""

    squared = "squared"
    euclidean = "euclidean"


class ClassWeight(StrEnum):
    """How images of rare classes count."""

    balanced = "balanced"


class Loss(StrEnum):
    """What training minimises."""

    squared = "squared"
    absolute = "absolute"
    binary_cross_entropy = "binary-cross-entropy"


class Error(StrEnum):
    """What an image's score is made of."""

    squared = "squared"
    absolute = "absolute"
    euclidean = "euclidean"
    ssim = "ssim"


class Precision(StrEnum):
    """Numbers that training computes in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


def fit(
    source: Source,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="RUN", help="Folder to write the run to.", show_default=False
        ),
    ],
    job: Annotated[
        Job,
        typer.Option(
            help=(
                "reconstruct: reproduce images. detect: learn normal images, flag others. classify:"
                " name the class of each."
            )
        ),
    ] = Job.detect,
    normal: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL,...",
            help="Labels that mean normal; only these are trained on.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=(
                "How to train and score; see `residua recipes`. Left out: auto to detect, else"
                " plain."
            ),
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[
        Strategy | None,
        typer.Option(
            show_default=False,
            help="Classify only: how the autoencoder takes part; joint if left out.",
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            metavar="W|learn",
            help="Joint strategies: weight of the reconstruction in the loss, in [0, 1], or learn.",
            show_default=False,
        ),
    ] = None,
    distance: Annotated[
        Distance | None,
        typer.Option(
            show_default=False,
            help="Classify only: squared is a mean over pixels, euclidean the root of the sum.",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            min=4, help="Classify only: width of the first stage that halves.", show_default=False
        ),
    ] = None,
    mirrored: Annotated[
        bool | None,
        typer.Option(
            "--mirrored/--not-mirrored",
            show_default=False,
            help=(
                "Classify only: average over each image and its mirror image, a second pass. On"
                " where flip augments."
            ),
        ),
    ] = None,
    class_weight: Annotated[
        ClassWeight | None,
        typer.Option(show_default=False, help="Classify only: images of rare classes count more."),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Classify only: labels hold several names with this between them, such as '|'.",
            show_default=False,
        ),
    ] = None,
    latent: Annotated[
        int | None,
        typer.Option(min=1, help="Size of the code; chosen by the image size if left out."),
    ] = None,
    family: Annotated[
        Family | None, typer.Option(show_default=False, help="Convolutional, or fully connected.")
    ] = None,
    tied: Annotated[
        bool,
        typer.Option(
            "--tied", help="Dense only: the decoder uses the encoder's weights, transposed."
        ),
    ] = False,
    loss: Annotated[
        Loss | None, typer.Option(show_default=False, help="What training minimises.")
    ] = None,
    error: Annotated[
        Error | None,
        typer.Option(
            show_default=False,
            help="What the score is the mean of (euclidean: the root of the sum of squares).",
        ),
    ] = None,
    density: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="mahalanobis, neighbours: add how unusual the code is.",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Recipe feature: timm:NAME or huggingface:NAME, with its weights.",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Longer side in pixels that the network sees; images up to 128 stay as they are."
        ),
    ] = None,
    aspect: Annotated[
        Aspect | None,
        typer.Option(
            show_default=False,
            help=(
                "stretch: fit height and width separately. keep: proportions kept, edges repeated."
                " area: each at its own "
                "proportions, all of one area. Left out: area for mixed sizes if the recipe can,"
                " else stretch."
            ),
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How long to train; about 3,000 steps if neither this nor --minutes is given.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help=(
                "Time for training instead of epochs; turned into steps once. Fitting the score"
                " comes on top."
            ),
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Images a training step; the recipe's choice if left out."),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=1e-8, help="Peak of the one-cycle schedule; the recipe's choice if left out."
        ),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Epochs without improvement before stopping early.")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="flip, shift, crop, brightness. Classify: auto (the default) or none.",
            show_default=False,
        ),
    ] = None,
    trim: Annotated[
        float,
        typer.Option(
            min=0, max=0.5, help="Share of train to drop as the worst after a short first training."
        ),
    ] = 0.0,
    precision: Annotated[
        Precision, typer.Option(help="auto: bfloat16 where the processor or GPU computes in it.")
    ] = Precision.auto,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processor threads for training; all, or one for images under 24x24.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Where the threshold lies; see `residua threshold --help`.", show_default=False
        ),
    ] = None,
    devices: Annotated[
        int,
        typer.Option(
            min=1, help="Processors or GPUs of a machine that share each batch, a process each."
        ),
    ] = 1,
    nodes: Annotated[
        int,
        typer.Option(min=1, help="Machines; start the same command on each by torchrun or SLURM."),
    ] = 1,
    seed: Seed = 0,
    bits: Bits = None,
    follow_links: FollowLinks = False,
    root: Root = None,
    memory: Memory = 2048,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a run that was stopped; repeat its options."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train an autoencoder on the images of SOURCE and write a RUN.

    Train, calibration and test parts come from the source where it has them, else they are drawn by
    the seed. Nothing is ever tuned on test.

        residua fit parts/ --normal good --out runs/parts

        residua fit digits --job reconstruct --latent 16 --minutes 1 --out runs/digits

        residua fit animals/ --job classify --strategy joint --out runs/animals
    """
    from residua._text import terminal
    from residua.cli.progress import watching
    from residua.runs.fit import fit_run
    from residua.training.fitting.options import RunOptions
    from residua.training.loop.settings import TrainingSettings

    settings = TrainingSettings(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        precision=precision.value,
        threads=threads,
        augment=_augment(job, augment),
        trim=trim,
        devices=devices,
        nodes=nodes,
        seed=seed,
    )
    given = {
        "latent": latent,
        "family": family and family.value,
        "tied": tied or None,
        "loss_name": loss and loss.value,
        "error": error and error.value,
        "density": names(density),
        "backbone": backbone,
        "weight": _weight(weight),
        "distance": distance and distance.value,
        "width": width,
        "mirrored": mirrored,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    # Options of a network speak of the plain autoencoder unless a recipe is named; auto picks the
    # network itself.
    by_default = "feature" if backbone else "auto" if job is Job.detect and not asked else "plain"
    options = RunOptions(
        source=source,
        job=job.value,
        recipe=_recipe(job, recipe, strategy) or by_default,
        recipe_options=asked,
        normal=names(normal),
        size=size,
        aspect=None if aspect is None else aspect.value,
        policy=policy,
        class_weight="balanced" if class_weight else None,
        separator=separator,
        bits=bits,
        follow_links=follow_links,
        root=None if root is None else str(root.resolve()),
        settings=settings,
    )
    with watching(quiet=quiet) as watcher:
        run = fit_run(options, out, resume=resume, memory_megabytes=memory, watcher=watcher)
    if not quiet:
        _print_result(run.path, terminal())


def _recipe(job: Job, recipe: str | None, strategy: Strategy | None) -> str | None:
    """The name that the run is fitted by: a strategy to classify, a recipe for all else."""
    if job is not Job.classify and strategy is not None:
        raise InputError(
            f"fit: --strategy is for --job classify. Got the job {job.value}. Leave it out, or"
            " change the job."
        )
    if job is Job.classify and recipe is not None:
        raise InputError(
            f"fit: a classifier has a --strategy, not a recipe. Got --recipe {recipe}. Name a"
            " strategy."
        )
    return (strategy or Strategy.joint).value if job is Job.classify else recipe


def _augment(job: Job, text: str | None) -> tuple[str, ...]:
    given = names(text)
    if given == ("none",):
        return ()
    return given or (("auto",) if job is Job.classify else ())


def _weight(text: str | None) -> float | str | None:
    if text is None or text == "learn":
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"fit: --weight must be a number in [0, 1] or learn. Got {text!r}. Mend it."
        ) from None


def _print_result(path: Path, console: Console) -> None:
    from rich.markup import escape

    from residua._text import count
    from residua.runs.run_folder import RunFolder
    from residua.training.bundle import load_bundle

    config = load_bundle(RunFolder(path).bundle).config
    training = config.training
    epochs = count(training["epochs"], "epoch")
    console.print(
        f"[bold]{escape(str(path))}[/bold]: {training['network']}, {epochs} in"
        f" {training['seconds']:.0f} s"
    )
    if config.operating_point is not None:
        console.print(
            f"threshold {config.operating_point.threshold:.6g} ({config.operating_point.policy})."
            f" {config.operating_point.how}"
        )
    console.print(f"Next: residua evaluate {path}", markup=False)
