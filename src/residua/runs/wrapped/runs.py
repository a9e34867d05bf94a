"""A wrapped model as a RUN: the model's file, how it is called, its source, its threshold and
calibration scores. No torch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from residua._files import ensure_folder, in_a_line, read_file, write_json
from residua._version import __version__
from residua.engines.interface import Progress
from residua.errors import BundleError, InputError, LabelError, OutputError
from residua.evaluation import Evidence
from residua.evaluation.report import write_html
from residua.evaluation.report import write_json as write_evaluation
from residua.findings import find_drift
from residua.images import ImageSet, load_images
from residua.images.listing import Options
from residua.images.reading import Reading, reading_of
from residua.images.run_source import find_run_source, mark_of_here
from residua.images.sources import list_shards
from residua.records import Assumption, Evaluation, OperatingPoint
from residua.runs.tables import (
    ChunkFiles,
    ScoreSummary,
    ScoringJob,
    ScoringTask,
    do_job,
    read_scores,
    sample_scores,
    write_maps,
)
from residua.runs.tables.chunks import check_first
from residua.runs.tables.part_lookup import PartLookup
from residua.runs.wrapped.contract import Contract
from residua.runs.wrapped.model import WrappedModel
from residua.runs.wrapped.origins import look_at
from residua.runs.wrapped.storing import (
    EVALUATION,
    EVIDENCE,
    KERAS,
    ONNX,
    STATE,
    check_files,
    check_storable,
    load_keras,
    staged,
    store,
)
from residua.thresholds import choose_threshold

_DEFAULT_POLICY = "quantile:0.95"


class WrappedState(BaseModel):
    """`wrapped.json`: everything of a wrapped run that is not the model itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["residua-wrapped"] = "residua-wrapped"
    format_version: Literal[1] = 1
    residua_version: str
    contract: Contract
    file: str
    sha256: str
    weights: dict[str, str] = Field(default_factory=dict)
    source: str
    working_folder: str
    made_here: str = ""
    normal: tuple[str, ...] | None = None
    classes: tuple[int | str, ...] | None = None
    targets: str | None = None
    random: bool = False
    assumptions: tuple[Assumption, ...] = ()
    seed: int = 0
    operating_point: OperatingPoint | None = None
    calibration_scores: tuple[float, ...] = ()
    calibration_is_anomalous: tuple[bool, ...] = ()
    calibration_images: dict[str, Any] = Field(default_factory=dict)
    calibration_pixels: tuple[str, ...] = ()
    reading: Reading = Reading()


def is_random(run: str | Path) -> bool:
    """Whether the wrapped model of `run` gives something else each time it is asked."""
    return _read(Path(run)).random


def is_wrapped(run: str | Path) -> bool:
    """Whether `run` holds a wrapped model."""
    return (Path(run) / STATE).is_file()


def save_wrapped(
    model: WrappedModel,
    run: str | Path,
    *,
    source: str,
    normal: Any = None,
    policy: str | None = None,
    seed: int = 0,
) -> Path:
    """Write `model` as a RUN judged on `source`, its threshold chosen by `policy` on the source's
    calibration part.

    A model that gives probabilities, on a source without a normal label, is a classifier: its
    columns are the source's classes in sorted order.

    Raises
    ------
    InputError
        If the model is code, which is not stored.
    OutputError
        If the folder holds something else already.
    """
    run = Path(run)
    check_storable(model)
    if not isinstance(model.targets, str | Path | None):
        raise InputError(
            "save: targets must be a SOURCE to be kept in a RUN. Got"
            f" {type(model.targets).__name__}. Write them to a folder or an .npy file, and wrap the"
            " model with its path as targets."
        )
    if run.exists() and any(run.iterdir()) and not is_wrapped(run):
        raise OutputError(
            f"{run}: must be a new folder, an empty one or a wrapped run. It holds other files."
            " Name another."
        )
    images = load_images(source, normal=normal, seed=seed)
    classes = _classes_of(model, images)
    with staged(run) as fresh:
        name, files = store(model, fresh)
        point = model.operating_point_
        if point is None and images.normal is not None and len(images.calibration):
            point = model.choose_threshold(policy or _DEFAULT_POLICY, images.calibration)
        _write(
            fresh,
            WrappedState(
                residua_version=__version__,
                contract=model.contract,
                file=name,
                sha256=files.pop(name),
                weights=files,
                source=source,
                working_folder=str(Path.cwd()),
                made_here=mark_of_here(str(Path.cwd()), source),
                normal=images.normal,
                classes=classes,
                targets=None if model.targets is None else str(model.targets),
                random=model.is_random,
                assumptions=model.assumptions,
                seed=seed,
                operating_point=point,
                calibration_scores=tuple(model.calibration_scores_.tolist()),
                calibration_is_anomalous=tuple(model.calibration_is_anomalous_.tolist()),
                calibration_images=model.calibration_images_,
                calibration_pixels=model.calibration_pixels_,
                reading=images.reading,
            ),
        )
    return run


def open_wrapped(run: str | Path) -> tuple[WrappedModel, WrappedState]:
    """The model of a wrapped run with its threshold; nothing in its files is executed.

    Raises
    ------
    BundleError
        If a file is missing, damaged, or not what was saved.
    MissingExtraError
        If the framework that the model needs is not installed.
    """
    run = Path(run)
    state = _read(run)
    path = run / state.file
    check_files(run, state.file, {state.file: state.sha256, **state.weights})
    model = path if state.contract.origin == "onnx" else load_keras(path)
    known = look_at(model)
    wrapped = WrappedModel(known, state.contract, model, assumptions=state.assumptions)
    wrapped.n_classes = 0 if state.classes is None else len(state.classes)
    wrapped.operating_point_ = state.operating_point
    wrapped.calibration_scores_ = np.array(state.calibration_scores, np.float32)
    wrapped.calibration_is_anomalous_ = np.array(state.calibration_is_anomalous, np.bool_)
    wrapped.calibration_images_ = state.calibration_images
    wrapped.calibration_pixels_ = state.calibration_pixels
    return wrapped, state


def evaluate_wrapped(
    run: str | Path,
    source: str | None = None,
    *,
    bits: int | None = None,
    progress: Progress | None = None,
) -> tuple[Evaluation, Evidence]:
    """Judge a wrapped run on its source's test part, or on another source; baselines learn from the
    run's train part.
    """
    model, state = open_wrapped(run)
    own = _images(state, None, progress)
    other = own if source is None else _images(state, source, progress, bits)
    judged = other.test if len(other.test) and (source is None or len(other.train)) else other
    targets = (
        None
        if state.targets is None
        else find_run_source(state.targets, state.working_folder, state.made_here)
    )
    evaluation, evidence = model.judge(
        judged,
        targets=targets,
        job=None if state.classes is None or targets is not None else "classify",
        train=_normals(own.train),
        seed=state.seed,
        split="test" if judged is not other else "all",
        progress=progress,
    )
    if source is None:
        write_evaluation(evaluation, Path(run) / EVALUATION)
        evidence.save(Path(run) / EVIDENCE)
    return evaluation, evidence


def judged_wrapped(
    run: str | Path, *, progress: Progress | None = None
) -> tuple[Evaluation, Evidence]:
    """The latest evaluation of a wrapped run on its own test part; evaluated now if there was
    none.
    """
    run = Path(run)
    if not ((run / EVALUATION).exists() and (run / EVIDENCE).exists()):
        return evaluate_wrapped(run, progress=progress)
    try:
        evaluation = Evaluation.model_validate_json(read_file(run / EVALUATION))
    except (ValidationError, OSError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else in_a_line(error)
        raise BundleError(
            f"{run / EVALUATION}: must be what evaluate wrote. Got: {what}. Run evaluate again."
        ) from None
    return evaluation, Evidence.load(run / EVIDENCE)


def report_wrapped(run: str | Path, out: str | Path, *, progress: Progress | None = None) -> Path:
    """Write the report of a wrapped run from its latest evaluation, or after evaluating it."""
    return write_html(
        out, f"residua: {Path(run).resolve().name}", [judged_wrapped(run, progress=progress)]
    )


def change_wrapped_threshold(
    run: str | Path,
    policy: str,
    source: str | None = None,
    *,
    confidence: float = 0.95,
    bits: int | None = None,
) -> OperatingPoint:
    """Choose a wrapped run's threshold anew, from its stored calibration scores or from another
    source's images.
    """
    model, state = open_wrapped(run)
    scores, flags = model.calibration_scores_, model.calibration_is_anomalous_
    if source is not None:
        images = _images(state, source, None, bits)
        chosen = images.calibration if len(images.calibration) else images
        scores, flags = model.anomaly_scores(chosen), chosen.presumed_anomalous
    elif not len(scores):
        raise LabelError(
            f"{run}: the source must say what is normal. It does not. Save the model again with"
            " normal=."
        )
    point = choose_threshold(policy, scores, flags, confidence=confidence)
    _write(Path(run), state.model_copy(update={"operating_point": point}))
    return point


def score_wrapped(
    run: str | Path,
    source: str,
    out: str | Path,
    *,
    maps: str | Path | None = None,
    resume: bool = False,
    bits: int | None = None,
    progress: Progress | None = None,
    raw_cells: bool = False,
) -> ScoreSummary:
    """Score every image of `source` into a CSV or Parquet file, piece by piece, as
    `residua.runs.score_run` does.

    With `resume`, scoring that was stopped goes on. With `maps`, each image's error map is written
    there as a PNG.
    """
    parts = ChunkFiles(Path(out))
    model, state = open_wrapped(run)
    options = Options(reading=reading_of(bits, state.reading, where="score"), of_model=bits is None)
    shards, point = list_shards(source, options), model.operating_point_
    task = ScoringTask(
        model.contract.channels,
        None if point is None else point.threshold,
        options,
        _parts_of(state, source),
    )
    task = check_first(task, shards.pieces[0], source) if len(shards.pieces) else task
    task = replace(task, raw_cells=raw_cells)
    begun_with = {
        "model": state.sha256,
        "threshold": task.threshold,
        **({} if bits is None else {"bits": bits}),
    }
    summary = do_job(
        ScoringJob(model, shards, task, parts, progress), source, begun_with, resume=resume
    )
    if point is not None:
        normals = model.calibration_scores_[~model.calibration_is_anomalous_]
        summary.drift = find_drift(
            normals, sample_scores(parts.out, summary.n_images), threshold=point.threshold
        )
    if maps is not None:
        images = load_images(
            source, seed=state.seed, progress=progress, bits=bits, reading=state.reading
        )
        write_maps(
            model,
            images,
            read_scores(parts.out),
            ensure_folder(maps, where="score --maps"),
            progress,
        )
    return summary


def _parts_of(state: WrappedState, source: str) -> PartLookup | None:
    """Which part each image is in, where `source` is the run's own."""
    if (
        Path(source).resolve() != (Path(state.working_folder) / state.source).resolve()
        and source != state.source
    ):
        return None
    own = _images(state, None, None)
    return PartLookup.of(own.paths, own.splits)


def _classes_of(model: WrappedModel, images: ImageSet) -> tuple[int | str, ...] | None:
    if not model.n_classes or images.normal is not None or images.labels is None:
        return None
    classes = tuple(np.unique(images.labels[images.labelled]).tolist())
    told = model.contract.classes
    if told is not None and {str(one) for one in classes} <= {str(one) for one in told}:
        return told
    if len(classes) != model.n_classes:
        found = ", ".join(map(str, classes[:10]))
        raise LabelError(
            f"save: the source must have the model's {model.n_classes} classes. Got {len(classes)}:"
            f" {found}. Name another source, or say what is normal with normal=."
        )
    return classes


def _images(
    state: WrappedState, source: str | None, progress: Progress | None, bits: int | None = None
) -> ImageSet:
    if source is not None:
        images = load_images(
            source, seed=state.seed, progress=progress, bits=bits, reading=state.reading
        )
        return (
            images
            if state.normal is None or images.labels is None
            else images.with_normal(state.normal)
        )
    own = find_run_source(state.source, state.working_folder, state.made_here)
    return load_images(
        own, normal=state.normal, seed=state.seed, progress=progress, reading=state.reading
    )


def _normals(train: ImageSet) -> ImageSet:
    return train[np.flatnonzero(~train.presumed_anomalous)]


def _read(run: Path) -> WrappedState:
    path = run / STATE
    try:
        state = WrappedState.model_validate_json(read_file(path))
    except FileNotFoundError:
        raise BundleError(
            f"{run}: must hold {STATE}. It does not. Name a folder that a wrapped model was"
            " saved to."
        ) from None
    except (ValidationError, OSError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else in_a_line(error)
        raise BundleError(
            f"{path}: must be what save wrote. Got: {what}. Save the wrapped model again."
        ) from None
    if Path(state.file).name != state.file or state.file not in (ONNX, KERAS):
        raise BundleError(
            f"{path}: the model must lie in the run. Got {state.file!r}. Save the wrapped model"
            " again."
        )
    return state


def _write(run: Path, state: WrappedState) -> None:
    write_json(run / STATE, state.model_dump(mode="json"))
