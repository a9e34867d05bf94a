"""`residua report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Run


def report(
    run: Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; RUN/report.html if left out.")
    ] = None,
) -> None:
    """Write a RUN's report: one HTML file that opens offline. Evaluates first if that was not done yet.

    residua report runs/parts
    """
    from rich.console import Console

    from residua.cli.progress import watching
    from residua.experiment import RunFolder, report_run

    with watching() as watcher:
        path = report_run(run, out or RunFolder(run).report, watcher=watcher)
    Console(highlight=False).print(str(path), markup=False, soft_wrap=True)
