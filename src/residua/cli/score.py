"""`residua score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua.cli.options import Quiet, Run, Source


def score(
    run: Run,
    source: Source,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="scores.csv or scores.parquet", show_default=False)],
    maps: Annotated[Path | None, typer.Option("--maps", metavar="DIR", help="Write each image's error map as a PNG.")] = None,
    quiet: Quiet = False,
) -> None:
    """Score every image of SOURCE: one row an image with path, score, threshold, anomalous, mse, mae, ssim.

    residua score runs/parts new-parts/ --out scores.csv --maps maps/
    """
    from rich.console import Console

    from residua.cli.progress import watching
    from residua.experiment import score_run
    from residua.images.listing import count

    with watching(quiet=quiet) as watcher:
        n_anomalous, images = score_run(run, source, out, maps=maps, watcher=watcher)
    if quiet:
        return
    console = Console(highlight=False)
    console.print(f"{count(len(images), 'image')} scored, {n_anomalous:,} above the threshold: {out}", markup=False)
    if images.quarantined:
        console.print(f"{count(len(images.quarantined), 'file')} could not be read, without a row here:", markup=False)
        for path, reason in images.quarantined[:20]:
            console.print(f"  {path}: {reason}", markup=False)
