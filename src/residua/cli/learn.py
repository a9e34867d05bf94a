"""`residua learn`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua.cli.options import Json, Quiet, Root, Run

if TYPE_CHECKING:
    from residua.runs.learning.record import LearningRecord


def learn(
    run: Run,
    corrections: Annotated[
        str | None,
        typer.Argument(
            metavar="CORRECTIONS",
            help=(
                "Images and what they are: a folder with good/, defect/ or defect/KIND/, or a"
                " manifest with the columns path and label."
            ),
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="RUN2", help="Folder for the new version.")
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help=(
                "Good images that were drawn without looking at scores. They join the calibration"
                " images."
            ),
        ),
    ] = None,
    product: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=(
                "Without CORRECTIONS: learn a new product of a RUN with products, by the good"
                " images of --sample."
            ),
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="The images of RUN, if they moved and RUN stores no features of them.",
        ),
    ] = None,
    root: Root = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back the last step of learning of RUN.")
    ] = False,
    json: Json = None,
    quiet: Quiet = False,
) -> None:
    """Let a detector learn from corrections: good images that it flagged, and labelled defects. RUN
    stays as it is, and RUN2 is its new version.

    Nothing is trained again, so it takes seconds. The threshold is chosen anew on the calibration
    images.

    residua learn runs/parts corrections/ --out runs/parts-2

    residua learn runs/parts corrections.csv --root photos/ --out runs/parts-2

    residua learn runs/line --sample lenses/good/ --product lens --out runs/line-2

    residua learn runs/parts-2 --undo
    """
    from residua._text import say
    from residua.cli.output import check_targets, emit_json, is_stdout
    from residua.cli.progress import watching
    from residua.errors import InputError
    from residua.runs.learning.learn import learn_run, undo_learning

    if undo:
        if corrections is not None or out is not None:
            raise InputError(
                "learn: --undo takes a RUN alone. Got CORRECTIONS or --out beside it. Leave them"
                " out."
            )
        undo_learning(run)
        if not quiet:
            say(f"{run} is as it was before its last step of learning.")
        return
    if product is not None:
        if corrections is not None or sample is None or out is None:
            raise InputError(
                "learn: --product takes good images with --sample, a folder with --out, and no"
                " CORRECTIONS. Write: residua learn RUN --sample SOURCE --product NAME --out RUN2"
            )
        from residua.runs.learning.new_product import learn_product

        with watching(quiet=quiet) as watcher:
            learnt = learn_product(run, sample, out, product, watcher=watcher)
        if not quiet and not is_stdout(json):
            point = learnt.operating_point
            told = (
                f"Threshold {point.threshold:.6g} ({point.policy})." if point else "No threshold."
            )
            say(f"{learnt.name}: {told} {point.how if point else learnt.reason}")
            say(f"The other products keep their thresholds.\nsaved in {out}")
        emit_json(learnt.model_dump(mode="json"), json)
        return
    if corrections is None or out is None:
        raise InputError(
            "learn: CORRECTIONS and --out must be given. Write: residua learn RUN CORRECTIONS --out"
            " RUN2"
        )
    check_targets(json)
    with watching(quiet=quiet) as watcher:
        record = learn_run(
            run,
            corrections,
            out,
            sample=sample,
            source=source,
            root=None if root is None else str(root),
            watcher=watcher,
        )
    if not quiet and not is_stdout(json):
        _print(record, run, out)
    emit_json(record.model_dump(mode="json"), json)


def _print(record: LearningRecord, run: Path, out: Path) -> None:
    from residua._text import say
    from residua.runs.learning.learn import say_counts
    from residua.runs.open_run import open_run

    say(f"{record.about_corrections()}.")
    for sentence in say_counts(record):
        say(sentence)
    point = open_run(out).mark().operating_point
    if point is not None:
        say(
            f"Threshold {point.threshold:.6g}, on a new scale of scores (before:"
            f" {record.threshold_before:.6g})."
        )
        say(point.how)
    for line in record.about_thresholds():
        say(f"{line}.")
    if (loss := record.about_loss()) is not None:
        say(f"{loss}.")
    say(f"{record.about_right()}.")
    say(f"\nsaved in {out}. Is it better? Ask the test images:\n  residua compare {run} {out}")
