"""`residua compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Json, Quiet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from residua.evaluation.comparison import Comparison
    from residua.evaluation.comparison.records import ComparedModel


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Two or more folders that `residua fit` wrote."),
    ],
    on: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help=(
                "Judge all runs on these images, such as this week's, and compare them there."
                " Without this, on the test part of their own source."
            ),
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Confidence of the intervals, for all pairs of a metric together.")
    ] = 0.95,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Compare RUNs of one job on the same test images. The result says which run is better, by how
    much, and whether the test images can show the difference.

    The tests are paired: McNemar's for accuracies, DeLong's for ROC AUCs, Student's for other
    metrics. Where images have groups, the tests are by groups. Runs without a stored evaluation are
    evaluated first.

    residua compare runs/joint runs/plain

    residua compare runs/a runs/b runs/c --json comparison.json

    residua compare runs/old runs/new --on this-week/
    """
    from residua._text import terminal
    from residua.cli.output import check_targets, emit_json, is_stdout
    from residua.cli.progress import watching
    from residua.runs.compare import compare_runs

    check_targets(json)
    with watching(quiet=quiet) as watcher:
        comparison = compare_runs(runs, on, confidence=confidence, watcher=watcher)
    if not quiet and not is_stdout(json):
        _print(comparison, terminal())
    emit_json(comparison.model_dump(mode="json"), json)


def _print(comparison: Comparison, console: Console) -> None:
    for sentence in (*comparison.at_thresholds, comparison.sentence):
        console.print(sentence, style="bold")
    for sentence in comparison.versions:
        console.print(sentence)
    console.print()
    console.print(_standings(comparison))
    console.print()
    for pair in comparison.pairs:
        console.print(f"{pair.metric}: {pair.sentence} (p {_p(pair.p_adjusted)})")
    if comparison.correction is not None:
        console.print(
            f"\nIntervals and p-values hold together: {comparison.correction}.", style="dim"
        )
    for finding in comparison.findings:
        console.print(
            f"\n{finding.severity.upper()} {finding.meaning} {finding.what_to_do}  ({finding.code})"
        )


def _standings(comparison: Comparison) -> Table:
    from rich.table import Table

    from residua.evaluation.report.words import interval
    from residua.metrics.names import metric_words

    metrics = list(comparison.standings[0].metrics)
    has_codes = any(one.code is not None for one in comparison.standings)
    code = ("Code",) if has_codes else ()
    titles = ("run", *(metric_words(name).label for name in metrics), *code)
    table = Table(*titles, box=None, header_style="dim", padding=(0, 2, 0, 1))
    for standing in comparison.standings:
        table.add_row(
            standing.name,
            *(interval(name, standing.metrics[name]) for name in metrics),
            *((_code(standing),) if has_codes else ()),
        )
    return table


def _code(model: ComparedModel) -> str:
    """``16 numbers, 4x fewer`` than values of an image."""
    if model.code is None or model.code_ratio is None:
        return "none, or not known"
    fewer = f", {_short(model.code_ratio)}x fewer" if model.code_ratio > 1 else ", no fewer"
    return f"{model.code:,} numbers{fewer}"


def _short(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 1000 else f"{ratio:.3g}"


def _p(value: float | None) -> str:
    return "not defined" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
