"""`residua report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import PerDay, Prevalence, day_of


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders that `residua fit` wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file to write. Default: report.html in the first RUN."
        ),
    ] = None,
    per_day: PerDay = None,
    prevalence: Prevalence = None,
) -> None:
    """Write the report of one RUN or several. The report is one HTML file that opens offline. Runs
    without a stored evaluation are evaluated first.

    residua report runs/parts

    residua report runs/parts runs/parts-longer --out both.html
    """
    from residua._text import terminal
    from residua.cli.progress import watching
    from residua.runs.report import report_run

    with watching() as watcher:
        day = day_of(per_day, prevalence, "report")
        path = report_run(runs, out or runs[0] / "report.html", day=day, watcher=watcher)
    terminal().print(str(path), soft_wrap=True)
