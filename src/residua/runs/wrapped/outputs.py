"""What a model gives: which of its outputs is the image, which are probabilities of classes, and
which are neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import ShapeError
from residua.records import Assumption
from residua.runs.wrapped.contract import Contract

_SUM_TO_ONE = 1e-3


@dataclass(frozen=True)
class Picked:
    """Which output is the image and which the probabilities; and an image size of its own."""

    image: int
    probabilities: int | None = None
    n_classes: int = 0
    rebuilt: tuple[int, int] | None = None
    assumed: tuple[Assumption, ...] = ()


def several(output: Any) -> list[NDArray[Any]]:
    """All arrays of an output, in order: an array, or nested lists, tuples and mappings.

    >>> [
    ...     one.shape
    ...     for one in several({"x_hat": np.zeros((1, 4)), "codes": (np.zeros(2), np.zeros(3))})
    ... ]
    [(1, 4), (2,), (3,)]
    """
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple) and not (output and np.isscalar(output[0])):
        return [one for part in output if part is not None for one in several(part)]
    return [np.asarray(output.detach().cpu() if hasattr(output, "detach") else output)]


def pick(
    outputs: list[NDArray[Any]], given: tuple[int, ...], contract: Contract, *, may_resize: bool
) -> Picked:
    """Which output is what, from what the model made of a batch of the shape `given`.

    Raises ShapeError if none or several could be the image, or the classes that were told fit no
    output.
    """
    image, size = _image(outputs, given, contract, may_resize=may_resize)
    rows = [
        at
        for at, one in enumerate(outputs)
        if at != image and one.ndim == 2 and len(one) == given[0]
    ]
    fitting = [at for at in rows if are_probabilities(outputs[at])]
    assumed = []
    if contract.classes is not None:
        fitting = [at for at in rows if _named(outputs[at], len(contract.classes))]
        if len(fitting) != 1:
            got = ", ".join(str(outputs[at].shape) for at in rows) or "no such output"
            raise ShapeError(
                f"wrap: one output must give the probabilities of the {len(contract.classes)}"
                f" classes: rows that sum to 1. Got {got}. Apply softmax in the model, or leave"
                " classes out."
            )
    else:
        fitting = fitting[:1] if len(fitting) == 1 else []
    probabilities = fitting[0] if fitting else None
    if probabilities is not None and contract.classes is None:
        taken = (
            f"output {probabilities + 1} of {len(outputs)}, {outputs[probabilities].shape[1]}"
            " columns"
        )
        assumed.append(
            _assumption("probabilities of classes", taken, "its rows sum to 1", "classes=")
        )
    left = [at for at in range(len(outputs)) if at not in (image, probabilities)]
    if left:
        taken = f"output {', '.join(str(at + 1) for at in left)} of {len(outputs)} left aside"
        assumed.append(
            _assumption(
                "outputs of the model", taken, "neither an image nor rows that sum to 1", "classes="
            )
        )
    n_classes = 0 if probabilities is None else max(2, outputs[probabilities].shape[1])
    return Picked(image, probabilities, n_classes, size, tuple(assumed))


def are_probabilities(rows: NDArray[Any]) -> bool:
    """Whether rows are probabilities of two or more classes: none below 0, each sum 1.

    >>> (
    ...     are_probabilities(np.array([[0.2, 0.8]])),
    ...     are_probabilities(np.array([[-1.0, 2.0]])),
    ...     are_probabilities(np.ones((1, 1))),
    ... )
    (True, False, False)
    """
    if rows.ndim != 2 or rows.shape[1] < 2 or not np.issubdtype(rows.dtype, np.floating):
        return False
    return bool(
        (rows >= -_SUM_TO_ONE).all() and (np.abs(rows.sum(axis=1) - 1) <= _SUM_TO_ONE).all()
    )


def as_probabilities(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities (n, n_classes): one column is that of the second of two classes."""
    values = np.asarray(rows, np.float32)
    return values if values.shape[1] > 1 else np.concatenate([1 - values, values], axis=1)


def _named(rows: NDArray[Any], n_classes: int) -> bool:
    if rows.shape[1] == 1 and n_classes == 2:
        return bool(rows.min() >= 0 and rows.max() <= 1)
    return rows.shape[1] == n_classes and are_probabilities(rows)


def _image(
    outputs: list[NDArray[Any]], given: tuple[int, ...], contract: Contract, *, may_resize: bool
) -> tuple[int, tuple[int, int] | None]:
    """The output of the input's shape; else of as many numbers; else, maybe, another size."""
    alike = [at for at, one in enumerate(outputs) if one.shape == given]
    # flat, or with or without its only channel; with several channels their order would be a guess
    if not alike:
        shapes = {(given[0], int(np.prod(given[1:]))), *({(*contract_shape(contract, given[0]),)})}
        if contract.channels == 1:
            size = contract.size
            shapes |= {(given[0], *size), (given[0], *size, 1), (given[0], 1, *size)}
        alike = [at for at, one in enumerate(outputs) if one.shape in shapes]
    if not alike and may_resize:
        sizes = {
            at: found
            for at, one in enumerate(outputs)
            if (found := _resized(one, given[0], contract)) is not None
        }
        if len(sizes) == 1:
            return next(iter(sizes.items()))
    if len(alike) != 1:
        got = ", ".join(str(one.shape) for one in outputs[:4]) + (
            ", ..." if len(outputs) > 4 else ""
        )
        raise ShapeError(
            f"wrap: the model must give x_hat of the input's shape {given}, alone or beside"
            f" probabilities (batch, classes). Got {got}. Pass layout=, or targets= if it changes"
            " the size, or wrap it in a function that gives x_hat."
        )
    return alike[0], None


def contract_shape(contract: Contract, n: int) -> tuple[int, ...]:
    """The shape of `n` images as the model takes them."""
    height, width = contract.size
    return {
        "nhwc": (n, height, width, contract.channels),
        "nchw": (n, contract.channels, height, width),
        "nhw": (n, height, width),
        "flat": (n, height * width * contract.channels),
    }[contract.layout]


def _resized(one: NDArray[Any], n: int, contract: Contract) -> tuple[int, int] | None:
    """Height and width of an output in the contract's layout but of another size."""
    shape = one.shape
    if len(shape) == 3 and contract.layout == "nhw" and shape[0] == n:
        return shape[1], shape[2]
    if len(shape) != 4 or shape[0] != n or contract.layout not in ("nhwc", "nchw"):
        return None
    height, width, channels = (
        (shape[1], shape[2], shape[3])
        if contract.layout == "nhwc"
        else (shape[2], shape[3], shape[1])
    )
    return (height, width) if channels == contract.channels else None


def _assumption(about: str, taken: str, because: str, to_tell: str) -> Assumption:
    return Assumption(about=about, taken=taken, because=because, to_tell=to_tell)
