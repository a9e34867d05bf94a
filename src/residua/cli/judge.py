"""`residua judge`: arrays of any framework to an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Html, Json, KnownGroups, Normal, PerDay, Positive, Strict, names

if TYPE_CHECKING:
    from residua.evaluation import Evidence
    from residua.records import Evaluation

_ARRAY = ".npy, .npz (or FILE.npz:NAME), .csv, .tsv or .parquet (or FILE.csv:COLUMN)"


# Typer reads the options off the signature, so that each is spelled here; the body is short.
def judge(
    images: Annotated[str | None, typer.Option(help=f"Images, {_ARRAY}.", metavar="FILE")] = None,
    reconstructions: Annotated[
        str | None, typer.Option(help="The reconstructions of those images.", metavar="FILE")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help=(
                "0/1, names (see --normal), classes, or a 0/1 matrix. An empty cell is an image"
                " without a label."
            ),
            metavar="FILE",
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(help="One score per image; higher = more anomalous.", metavar="FILE"),
    ] = None,
    train_scores: Annotated[
        str | None,
        typer.Option(
            help="Scores or errors of training images, to see whether the model overfits.",
            metavar="FILE",
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            help="Classes, P(second class), or one column of probabilities per class.",
            metavar="FILE",
        ),
    ] = None,
    calibration_scores: Annotated[
        str | None,
        typer.Option(
            help="Scores of calibration images, on which --policy chooses.", metavar="FILE"
        ),
    ] = None,
    calibration_labels: Annotated[
        str | None,
        typer.Option(
            help="Labels of the calibration scores. Default: all are normal.", metavar="FILE"
        ),
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help=(
                "Which images belong together, such as the views of one part: a name per image, or"
                " the name of a column of a table that is given."
            ),
            metavar="FILE|COLUMN",
        ),
    ] = None,
    calibration_groups: Annotated[
        str | None, typer.Option(help="The same for the calibration scores.", metavar="FILE|COLUMN")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Images with a score above this number are anomalous.")
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help="How to choose the threshold: 'false-alarms<=0.01', 'recall>=0.99', max-f1, ..."
        ),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            help="Scale of images and reconstructions: auto, 0-1, 0-255, -1..1, 0-65535, ...",
            metavar="SCALE",
        ),
    ] = "auto",
    mean: Annotated[
        str | None,
        typer.Option(
            help=(
                "For arrays that hold (pixel - mean) / std of pixels from 0 to 1: the mean, as one"
                " number or one per channel."
            )
        ),
    ] = None,
    std: Annotated[
        str | None, typer.Option(help="The standard deviation that belongs to --mean.")
    ] = None,
    reconstructions_scale: Annotated[
        str | None,
        typer.Option(
            help="Scale of the reconstructions, if it differs from that of the images.",
            metavar="SCALE",
        ),
    ] = None,
    reconstructions_mean: Annotated[
        str | None, typer.Option(help="The same as --mean, for the reconstructions alone.")
    ] = None,
    reconstructions_std: Annotated[
        str | None, typer.Option(help="The same as --std, for the reconstructions alone.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Show only this metric.", metavar="NAME")
    ] = None,
    normal: Normal = None,
    positive: Positive = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="The classes, in the order of the prediction columns.", metavar="A,B,..."
        ),
    ] = None,
    multilabel: Annotated[
        bool | None,
        typer.Option(
            "--multilabel/--one-label",
            help=(
                "How to read a 0/1 matrix of labels: several labels per image, or one class per"
                " image."
            ),
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Confidence of the intervals and bounds.")
    ] = 0.95,
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of anomalies expected in use, for precision, cost and --per-day."),
    ] = None,
    per_day: PerDay = None,
    contamination: Annotated[
        float | None,
        typer.Option(
            help="Share of the calibration images that may be hidden anomalies; see --policy."
        ),
    ] = None,
    known_groups: KnownGroups = False,
    seed: Annotated[int, typer.Option(help="Seed of the resampled intervals.")] = 0,
    json: Json = None,
    html: Html = None,
    strict: Strict = False,
) -> None:
    """Judge a model of any framework from its arrays. This needs no torch.

    A reconstructor, from images and reconstructions:

        residua judge --images x.npy --reconstructions x_hat.npy

    A detector, from scores and labels, with a threshold chosen on other images:

        residua judge --scores s.csv --labels y.csv --calibration-scores c.csv --policy quantile:0.9

    Per-image errors against a threshold; overfitting:

        residua judge --scores errors.csv --threshold 0.004 --train-scores train_errors.csv

    A classifier:

        residua judge --labels y.npy --predictions probabilities.npy
    """
    given = dict(locals())  # every option by its name
    from residua.cli.output import is_stdout, refuse_if_strict, show
    from residua.evaluation.arrays import judge as judge_arrays
    from residua.evaluation.per_day import Day, with_day

    for name in ("per_day", "known_groups", "json", "html", "strict"):
        del given[name]
    given["classes"] = names(classes)
    given["promise"] = "known-groups" if known_groups else "new-groups"
    evaluation, evidence = judge_arrays(**given)
    if per_day is not None:
        evaluation = with_day(evaluation, Day(per_day, prevalence), "judge")
    show(evaluation, evidence, json=json, html=html, title="residua judge")
    if not is_stdout(json):
        _print_table(evaluation, evidence)
    refuse_if_strict(evaluation, strict=strict)


_LONGEST_TABLE = 30


def _print_table(evaluation: Evaluation, evidence: Evidence) -> None:
    """The table an image, where it is short enough to read."""
    from rich.table import Table

    from residua._text import terminal
    from residua.evaluation import per_image_table

    errors = evidence.per_image.get("mse") if evidence.scores is None else evidence.scores
    if errors is None or not 0 < len(errors) <= _LONGEST_TABLE:
        return
    point = evaluation.operating_point
    rows = per_image_table(
        errors, ids=evidence.paths, threshold=None if point is None else point.threshold
    )
    table = Table(*rows, box=None, header_style="dim", padding=(0, 2, 0, 1))
    for cells in zip(*rows.values(), strict=True):
        name, error, *flagged = cells
        table.add_row(str(name), f"{error:.4g}", *("flagged" if flag else "" for flag in flagged))
    console = terminal(highlight=True)
    console.print()
    console.print(table)
