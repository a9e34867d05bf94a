"""Models to serve: a run's own, an exported file without torch, and one that somebody else
trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from residua.engines import Card, Kind, load_engine, parse_engine
from residua.engines.card import check_fresh, read_card
from residua.engines.one_by_one import OneByOne
from residua.errors import BundleError, InputError
from residua.evaluation import Evidence
from residua.evaluation.report.pictures import error_ceiling
from residua.runs.wrapped import WrappedModel, is_wrapped, open_wrapped
from residua.server.model import Known, ServedModel

_BUNDLE, _EXPORT, _EVIDENCE = "bundle", "export", "evidence.npz"

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
    if is_wrapped(run):
        if not kind.is_reference:
            raise InputError(
                f"serve: a wrapped model scores by itself. Got --engine {engine}. Leave it out."
            )
        model, state = open_wrapped(run)
        return serve_wrapped(
            model,
            run.resolve().name,
            normal=state.normal,
            classes=state.classes,
            ceiling=_ceiling(run),
        )
    if not kind.files:
        return _from_bundle(run, engine)
    card = fresh_card(run, kind) or _export(run, kind, on_note)
    exported = load_engine(run / _EXPORT, engine, bundle=run / _BUNDLE)
    return ServedModel(
        run.resolve().name,
        _known_by(card),
        OneByOne(exported),
        np.sort(
            np.array(card.calibration_scores, np.float32)[
                ~np.array(card.calibration_is_anomalous, np.bool_)
            ]
        ),
        ceiling=_ceiling(run),
    )


def serve_wrapped(
    model: WrappedModel,
    name: str = "wrapped model",
    *,
    normal: Sequence[str] | None = None,
    classes: Sequence[int | str] | None = None,
    ceiling: float | None = None,
) -> ServedModel:
    """A wrapped model as one to serve: `Server(serve_wrapped(model)).run()`.

    `classes` names the columns of the probabilities of a model that has them, and makes a
    classifier of it. Functions and PyTorch modules, which are not stored in a RUN, are served like
    this from the process that has them.

    Raises
    ------
    InputError
        If `classes` are named and the model gives no probabilities, or as many as there are not.
    """
    contract = model.contract
    if classes is not None and model.n_classes != len(classes):
        raise InputError(
            "serve_wrapped: classes must name each column of the model's probabilities. Got"
            f" {len(classes)} names for {model.n_classes or 'no'} columns. Name as many, or leave"
            " classes out."
        )
    known = Known(
        job="classify" if classes is not None else "detect",
        recipe=f"wrapped {contract.origin} model",
        size=contract.size,
        channels=contract.channels,
        normal=None if normal is None else tuple(normal),
        classes=None if classes is None else tuple(classes),
        operating_point=model.operating_point_,
        calibration_images=model.calibration_images_,
    )
    normals = model.calibration_scores_[~model.calibration_is_anomalous_]
    return ServedModel(name, known, model, normals, ceiling=ceiling)


def fresh_card(run: Path, kind: Kind) -> Card | None:
    """The card of an exported file of `run`.

    None where there is none that fits the run as it is now.
    """
    if not kind.files:
        return None
    try:
        card = read_card(run / _EXPORT, kind)
        check_fresh(card, run / _BUNDLE)
    except BundleError:
        return None
    return card


def _from_bundle(run: Path, name: str) -> ServedModel:
    """By PyTorch."""
    from residua.runs.engines import open_engine
    from residua.runs.progress import Watcher
    from residua.runs.run_folder import RunFolder
    from residua.training.bundle import load_bundle

    folder = RunFolder(run)
    folder.read_finished()
    opened = open_engine(folder, load_bundle(folder.bundle), name, Watcher())
    config = opened.bundle.config
    known = Known(
        job=config.job,
        recipe=config.recipe,
        size=config.size,
        channels=config.channels,
        normal=config.normal,
        classes=config.classes,
        multilabel=config.multilabel,
        operating_point=config.operating_point,
        calibration_images=config.training.calibration_images,
        reading=config.reading,
    )
    normals = opened.bundle.calibration_scores[~opened.bundle.calibration_is_anomalous]
    return ServedModel(run.resolve().name, known, opened.engine, normals, ceiling=_ceiling(run))


def _export(run: Path, kind: Kind, on_note: Note | None) -> Card:
    from residua.runs.engines import export_run
    from residua.runs.run_folder import RunFolder

    RunFolder(run).read_finished()
    if on_note is not None:
        on_note(f"engine {kind.name}: exporting it, and verifying it on the calibration images")
    return export_run(run, kind)


def _known_by(card: Card) -> Known:
    return Known(
        job=card.job,
        recipe=card.recipe,
        size=card.size,
        channels=card.channels,
        normal=card.normal,
        classes=card.classes,
        multilabel=card.multilabel,
        operating_point=card.operating_point,
        calibration_images=card.calibration_images,
        reading=card.reading,
        only_eight_bits=card.entry == "uint8",
    )


def _ceiling(run: Path) -> float | None:
    """The error that all maps draw brightest, from the run's evaluation.

    None where it was not evaluated.
    """
    if not (run / _EVIDENCE).is_file():
        return None
    gallery = Evidence.load(run / _EVIDENCE).gallery
    maps: Any = None if gallery is None else gallery.error_maps
    return None if maps is None or not np.isfinite(maps).any() else error_ceiling(maps)
