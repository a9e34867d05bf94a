"""Models to serve.

A run's own, an exported file without torch, and one that somebody else trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from residua.engines import Card, Kind, load_engine, parse_engine
from residua.engines.card import check_fresh, read_card
from residua.engines.interface import OneByOne
from residua.errors import BundleError, InputError
from residua.evaluation import Evidence
from residua.evaluation.report.pictures import error_ceiling
from residua.runs.model import model_of_card
from residua.runs.open_run import is_wrapped, open_run
from residua.runs.run_folder import RunFolder
from residua.runs.wrap import WrappedModel
from residua.server.model import ServedModel

Note = Callable[[str], None]


def load_model(
    run: str | Path, engine: str = "torch", *, on_note: Note | None = None
) -> ServedModel:
    """The finished model of `run`, scored by `engine`.

    One that was not exported yet is exported and verified first.

    A file that was exported and is up to date is served without loading torch, and a wrapped run by
    its own framework.

    Raises
    ------
    BundleError
        Where the run is not finished, damaged or of another version.
    InputError, MissingExtraError
        Where there is no such engine, or its runtime is not installed.
    GateError
        Where the engine does not do what the run's model does.
    """
    run, kind = Path(run), parse_engine(engine)
    folder, ceiling, name = RunFolder(run), _ceiling(run), run.resolve().name
    if is_wrapped(run) or not kind.files:
        return ServedModel(name, open_run(run).model(engine), ceiling=ceiling)
    card = fresh_card(run, kind) or _export(run, kind, on_note)
    exported = OneByOne(load_engine(folder.export, engine, bundle=folder.bundle))
    only_eight_bits = card.entry == "uint8"
    model = model_of_card(card, exported)
    return ServedModel(name, model, ceiling=ceiling, only_eight_bits=only_eight_bits)


def serve_wrapped(
    model: WrappedModel,
    name: str = "wrapped model",
    *,
    normal: Sequence[str] | None = None,
    classes: Sequence[int | str] | None = None,
) -> ServedModel:
    """A wrapped model as one to serve: `Server(serve_wrapped(model)).run()`.

    `classes` names the columns of the probabilities of a model that has them, and makes a
    classifier of it. Functions and PyTorch modules, which are not stored in a RUN, are served like
    this from the process that has them.

    Raises
    ------
    InputError
        If `classes` are named and the model gives no probabilities, or another number of them.
    """
    if classes is not None and model.n_classes != len(classes):
        raise InputError(
            "serve_wrapped: classes must name each column of the model's probabilities. Got"
            f" {len(classes)} names for {model.n_classes or 'no'} columns. Name as many, or leave"
            " classes out."
        )
    judged = model.as_judged(
        job="detect" if classes is None else "classify",
        normal=None if normal is None else tuple(normal),
        classes=None if classes is None else tuple(classes),
    )
    return ServedModel(name, judged)


def fresh_card(run: Path, kind: Kind) -> Card | None:
    """The card of an exported file of `run`.

    None where there is none that fits the run as it is now.
    """
    if not kind.files:
        return None
    try:
        card = read_card(RunFolder(run).export, kind)
        check_fresh(card, RunFolder(run).bundle)
    except BundleError:
        return None
    return card


def _export(run: Path, kind: Kind, on_note: Note | None) -> Card:
    from residua.runs.engines import export_run

    open_run(run).origin()
    if on_note is not None:
        on_note(f"engine {kind.name}: exporting it, and verifying it on the calibration images")
    return export_run(run, kind)


def _ceiling(run: Path) -> float | None:
    """The error that all maps draw brightest, from the run's evaluation.

    None where it was not evaluated.
    """
    evidence = RunFolder(run).evidence
    if not evidence.is_file():
        return None
    gallery = Evidence.load(evidence).gallery
    maps: Any = None if gallery is None else gallery.error_maps
    return None if maps is None or not np.isfinite(maps).any() else error_ceiling(maps)
