"""Which column of a table is which class, by its header: obeyed, taken by place, or refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from residua._labels import spelled
from residua.evaluation.naming import listed
from residua.records import Assumption

# What stands before the name of a class in headers of probabilities, the likeliest first.
_BEFORE = ("p[", "p(", "p_", "p ", "prob", "softmax", "y_prob", "y_pred", "pred", "score", "")
_GENERIC = frozenset((
    "p", "prob", "probs", "proba", "probability", "probabilities", "score", "scores", "pred",
    "preds", "prediction",
    "predictions", "predicted", "y_pred", "y_hat", "y_prob", "y_score", "output", "outputs",
    "value", "x",
))  # fmt: skip
_OF_THE_ANSWER = frozenset(
    ("conf", "confidence", "certainty", "max_prob", "max_probability", "top1_prob", "score_max")
)
_NUMBERED = re.compile(r"(\D*)(\d+)(\D*)", re.ASCII)
# Words around the name of a class in the header of a single column.
_AROUND = re.compile(r"(p|prob|proba|probability|probabilities|score|pred|of|class|y|\W|_)*")


@dataclass(frozen=True)
class Named:
    """The columns to take, in their order, the class of each (None: not named), and what was
    assumed.

    ``refused`` says what is wrong: what was found, and how to mend it.
    """

    columns: list[int]
    classes: tuple[str, ...] | None = None
    assumptions: tuple[Assumption, ...] = ()
    refused: tuple[str, str] | None = None


def named_columns(
    header: Sequence[str], columns: list[int], classes: Sequence[str], *, told: bool
) -> Named:
    """Which of `columns` hold the probabilities of `classes`.

    - `header`: Of the whole table.
    - `columns`: Places that may be probabilities.
    - `classes`: Those of the labels, or those that were told.
    - `told`: Whether the classes were told, in the order of the columns.

    >>> named_columns(["path", "p[good]", "p[bad]"], [1, 2], ["bad", "good"], told=False).classes
    ('good', 'bad')
    >>> named_columns(["prob_ok", "prob_ko"], [0, 1], ["bad", "good"], told=False).refused[0]
    'columns prob_ok, prob_ko and labels bad, good'
    """
    alike = len({_lower(name) for name in classes}) < len(set(classes))
    for folded in (_as_written,) if alike else (_lower, spelled):
        names = {column: folded(header[column]) for column in columns}
        found = _patterns(names, [folded(name) for name in classes])
        if found:
            break
    if found:
        before, after = found[0]
        if len(found) > 1 and _rank(found[1]) == _rank(found[0]):
            shown = " and ".join(f"{one}CLASS{other}" for one, other in found[:2])
            return Named(
                [],
                refused=(
                    f"columns called {shown}",
                    "Name the columns to take alone, or drop the others",
                ),
            )
        return _of_pattern(header, names, before, after, {folded(name): name for name in classes})
    if len(columns) == 1:
        return _single(header[columns[0]], columns[0], classes, told=told)
    return _by_place(header, columns, names, classes, told=told)


def _lower(name: Any) -> str:
    return _as_written(name).casefold()


def _as_written(name: Any) -> str:
    return " ".join(unicodedata.normalize("NFC", str(name)).split())


def _rank(found: tuple[str, str]) -> float:
    """How likely columns hold probabilities, the likeliest lowest. Bare names of classes lie
    between known words and unknown ones.
    """
    return (
        len(_BEFORE) - 1.5
        if found == ("", "")
        else next(rank for rank, start in enumerate(_BEFORE) if found[0].startswith(start))
    )


def _patterns(names: dict[int, str], classes: list[str]) -> list[tuple[str, str]]:
    """What stands before and after the class if columns name every class, the likeliest first."""
    if not classes:
        return []
    there = set(names.values())
    longest = max(classes, key=len)
    found = set()
    for name in there:
        for start in (match.start() for match in re.finditer(f"(?={re.escape(longest)})", name)):
            before, after = name[:start], name[start + len(longest) :]
            if all(f"{before}{one}{after}" in there for one in classes):
                found.add((before, after))
    return sorted(found, key=lambda one: (_rank(one), *one))


def _of_pattern(
    header: Sequence[str], names: dict[int, str], before: str, after: str, meant: dict[str, str]
) -> Named:
    taken: list[int] = []
    named: list[str] = []
    spelled: list[str] = []
    for column, inside in names.items():
        if not (inside.startswith(before) and inside.endswith(after)):
            continue
        own = inside[len(before) : len(inside) - len(after)]
        cut = header[column].strip()
        written = cut[len(before) : len(cut) - len(after)] if len(cut) == len(inside) else own
        if own not in meant and not (before or after):
            continue  # beside columns that are called as the classes are, others are no classes
        taken.append(column)
        named.append(meant.get(own, written))
        if named[-1] != written:
            spelled.append(f"{written!r} as {named[-1]!r}")
    if len(set(named)) < len(named):
        return Named(
            [],
            refused=(
                f"columns {listed(header[one] for one in taken)}",
                "Give each class one column",
            ),
        )
    told = Assumption(
        about="names of the classes",
        taken=listed(spelled),
        because="the header and the labels differ only in case, blanks or the form of a number",
        to_tell="spell them alike in both",
    )
    return Named(taken, tuple(named), (told,) if spelled else ())


def _single(name: str, column: int, classes: Sequence[str], *, told: bool) -> Named:
    """One column: of the class that it names. Where its name says nothing, of the second class."""
    key = _lower(name)
    of = [
        one
        for one in classes
        if _lower(one) in key and _AROUND.fullmatch(key.replace(_lower(one), "", 1))
    ]
    of = [one for one in of if _lower(one) == max((_lower(other) for other in of), key=len)]
    numbered = all(_lower(one).lstrip("-").isdigit() for one in classes)
    if len(of) == 1 and len(classes) == 2 and not (numbered and key == "0"):
        return Named([column], (of[0],))
    if key in _OF_THE_ANSWER:
        mend = "Pass the probability of one class under its name (good), or the classes"
        return Named(
            [], refused=(f"a column {name}, the probability of whatever class was predicted", mend)
        )
    if told or not classes or len(classes) > 2 or numbered or key in _GENERIC or key.isdigit():
        return Named([column])
    return Named([], refused=(f"a column {name} and labels {listed(classes)}", _MEND))


def _by_place(
    header: Sequence[str],
    columns: list[int],
    names: dict[int, str],
    classes: Sequence[str],
    *,
    told: bool,
) -> Named:
    """Columns that are counted, or whose classes were told: taken by their place."""
    counted = [_NUMBERED.fullmatch(name) for name in names.values()]
    around = {(one[1], one[3]) for one in counted if one is not None}
    if all(counted) and len(around) == 1:
        places = [int(one[2]) for one in counted if one is not None]
        first = min(places)
        in_a_row = sorted(places) == list(range(first, first + len(places))) and first in (0, 1)
        clash = all(_lower(one).lstrip("-").isdigit() for one in classes) and around == {("", "")}
        if in_a_row and not (clash and classes and not told):
            return Named([column for _, column in sorted(zip(places, columns, strict=True))])
    shares = {_lower(one) for one in classes} & {_lower(name) for name in names.values()}
    if not classes or (told and len(columns) == len(classes) and not shares):
        return Named(columns)
    return Named(
        [],
        refused=(
            f"columns {listed(header[one] for one in columns)} and labels {listed(classes)}",
            _MEND,
        ),
    )


_MEND = (
    "Name the classes in the order of the columns: --classes A,B,... (classes=[...]), or in the"
    " header"
)
