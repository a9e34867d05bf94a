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
            metavar="[SOURCE]",
            help="Verify on these images instead of the calibration part.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[  # noqa: A002  the option's name
        Literal["onnx", "openvino"], typer.Option("--format", help="What the exported file is for.")
    ] = "onnx",
    precision: Annotated[
        Literal["float32", "bfloat16", "int8"],
        typer.Option("--precision", help="Of the network; reduced ones have a measured price."),
    ] = "float32",
    input_: Annotated[
        Literal["uint8", "float32"] | None,
        typer.Option(
            "--input",
            help="What the file takes; float32 in [0, 1] for more than 8 bits.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write the whole model, from decoded image to score, map and decision, as a file into
    RUN/export.

    It is verified on the calibration images first: every score, map and decision. If it differs
    from the run's own model, it is refused with the numbers (exit code 3) and nothing is left
    behind.

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
