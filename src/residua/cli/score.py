"""`residua score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from residua.cli.options import (
    BitsOfSource,
    Cluster,
    Engine,
    GroupsOfRun,
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
            "--out",
            metavar="FILE",
            help="The file to write: a name that ends in .csv or .parquet.",
            show_default=False,
        ),
    ],
    maps: Annotated[
        Path | None,
        typer.Option("--maps", metavar="DIR", help="Write each image's error map as a PNG."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue interrupted scoring; repeat its options."),
    ] = False,
    cluster: Cluster = None,
    workers: Workers = None,
    groups: GroupsOfRun = None,
    bits: BitsOfSource = None,
    memory: Memory = 2048,
    engine: Engine = "torch",
    raw_cells: Annotated[
        bool,
        typer.Option(
            "--raw-cells",
            help=(
                "Write texts to CSV unchanged. Without this, an apostrophe protects texts that a"
                " spreadsheet would take for a formula."
            ),
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Score every image of SOURCE. Each image gets one row: path, score, threshold, anomalous, mse,
    mae, ssim.

    The source may have any size, because it is read in chunks. Each chunk is written when it is
    scored.

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
            "groups": groups,
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
