"""`residua score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from residua.cli.options import (
    BitsOfSource,
    Cluster,
    Engine,
    GroupsOfRun,
    Memory,
    ProductOfRun,
    Quiet,
    Run,
    ScoringDevice,
    Source,
    Strict,
    Workers,
    engine_for,
    reference_only,
)

if TYPE_CHECKING:
    from residua.runs.tables import ScoreSummary

_MOST_NAMED = 20


def score(
    run: Run,
    source: Source,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The file to write: a name that ends in .csv or .parquet."
        ),
    ],
    maps: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each image's error map as a PNG.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help=(
                "Continue interrupted scoring, or score what is new in a source that has grown;"
                " repeat the options."
            ),
        ),
    ] = False,
    strict: Strict = False,
    cluster: Cluster = None,
    workers: Workers = None,
    groups: GroupsOfRun = None,
    product: ProductOfRun = None,
    bits: BitsOfSource = None,
    memory: Memory = 2048,
    engine: Engine = "torch",
    device: ScoringDevice = None,
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
    policy: Annotated[
        str | None,
        typer.Option(
            help=(
                "Decide about all images of SOURCE together: 'fdr<=0.05' for at most 5% good parts"
                " among the flagged, on average. Default: the threshold of the run."
            )
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Score every image of SOURCE. Each image gets one row: path, score, threshold, anomalous, mse,
    mae, ssim, p_value. One that cannot be read has the reason in its row.

    The source may have any size, because it is read in chunks. Each chunk is written when it is
    scored.

    residua score runs/parts new-parts/ --out scores.csv --maps maps/

    residua score runs/parts /shared/line-2/ --out scores.parquet --cluster auto

    residua score runs/parts s3://bucket/line-2/ --out scores.parquet --resume
    """
    from residua.cli.output import refuse_findings
    from residua.cli.progress import watching
    from residua.runs.score import score_run

    engine = engine_for(device, engine, "score")
    with watching(quiet=quiet) as watcher:
        more: dict[str, Any] = {
            "maps": maps,
            "resume": resume,
            "bits": bits,
            "groups": groups,
            "product": product,
            "raw_cells": raw_cells,
            "policy": policy,
            "memory_megabytes": memory,
            "watcher": watcher,
        }
        if cluster is None:
            done = score_run(run, source, out, engine=engine, **more)
        else:
            from residua.cluster import ClusterOptions, score_on_cluster

            reference_only("score", "a cluster", engine)
            done = score_on_cluster(run, source, out, ClusterOptions(cluster, workers), **more)
    if not quiet:
        _print(done, out)
    refuse_findings(done.findings, strict=strict)


def _print(done: ScoreSummary, out: Path) -> None:
    from residua._text import count, terminal

    console = terminal()
    which = "above the threshold" if done.decision is None else "flagged"
    flagged = f", {done.n_anomalous:,} {which}" if done.has_threshold else ""
    console.print(f"{count(done.n_images, 'image')} scored{flagged}: {out}")
    if done.decision is not None:
        console.print(f"{done.decision.policy}: {done.decision.how}")
    if done.n_reused:
        n_new = done.n_images - done.n_reused
        console.print(f"{n_new:,} of them are new; {done.n_reused:,} kept their score")
    if done.n_gone:
        console.print(
            f"{count(done.n_gone, 'earlier row')} dropped: the image is gone or has changed"
        )
    for one in done.findings:
        if one.code != "unreadable-files" and one.severity != "ok":
            console.print(f"{one.severity} {one.code}: {one.meaning} {one.what_to_do}")
    if done.n_unreadable:
        console.print(
            f"error unreadable-files: {done.n_unreadable:,} of"
            f" {count(done.n_images + done.n_unreadable, 'image')} could not be read, so the model"
            " judged none of them. Each has a row, with the reason in the column unreadable:"
        )
    elif done.n_quarantined:
        console.print(f"{count(done.n_quarantined, 'mask')} could not be read:")
    for path, reason in done.quarantined[:_MOST_NAMED]:
        console.print(f"  {path}: {reason}")
    if done.n_quarantined > _MOST_NAMED:
        console.print(f"  and {done.n_quarantined - _MOST_NAMED:,} more")
