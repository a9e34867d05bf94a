"""`residua dossier`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Quiet, Run


def dossier(
    run: Run,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "--html",
            metavar="FILE",
            help="The HTML file to write. Default: dossier.html in RUN.",
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The JSON file to write. Default: beside the HTML file."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 3 unless all criteria are met.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Write what an audit asks of a RUN, as one HTML file that prints and as JSON. Nothing is
    judged anew.

    residua dossier runs/parts

    residua dossier runs/parts --out audit/parts.html --strict
    """
    from residua._text import say
    from residua.cli.output import check_targets
    from residua.errors import GateError
    from residua.runs.dossier import write_dossier

    target = out or run / "dossier.html"
    check_targets(target, json)
    html, data, made = write_dossier(run, target, json)
    if not quiet:
        say(f"Acceptance criteria: {made.word}.")
        for line in made.because:
            say(f"  {line}")
        for one in made.headings:
            say(f"{one.state:7}{one.title}")
        say(f"{html}\n{data}")
    if strict and made.word != "met":
        raise GateError(
            f"{run}: all acceptance criteria must be met with --strict. They are"
            f" {'not met' if made.word == 'not met' else 'not shown to be met'}. Read {html}."
        )
