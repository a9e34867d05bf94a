"""The one input boundary.

Images, labels and scores from outside become canonical arrays here, or are refused.

Every check collects all problems of a call in a `Problems` and raises them together, each as
*Where: what must hold. Got what. How to mend.*
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from residua._text import few
from residua.errors import InputError, LabelError, RangeError, ShapeError

_Value = TypeVar("_Value")
_UNMASK = "Leave out those images, or fill what is masked: array.filled(VALUE)"


class Problems:
    """Collects what is wrong with one call, so that a user sees all of it at once.

    >>> problems = Problems("roc_auc")
    >>> problems.add("labels must hold one value per score", "3 of 2", "Pass all", ShapeError)
    >>> problems.raise_any()
    Traceback (most recent call last):
    ...
    residua.errors.ShapeError: roc_auc: labels must hold one value per score. Got 3 of 2. Pass all.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._found: list[InputError] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, must: str, got: str, mend: str, kind: type[InputError] = InputError) -> None:
        """Note one problem; nothing is raised yet."""
        self._found.append(kind(f"{self.where}: {must}. Got {got}. {mend}."))

    def instead(
        self, value: _Value, must: str, got: str, mend: str, kind: type[InputError] = InputError
    ) -> _Value:
        """Note one problem, and give `value`, which stands for what could not be made."""
        self.add(must, got, mend, kind)
        return value

    def within(self, name: str, value: float, interval: str, mend: str) -> None:
        """Note a number outside an interval, which is written as ``(0, 1]`` or ``[1, inf)``.

        >>> problems = Problems("plan")
        >>> problems.within("power", 1.0, "[0, 1)", "Pass 0.8")
        >>> bool(problems)
        True
        """
        low, high = interval[1:-1].split(", ")
        excluded = [low] * (interval[0] == "(") + [high] * (interval[-1] == ")" and high != "inf")
        if float(low) <= value <= float(high) and value not in map(float, excluded):
            return
        but = ("", f", {''.join(excluded)} excluded", ", both excluded")[len(excluded)]
        must = f"be at least {low}" if high == "inf" else f"lie between {low} and {high}{but}"
        self.add(f"{name} must {must}", f"{value}", mend, RangeError)

    def raise_any(self) -> None:
        """Raise what was noted: the class of all problems, or `InputError` if there are several."""
        if not self._found:
            return
        kinds = {type(one) for one in self._found}
        kind = kinds.pop() if len(kinds) == 1 else InputError
        raise kind("\n".join(map(str, self._found)))


def check_within(where: str, name: str, value: float, interval: str, mend: str) -> None:
    """Refuse a number outside an interval, which is written as ``(0, 1]`` or ``[1, inf)``."""
    problems = Problems(where)
    problems.within(name, value, interval, mend)
    problems.raise_any()


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of torch, which NumPy reads only off the graph and off a GPU."""
    return hasattr(value, "detach") and hasattr(value, "numpy")


def array_of(value: Any) -> NDArray[Any]:
    """Anything that is or becomes an array; tensors whatever device, graph or type they have.

    bfloat16 and float16 of torch and bfloat16 of others become float32, which holds them all.
    Raises RangeError if entries are masked: NumPy's plain arrays would bring back what lies below.

    >>> array_of([0.5, 1])
    array([0.5, 1. ])
    """
    if n_masked := _n_masked(value):
        raise RangeError(
            f"an array: must have no masked entries. Got {n_masked} masked of {value.size}."
            f" {_UNMASK}."
        )
    if is_tensor(value):
        value = value.detach().cpu()
        if value.is_floating_point() and value.element_size() < 4:
            value = value.float()
        return np.asarray(value.numpy())
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def as_images(images: Any, *, name: str = "images", problems: Problems) -> NDArray[np.float32]:
    """Images as float32 (n_images, height, width, channels) in [0, 1].

    uint8 is divided by 255, uint16 by 65535, booleans become 0 and 1, floats must already lie in
    [0, 1]; (n, height, width) gains a channel axis. On a problem an empty array comes back and
    `problems` has grown.
    """
    empty = np.zeros((0, 1, 1, 1), np.float32)
    try:
        array = array_of(unmasked(images, name, problems))
    except (ValueError, TypeError) as error:
        return problems.instead(
            empty,
            f"{name} must form one array",
            f"images that do not stack ({error})",
            "Resize them to one size",
            ShapeError,
        )
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or 0 in array.shape[1:]:
        return problems.instead(
            empty,
            f"{name} must have shape (n_images, height, width) or (n_images, height, width,"
            " channels)",
            f"shape {np.shape(images)}",
            "Add or move axes so that the images come first and the channels last",
            ShapeError,
        )
    white = {"uint8": 255, "uint16": 65535, "bool": 1}.get(array.dtype.name)
    if white is not None:
        return array.astype(np.float32) / np.float32(white)
    if not np.issubdtype(array.dtype, np.floating):
        return problems.instead(
            empty,
            f"{name} must be uint8, uint16, bool or float in [0, 1]",
            f"dtype {array.dtype}",
            "Convert them; only you know the largest possible value",
            RangeError,
        )
    return _unit_range(array, name, problems)


def _unit_range(array: NDArray[Any], name: str, problems: Problems) -> NDArray[np.float32]:
    if array.size == 0:
        return array.astype(np.float32)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite(low) or not np.isfinite(high):
        return problems.instead(
            np.zeros((0, *array.shape[1:]), np.float32),
            f"{name} must be finite",
            f"{int(np.count_nonzero(~np.isfinite(array)))} NaN or infinite values",
            "Correct or leave out those images",
            RangeError,
        )
    if low < 0 or high > 1:
        return problems.instead(
            np.zeros((0, *array.shape[1:]), np.float32),
            f"float {name} must lie in [0, 1]",
            f"values in [{low:.9g}, {high:.9g}]",
            _mend_scale(low, high, name),
            RangeError,
        )
    return array.astype(np.float32, copy=False)


def _mend_scale(low: float, high: float, name: str) -> str:
    if -1 <= low < -0.5 and high <= 1:
        return f"Pass ({name} + 1) / 2 if their scale is -1 to 1, else clip or rescale them"
    return "Divide by 255" if 16 < high <= 255 and low >= 0 else "Clip or rescale them"


def _n_masked(array: Any) -> int:
    masked = isinstance(array, np.ma.MaskedArray)
    return int(np.count_nonzero(np.ma.getmaskarray(array))) if masked else 0


def unmasked(array: Any, name: str, problems: Problems) -> Any:
    """`array` as it is, and a problem noted where entries of a masked array are masked."""
    if n_masked := _n_masked(array):
        got = f"{n_masked} masked of {array.size}"
        problems.add(f"{name} must have no masked entries", got, _UNMASK, RangeError)
        return array.data
    return array


def as_scores(scores: Any, *, name: str = "scores", problems: Problems) -> NDArray[Any]:
    """Scores as a 1-d float array, float32 kept, all else float64; NaN and inf are refused."""
    try:
        array = array_of(unmasked(scores, name, problems))
        if not np.issubdtype(array.dtype, np.floating):
            array = array.astype(
                np.float64, casting="same_kind" if array.dtype.kind == "c" else "unsafe"
            )
    except (ValueError, TypeError):
        return problems.instead(
            np.zeros(0),
            f"{name} must be numbers",
            f"{few(map(repr, np.ravel(array_of(scores)).tolist()), 2)}",
            "Convert them to float",
            RangeError,
        )
    array = as_column(array)
    if array.ndim != 1:
        return problems.instead(
            np.zeros(0),
            f"{name} must have shape (n_images,)",
            f"shape {array.shape}",
            "Pass one score per image",
            ShapeError,
        )
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32)
    finite = np.isfinite(array)
    if not finite.all():
        n_nan = int(np.isnan(array).sum())
        return problems.instead(
            np.zeros(0),
            f"{name} must be finite",
            f"{n_nan} NaN and {int((~finite).sum()) - n_nan} infinite values",
            "Correct or leave out those images",
            RangeError,
        )
    return array


def as_column(array: NDArray[Any]) -> NDArray[Any]:
    """(n, 1) as (n,); all else as it is."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def as_binary_labels(labels: Any, *, name: str = "labels", problems: Problems) -> NDArray[np.bool_]:
    """Labels as booleans (n_images,), True = anomalous; only 0/1 and booleans are taken."""
    array = as_column(array_of(unmasked(labels, name, problems)))
    if array.ndim != 1:
        return problems.instead(
            np.zeros(0, np.bool_),
            f"{name} must have shape (n_images,)",
            f"shape {array.shape}",
            "Pass one label per image",
            ShapeError,
        )
    if array.dtype == np.bool_:
        return array
    values = (
        np.unique(array)
        if array.dtype != object
        else np.array(sorted({str(value) for value in array}))
    )
    is_binary = np.issubdtype(array.dtype, np.number) and all(
        value in (0, 1) for value in values.tolist()
    )
    if not is_binary:
        return problems.instead(
            np.zeros(0, np.bool_),
            f"{name} must be 0 (normal) or 1 (anomalous)",
            f"the values {few(values.tolist(), 6)}",
            "Name the normal label, or convert them",
            LabelError,
        )
    return array.astype(np.bool_)


def same_length(problems: Problems, **arrays: Any) -> None:
    """Note a problem unless all arrays (those that are not None) have the same first dimension."""
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        problems.add(
            f"{' and '.join(lengths)} must have the same length",
            ", ".join(f"{n} {name}" for name, n in lengths.items()),
            "Pass one of each per image, in the same order",
            ShapeError,
        )


def as_classes(labels: Any, *, name: str = "labels", problems: Problems) -> NDArray[Any]:
    """Classes as int64 or str (n_images,), from whole floats too; none may be missing."""
    array = as_column(array_of(unmasked(labels, name, problems)))
    if array.ndim != 1:
        return problems.instead(
            np.zeros(0, np.int64),
            f"{name} must have shape (n_images,)",
            f"shape {array.shape}",
            (
                "A 0/1 matrix is multi-label: use residua.metrics.multilabel. Take the argmax of"
                " one-hot rows"
            ),
            ShapeError,
        )
    if array.dtype.kind in "biu":
        return array.astype(np.int64)
    if array.dtype.kind == "f":
        if np.array_equal(array, np.trunc(array)) and np.abs(array).max(initial=0) < 2**53:
            return array.astype(np.int64)
        shown = next(
            value for value in array.tolist() if value != np.trunc(value) or abs(value) >= 2**53
        )
        return problems.instead(
            np.zeros(0, np.int64),
            f"{name} must be integers or strings",
            f"the value {shown}",
            "Leave out unlabelled images; pass classes",
            LabelError,
        )
    values = array.tolist()
    n_missing = sum(
        value is None or value == "" or (isinstance(value, float) and np.isnan(value))
        for value in values
    )
    if n_missing:
        return problems.instead(
            np.zeros(0, np.int64),
            f"{name} must not be missing",
            f"{n_missing} missing labels",
            "Leave out the unlabelled images",
            LabelError,
        )
    if values and all(isinstance(value, int | np.integer) for value in values):
        return np.array(values, np.int64)
    return np.array(
        [value.decode() if isinstance(value, bytes) else str(value) for value in values],
        dtype=np.str_,
    )


def as_probabilities(
    probabilities: Any, *, name: str = "probabilities", problems: Problems
) -> NDArray[Any]:
    """Probabilities as float (n_images, n_classes), rows summing to 1.

    One column is P(second class) and gains the first.

    float32 stays float32, everything else becomes float64. Rows may miss 1 by 0.001, which half
    precision needs.
    """
    empty = np.zeros((0, 2))
    try:
        array = array_of(unmasked(probabilities, name, problems))
        array = array.astype(np.float32 if array.dtype in (np.float16, np.float32) else np.float64)
    except (ValueError, TypeError):
        return problems.instead(
            empty,
            f"{name} must be numbers",
            "something that is no array of numbers",
            "Convert them to float",
            RangeError,
        )
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or array.shape[1] == 0:
        return problems.instead(
            empty,
            f"{name} must have shape (n_images, n_classes)",
            f"shape {array.shape}",
            "Pass one row per image",
            ShapeError,
        )
    n_bad = int(np.count_nonzero(~np.isfinite(array)))
    if n_bad:
        return problems.instead(
            empty,
            f"{name} must be finite",
            f"{n_bad} NaN or infinite values",
            "Correct or leave out those images",
            RangeError,
        )
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if low < 0 or high > 1.001:
        are_per_cent = (
            low >= 0 and array.shape[1] > 1 and np.allclose(array.sum(axis=1), 100, atol=1)
        )
        return problems.instead(
            empty,
            f"{name} must lie in [0, 1]",
            f"values in [{low:.4g}, {high:.4g}]",
            "These are per cent: divide them by 100"
            if are_per_cent
            else "Pass logits through softmax or sigmoid; pass classes as integers",
            RangeError,
        )
    if array.shape[1] == 1:
        array = np.hstack([1 - array, array])
    total = array.sum(axis=1)
    n_bad = int(np.count_nonzero(np.abs(total - 1) > 1e-3))
    if n_bad:
        shown = f"{n_bad} rows that do not, sums in [{total.min():.4g}, {total.max():.4g}]"
        mend = (
            "Normalise them; where several labels may hold at once, use residua.metrics.multilabel"
        )
        return problems.instead(empty, f"{name} must sum to 1 in each row", shown, mend, RangeError)
    return array
