"""`residua benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.cli.options import (
    Bits,
    Device,
    Epochs,
    Groups,
    Json,
    Minutes,
    Quiet,
    Size,
    Source,
    Threads,
    names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_EACH = "each"
_GAP = 2


def benchmark(
    source: Source,
    normal: Annotated[
        str,
        typer.Option(
            metavar="each|LABEL,...",
            help=(
                "The labels to take as normal, one after the other. The word each stands for every"
                " label in train."
            ),
        ),
    ] = _EACH,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="How to train and score; `residua recipes` lists them."
        ),
    ] = "plain",
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many seeds to train each recipe with.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first seed. It also draws the parts.")] = 0,
    epochs: Epochs = None,
    minutes: Minutes = None,
    size: Size = None,
    threads: Threads = None,
    device: Device = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep each fit in this folder. The same command then continues from there.",
        ),
    ] = None,
    groups: Groups = None,
    bits: Bits = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Compare recipes and baselines, each class in turn as the normal one. The result is a table of
    ROC AUCs and a verdict.

    Models train on the normal images of the train part and are scored on the test part. Nothing is
    chosen on test.

    residua benchmark digits --normal 0,1 --recipe plain,joint-one-class --out runs/digits-table

    residua benchmark parts/ --normal good --recipe plain --seeds 3 --json table.json
    """
    from residua.cli.output import emit_json, is_stdout
    from residua.cli.progress import watching_several
    from residua.runs.benchmark.benchmark import BenchmarkOptions, run_benchmark
    from residua.training.loop.settings import TrainingSettings

    options = BenchmarkOptions(
        source=source,
        normal=None if normal.strip() == _EACH else names(normal) or (),
        recipes=tuple(dict.fromkeys(names(recipe) or ("plain",))),
        seeds=seeds,
        size=size,
        groups=groups,
        bits=bits,
        settings=TrainingSettings(
            epochs=epochs, minutes=minutes, threads=threads, seed=seed, device=device or "auto"
        ),
    )
    with watching_several(quiet=quiet) as (watcher, on_fit):
        result = run_benchmark(options, out=out, watcher=watcher, on_fit=on_fit)
    if not quiet and not is_stdout(json):
        _print(result)
    emit_json(result, json)


def _print(result: dict[str, Any]) -> None:
    from residua._text import count, duration, of_groups, terminal

    console = terminal()
    summary, machine = result["summary"], result["machine"]
    columns = summary["columns"]
    console.print(
        "\nROC AUC, each class in turn as the normal one (1 is perfect, 0.5 is chance)",
        style="bold",
    )
    trained = [name for name in columns if name in result["recipes"]]
    for group in (trained, [name for name in columns if name not in trained]):
        for table in _tables(group, summary, console):
            console.print()
            console.print(table)
    console.print()
    if any(column.get("turned") for column in columns.values()):
        console.print("* separates this class backwards: its scores are turned around.")
    for skipped in result["skipped"]:
        console.print(f"{skipped[0].upper()}{skipped[1:]}.")
    console.print(summary["verdict"], style="bold")
    n_fits = len(result["rows"])
    for label, row in {row["class"]: row for row in result["rows"]}.items():
        if row.get("n_test_groups") is not None:
            tested = f"{count(row['n_test'], 'test image')}{of_groups(row['n_test_groups'])}"
            console.print(f"Class {label}: {tested}.")
    console.print(
        f"{n_fits} fit{'s' * (n_fits > 1)}, {duration(result['seconds'])}; this machine:"
        f" {machine['cpu']}, {machine['cores']} cores, load {machine['load']}. Nothing was chosen"
        " on test.",
        style="dim",
    )


def _tables(group: list[str], summary: dict[str, Any], console: Console) -> Iterator[Table]:
    """The columns of `group` in as many tables as the width asks for, the best in bold."""
    unbounded = console.options.update(width=10_000)
    while group:
        n = len(group)
        while (
            n > 1
            and console.measure(_table(group[:n], summary), options=unbounded).maximum
            > console.width
        ):
            n -= 1
        yield _table(group[:n], summary)
        group = group[n:]


def _table(group: list[str], summary: dict[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    columns = summary["columns"]
    table = Table(box=None, header_style="dim", padding=(0, _GAP, 0, 1))
    table.add_column("normal", no_wrap=True)
    for name in group:
        table.add_column(name.replace("_", " ").replace(" ", "\n"), justify="right")
    for label in summary["classes"]:
        best = max(column["classes"][label] for column in columns.values())
        cells = (
            _cell(column["classes"][label], best, "*" * (label in column.get("turned", ())))
            for column in (columns[name] for name in group)
        )
        table.add_row(label, *cells)
    if len(summary["classes"]) > 1:
        best = max(column["mean"] for column in columns.values())
        means = (_cell(columns[name]["mean"], best) for name in group)
        table.add_row(Text("mean", style="bold"), *means)
    if any(columns[name]["seed_spread"] is not None for name in group):
        table.add_row(
            "± over seeds", *(_spread(columns[name]["seed_spread"]) for name in group), style="dim"
        )
    if any("seconds_fit" in columns[name] for name in group):
        table.add_row(
            "seconds a fit", *(f"{columns[name]['seconds_fit']:.0f}" for name in group), style="dim"
        )
    return table


def _cell(value: float, best: float, mark: str = "") -> Text:
    from rich.text import Text

    return Text(f"{value:.3f}{mark}", style="bold" if value == best else "")


def _spread(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
