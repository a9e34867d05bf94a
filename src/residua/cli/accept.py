"""`residua accept`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Json, Quiet, Run


def accept(
    run: Run,
    criteria: Annotated[
        Path, typer.Argument(metavar="CRITERIA", help="A TOML file with a table [criteria].")
    ],
    on: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="The test images that the criteria are for. Default: the test part of the run.",
        ),
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="Who accepts them.")] = "",
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Fix the acceptance criteria of a RUN before its test. It is refused, with exit code 3, if one
    of the test images was judged before.

    residua accept runs/parts criteria.toml

    residua accept runs/parts criteria.toml --on delivery-7/ --by 'A. Miller'
    """
    from residua._text import say
    from residua.cli.output import check_targets, emit_json, is_stdout
    from residua.cli.progress import watching
    from residua.runs.dossier import accept_run, say_accepted

    check_targets(json)
    with watching(quiet=quiet) as watcher:
        made = accept_run(run, criteria, on=on, by=by, watcher=watcher)
    emit_json(made.model_dump(mode="json"), json)
    if not quiet and not is_stdout(json):
        for line in say_accepted(made):
            say(line)
        source = "" if made.source is None else f" {made.source}"
        say(f"Keep that hash outside the run. Next: residua evaluate {run}{source}")
