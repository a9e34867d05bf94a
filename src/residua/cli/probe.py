"""`residua probe`."""

from __future__ import annotations

from typing import Annotated

import typer

from residua.cli.options import BitsOfSource, Json, Quiet, Run, Strict, of_another_source


def probe(
    run: Run,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help=(
                "Labelled images to use instead of the run's own; their train and test parts are"
                " taken."
            ),
        ),
    ] = None,
    bits: BitsOfSource = None,
    json: Json = None,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Measure what a latent vector is worth to a classifier. This is the honest form of "the
    accuracy of my autoencoder".

    A linear and a nearest-neighbours classifier learn from labelled training images and are tested
    on test images. The result also shows the same classifiers on pixels and on principal
    components, and the share of the most frequent class.

    residua probe runs/digits

    residua probe runs/parts other-parts/ --json probe.json
    """
    from residua.cli.output import check_targets, emit_json, is_stdout, refuse_if_strict
    from residua.cli.progress import watching
    from residua.evaluation.report import print_evaluation, to_json
    from residua.runs.probe import probe_run

    check_targets(json)
    of_another_source("probe", source, bits=bits)
    with watching(quiet=quiet) as watcher:
        record = probe_run(run, source, bits=bits, watcher=watcher)
    if not quiet and not is_stdout(json):
        print_evaluation(record)
    emit_json(to_json(record), json)
    refuse_if_strict(record, strict=strict)
