"""`residua fit`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Quiet, Seed, Source, names


class Job(StrEnum):
    """What the autoencoder is for."""

    reconstruct = "reconstruct"
    detect = "detect"


class Aspect(StrEnum):
    """How resizing treats proportions."""

    stretch = "stretch"
    keep = "keep"


class Family(StrEnum):
    """Kinds of network."""

    conv = "conv"
    dense = "dense"


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
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="Folder to write the run to.", show_default=False)],
    job: Annotated[
        Job, typer.Option(help="reconstruct: reproduce images. detect: learn normal images, flag others.")
    ] = Job.detect,
    normal: Annotated[
        str | None,
        typer.Option(metavar="LABEL,...", help="Labels that mean normal; only these are trained on.", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="How to train and score; see `residua recipes`. Left out: auto to detect, else plain.",
            show_default=False,
        ),
    ] = None,
    latent: Annotated[int | None, typer.Option(min=1, help="Size of the code; chosen by the image size if left out.")] = None,
    family: Annotated[Family | None, typer.Option(show_default=False, help="Convolutional, or fully connected.")] = None,
    tied: Annotated[bool, typer.Option("--tied", help="Dense only: the decoder uses the encoder's weights, transposed.")] = False,
    loss: Annotated[Loss | None, typer.Option(show_default=False, help="What training minimises.")] = None,
    error: Annotated[
        Error | None,
        typer.Option(show_default=False, help="What the score is the mean of (euclidean: the root of the sum of squares)."),
    ] = None,
    density: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="mahalanobis, neighbours: add how unusual the code is.", show_default=False),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Longer side in pixels that the network sees; images up to 128 stay as they are.")
    ] = None,
    aspect: Annotated[
        Aspect, typer.Option(help="stretch: fit height and width separately. keep: proportions kept, edges repeated.")
    ] = Aspect.stretch,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="How long to train; about 3,000 steps if neither this nor --minutes is given.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Time budget instead of epochs; turned into steps once, then fixed.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images a training step; the recipe's choice if left out.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-8, help="Peak of the one-cycle schedule; the recipe's choice if left out.")
    ] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Epochs without improvement before stopping early.")] = None,
    augment: Annotated[str | None, typer.Option(metavar="NAME,...", help="flip, shift, brightness.", show_default=False)] = None,
    trim: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of train to drop as the worst after a short first training."),
    ] = 0.0,
    precision: Annotated[
        Precision, typer.Option(help="auto: bfloat16 where the processor or GPU computes in it.")
    ] = Precision.auto,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Processor threads for training; all, or one for images under 24x24.", show_default=False),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Where the threshold lies; see `residua threshold --help`.", show_default=False)
    ] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped; repeat its options.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train an autoencoder on the images of SOURCE and write a RUN.

    Train, calibration and test parts come from the source where it has them, else they are drawn by the seed. Nothing is
    ever tuned on test.

        residua fit parts/ --normal good --out runs/parts

        residua fit digits --job reconstruct --latent 16 --minutes 1 --out runs/digits
    """
    from rich.console import Console

    from residua.cli.progress import watching
    from residua.experiment import RunOptions, fit_run
    from residua.training.settings import TrainingSettings

    settings = TrainingSettings(
        epochs=epochs,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        patience=patience,
        precision=precision.value,
        threads=threads,
        augment=names(augment) or (),
        trim=trim,
        seed=seed,
    )
    given = {
        "latent": latent,
        "family": family and family.value,
        "tied": tied or None,
        "loss_name": loss and loss.value,
        "error": error and error.value,
        "density": names(density),
    }
    asked = {name: value for name, value in given.items() if value is not None}
    # Options of a network speak of the plain autoencoder unless a recipe is named; auto picks the network itself.
    by_default = "auto" if job is Job.detect and not asked else "plain"
    options = RunOptions(
        source=source,
        job=job.value,
        recipe=recipe or by_default,
        recipe_options=asked,
        normal=names(normal),
        size=size,
        aspect=aspect.value,
        policy=policy,
        settings=settings,
    )
    with watching(quiet=quiet) as watcher:
        run = fit_run(options, out, resume=resume, watcher=watcher)
    if not quiet:
        _print_result(run.path, Console(highlight=False))


def _print_result(path: Path, console: object) -> None:
    from rich.console import Console
    from rich.markup import escape

    from residua.bundle import load_bundle
    from residua.experiment import RunFolder
    from residua.images.listing import count

    assert isinstance(console, Console)
    config = load_bundle(RunFolder(path).bundle).config
    training = config.training
    epochs = count(training["epochs"], "epoch")
    console.print(f"[bold]{escape(str(path))}[/bold]: {training['network']}, {epochs} in {training['seconds']:.0f} s")
    if config.operating_point is not None:
        console.print(
            f"threshold {config.operating_point.threshold:.6g} ({config.operating_point.policy}). {config.operating_point.how}"
        )
    console.print(f"Next: residua evaluate {path}", markup=False)
