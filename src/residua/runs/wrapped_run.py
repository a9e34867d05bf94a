"""A wrapped model as a RUN: the model's file, how it is called, its source, its threshold and
calibration scores. No torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from residua._files import read_record, write_json
from residua._version import __version__
from residua.engines import Engine
from residua.engines.kinds import REFERENCE, parse_engine
from residua.errors import BundleError, InputError, LabelError, OutputError
from residua.images import Grouping, ImageSet, load_images
from residua.images.listing import PARTS
from residua.images.reading import Reading
from residua.records import Assumption, Job, OperatingPoint
from residua.runs.check import check_images
from residua.runs.model import JudgedModel
from residua.runs.origin import Origin, mark_of_here
from residua.runs.progress import Watcher
from residua.runs.run_folder import ModelMark, Run
from residua.runs.wrap import WrappedModel, labels_aside
from residua.runs.wrapped.contract import Contract
from residua.runs.wrapped.origins import look_at
from residua.runs.wrapped.storing import (
    KERAS,
    ONNX,
    STATE,
    check_files,
    check_storable,
    load_keras,
    staged,
    store,
)


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
    calibration_groups: tuple[int, ...] | None = None
    reading: Reading = Reading()
    grouping: Grouping | None = None
    test_fingerprint: str | None = None

    @property
    def job(self) -> Job:
        """What the model is judged as: targets make a reconstructor of it, classes a classifier."""
        return _job(self.targets, self.normal, self.classes)

    def origin(self) -> Origin:
        """Where its images come from."""
        return Origin(
            source=self.source,
            seed=self.seed,
            normal=self.normal,
            reading=self.reading,
            groups=self.grouping,
            working_folder=self.working_folder,
            made_here=self.made_here,
            targets=self.targets,
            test_fingerprint=self.test_fingerprint,
        )


def save_wrapped(
    model: WrappedModel,
    run: str | Path,
    *,
    source: str,
    normal: Any = None,
    policy: str | None = None,
    groups: str | None = None,
    seed: int = 0,
) -> Path:
    """Write `model` as a RUN judged on `source`, its threshold chosen by `policy` on the source's
    calibration part. `groups` say which images belong together, as in `load_images`.

    A model that gives probabilities, on a source without a normal label, is a classifier: its
    columns are the source's classes in sorted order.

    Raises InputError if the model is code, which is not stored. Raises OutputError if the folder
    holds something else already.
    """
    run = Path(run)
    check_storable(model)
    if not isinstance(model.targets, str | Path | None):
        raise InputError(
            "save: targets must be a SOURCE to be kept in a RUN. Got"
            f" {type(model.targets).__name__}. Write them to a folder or an .npy file, and wrap the"
            " model with its path as targets."
        )
    if run.exists() and any(run.iterdir()) and not (run / STATE).is_file():
        raise OutputError(
            f"{run}: must be a new folder, an empty one or a wrapped run. It holds other files."
            " Name another."
        )
    images = load_images(source, normal=normal, groups=groups, seed=seed)
    classes = _classes_of(model, images)
    job = _job(model.targets, images.normal, classes)
    with staged(run) as fresh:
        name, files = store(model, fresh)
        point = model.operating_point_
        if point is None and images.normal is not None and len(images.calibration):
            point = model.choose_threshold(policy, images.calibration)
        folder = WrappedRun(fresh)
        folder.write_images({part: images[np.flatnonzero(images.splits == part)] for part in PARTS})
        check_images(folder, images, job, Watcher(), network_size=model.contract.size)
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
                assumptions=(*model.assumptions, *labels_aside(images, job)),
                seed=seed,
                operating_point=point,
                calibration_scores=tuple(model.calibration_scores_.tolist()),
                calibration_is_anomalous=tuple(model.calibration_is_anomalous_.tolist()),
                calibration_images=model.calibration_images_,
                calibration_pixels=model.calibration_pixels_,
                calibration_groups=(
                    None
                    if model.calibration_groups_ is None
                    else tuple(model.calibration_groups_.tolist())
                ),
                reading=images.reading,
                grouping=images.grouping,
                test_fingerprint=images.test.fingerprint,
            ),
        )
    return run


def open_wrapped(run: str | Path) -> tuple[WrappedModel, WrappedState]:
    """The model of a wrapped run with its threshold; nothing in its files is executed.

    Raises BundleError if a file is missing, damaged, or not what was saved. Raises
    MissingExtraError if the framework that the model needs is not installed.
    """
    run = Path(run)
    state = read_wrapped(run)
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
    if state.calibration_groups is not None:
        wrapped.calibration_groups_ = np.array(state.calibration_groups, np.int64)
    return wrapped, state


class WrappedRun(Run):
    """A run whose model somebody else trained."""

    @property
    def is_random(self) -> bool:
        """Whether the model gives something else each time it is asked."""
        return read_wrapped(self.path).random

    def origin(self) -> Origin:
        """Where the images of the run come from."""
        return read_wrapped(self.path).origin()

    def model(self, engine: str = REFERENCE, watcher: Watcher | None = None) -> JudgedModel:
        """The model, which scores by itself."""
        del watcher
        if not parse_engine(engine).is_reference:
            raise InputError(
                f"{self.path}: a wrapped model scores by itself. Got --engine {engine}. Leave it"
                " out."
            )
        model, state = open_wrapped(self.path)
        return model.as_judged(
            job=state.job,
            normal=state.normal,
            classes=state.classes,
            reading=state.reading,
            seed=state.seed,
        )

    def scorer(self) -> Engine:
        """The model itself."""
        return open_wrapped(self.path)[0]

    def model_files(self) -> list[Path]:
        """Its state, its file, and the weights beside it."""
        state = read_wrapped(self.path)
        return [self.path / name for name in (STATE, state.file, *state.weights)]

    def identity(self) -> str:
        """The checksum of the file, and the threshold."""
        state = read_wrapped(self.path)
        point = state.operating_point
        return f"{state.sha256}:{None if point is None else point.threshold}"

    def mark(self, engine: str = REFERENCE) -> ModelMark:
        """Its operating point, and the checksum of the file."""
        del engine
        state = read_wrapped(self.path)
        return ModelMark(state.operating_point, state.sha256)

    def store(self, point: OperatingPoint) -> None:
        """Give the run another operating point."""
        state = read_wrapped(self.path)
        _write(self.path, state.model_copy(update={"operating_point": point}))

    def summary(self) -> dict[str, Any]:
        """`wrapped.json`, without the calibration scores."""
        state = open_wrapped(self.path)[1]
        few = {
            "calibration_scores",
            "calibration_is_anomalous",
            "calibration_pixels",
            "calibration_groups",
        }
        return {"run": str(self.path), **state.model_dump(mode="json", exclude=few)}


def _job(targets: Any, normal: Any, classes: Any) -> Job:
    if targets is not None or (normal is None and classes is None):
        return "reconstruct"
    return "detect" if classes is None else "classify"


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


def read_wrapped(run: Path) -> WrappedState:
    """`wrapped.json`, checked."""
    path = run / STATE
    if not path.exists():
        raise BundleError(
            f"{run}: must hold {STATE}. It does not. Name a folder that a wrapped model was"
            " saved to."
        )
    state = read_record(path, WrappedState, "save", "Save the wrapped model again.")
    if Path(state.file).name != state.file or state.file not in (ONNX, KERAS):
        raise BundleError(
            f"{path}: the model must lie in the run. Got {state.file!r}. Save the wrapped model"
            " again."
        )
    return state


def _write(run: Path, state: WrappedState) -> None:
    write_json(run / STATE, state.model_dump(mode="json"))
