"""`residua demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Seed


def demo(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder to write the runs and the report to."),
    ] = Path("runs/demo"),
    seed: Seed = 0,
) -> None:
    """Train, evaluate and report on bundled digits. The demo takes less than three
    minutes on two cores.
    """
    from residua._text import terminal
    from residua.cli.progress import watching
    from residua.evaluation.report import print_evaluation
    from residua.runs.demo import run_demo

    with watching() as watcher:
        report, judged = run_demo(out, seed=seed, watcher=watcher)
    console = terminal()
    for one in judged:
        print_evaluation(one.evaluation, one.evidence, console=console)
    console.print("\nThe report, with pictures:", markup=False)
    console.print(str(report.resolve()), markup=False, soft_wrap=True)
