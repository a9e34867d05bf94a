"""`residua watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from residua.cli.options import (
    BitsOfSource,
    Engine,
    Json,
    ProductOfRun,
    Quiet,
    Run,
    ScoringDevice,
    engine_for,
)


def watch(
    run: Run,
    place: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|-",
            help="The folder that images arrive in, or - to read paths from standard input.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The table, a folder of Parquet files. Default: watch.parquet in RUN.",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            help=(
                "Decide about blocks of images: 'fdr<=0.05' for at most 5% good parts among the"
                " flagged, on average. Default: the threshold of the run, image by image."
            )
        ),
    ] = None,
    block: Annotated[
        int, typer.Option(help="Images of a block: of a file of the table, and of --policy.")
    ] = 1000,
    on_flag: Annotated[
        str | None,
        typer.Option(
            metavar="CMD",
            help=(
                "Run this command for each flagged image, without a shell. {path}, {score},"
                " {p_value} and {n} are filled in; without {path} the path comes last."
            ),
        ),
    ] = None,
    post: Annotated[
        str | None, typer.Option(metavar="URL", help="Post each flagged image there as JSON.")
    ] = None,
    keep_days: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS", help="Delete files of the table that are older. Default: keep all."
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="PERIOD",
            help="Write a report of each period, such as 8h or 1d, as HTML and JSON.",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Stop when every image that is there is scored.")
    ] = False,
    settle: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a file must stay as it is to be whole."),
    ] = 1.0,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a file that cannot be read is waited for."),
    ] = 30.0,
    engine: Engine = "torch",
    device: ScoringDevice = None,
    bits: BitsOfSource = None,
    product: ProductOfRun = None,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Score images as they arrive in FOLDER, and write a row for each. Files stay where they are.
    The watch may be killed at any time: it goes on where it was, and no image is lost or doubled.

    residua watch runs/parts /line/camera-1

    residua watch runs/parts /line/camera-1 --on-flag 'light --red {path}' --keep-days 90

    find new/ -name '*.png' | residua watch runs/parts - --out new.parquet
    """
    from residua.cli.output import emit_json, is_stdout
    from residua.cli.progress import watching
    from residua.runs.watching import WatchOptions, watch_run

    options = WatchOptions(
        out=out,
        policy=policy,
        block=block,
        on_flag=on_flag,
        post=post,
        keep_days=keep_days,
        once=once,
        settle=settle,
        patience=patience,
        engine=engine_for(device, engine, "watch"),
        bits=bits,
        product=product,
        every=every,
    )
    with watching(quiet=quiet) as watcher:
        status = watch_run(run, place, options, watcher=watcher)
    if not quiet and not is_stdout(json):
        _print(status)
    emit_json(status, json)


def _print(status: dict[str, Any]) -> None:
    from residua._text import count, say

    n_flagged, n_unread = status["n_flagged"], status["n_unreadable"]
    say(f"{count(status['n_images'], 'image')} watched, {n_flagged:,} flagged: {status['table']}")
    share = status["flagged_share_lately"]
    if share is not None:
        say(
            f"Of the last {share['n']:,}, {share['value']:.1%} are flagged"
            f" [{share['low']:.1%}, {share['high']:.1%}]."
        )
    say(f"Policy: {status['policy']}")
    if n_unread:
        say(f"{count(n_unread, 'image')} could not be read; the column unreadable says why.")
    if status["n_undecided"]:
        said = count(status["n_undecided"], "image")
        say(f"Nothing is decided about {said}; the column undecided says why.")
    if status["n_changed"]:
        say(
            f"{count(status['n_changed'], 'file')} changed after they were scored, and were not"
            " scored again."
        )
    drift = status["drift"]
    if drift["tested_every"] > 1:
        say(f"Drift is tested on one image in {drift['tested_every']}: calibration has groups.")
    for alarm in drift["alarms"]:
        say(f"{alarm['kind']}: {alarm['words']}")
    if not any(alarm["kind"] == "drift" for alarm in drift["alarms"]):
        say(f"No drift was found. {drift['promise']}")
