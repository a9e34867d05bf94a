"""Models to serve, and what whoever starts a server should know of their engine.

A run's own, an exported file without torch, and one that somebody else trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from residua.engines import KINDS, Card, Kind, load_engine, parse_engine
from residua.engines.card import check_fresh, export_command, read_card
from residua.engines.interface import OneByOne
from residua.errors import BundleError, InputError
from residua.evaluation import Evidence
from residua.evaluation.report.pictures import error_ceiling
from residua.runs.model import model_of_card
from residua.runs.open_run import is_wrapped, open_run
from residua.runs.run_folder import ModelMark, RunFolder
from residua.runs.wrap import WrappedModel
from residua.server.model import ServedModel
from residua.server.run_watch import RunWatch

Note = Callable[[str], None]
_RECOMMENDED = ("onnx", "openvino")  # float32, so that decisions are the run's


def load_model(
    run: str | Path, engine: str = "torch", *, on_note: Note | None = None
) -> ServedModel:
    """The finished model of `run`, scored by `engine`.

    One that was not exported yet is exported and verified first.

    A file that was exported and is up to date is served without loading torch, and a wrapped run by
    its own framework.

    Raises BundleError where the run is not finished, damaged or of another version. Raises
    InputError or MissingExtraError where there is no such engine, or its runtime is not installed.
    Raises GateError where the engine does not do what the run's model does.
    """
    run, kind = Path(run), parse_engine(engine)
    folder, ceiling, name = RunFolder(run), _ceiling(run), run.resolve().name
    if is_wrapped(run) or not kind.files:
        opened = open_run(run)
        weights, model = opened.mark().weights, opened.model(engine)
        loaded = ModelMark(model.facts.operating_point, weights)
        return ServedModel(name, model, ceiling=ceiling, notice=RunWatch(run, kind, loaded))
    card = fresh_card(run, kind) or _export(run, kind, on_note)
    exported = OneByOne(load_engine(folder.export, engine, bundle=folder.bundle))
    return ServedModel(
        name,
        model_of_card(card, exported),
        ceiling=ceiling,
        only_eight_bits=card.entry == "uint8",
        notice=RunWatch(run, kind, ModelMark(card.operating_point, card.weights_sha256)),
    )


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

    Raises InputError if `classes` are named and the model gives no probabilities, or another number
    of them.
    """
    if classes is not None and model.n_classes != len(classes):
        raise InputError(
            "serve_wrapped: classes must name each column of the model's probabilities. Got"
            f" {len(classes)} names for {model.n_classes or 'no'} columns. Name as many, or leave"
            " classes out."
        )
    return ServedModel(
        name,
        model.as_judged(
            job="detect" if classes is None else "classify",
            normal=None if normal is None else tuple(normal),
            classes=None if classes is None else tuple(classes),
        ),
    )


def fresh_card(run: Path, kind: Kind) -> Card | None:
    """The card of an exported file of `run`; None where none fits the run as it is."""
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
    """The error that all maps draw brightest, from the run's evaluation, or None."""
    evidence = RunFolder(run).evidence
    if not evidence.is_file():
        return None
    gallery = Evidence.load(evidence).gallery
    maps: Any = None if gallery is None else gallery.error_maps
    return None if maps is None or not np.isfinite(maps).any() else error_ceiling(maps)


def advise_on_engine(run: str | Path, engine: str) -> str:
    """A line on the served engine: how it was verified, or how to serve faster."""
    run, kind = Path(run), parse_engine(engine)
    if is_wrapped(run) and open_run(run).is_random:
        return (
            "Engine: the wrapped model itself, which is random: the same image gets another score"
            " each time, and may be decided otherwise. Wrap it with samples=16, or give the mean of"
            " the code, before it decides anything."
        )
    if is_wrapped(run):
        return (
            "Engine: the wrapped model itself, always in batches of one size, so that a score"
            " depends on its image alone."
        )
    card = fresh_card(run, kind)
    if card is not None:
        return (
            f"Engine {engine}: {_verified(card)}. It runs one image at a time, so that a score"
            " depends on its image alone."
        )
    own = f"Engine {engine}: one image costs a whole padded batch."
    cards = [
        found
        for found in (fresh_card(run, KINDS[name]) for name in _RECOMMENDED)
        if found is not None
    ]
    if not cards:
        command = export_command(KINDS[_RECOMMENDED[0]]).replace("RUN", str(run))
        return (
            f"{own} Faster with the same decisions: {command}, then serve with --engine"
            f" {_RECOMMENDED[0]}."
        )
    best = max(cards, key=lambda one: 0.0 if one.speed is None else one.speed.batch_1)
    return f"{own} Faster: --engine {best.engine}, which is there: {_verified(best)}{_speed(best)}."


def _verified(card: Card) -> str:
    deviation = card.deviation
    alike = deviation.n_images - deviation.different_decisions
    decided = (
        f"decided {alike:,} of {deviation.n_images:,} calibration images as the run's own model"
        " does"
    )
    return f"{decided}, scores at most {deviation.score:.1e} apart" + (
        "" if card.precision == "float32" else f"; {card.precision}, with a threshold of its own"
    )


def _speed(card: Card) -> str:
    if card.speed is None or not card.speed.reference_batch_1:
        return " (residua engines RUN measures its speed)"
    times = card.speed.batch_1 / card.speed.reference_batch_1
    return f", and {times:.0f} times as fast for one image when both were last measured"
