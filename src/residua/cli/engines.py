"""`residua engines`."""

from __future__ import annotations

from typing import Annotated

import typer

from residua.cli.options import Json, Quiet, Run


def engines(
    run: Run,
    everything: Annotated[
        bool, typer.Option("--all", help="First export the engines that are missing.")
    ] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Measure the engines of a RUN on this machine. The table shows images per second, one at a
    time and in batches of 256, and what each engine costs.

    residua engines runs/parts --all
    """
    from residua.cli.engine_table import print_engines, write_engines
    from residua.cli.output import check_targets
    from residua.cli.progress import watching
    from residua.runs.engines import measure_engines

    check_targets(json, None)
    with watching(quiet=quiet) as watcher:
        rows = measure_engines(run, everything=everything, watcher=watcher)
    write_engines(rows, json)
    if not quiet:
        print_engines(rows)
