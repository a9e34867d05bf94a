"""A run in memory: what an estimator knows of its training, and writes beside its bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from residua.errors import OutputError
from residua.images import ImageSet
from residua.runs.bundle_model import model_of_bundle
from residua.runs.engines import provenance_of
from residua.runs.model import JudgedModel
from residua.runs.run_folder import image_columns, image_rows
from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import Bundle, save_bundle
from residua.training.fitting.options import FitOptions
from residua.training.fitting.session import Fitted


@dataclass(frozen=True)
class RunRecord:
    """What a run holds beside its bundle: its state, which image was in which part (the columns of
    `images.csv`), and the history of training.
    """

    state: RunState
    images: Mapping[str, NDArray[Any]] = field(default_factory=lambda: image_columns(()))
    training: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def of_fit(cls, options: FitOptions, fitted: Fitted, left_out: ImageSet) -> RunRecord:
        """The record of a fit in Python, whose images have no source that a command could read."""
        parts = {"train" if name == "fitted" else name: one for name, one in fitted.parts.items()}
        state = RunState(
            options=options,
            plan=asdict(fitted.trained.plan),
            finished=True,
            notes=fitted.notes,
            reading=fitted.bundle.config.reading,
            assumptions=left_out.assumptions,
        )
        rows = image_rows({**parts, "left out": left_out})
        return cls(state, image_columns(rows), training_columns(fitted))

    @classmethod
    def read(cls, folder: TrainedRun) -> RunRecord:
        """The record of a finished run."""
        return cls(folder.read_finished(), folder.read_images(), folder.read_training())

    def write(self, bundle: Bundle, path: str | Path) -> Path:
        """Write a RUN that every command takes. An earlier one that was written from Python is
        replaced, together with what was made of it.

        Raises OutputError if the folder holds anything else.
        """
        folder = TrainedRun(Path(path))
        _check_place(folder)
        with folder.locked():
            for made in (folder.evaluation, folder.evidence, folder.report):
                made.unlink(missing_ok=True)
            save_bundle(bundle, folder.bundle)
            folder.write_rows(zip(*self.images.values(), strict=True))
            folder.write_training(dict(self.training))
            folder.write_state(self.state)
        return folder.path

    def model(self, bundle: Bundle, command: str) -> JudgedModel:
        """The model as judging sees it."""
        parts = self.images["part"]
        return model_of_bundle(
            bundle,
            provenance=provenance_of(self.state, bundle, parts, command),
            training=self.training,
            calibration_hashes=self.images["pixels"][parts == "calibration"],
        )


def training_columns(fitted: Fitted) -> dict[str, NDArray[Any]]:
    """The history, and the scores and errors of some training images."""
    columns = {f"history/{name}": column for name, column in fitted.trained.history.items()}
    if (sample := fitted.train_sample) is not None:
        columns |= {"train_scores": sample.score, "train_mse": sample.columns["mse"]}
    return columns


def _check_place(folder: TrainedRun) -> None:
    if not folder.path.is_dir() or not any(folder.path.iterdir()):
        return
    if not folder.exists() or folder.read_state().options.source:
        held = "a run that `residua fit` wrote" if folder.exists() else "other files"
        raise OutputError(
            f"{folder.path}: the folder of a run must be new, empty, or one that `save` wrote. It"
            f" holds {held}. Name another."
        )
