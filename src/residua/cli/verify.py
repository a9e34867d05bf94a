"""`residua verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Json, Quiet

if TYPE_CHECKING:
    from residua.evaluation.verification import Verification

_COLOURS = {"same": "green", "differs": "bold red", "not carried": "dim"}


def verify(
    report: Annotated[
        Path,
        typer.Argument(
            metavar="REPORT", help="An HTML file that residua wrote, or the JSON of a dossier."
        ),
    ],
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Compare a dossier with this RUN too, file by file."),
    ] = None,
    accepted: Annotated[
        str | None,
        typer.Option(
            metavar="SHA256",
            help="The hash that `residua accept` told: a dossier must be of these criteria.",
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Compute every number of a REPORT or a dossier again. The scores and labels in the file
    suffice for this. The exit code is 3 if a number differs, or the protocol of a dossier does not
    hold.

    No code in the file is executed.

    residua verify report.html

    residua verify audit/parts.html --run runs/parts --accepted 346c2fd2...
    """
    from residua.cli.output import emit_json, is_stdout
    from residua.errors import GateError
    from residua.evaluation.verification import verify_report

    found = verify_report(report)
    if run is not None or accepted is not None:
        from residua.runs.dossier import beside_run

        found = beside_run(found, report, run, accepted)
    if not quiet and not is_stdout(json):
        _print(found)
    emit_json(_as_json(found), json)
    if found.differing:
        n = len(found.differing)
        raise GateError(
            f"{report}: every figure must follow from the scores and labels in the report. {n}"
            f" {'do' if n > 1 else 'does'} not. Do not rely on it; ask whoever sent it for the run."
        )
    if found.broken:
        raise GateError(
            f"{report}: the protocol of the test must hold. It does not: {found.broken[0]}"
            f"{f' And {len(found.broken) - 1} more.' if found.broken[1:] else ''}"
        )


def _as_json(found: Verification) -> dict[str, object]:
    from dataclasses import asdict

    counts = {name: sum(one.verdict == name for one in found.figures) for name in _COLOURS}
    return {
        "made_by": found.made_by or None,
        "verified_with": found.verified_with,
        "counts": counts,
        "figures": [asdict(one) for one in found.figures],
        "broken": list(found.broken),
    }


def _print(found: Verification) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    from residua._text import terminal

    console = terminal()
    titles = ("Number", "In the report", "Made again", "")
    columns = (Column(title, overflow="fold") for title in titles)
    table = Table(*columns, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    job = ""
    for one in found.figures:
        if one.job != job:
            job = one.job
            table.add_row(Text(f"{job[:1].upper()}{job[1:]}", style="bold"))
        table.add_row(
            Text(f"  {one.name}"),
            Text(one.in_report),
            Text(one.recomputed),
            Text(one.verdict, style=_COLOURS[one.verdict]),
        )
    console.print(table)
    console.print()
    for line in _summary(found):
        console.print(Text(line))


def _summary(found: Verification) -> list[str]:
    n_same = sum(one.verdict == "same" for one in found.figures)
    n_other, n_differ = len(found.not_carried), len(found.differing)
    lines = [
        f"{n_same} of {n_same + n_differ} figures follow from the scores and labels in the report."
    ]
    lines += [f"Does not hold: {one}" for one in found.broken]
    if n_other:
        lines.append(
            f"{n_other} more take what a report does not carry (images, masks): only their run can"
            " show them."
        )
    if found.made_by and found.made_by != found.verified_with:
        lines.append(
            f"Made by residua {found.made_by}, verified with {found.verified_with}: wordings may"
            " differ between them."
        )
    return lines
