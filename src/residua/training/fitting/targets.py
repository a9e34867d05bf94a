"""Labels as people have them (names, numbers, one-hot rows, several at once, missing ones) made
into a classifier's targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import LabelError, ShapeError
from residua.images import ImageSet
from residua.images.arrays import as_labels
from residua.metrics._classes import in_order

Class = int | str

_WHERE = "fit"  # the estimator and the command
_MOST_CLASSES = 10_000


@dataclass(frozen=True)
class Targets:
    """What a classifier learns.

    ``classes`` are in the order of the probabilities' columns. ``values`` are int64 (n_images,),
    places in `classes`, -1 without a label; or, with ``multilabel``, 0 and 1 as float32 (n_images,
    n_classes), NaN without one. ``notes`` say how labels were read that can be read in two ways.
    """

    classes: tuple[Class, ...]
    values: NDArray[Any]
    multilabel: bool = False
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which images have a label."""
        return np.asarray(
            ~np.isnan(self.values).any(axis=1) if self.multilabel else self.values >= 0, np.bool_
        )

    def take(self, rows: NDArray[Any]) -> Targets:
        """The targets of some images."""
        return Targets(self.classes, self.values[rows], self.multilabel, self.notes)

    def counts(self) -> NDArray[np.int64]:
        """Labelled images of each class, int64 (n_classes,)."""
        known = self.values[self.labelled]
        if self.multilabel:
            return known.sum(axis=0).astype(np.int64)
        return np.bincount(known, minlength=len(self.classes)).astype(np.int64)


@dataclass(frozen=True)
class LabelledSet:
    """Images with their targets, a row an image."""

    images: ImageSet
    targets: Targets

    def take(self, rows: NDArray[Any]) -> LabelledSet:
        """Some of them."""
        return LabelledSet(self.images[rows], self.targets.take(rows))


def images_of(part: ImageSet | LabelledSet | None) -> Any:
    """The images alone."""
    return part.images if isinstance(part, LabelledSet) else part


def labelled_set(part: ImageSet | LabelledSet, multilabel: bool | None) -> LabelledSet:
    """Images with their labels as targets."""
    if isinstance(part, LabelledSet):
        return part
    return LabelledSet(part, read_targets(part.labels, len(part), multilabel=multilabel))


def calibration_set(
    part: ImageSet | LabelledSet, targets: Targets, labels: Any = None
) -> LabelledSet:
    """Calibration images with targets among the training classes, else a `LabelError`."""
    if isinstance(part, LabelledSet):
        return part
    labels = part.labels if labels is None else labels
    if targets.multilabel:
        matrix = np.asarray(labels, np.float32)
        if matrix.shape != (len(part), len(targets.classes)):
            raise ShapeError(
                f"fit: calibration labels must have shape {(len(part), len(targets.classes))}."
                f" Got {matrix.shape}. Pass the same labels as for training."
            )
        return LabelledSet(part, Targets(targets.classes, matrix, multilabel=True))
    known = [None] * len(part) if labels is None else labels
    return LabelledSet(
        part,
        Targets(
            targets.classes,
            index_targets(known, targets.classes, where="fit: calibration", n_images=len(part)),
        ),
    )


def class_array(classes: tuple[Class, ...]) -> NDArray[Any]:
    """Class names as an array: int64, or strings as objects."""
    return np.array(classes, np.int64 if all(isinstance(name, int) for name in classes) else object)


def read_targets(labels: Any, n_images: int, *, multilabel: bool | None = None) -> Targets:
    """Labels of `n_images` images as targets.

    Raises LabelError or ShapeError if there are labels for another number of images, none at all, a
    single class, or values that name no class.

    - `labels`: sequence, (n_images,), or 0/1 matrix, (n_images, n_classes). Integers, strings,
      booleans; None, NaN and empty strings are "no label". Rows of a matrix with exactly one 1 each
      are one-hot and mean classes; any other 0/1 matrix is multi-label. A row of NaN is "no label".
    - `multilabel`: What a matrix is, where it could be either.

    >>> read = read_targets(["cat", "dog", None, "dog"], 4)
    >>> read.classes, read.values.tolist()
    (('cat', 'dog'), [0, 1, -1, 1])
    >>> read_targets([[0, 1, 0], [1, 0, 0]], 2).values.tolist()
    [1, 0]
    >>> read_targets([[0, 1, 1], [1, 0, 0]], 2).multilabel
    True
    """
    problems = Problems(_WHERE)
    matrix = _as_matrix(labels, n_images, problems)
    problems.raise_any()
    if matrix is not None:
        return _of_matrix(matrix, multilabel)
    if multilabel:
        raise ShapeError(
            f"{_WHERE}: multi-label labels must be a 0/1 matrix, (n_images, n_labels). Got one"
            " label per image. Pass one column per label."
        )
    column = as_labels(labels, n_images, name="labels", problems=problems)
    problems.raise_any()
    assert column is not None
    values = [
        None if value is None or (isinstance(value, str) and not value.strip()) else value
        for value in column.tolist()
    ]
    return _of_column(values)


def index_targets(
    labels: Any, classes: Sequence[Class], *, where: str, n_images: int | None = None
) -> NDArray[np.int64]:
    """Places of `labels` in `classes`, -1 without a label; `LabelError` where one is not there.

    >>> index_targets(["b", None, "a"], ("a", "b"), where="score").tolist()
    [1, -1, 0]
    """
    problems = Problems(where)
    n = len(labels) if n_images is None else n_images
    column = as_labels(labels, n, name="labels", problems=problems)
    problems.raise_any()
    assert column is not None
    place = {str(name): index for index, name in enumerate(classes)}
    values = [None if value is None or value == "" else str(value) for value in column.tolist()]
    unknown = sorted({value for value in values if value is not None and value not in place})
    if unknown:
        raise LabelError(
            f"{where}: every label must be a class that the model knows. Got {_shown(unknown)}, "
            f"where it knows {_shown(list(place))}. "
            "Judge on images of those classes, or train with the others too."
        )
    return np.array([-1 if value is None else place[value] for value in values], np.int64)


def _as_matrix(labels: Any, n_images: int, problems: Problems) -> NDArray[np.float64] | None:
    """Labels of two axes with several columns as floats; None where there is one label an image."""
    if labels is None:
        return problems.instead(
            None,
            "labels must be given to train a classifier",
            "None",
            "Pass y, or images with labels",
            LabelError,
        )
    array = labels
    if isinstance(labels, np.ma.MaskedArray) and labels.ndim == 2:
        array = np.ma.filled(labels.astype(np.float64), np.nan)
    if np.ndim(array) != 2 or np.shape(array)[1] == 1:
        return None
    try:
        matrix = np.asarray(array, np.float64)
    except (ValueError, TypeError):
        return problems.instead(
            None,
            "a label matrix must hold 0 and 1",
            "values that are no numbers",
            "Pass one label per image",
            LabelError,
        )
    if len(matrix) != n_images:
        problems.add(
            "labels must have one row per image",
            f"{len(matrix)} for {n_images} images",
            "Pass one per image",
            ShapeError,
        )
    elif not np.isin(matrix[~np.isnan(matrix)], (0, 1)).all():
        wrong = matrix[~np.isnan(matrix) & ~np.isin(matrix, (0, 1))][0]
        problems.add(
            "a label matrix must hold 0 and 1",
            f"values such as {wrong:g}",
            "Pass class numbers, or 0/1",
            LabelError,
        )
    return matrix


def _of_matrix(matrix: NDArray[np.float64], multilabel: bool | None) -> Targets:
    missing = np.isnan(matrix)
    half = missing.any(axis=1) & ~missing.all(axis=1)
    if half.any():
        raise LabelError(
            f"{_WHERE}: a row of labels must be known in full or not at all. Got {int(half.sum())}"
            " rows with some labels missing. Fill them in, or make the row NaN."
        )
    known = matrix[~missing.any(axis=1)]
    one_hot = bool(len(known)) and bool((known.sum(axis=1) == 1).all())
    if multilabel is None:
        multilabel = not one_hot
    classes = tuple(range(matrix.shape[1]))
    if not multilabel:
        if not one_hot:
            raise LabelError(
                f"{_WHERE}: one-hot labels must have exactly one 1 a row. Got"
                f" {int((known.sum(axis=1) != 1).sum())} rows with another number of ones. Leave"
                " multilabel out, or mend the rows."
            )
        values = np.where(missing.any(axis=1), -1, np.nan_to_num(matrix).argmax(axis=1)).astype(
            np.int64
        )
        note = (
            "labels are one-hot rows, read as classes by their column; multilabel=True reads them"
            " as labels that may coincide"
        )
        return _checked(Targets(classes, values, notes=(note,)))
    return _checked(Targets(classes, matrix.astype(np.float32), multilabel=True))


def _of_column(values: list[Any]) -> Targets:
    known = {value for value in values if value is not None}
    if any(isinstance(value, str) for value in known):
        known, values = (
            {str(value) for value in known},
            [None if value is None else str(value) for value in values],
        )
    classes = tuple(in_order(known))
    place = {name: index for index, name in enumerate(classes)}
    return _checked(
        Targets(
            classes, np.array([-1 if value is None else place[value] for value in values], np.int64)
        )
    )


def _checked(targets: Targets) -> Targets:
    n_known = int(targets.labelled.sum())
    if n_known == 0:
        raise LabelError(
            f"{_WHERE}: some images must have a label. Got none that has one. Pass labels, or train"
            " an Autoencoder."
        )
    problems = Problems(_WHERE)
    present = [name for name, count in zip(targets.classes, targets.counts(), strict=True) if count]
    if not targets.multilabel and len(present) < 2:
        problems.add(
            "labels must hold at least two classes",
            f"{n_known} images of class {present[0]!r} alone",
            "Add images of another class; to learn what is normal from normal images alone, use"
            " OneClassDetector",
            LabelError,
        )
    if len(targets.classes) > _MOST_CLASSES:
        problems.add(
            f"there must be at most {_MOST_CLASSES:,} classes",
            f"{len(targets.classes):,} different labels for {n_known:,} images",
            "Check that the labels name classes",
            LabelError,
        )
    problems.raise_any()
    return targets


def _shown(names: list[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
