"""`residua serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from residua._text import say
from residua.cli.options import (
    Engine,
    ProductOfRun,
    Quiet,
    Root,
    Run,
    ScoringDevice,
    engine_for,
    names,
)


# Typer reads the options off the signature, so that each is spelled here; the body is short.
def serve(
    run: Run,
    engine: Engine = "torch",
    device: ScoringDevice = None,
    review: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help=(
                "Images that people review on a page of their own: good, defect or its kind. Their"
                " answers become corrections.csv, for `residua learn`."
            ),
        ),
    ] = None,
    review_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for scores and answers of the review. Default: RUN/review.",
        ),
    ] = None,
    root: Root = None,
    product: ProductOfRun = None,
    random_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Share of the reviewed images that is drawn at random.",
            min=0,
            max=1,
        ),
    ] = 0.2,
    watch: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help=(
                "The table that `residua watch` writes, shown on a page of its own. Default:"
                " watch.parquet in RUN."
            ),
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on. An address that other machines reach needs a --token."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="RESIDUA_TOKEN",
            metavar="TEXT",
            show_envvar=False,
            help=(
                "The token that clients must send. The environment variable RESIDUA_TOKEN is safer."
            ),
        ),
    ] = None,
    without_token: Annotated[
        bool,
        typer.Option(
            "--without-token", help="Answer everybody who reaches --host, without a token."
        ),
    ] = False,
    allow_host: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Host names to answer to, besides this machine's own."
        ),
    ] = None,
    trust_proxy: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS,...", help="Proxies whose X-Forwarded-For header is trusted."
        ),
    ] = None,
    megabytes: Annotated[
        float | None, typer.Option(metavar="M", help="Size of the largest request. Default: 20.")
    ] = None,
    pixels: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pixels of the largest image. Default: 25 million."),
    ] = None,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="Images in the largest batch. Default: 64.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="Time for an upload, and again for the work on it. Default: 30."
        ),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Images to decode at the same time. Default: one per core, at most 4."
        ),
    ] = None,
    queue: Annotated[
        int | None, typer.Option(metavar="N", help="Requests that may wait. Default: 128.")
    ] = None,
    per_client: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Requests of one address at the same time. Default: any number."
        ),
    ] = None,
    connections: Annotated[
        int | None,
        typer.Option(metavar="N", help="Connections open at the same time. Default: 1024."),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write one line per request to standard error.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Serve a RUN over HTTP. Clients get score, decision, findings and error map per image; people
    get a page to drop images on.

    residua serve runs/parts

    residua serve runs/parts --review photos/

    RESIDUA_TOKEN=... residua serve runs/parts --host 0.0.0.0 --port 8080
    """
    try:
        from residua.server import Line, Server, load_model, open_review
        from residua.server.load import advise_on_engine
    except ModuleNotFoundError as error:
        from residua.errors import MissingExtraError

        if error.name not in {"fastapi", "starlette", "uvicorn", "python_multipart"}:
            raise
        raise MissingExtraError(error.name, "serve", "serve") from None
    from residua.cli.progress import watching
    from residua.errors import InputError
    from residua.server.limits import checked_limits

    limits = checked_limits(
        megabytes=megabytes, pixels=pixels, images=images, seconds=seconds, concurrency=concurrency,
        queue=queue,
        per_client=per_client, connections=connections,
    )  # fmt: skip

    engine = engine_for(device, engine, "serve")
    model = load_model(run, engine, on_note=lambda note: say(note, err=True))
    opened = None
    if review is None and any(one is not None for one in (review_out, root, product)):
        raise InputError(
            "serve: --review-out, --root and --product are for a review. Got no --review. Name the"
            " images with it."
        )
    if review is not None:
        with watching(quiet=quiet) as watcher:
            opened = open_review(
                run,
                review,
                model,
                folder=review_out,
                root=root,
                engine=engine,
                share=random_share,
                product=product,
                watcher=watcher,
            )
    if watch is not None and not watch.is_dir():
        raise InputError(
            f"serve: --watch must be the table of a watch, a folder. Got {watch}. Start the watch"
            f" first: residua watch {run} FOLDER --out {watch}"
        )
    table = Path(run) / "watch.parquet" if watch is None else watch
    is_watched = model.facts.job == "detect"
    server = Server(
        model,
        host=host,
        port=port,
        token=token,
        without_token=without_token,
        hosts=names(allow_host) or (),
        trusted_proxies=names(trust_proxy) or (),
        access_log=access_log,
        limits=limits,
        review=opened,
        line=Line(table) if is_watched else None,
    )
    if server.is_open_to_all:
        say(
            f"residua: warning: {host} can be reached from other machines, and no token is asked"
            " for (--token).",
            err=True,
        )
    if not quiet:
        say(
            f"{run} is served at {server.address} (page), {server.address}/openapi.json (API)."
            " Ctrl-C stops.",
            err=True,
        )
        say(advise_on_engine(run, engine), err=True)
        if is_watched and table.is_dir():
            say(f"The watched line is at {server.address}/watch.", err=True)
        if opened is not None:
            say(
                f"Review {opened.n_images():,} images, {opened.n_flagged():,} flagged, at"
                f" {server.address}/review. Answers go to {opened.book.table}.",
                err=True,
            )
    server.run()
    if opened is not None:
        opened.close()
        if not quiet and opened.book.answers:
            say(opened.next_step(), err=True)
