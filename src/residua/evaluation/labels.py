"""Labels as people have them (0 and 1, booleans, class names, empty cells) made into "anomalous"
and "labelled".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, is_tensor
from residua._labels import MISSING
from residua.errors import ShapeError
from residua.evaluation.evidence import MASK_PIXELS, Evidence
from residua.evaluation.normal import read_names
from residua.records import Assumption


@dataclass(frozen=True)
class DetectionLabels:
    """Which images are anomalous, and which are labelled at all; ``is_anomalous`` means nothing
    where ``labelled`` is False.

    ``assumption`` says how the normal label was found where nobody named it, ``doubt`` (see
    `residua.evaluation.normal.NormalReading`) why the two kinds may be exchanged. ``kinds`` names
    what each image shows where several kinds are anomalous, and ``areas`` are the defective pixels
    of each mask, NaN where there is none.
    """

    is_anomalous: NDArray[np.bool_]
    labelled: NDArray[np.bool_]
    assumption: Assumption | None = None
    doubt: str | None = None
    kinds: NDArray[Any] | None = None
    areas: NDArray[np.float64] | None = None


def as_detection_labels(
    labels: Any,
    n_images: int,
    *,
    normal: str | Iterable[str] | None,
    problems: Problems,
    column: str | None = None,
) -> DetectionLabels:
    """Read labels of a detector's images.

    - `labels`: array, (n_images,), or None. Booleans or 0/1 (1 = anomalous), 0/255 as in masks, or
      class names of which `normal` names the normal ones; without `normal`, names that say it
      (``good``, ``OK``, ``pass``). None, an empty string, NaN and masked entries are "no label".
      `DetectionLabels` come back as they are.
    - `n_images`: For `labels` None: nothing is labelled.
    - `normal`: str or strings, optional. Matched against ``str(label)``; names that differ by case
      or blanks alone count as one.
    - `column`: What the labels stood under in their file: below ``is_good`` 1 is normal.

    >>> read = as_detection_labels(
    ...     ["good", "crack", None], 3, normal=None, problems=Problems("example")
    ... )
    >>> read.is_anomalous.tolist(), read.labelled.tolist()
    ([False, True, False], [True, True, False])
    """
    if isinstance(labels, DetectionLabels):
        return labels
    nothing = DetectionLabels(np.zeros(n_images, np.bool_), np.zeros(n_images, np.bool_))
    if labels is None:
        return nothing
    array = without_missing(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        return problems.instead(
            nothing,
            "labels must have shape (n_images,)",
            f"shape {array.shape}",
            "Pass one label per image",
            ShapeError,
        )
    labelled = np.ones(len(array), np.bool_)
    if array.dtype == object:
        labelled = np.array([value is not None for value in array.tolist()], np.bool_)
        array = np.array(
            [label_name(value) if value is not None else "" for value in array.tolist()],
            dtype=object,
        )
    present, place = np.unique(array[labelled], return_inverse=True)
    names = [label_name(value) for value in present.tolist()]
    counts = dict(zip(names, np.bincount(place, minlength=len(names)).tolist(), strict=True))
    reading = read_names(counts, _told_names(normal), problems, column=column)
    anomalous = np.zeros(len(array), np.bool_)
    anomalous[labelled] = np.array([name in reading.anomalous for name in names], np.bool_)[place]
    return DetectionLabels(
        anomalous,
        labelled,
        reading.assumption,
        reading.doubt,
        None if problems else kinds_of(array, anomalous & labelled),
    )


def kinds_of(labels: Any, anomalous: NDArray[np.bool_]) -> NDArray[Any] | None:
    """The names of all labels, where those of the `anomalous` images are of several kinds.

    >>> kinds_of(["good", "crack", "dent"], np.array([False, True, True])).tolist()
    ['good', 'crack', 'dent']
    >>> kinds_of(["good", "crack", "crack"], np.array([False, True, True])) is None
    True
    """
    if labels is None:
        return None
    values = np.asarray(labels, dtype=object).reshape(-1).tolist()
    names = np.array(["" if one is None else label_name(one) for one in values], dtype=object)
    return names if len(set(names[anomalous].tolist())) > 1 else None


def labels_behind(evidence: Evidence, doubt: str | None = None) -> DetectionLabels:
    """What the arrays of an evaluation say of its images; nothing is labelled without them."""
    nothing = np.zeros(len(evidence.paths), np.bool_)
    labelled = nothing if evidence.labelled is None else evidence.labelled
    flags = nothing if evidence.is_anomalous is None else evidence.is_anomalous
    return DetectionLabels(
        flags,
        labelled,
        doubt=doubt,
        kinds=kinds_of(evidence.labels, flags & labelled),
        areas=evidence.per_image.get(MASK_PIXELS),
    )


def without_missing(labels: Any) -> NDArray[Any]:
    """Labels as an array; one of objects with None where a label is missing, if any is."""
    labels = array_of(labels) if is_tensor(labels) else labels
    masked = np.ma.getmaskarray(labels) if isinstance(labels, np.ma.MaskedArray) else None
    array = (
        np.ma.getdata(labels)
        if masked is not None
        else np.asarray(labels, dtype=_object_if_missing(labels))
    )
    missing = np.zeros(array.shape, np.bool_) if masked is None else masked
    if array.dtype.kind == "f":
        missing = missing | np.isnan(array)
    elif array.dtype.kind == "U":
        missing = missing | np.isin(np.char.lower(np.char.strip(array)), sorted(MISSING))
    elif array.dtype.kind == "O":
        blank = [
            value is None
            or _is_nan(value)
            or (isinstance(value, str) and value.strip().lower() in MISSING)
            for value in array.ravel().tolist()
        ]
        missing = missing | np.array(blank, np.bool_).reshape(array.shape)
    if missing.any():
        array = array.astype(object)
        array[missing] = None
    return array


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _object_if_missing(labels: Any) -> Any:
    return (
        object
        if isinstance(labels, list | tuple) and any(value is None for value in labels)
        else None
    )


def label_name(value: Any) -> str:
    """A label as text: 1, 1.0 and "1" are one label, and booleans are 0 and 1.

    >>> label_name(1.0), label_name(True), label_name("good")
    ('1', '1', 'good')
    """
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _told_names(normal: Any) -> tuple[str, ...] | None:
    if normal is None:
        return None
    names = (
        normal.split(",")
        if isinstance(normal, str)
        else normal
        if isinstance(normal, Iterable)
        else [normal]
    )
    return tuple(label_name(name).strip() for name in names)
