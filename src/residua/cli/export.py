"""`residua export`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from residua.cli.options import Quiet, Run


def export(
    run: Run,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE", help="Images to verify on. Default: the calibration part of the run."
        ),
    ] = None,
    format: Annotated[  # noqa: A002  the option's name
        Literal["onnx", "openvino"], typer.Option(help="The runtime that the file is for.")
    ] = "onnx",
    precision: Annotated[
        Literal["float32", "bfloat16", "int8"],
        typer.Option(help="Precision of the network. The cost of a reduced one is measured."),
    ] = "float32",
    input_: Annotated[
        Literal["uint8", "float32"] | None,
        typer.Option(
            "--input",
            help=(
                "Input type of the file: uint8, or float32 in [0, 1] for images of more than 8"
                " bits."
            ),
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Export the whole model of a RUN to one file. The file in RUN/export turns a decoded image
    into score, map and decision.

    residua compares every score, map and decision of the file with the run's own model on the
    calibration images. A file that differs is deleted, and the command ends with exit code 3.

    residua export runs/parts --format onnx
    """
    from residua.cli.engine_table import print_export
    from residua.cli.progress import watching
    from residua.engines.kinds import find_kind
    from residua.runs.engines import export_run

    kind = find_kind(format, precision)
    with watching(quiet=quiet) as watcher:
        card = export_run(run, kind, source, entry=input_, watcher=watcher)
    if not quiet:
        print_export(card, run / "export")
