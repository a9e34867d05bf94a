"""Names of classes that mean the same though they are spelled differently: matched and told, or
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._labels import spelled
from residua._tables import number
from residua.errors import LabelError
from residua.metrics._classes import in_order
from residua.records import Assumption

_TRUTH = {"true": "1", "false": "0"}
_MOST_SHOWN = 6


def listed(names: Iterable[Any]) -> str:
    """The first names of several, for people."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:_MOST_SHOWN]) + (", ..." if len(shown) > _MOST_SHOWN else "")


def by_number(values: NDArray[Any], classes: Sequence[Any] | NDArray[Any] | None) -> NDArray[Any]:
    """Whole numbers as the names whose places they are, where those are words; else as given."""
    names = [] if classes is None else [str(name) for name in classes]
    if not names or not len(values) or any(number(name) is not None for name in names):
        return values
    read = [number(value) for value in np.unique(values.astype(np.str_)).tolist()]
    if any(
        value is None or not value.is_integer() or not 0 <= value < len(names) for value in read
    ):
        return values
    return np.array(names)[values.astype(np.float64).astype(np.int64)]


def agree(
    y: NDArray[Any], p: NDArray[Any], problems: Problems
) -> tuple[NDArray[Any], tuple[Assumption, ...]]:
    """Predicted classes `p` in the spelling of the labels `y`, and what was matched for that.

    Notes a problem where the two cannot name the same classes: nothing in common, one class spelled
    in two ways, -1 and 1 beside 0 and 1, or numbers from 0 beside numbers from 1.

    >>> problems = Problems("example")
    >>> read, told = agree(np.array(["good", "bad"]), np.array(["Good", "bad "]), problems)
    >>> read.tolist(), [one.taken for one in told]
    (['good', 'bad'], ["'Good' as 'good', 'bad ' as 'bad'"])
    """
    if not len(y) or not len(p):
        return p, ()
    true, said = _names(y), _names(p)
    strange = [name for name in said if name not in set(true)]
    if not strange:
        return p, ()
    fold = _folding(true, said)
    known: dict[str, list[str]] = {}
    for name in true:
        known.setdefault(fold(name), []).append(name)
    if _TRUTH.keys() & {fold(name) for name in (*true, *said)}:
        known = {_TRUTH.get(key, key): names for key, names in known.items()}
    twice = next((names for names in known.values() if len(names) > 1), None)
    if twice is not None:
        return problems.instead(
            (p, ()),
            "labels must spell each class in one way",
            " and ".join(repr(name) for name in twice),
            "Write them alike, or name all: classes=[...]",
            LabelError,
        )
    meant = {
        name: found[0]
        for name in strange
        if (found := known.get(_TRUTH.get(fold(name), fold(name))))
    }
    _check_rest(true, said, meant, problems)
    if problems or not meant:
        return p, ()
    read = np.array([meant.get(name, name) for name in p.astype(np.str_).tolist()], np.str_)
    taken = listed(f"{name!r} as {other!r}" for name, other in meant.items())
    told = Assumption(
        about="names of the classes",
        taken=taken,
        because="predictions and labels differ only in case, blanks or the form of a number",
        to_tell="spell them alike in both",
    )
    return (
        read.astype(np.int64) if y.dtype.kind == "i" and len(meant) == len(strange) else read
    ), (told,)


def _folding(true: list[str], said: list[str]) -> Callable[[str], str]:
    """How names are compared: single letters by case only where one side holds both a and A."""
    lower = [[spelled(name).casefold() for name in names] for names in (true, said)]
    if all(len(set(names)) == len(names) for names in lower):
        return lambda name: spelled(name).casefold()
    return spelled


def _names(values: NDArray[Any]) -> list[str]:
    return [str(name) for name in in_order(np.unique(values).tolist())]


def _check_rest(
    true: list[str], said: list[str], meant: dict[str, str], problems: Problems
) -> None:
    """Note a problem where what is predicted and what is true cannot be the same classes."""
    read = {meant.get(name, name) for name in said}
    got = f"labels {listed(true)} and predictions {listed(said)}"
    mend = (
        "Map both to the same: classes[predictions], or pass the names in that order, classes=[...]"
        " (--classes A,B,...)"
    )
    if set(true) <= {"0", "1"} and read <= {"-1", "1"}:
        mend = (
            "Nothing shows whether -1 or 1 stands for 0 (for scikit-learn's detectors -1 is the"
            " anomaly, 1 elsewhere): map them"
        )
        problems.add("labels and predictions must name classes alike", got, mend, LabelError)
    elif not read & set(true) and len(true) > 1:
        problems.add("labels and predictions must name classes alike", got, mend, LabelError)
    elif _is_shifted(true, sorted(read)):
        problems.add(
            "labels and predictions must count classes from the same number", got, mend, LabelError
        )


def _is_shifted(true: list[str], said: list[str]) -> bool:
    """Whether two or more whole numbers in a row stand beside the same ones moved by one."""
    ours, theirs = ([number(name) for name in names] for names in (true, said))
    if (
        len(ours) < 2
        or len(ours) != len(theirs)
        or any(value is None for value in (*ours, *theirs))
    ):
        return False
    one, other = (np.sort(np.array(values, np.float64)) for values in (ours, theirs))
    return bool((np.diff(one) == 1).all() and (np.abs(one - other) == 1).all())
