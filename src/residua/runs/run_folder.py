"""A RUN: the folder that `fit` writes and every other command reads."""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._files import (
    atomic_write,
    ensure_folder,
    in_a_line,
    one_writer,
    read_arrays,
    read_json,
    read_lines,
)
from residua.engines.kinds import REFERENCE
from residua.errors import BundleError
from residua.images import ImageSet
from residua.images.columns import TextColumn, shared
from residua.runs.origin import Origin

if TYPE_CHECKING:
    from residua.engines import Engine
    from residua.records import OperatingPoint
    from residua.runs.model import JudgedModel
    from residua.runs.progress import Watcher

_COLUMNS = ("path", "label", "part", "sha256", "pixels")
_ROWS_AT_ONCE = 4096
_FEW = frozenset({"label", "part"})


def image_rows(parts: Mapping[str, ImageSet]) -> Iterator[tuple[Any, ...]]:
    """Each image of each part as a row of `images.csv`."""
    for part, images in parts.items():
        # A few at a time: as texts the hashes take six times the memory.
        for start in range(0, len(images), _ROWS_AT_ONCE):
            some = images[start : start + _ROWS_AT_ONCE]
            labels = some.labels if some.labels is not None else [None] * len(some)
            for path, label, sha256, pixels in zip(
                some.paths, labels, some.byte_hashes, some.pixel_hashes, strict=True
            ):
                yield path, "" if label is None else label, part, sha256, pixels


def image_columns(
    rows: Iterable[tuple[Any, ...]], names: Sequence[str] = _COLUMNS
) -> dict[str, NDArray[Any]]:
    """Columns by name: paths and hashes as `texts`, labels and parts as objects."""
    columns = {name: TextColumn() for name in names}
    for row in rows:
        for column, value in zip(columns.values(), row, strict=True):
            column.append(str(value))
    return {
        name: shared(column.array()) if name in _FEW else column.array()
        for name, column in columns.items()
    }


def _whole(row: Mapping[str, str | None], names: Sequence[str]) -> tuple[str, ...]:
    """The cells of a row of `images.csv`; a row that was cut off is refused."""
    if None in row.values():
        raise ValueError("a row that is cut off")
    return tuple(str(row[name]) for name in names)


class _Place:
    """The path of one file or folder of a run."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunFolder, kind: type[RunFolder]) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run: paths inside it, its records of images and training, and its lock."""

    path: Path

    bundle = _Place("bundle")
    """The saved model."""
    export = _Place("export")
    """The exported models, each with its card."""
    checkpoint = _Place("training.ckpt")
    """The state of training; gone when it is finished."""
    evaluation = _Place("evaluation.json")
    """The last evaluation, as `--json` writes it."""
    evidence = _Place("evidence.npz")
    """The arrays behind the evaluation."""
    report = _Place("report.html")
    """The last report."""
    images = _Place("images.csv")
    """Which image was in which part, with the hashes of its bytes and of its pixels."""
    check = _Place("check.json")
    """What `residua check` says of the images, from before training."""
    training = _Place("training.npz")
    """History and training scores, for reports."""

    def weights_sha256(self) -> str:
        """The hash of the model's weights, as its bundle has it."""
        return str(read_json(self.bundle / "bundle.json")["files"]["model.safetensors"]["sha256"])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second writer out for as long as this one works."""
        ensure_folder(self.path, where="RUN")
        refusal = (
            f"{self.path}: only one process may write a run. Another one does now. Wait for it, or"
            " stop it."
        )
        with one_writer(self.path / ".lock", refusal):
            yield

    def write_images(self, parts: Mapping[str, ImageSet]) -> None:
        """Record which image was in which part, with their fingerprints."""
        self.write_rows(image_rows(parts))

    def write_rows(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Write `images.csv`; see `image_rows`."""
        with atomic_write(self.images, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(rows)

    def read_images(self, *names: str) -> dict[str, NDArray[Any]]:
        """The columns of `images.csv` by name, or some of them; see `image_columns`."""
        wanted = names or _COLUMNS
        try:
            rows = csv.DictReader(read_lines(self.images))
            if set(rows.fieldnames or ()) != set(_COLUMNS):
                got = ", ".join(map(str, rows.fieldnames or ()))[:200] or "none"
                raise BundleError(
                    f"{self.images}: the columns must be {', '.join(_COLUMNS)}. Got {got}. Train"
                    " again."
                )
            values = (_whole(row, wanted) for row in rows)
            return image_columns(values, wanted)
        except (OSError, ValueError, csv.Error) as error:
            if isinstance(error, BundleError):
                raise
            raise BundleError(
                f"{self.images}: must be readable. Got: {in_a_line(error)}. Train again."
            ) from error

    def write_training(self, columns: dict[str, NDArray[Any]]) -> None:
        """Write the history and the scores of training images."""
        with atomic_write(self.training) as file:
            np.savez_compressed(file, **columns)  # type: ignore[arg-type]

    def read_training(self) -> dict[str, NDArray[Any]]:
        """What `write_training` wrote; empty where there is nothing."""
        if not self.training.exists():
            return {}
        return read_arrays(self.training)


@dataclass(frozen=True)
class ModelMark:
    """What tells a model and its threshold from others: its point and its weights' SHA-256."""

    operating_point: OperatingPoint | None
    weights: str


class Run(RunFolder, ABC):
    """A run, whoever trained its model: what commands ask of it. `open_run` finds its kind."""

    @property
    def is_random(self) -> bool:
        """Whether the model gives something else each time it is asked."""
        return False

    @abstractmethod
    def origin(self) -> Origin:
        """Where the images of the finished run come from."""

    @abstractmethod
    def model(self, engine: str = REFERENCE, watcher: Watcher | None = None) -> JudgedModel:
        """The finished model, scored by `engine`, which is exported and verified if need be."""

    @abstractmethod
    def scorer(self) -> Engine:
        """What scores images, from the files of the model alone."""

    @abstractmethod
    def model_files(self) -> list[Path]:
        """The files that the model needs to score."""

    @abstractmethod
    def identity(self) -> str:
        """A checksum that changes with the model and its threshold."""

    @abstractmethod
    def mark(self, engine: str = REFERENCE) -> ModelMark:
        """The operating point that `engine` decides with, and which model it is, read from the
        files of the run without loading the model.

        Raises BundleError where the run is not finished or damaged, or the engine is not there or
        out of date.
        """

    @abstractmethod
    def store(self, point: OperatingPoint) -> None:
        """Give the run another operating point; the caller holds the run's lock."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """What `residua info --json` says of the run."""
