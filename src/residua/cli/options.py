"""Arguments and options that several commands share, each declared once."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from residua.evaluation.per_day import Day

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `residua fit` wrote.")]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help=(
            "Images: a folder, an .npz, .npy, IDX or Parquet file, tar shards, a CSV manifest, a"
            " URL, or the word digits."
        ),
    ),
]
OtherSource = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE", help="Images to evaluate on. Default: the test part of the run."
    ),
]
Json = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write the result as JSON to FILE, or to standard output with -.",
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html", metavar="FILE", help="Write the report to FILE, one HTML file that opens offline."
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        help=(
            "What computes the scores: torch, torch-bf16, torch-gpu, onnx, onnx-int8, openvino,"
            " openvino-bf16 or openvino-int8."
        ),
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with code 3 if a finding has the severity error.")
]
Memory = Annotated[
    float,
    typer.Option(
        "--memory",
        metavar="MEGABYTES",
        min=0,
        help=(
            "Megabytes of pixels to keep in memory. Images beyond that are read again when they are"
            " needed."
        ),
    ),
]
Bits = Annotated[
    int | None,
    typer.Option(
        "--bits",
        metavar="N",
        min=1,
        max=32,
        help=(
            "Bits per value of the camera, such as 12 if the files have 16. Default: what the files"
            " declare, otherwise what their values show."
        ),
    ),
]
BitsOfSource = Annotated[
    int | None,
    typer.Option(
        "--bits",
        metavar="N",
        min=1,
        max=32,
        help="Bits per value of SOURCE. Default: those of the training images.",
    ),
]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Follow links that lead out of the folder. DVC and git-annex make such links.",
    ),
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root", metavar="FOLDER", help="The folder that the paths in a manifest are relative to."
    ),
]
Groups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        metavar="COLUMN|folder|REGEX|twins",
        help=(
            "Which images belong together, such as the views of one part: by a column, by folder,"
            r" by their path such as 'part(\d+)', or as near-twins. Default: the column group, if"
            " there is one."
        ),
    ),
]
GroupsOfRun = Annotated[
    str | None,
    typer.Option(
        "--groups",
        metavar="COLUMN|folder|REGEX|twins",
        help=(
            "Which images belong together: by a column, by folder, by their path such as"
            r" 'part(\d+)', or as near-twins. Default: as in the run."
        ),
    ),
]
Product = Annotated[
    str | None,
    typer.Option(
        "--product",
        metavar="COLUMN|folder|REGEX",
        help=(
            "Which product an image shows, where one model judges several: by a column, by folder,"
            r" or by their path such as '^(\w+)_'. Each product gets a threshold of its own."
        ),
        show_default=False,
    ),
]
ProductOfRun = Annotated[
    str | None,
    typer.Option(
        "--product",
        metavar="COLUMN|folder|REGEX|=NAME",
        help=(
            "Which product an image shows: by a column, by folder, by its path, or =NAME for all."
            " Default: as in the run."
        ),
        show_default=False,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS|local",
        help=(
            "Score on the Ray cluster at ADDRESS. auto finds a running cluster; local starts one on"
            " this machine."
        ),
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Processes of the cluster to use. Default: one per processor."
    ),
]
PerDay = Annotated[
    int | None,
    typer.Option(
        "--per-day",
        metavar="N",
        min=1,
        help="Parts a day. What the threshold costs is then told in parts as well.",
    ),
]
Prevalence = Annotated[
    float | None,
    typer.Option(
        "--prevalence",
        metavar="SHARE",
        help="With --per-day: the share of the parts that are defective, such as 0.01.",
    ),
]
LoggerName = Annotated[
    str | None,
    typer.Option(
        "--logger",
        metavar="NAME",
        help=(
            "Also write losses, metrics, findings and the report for csv, tensorboard, mlflow or"
            " wandb, below RUN/logs."
        ),
    ),
]
Normal = Annotated[
    str | None, typer.Option("--normal", metavar="LABEL,...", help="Labels that mean normal.")
]
Positive = Annotated[
    str | None,
    typer.Option(
        "--positive",
        metavar="LABEL",
        help="For two classes: the class of precision, recall and F1.",
    ),
]
KnownGroups = Annotated[
    bool,
    typer.Option(
        "--known-groups",
        help="Promise for new images of the calibration groups alone, not for new groups.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no tables.")]
Seed = Annotated[
    int, typer.Option(help="The same seed, data and machine give the same scores.", min=0)
]
Size = Annotated[
    int | None,
    typer.Option(
        help=(
            "Longer side in pixels that the network sees. Default: up to 128 (256 with inspect,"
            " memory and feature, 64 to classify); images of one size up to that are not resized."
            " memory enlarges small images, and sees large ones finer."
        )
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1, help="How long to train. Default, without --minutes: the schedule of the recipe."
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        help=(
            "Training time instead of epochs; converted into steps once. Fitting the score takes"
            " additional time."
        ),
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processor threads for training. Default: all, or one for images under 24x24."
    ),
]


Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="What trains: auto, cpu, cuda, cuda:N or mps. auto: a GPU if PyTorch sees one.",
        show_default="auto",
    ),
]
ScoringDevice = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="What scores: cpu, or cuda or cuda:N, which is the engine torch-gpu there.",
        show_default="auto: cpu",
    ),
]


def engine_for(device: str | None, engine: str, where: str) -> str:
    """The engine that the two options ask for; `InputError` where they do not go together."""
    if device is None:
        return engine
    from residua.runs.engines import engine_on

    return engine_on(device, engine, where)


def day_of(per_day: int | None, prevalence: float | None, command: str) -> Day | None:
    """What the two options say of a day; None where neither is given.

    Raises InputError if a share of defects is stated of no parts.
    """
    from residua.errors import InputError
    from residua.evaluation.per_day import Day

    if per_day is None:
        if prevalence is not None:
            raise InputError(
                f"{command}: --prevalence must come with --per-day. Got --prevalence {prevalence:g}"
                " alone. Add --per-day with the number of parts."
            )
        return None
    return Day(per_day, prevalence)


def reference_only(command: str, what: str, engine: str, **others: object) -> None:
    """Refuse options that `what` would otherwise ignore: an engine that is not the reference, and
    those that `others` name.

    Raises InputError with the options that were given.
    """
    from residua.errors import InputError

    given = [f"--engine {engine}"] * (engine != "torch") + [
        f"--{name}" for name, value in others.items() if value
    ]
    if given:
        raise InputError(
            f"{command}: with {what}, these options must be left out. Got {', '.join(given)}."
            " Repeat the command without them."
        )


def of_another_source(command: str, source: str | None, **told: object) -> None:
    """Refuse options that describe another source where none is named: a run keeps what it was
    fitted with.

    Raises InputError if something is told of nothing.
    """
    from residua.errors import InputError

    for name, value in told.items():
        if value is not None and source is None:
            raise InputError(
                f"{command}: --{name} describes another SOURCE, because `fit` has stored the"
                f" {name} of the run's own. Got --{name} without a SOURCE. Name a SOURCE, or leave"
                f" --{name} out."
            )


def names(text: str | None) -> tuple[str, ...] | None:
    """``"0,1"`` as ``("0", "1")``; empty parts are dropped, and double quotes hold a comma: ``'"a,
    b",c'``.
    """
    if text is None:
        return None
    return (
        tuple(
            part.strip()
            for row in csv.reader([text], skipinitialspace=True)
            for part in row
            if part.strip()
        )
        or None
    )
