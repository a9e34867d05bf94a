"""`residua score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from residua.cli.options import (
    Bits,
    Cluster,
    Engine,
    Memory,
    Quiet,
    Run,
    Source,
    Workers,
    reference_only,
)


def score(
    run: Run,
    source: Source,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="scores.csv or scores.parquet", show_default=False
        ),
    ],
    maps: Annotated[
        Path | None,
        typer.Option("--maps", metavar="DIR", help="Write each image's error map as a PNG."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with scoring that was stopped; repeat its options."),
    ] = False,
    cluster: Cluster = None,
    workers: Workers = None,
    bits: Bits = None,
    memory: Memory = 2048,
    engine: Engine = "torch",
    raw_cells: Annotated[
        bool,
        typer.Option(
            "--raw-cells",
            help="Leave texts in CSV as they are, even if a spreadsheet takes them for formulas.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Score every image of SOURCE: one row an image with path, score, threshold, anomalous, mse,
    mae, ssim.

    The source is read piece by piece, so it may be of any size. Scores are written as they come.

    residua score runs/parts new-parts/ --out scores.csv --maps maps/

    residua score runs/parts /shared/line-2/ --out scores.parquet --cluster auto

    residua score runs/parts s3://bucket/line-2/ --out scores.parquet --resume
    """
    from residua._text import count, terminal
    from residua.cli.progress import watching
    from residua.runs.score import score_run

    with watching(quiet=quiet) as watcher:
        more: dict[str, Any] = {
            "maps": maps,
            "resume": resume,
            "bits": bits,
            "raw_cells": raw_cells,
            "memory_megabytes": memory,
            "watcher": watcher,
        }
        if cluster is None:
            done = score_run(run, source, out, engine=engine, **more)
        else:
            from residua.cluster import ClusterOptions, score_on_cluster

            reference_only("score", "a cluster", engine)
            done = score_on_cluster(run, source, out, ClusterOptions(cluster, workers), **more)
    if quiet:
        return
    console = terminal()
    flagged = f", {done.n_anomalous:,} above the threshold" if done.has_threshold else ""
    console.print(f"{count(done.n_images, 'image')} scored{flagged}: {out}", markup=False)
    if done.drift is not None and done.drift.severity != "ok":
        console.print(
            f"{done.drift.severity} {done.drift.code}: {done.drift.meaning}"
            f" {done.drift.what_to_do}",
            markup=False,
        )
    if done.n_quarantined:
        console.print(
            f"{count(done.n_quarantined, 'file')} could not be read, without a row here:",
            markup=False,
        )
        for path, reason in done.quarantined[:20]:
            console.print(f"  {path}: {reason}", markup=False)
