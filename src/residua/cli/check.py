"""`residua check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.cli.options import (
    Bits,
    FollowLinks,
    Groups,
    Json,
    Memory,
    Normal,
    Quiet,
    Root,
    Seed,
    Strict,
    names,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from residua.evaluation.check import SourceCheck
    from residua.records import Finding

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}


def check(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE", help="Images. The first source is the one to train on."),
    ],
    normal: Normal = None,
    strict: Strict = False,
    json: Json = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write the near-duplicates that were found, side by side, as PNG."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=8,
            help=(
                "Longer side in pixels that the network will see, for small defects. Default: that"
                " of a detector."
            ),
        ),
    ] = None,
    groups: Groups = None,
    bits: Bits = None,
    follow_links: FollowLinks = False,
    root: Root = None,
    seed: Seed = 0,
    memory: Memory = 2048,
    quiet: Quiet = False,
) -> None:
    """Look for faults in images before you train. Such faults are leakage, near-duplicates, wrong
    scales, unreadable files, unbalanced classes, shortcuts and wrong masks.

    With one SOURCE, its parts are compared with each other. With several, each is compared with the
    first.

    residua check parts/ --normal good

    residua check train/ new-parts/ --strict --json check.json
    """
    from residua.cli.output import check_targets, emit_json, is_stdout, refuse_findings

    check_targets(json)
    told: dict[str, Any] = {"normal": names(normal), "groups": groups, "bits": bits}
    told |= {"follow_links": follow_links, "root": root}
    found = _surveyed(sources, told, seed, memory, size=size, quiet=quiet)
    emit_json(found.to_json(), json)
    if pictures is not None:
        _write_pictures(found, pictures)
    if not quiet and not is_stdout(json):
        from residua._text import terminal

        _print(found, terminal())
    refuse_findings(found.findings, strict=strict)


def _surveyed(
    sources: list[str],
    told: dict[str, Any],
    seed: int,
    memory: float,
    *,
    size: int | None,
    quiet: bool,
) -> SourceCheck:
    from residua.cli.progress import counting
    from residua.evaluation.check import check_sources
    from residua.images import load_images

    with counting(quiet=quiet) as progress:
        own = memory / len(sources)
        sets = [
            load_images(one, seed=seed, memory_megabytes=own, progress=progress, **told)
            for one in sources
        ]
        return check_sources(sets, seed=seed, longer_side=size, progress=progress)


def _print(found: SourceCheck, console: Console) -> None:
    from residua._text import count

    of_groups = "" if found.n_groups is None else f" of {count(found.n_groups, 'group')}"
    console.print(f"{count(found.n_images, 'image')}{of_groups} in {', '.join(found.sources)}")
    for one in found.assumptions:
        console.print(f"assumed {one.sentence}")
    if found.hint is not None:
        console.print(f"hint: {found.hint}")
    console.print(_as_table(found.findings))
    if all(finding.severity == "ok" for finding in found.findings):
        console.print("Nothing found that would spoil a result.")


def _as_table(findings: tuple[Finding, ...]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in findings:
        words = Text.assemble((f"{finding.code}: ", "bold"), finding.meaning)
        if finding.what_to_do and finding.severity != "ok":
            words.append(f"\n{finding.what_to_do}", style="dim")
        table.add_row(Text(finding.severity, style=_STYLES[finding.severity]), words)
    return table


def _write_pictures(found: SourceCheck, folder: Path) -> None:
    import io

    from residua._files import atomic_write, ensure_folder
    from residua.evaluation.check.sheet import contact_sheet

    ensure_folder(folder, where="check --pictures")
    for code, figure in found.figures.items():
        data = io.BytesIO()
        contact_sheet(figure).save(data, format="PNG")
        with atomic_write(folder / f"{code}.png") as file:
            file.write(data.getvalue())
