"""Which of the labels that occur mean normal: named by the user, said by the labels themselves, or
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from residua._check import Problems
from residua._labels import normal_among, same_label, what_grows
from residua.errors import LabelError
from residua.records import Assumption

ASSUMED, MINUS_ONE_IS_NORMAL = "assumed", "minus-one-is-normal"

_MOST_SHOWN = 12
_TO_TELL = "--normal LABEL (normal=)"


@dataclass(frozen=True)
class NormalReading:
    """The labels that mean anomalous, and what of that nobody told.

    ``doubt`` says why the two kinds may be exchanged: ``assumed``, because numbers were read by
    convention; ``minus-one-is-normal``, because that was named against scikit-learn's convention;
    None, because names or the user say it.
    """

    anomalous: frozenset[str] = frozenset()
    assumption: Assumption | None = None
    doubt: str | None = None


def read_names(
    counts: Mapping[str, int],
    normal: tuple[str, ...] | None,
    problems: Problems,
    *,
    column: str | None = None,
) -> NormalReading:
    """Read the labels that occur, with how often each does; `normal` are those that the user named.

    `column` is what the labels stood under: 1 below ``is_good`` is normal.

    >>> read_names({"NG": 3, "OK": 40}, None, Problems("example")).anomalous
    frozenset({'NG'})
    """
    if not counts:
        return NormalReading()
    fractions = [name for name in counts if _is_fraction(name)]
    if fractions:
        got = f"the number {fractions[0]}" + (
            f" and {len(fractions) - 1} like it" if len(fractions) > 1 else ""
        )
        return problems.instead(
            NormalReading(),
            "labels must name kinds, not amounts",
            got,
            "Pass scores as scores (--scores), and round soft labels by a rule of your own",
            LabelError,
        )
    canonical = _canonical(tuple(counts))
    if normal is not None:
        return _told(counts, canonical, normal, problems)
    return (
        _of_column(canonical, column)
        or _of_numbers(canonical)
        or _of_words(tuple(counts))
        or _refused(counts, canonical, problems)
    )


def _told(
    counts: Mapping[str, int],
    canonical: Mapping[str, str],
    normal: tuple[str, ...],
    problems: Problems,
) -> NormalReading:
    """The names that were named, in any spelling."""
    wanted = {_one_spelling(name, canonical) for name in normal}
    found = {name for name in counts if _one_spelling(canonical[name], canonical) in wanted}
    there = {_one_spelling(canonical[name], canonical) for name in found}
    absent = [name for name in normal if _one_spelling(name, canonical) not in there]
    if absent:
        must, mend = "normal must name labels that are there", "Name one of them"
        return problems.instead(
            NormalReading(),
            must,
            f"{', '.join(absent)} where the labels are {_shown(counts)}",
            mend,
            LabelError,
        )
    other = sorted(name for name in found if name not in normal and canonical[name] == name)
    return NormalReading(
        frozenset(counts) - found,
        _spelled_otherwise(other) if other else None,
        MINUS_ONE_IS_NORMAL if set(canonical.values()) == {"-1", "1"} and found == {"-1"} else None,
    )


def _of_column(canonical: Mapping[str, str], column: str | None) -> NormalReading | None:
    """Truths (0 and 1, yes and no) under a name that says what is true: normal or anomalous."""
    grows = what_grows(column)
    values = {
        name: {"yes": "1", "no": "0"}.get(value.strip().casefold(), value)
        for name, value in canonical.items()
    }
    if grows is None or not set(values.values()) <= {"0", "1"}:
        return None
    top = frozenset(name for name, value in values.items() if value == "1")
    anomalous = top if grows == "anomalous" else frozenset(values) - top
    made = Assumption(
        about="normal label",
        taken=f"{'0' if grows == 'anomalous' else '1'} (of 0 and 1)",
        because=f"the column is called {column}",
        to_tell=_TO_TELL,
    )
    return NormalReading(anomalous, made)


def _of_numbers(canonical: Mapping[str, str]) -> NormalReading | None:
    """0 and 1, as numbers, booleans or their text, and 0 and 255 as in masks: 0 is normal."""
    values = set(canonical.values())
    top = "1" if values <= {"0", "1"} else "255" if values == {"0", "255"} else None
    if top is None:
        return None
    made = Assumption(
        about="normal label",
        taken=f"0, and {top} means anomalous",
        because="by convention: labels are 0 and 1" if top == "1" else "0 and 255, as in masks",
        to_tell=_TO_TELL,
    )
    return NormalReading(
        frozenset(name for name, value in canonical.items() if value == top), made, ASSUMED
    )


def _of_words(names: tuple[str, ...]) -> NormalReading | None:
    normal, why = normal_among(names)
    if not normal:
        return None
    made = Assumption(about="normal label", taken=", ".join(normal), because=why, to_tell=_TO_TELL)
    return NormalReading(frozenset(names) - set(normal), made)


def _refused(
    counts: Mapping[str, int], canonical: Mapping[str, str], problems: Problems
) -> NormalReading:
    must = (
        "labels must be 0 (normal) and 1 (anomalous), or one of them must be named as the"
        " normal one"
    )
    return problems.instead(
        NormalReading(),
        must,
        f"the labels {_shown(counts)}",
        _mend(set(canonical.values())),
        LabelError,
    )


def _mend(values: set[str]) -> str:
    """How to name the normal label; a label is named only where a convention is known."""
    if values <= {"-1", "1"}:
        return (
            "In scikit-learn -1 is an outlier and 1 an inlier: if these labels are meant so,"
            " --normal 1 (normal='1')"
        )
    if values == {"-1", "0", "1"}:
        return (
            "If -1 means that nobody knows, leave those cells empty; else name what is normal:"
            " --normal LABEL (normal=)"
        )
    return (
        "Name what is normal: --normal LABEL (normal=), with one of these labels or several,"
        " separated by commas"
    )


def _spelled_otherwise(names: list[str]) -> Assumption:
    shown = ", ".join(map(repr, names))
    return Assumption(
        about="normal label",
        taken=f"{shown} too",
        because="it differs from the label that was named by case or blanks alone",
        to_tell="one spelling in the labels",
    )


def _canonical(names: tuple[str, ...]) -> dict[str, str]:
    """Each name, or its number where all are whole numbers or truths: 1.0 and True are 1."""
    truths = {"true": "1", "false": "0"}
    if names and all(name.strip().casefold() in truths for name in names):
        return {name: truths[name.strip().casefold()] for name in names}
    numbers = [_number(name) for name in names]
    if names and all(number is not None for number in numbers):
        return {
            name: str(int(number))
            for name, number in zip(names, numbers, strict=True)
            if number is not None
        }
    return {name: name for name in names}


def _one_spelling(name: str, canonical: Mapping[str, str]) -> str:
    """A name as it is compared: numbers as numbers, words without case and blanks."""
    if set(canonical.values()) <= {"0", "1"} and name.casefold() in {"true", "false"}:
        return "1" if name.casefold() == "true" else "0"
    return same_label(name)


def _number(name: str) -> float | None:
    try:
        value = float(name)
    except ValueError:
        return None
    return value if value.is_integer() else None


def _is_fraction(name: str) -> bool:
    try:
        return not float(name).is_integer()
    except ValueError:
        return False


def _shown(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts)[:_MOST_SHOWN]
    more = f" and {len(counts) - _MOST_SHOWN} others" if len(counts) > _MOST_SHOWN else ""
    return ", ".join(f"{name} ({counts[name]:,})" for name in ordered) + more
