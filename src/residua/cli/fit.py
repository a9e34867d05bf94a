"""`residua fit`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from residua.cli.config_file import Config
from residua.cli.options import (
    Bits,
    Device,
    Epochs,
    FollowLinks,
    Groups,
    LoggerName,
    Memory,
    Minutes,
    Product,
    Quiet,
    Root,
    Seed,
    Size,
    Source,
    Threads,
    names,
)
from residua.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console


Job = Literal["reconstruct", "detect", "classify"]


# Typer reads a command's options off its signature, so that each is spelled here, in the order of
# the help text. What they mean, and to which job each belongs, is declared in
# `residua.training.fitting.options`.
def fit(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to write the run to.")],
    job: Annotated[
        Job,
        typer.Option(
            help=(
                "reconstruct: reproduce images. detect: learn normal images, flag others. classify:"
                " name the class of each."
            )
        ),
    ] = "detect",
    normal: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL,...",
            help="Not for classify: labels that mean normal. Only these images are trained on.",
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=(
                "How to train and score; see `residua recipes`. Default: auto for detect; plain for"
                " reconstruct, or if you give options of a network."
            ),
        ),
    ] = None,
    strategy: Annotated[
        Literal["joint", "joint-flat", "sequential", "fine-tune", "plain"] | None,
        typer.Option(
            help="Classify only: how classifier and autoencoder share a network. Default: joint."
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            metavar="W|learn",
            help=(
                "Joint strategies only: weight of the reconstruction in the loss, in [0, 1]. learn:"
                " the network finds it."
            ),
        ),
    ] = None,
    distance: Annotated[
        Literal["squared", "euclidean"] | None,
        typer.Option(
            help=(
                "Classify only: the reconstruction loss. squared: the mean over pixels. euclidean:"
                " the root of the sum."
            )
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            min=4,
            help=(
                "Classify and some recipes: channels of the first stage that halves the image."
                " Default for classify: 32."
            ),
        ),
    ] = None,
    mirrored: Annotated[
        bool | None,
        typer.Option(
            "--mirrored/--not-mirrored",
            help=(
                "Classify only: average over each image and its mirror image. Doubles the time of"
                " the encoder. Default: on if flip augments."
            ),
        ),
    ] = None,
    class_weight: Annotated[
        Literal["balanced"] | None,
        typer.Option(help="Classify only: give images of rare classes more weight."),
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Classify only: separates several names in one label (multi-label), such as '|'.",
        ),
    ] = None,
    latent: Annotated[
        int | None,
        typer.Option(
            min=1, help="Size of the latent vector. Default: chosen by the size of the images."
        ),
    ] = None,
    family: Annotated[
        Literal["conv", "dense"] | None,
        typer.Option(help="The network: convolutional, or fully connected."),
    ] = None,
    tied: Annotated[
        bool,
        typer.Option(
            "--tied", help="Dense only: the decoder uses the encoder's weights, transposed."
        ),
    ] = False,
    loss: Annotated[
        Literal["squared", "absolute", "binary-cross-entropy"] | None,
        typer.Option(help="The training loss."),
    ] = None,
    error: Annotated[
        Literal["squared", "absolute", "euclidean", "ssim"] | None,
        typer.Option(
            help=(
                "Error per pixel; the score is its mean. euclidean: the root of the sum of squares."
            )
        ),
    ] = None,
    density: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help=("mahalanobis, neighbours: add to the score how unusual the latent vector is."),
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=(
                "Published weights: lite0, lite2, timm:NAME[@FILE], huggingface:NAME[@FOLDER] or"
                " FILE.onnx, for the recipes memory (the default with a backbone), feature and"
                " inspect. none: keep auto from using any."
            ),
        ),
    ] = None,
    size: Size = None,
    aspect: Annotated[
        Literal["stretch", "keep", "area"] | None,
        typer.Option(
            help=(
                "stretch: fit height and width separately. keep: keep proportions, repeat the"
                " edges. area: keep each image's proportions, at about one area. Default: area for"
                " images of mixed sizes if the recipe takes any size, else stretch."
            )
        ),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(
            metavar="auto|N",
            help=(
                "Detect only: look at images in overlapping tiles, N along the shorter side, so"
                " that small defects are not shrunk away. auto: as many as about a second an image"
                " allows."
            ),
        ),
    ] = None,
    region: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=(
                "Detect only: look at this part of images alone. FILE: a mask image (not black"
                " counts) or JSON with polygons."
            ),
        ),
    ] = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per training step. Default: the recipe's own.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=1e-8, help="Peak of the one-cycle schedule. Default: the recipe's own."),
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Epochs without improvement before stopping early.")
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help=(
                "Random changes of training images: flip, shift, crop, brightness. Classify: also"
                " auto (the default) or none."
            ),
        ),
    ] = None,
    trim: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.5,
            help=(
                "Not for classify: drop this share of train, the images most unlike the others."
                " Then train again."
            ),
        ),
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        typer.Option(
            show_default="auto", help="auto: bfloat16 if the processor or GPU computes in it."
        ),
    ] = None,
    threads: Threads = None,
    device: Device = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="Detect only: how to choose the threshold; see `residua threshold --help`."
        ),
    ] = None,
    contamination: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.5,
            help=(
                "Detect only: share of the calibration images that may be hidden anomalies; the"
                " threshold allows for them."
            ),
        ),
    ] = None,
    devices: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processors or GPUs of one machine that share each batch, one process per device.",
        ),
    ] = 1,
    nodes: Annotated[
        int,
        typer.Option(min=1, help="Machines; torchrun or SLURM starts the same command on each."),
    ] = 1,
    seed: Seed = 0,
    groups: Groups = None,
    product: Product = None,
    bits: Bits = None,
    follow_links: FollowLinks = False,
    root: Root = None,
    memory: Memory = 2048,
    logger: LoggerName = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run; repeat its options.")
    ] = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Train an autoencoder on the images of SOURCE and write a RUN.

    If the source has train, calibration and test parts, they are kept. Otherwise residua draws them
    by the seed. Nothing is ever tuned on test.

        residua fit parts/ --normal good --out runs/parts

        residua fit digits --job reconstruct --latent 16 --minutes 1 --out runs/digits

        residua fit animals/ --job classify --strategy joint --out runs/animals
    """
    given = dict(locals())  # every option by its name: what each is for, the declaration says
    from residua._text import terminal
    from residua.cli.progress import watching
    from residua.runs.fit import fit_run
    from residua.runs.loggers import logging_to
    from residua.training.bundle import load_bundle
    from residua.training.fitting.options import make_options

    for name in ("out", "logger", "resume", "memory", "quiet", "config"):
        del given[name]
    for name in ("normal", "density", "augment"):
        given[name] = names(given[name])
    given |= {
        "augment": () if given["augment"] == ("none",) else given["augment"],
        "tied": tied or None,
        "weight": _weight(weight),
        "loss_name": given.pop("loss"),
        "root": root and str(root.resolve()),
    }
    options = make_options(**given)
    with logging_to(logger, out, resume=resume) as logged, watching(quiet=quiet) as drawn:
        watcher = replace(drawn, on_epoch=None if logged is None else logged.on_epoch)
        run = fit_run(options, out, resume=resume, memory_megabytes=memory, watcher=watcher)
        if logged is not None:
            logged.fitted(load_bundle(run.bundle).config)
    if not quiet:
        _print_result(run.path, terminal())


def _weight(text: str | None) -> float | str | None:
    if text is None or text == "learn":
        return text
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"fit: --weight must be a number in [0, 1] or learn. Got {text!r}. Correct it."
        ) from None


def _print_result(path: Path, console: Console) -> None:
    from rich.text import Text

    from residua._text import count
    from residua.runs.trained_run import TrainedRun
    from residua.training.bundle import load_bundle

    config = load_bundle(TrainedRun(path).bundle).config
    training = config.training
    epochs = count(training.epochs, "epoch") if training.epochs else "computed"
    console.print(
        Text(str(path), style="bold"),
        f": {training.network}, {epochs} in {training.seconds:.0f} s",
        sep="",
    )
    if config.operating_point is not None:
        console.print(
            f"threshold {config.operating_point.threshold:.6g} ({config.operating_point.policy})."
            f" {config.operating_point.how}"
        )
    console.print(f"Next: residua evaluate {path}")
