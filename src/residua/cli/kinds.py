"""`residua kinds`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Quiet, Run


def kinds(
    run: Run,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="Images of any source; those that RUN flags are grouped."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the groups go. Default: RUN/kinds.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Group flagged images by what they look like, so that you can name the kinds. Each group is a
    folder with copies of its images, and a page shows them.

    Name the folders, and let the detector learn from them.

    residua kinds runs/parts new-parts/ --out kinds/

    residua learn runs/parts kinds/ --out runs/parts-2
    """
    from residua._text import say
    from residua.cli.progress import watching
    from residua.runs.learning.groups import group_flagged

    with watching(quiet=quiet) as watcher:
        found = group_flagged(run, source, out, watcher)
    if quiet:
        return
    say(f"{found.about()}.")
    for number, paths in enumerate(found.paths, start=1):
        say(f"  group-{number:02}  {len(paths):,}")
    say(
        f"\nLook at {found.page}, and give the folders below {found.folder / 'defect'} the names of"
        f" kinds. Move images of good parts to {found.folder / 'good'}, and delete what you do not"
        f" know. Then:\n  residua learn {run} {found.folder} --out RUN2"
    )
