"""Which of two classes precision, recall and F1 are of: told, said by the classes' names, or the
rarer one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from residua._check import Problems
from residua._labels import means_anomalous, means_normal, spelled
from residua.errors import LabelError
from residua.records import Assumption

# Of a pair of answers the second is the one that is looked for, as in scikit-learn.
_ANSWERS = (("0", "1"), ("false", "true"), ("no", "yes"), ("0", "255"))


class PositiveClass(NamedTuple):
    """Its place among the classes, and how it was chosen where nobody told it."""

    place: int
    assumption: Assumption | None


def positive_class(
    names: Sequence[str], support: Sequence[int], told: Any, problems: Problems
) -> PositiveClass | None:
    """The positive one of two classes; None for another number of classes.

    The one told; else 1 beside 0, ``True`` beside ``False``, ``yes`` beside ``no``; else the one
    whose name says anomalous, or the one beside a name that says normal; else the rarer one in the
    labels; else the second.

    >>> positive_class(["Bad", "Good"], [40, 960], None, Problems("example")).place
    0
    """
    if told is not None:
        place = _place_of(told, names, problems)
        return None if place is None else PositiveClass(place, None)
    if len(names) != 2:
        return None
    place, why = _chosen(names, support)
    return PositiveClass(
        place,
        Assumption(
            about="positive class",
            taken=names[place],
            because=why,
            to_tell="--positive LABEL (positive=)",
        ),
    )


def check_positive(names: Sequence[str], told: Any, where: str) -> None:
    """Raise `LabelError` unless `told` is one of two classes."""
    problems = Problems(where)
    _place_of(told, names, problems)
    problems.raise_any()


def _place_of(told: Any, names: Sequence[str], problems: Problems) -> int | None:
    if len(names) != 2:
        got, mend = (
            f"{len(names)} classes",
            "Leave it out: with more classes precision, recall and F1 are given for each",
        )
        return problems.instead(None, "a positive class is one of two", got, mend, LabelError)
    wanted = _folded(told)
    found = [place for place, name in enumerate(names) if name == str(told)]
    found = found or [place for place, name in enumerate(names) if _folded(name) == wanted]
    if len(found) != 1:
        return problems.instead(
            None,
            "positive must name one of the classes",
            f"{told!r} where they are {', '.join(names)}",
            "Name one of them",
            LabelError,
        )
    return found[0]


def _chosen(names: Sequence[str], support: Sequence[int]) -> tuple[int, str]:
    spelled = [_folded(name) for name in names]
    for pair in _ANSWERS:
        if sorted(spelled) == sorted(pair):
            return spelled.index(pair[1]), f"of {names[0]} and {names[1]}, by convention"
    for says, which in ((means_anomalous, 1), (means_normal, 0)):
        flags = [says(name) for name in names]
        if sum(flags) == 1:
            place = flags.index(True)
            kind = "anomalous" if which else "normal"
            return (place if which else 1 - place), f"{names[place]} says {kind} by its name"
    if support[0] == support[1]:
        return 1, f"the second: both classes have {support[0]:,} images"
    place = int(support[1] < support[0])
    return place, f"the rarer one: {support[place]:,} of {sum(support):,} images"


def _folded(name: Any) -> str:
    """A class as it is compared: no case or blanks, booleans and whole floats as integers."""
    if isinstance(name, bool) or (isinstance(name, float) and name.is_integer()):
        return str(int(name))
    return spelled(name)
