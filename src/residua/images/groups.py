"""By what images belong together: a column, the folder, a pattern of the file name, near-twins."""

from __future__ import annotations

import difflib
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._labels import group_name
from residua._text import count, few
from residua.errors import InputError, ShapeError, SourceError
from residua.images.columns import shared
from residua.images.listing import Listing
from residua.records import Assumption, Record

DEFAULT = "group"  # the column that counts where nobody names another
FOLDER, TWINS = "folder", "twins"
TO_TELL = "--groups COLUMN, folder or a pattern of the file name"

_READ_OTHERWISE = frozenset({"path", "label", "mask", "split"})
SIGNS = frozenset(r".^$*+?{}[]\|()")
_LONGEST = 200  # characters of a pattern
_NESTED = re.compile(r"\((?:[^()\\]|\\.)*(?:[+*]|\{\d*,)(?:[^()\\]|\\.)*\)(?:[+*]|\{)")
_MOST_SECONDS, _SECONDS_EACH = 5.0, 1e-3  # of matching, and of each name beyond that
_LARGE = 0.2  # share of the images in one group of twins, beyond which it may be a chain


class Grouping(Record):
    """By what images were grouped, so that others are grouped alike; stored with a run.

    Attributes
    ----------
    by : str
        ``column``, ``folder``, ``pattern``, ``twins``, or ``array``: named one by one.
    rule : str
        What `load_images` takes as ``groups``; empty for an array.
    told : bool
        Whether the user named it. Else it was found, which is an assumption.
    """

    by: Literal["column", "folder", "pattern", "twins", "array"]
    rule: str = ""
    told: bool = True

    @property
    def words(self) -> str:
        """The rule as people read it.

        >>> Grouping(by="column", rule="part").words, Grouping(by="folder", rule="folder").words
        ("the column 'part'", 'the folder')
        """
        return {
            "column": f"the column {self.rule!r}",
            "folder": "the folder",
            "pattern": f"the pattern '{self.rule}'",
            "twins": "near-twins",
            "array": "an array",
        }[self.by]

    @property
    def to_repeat(self) -> str | None:
        """What groups the same source again; None where nobody named a rule."""
        return self.rule if self.told and self.by != "array" else None


class Grouped(NamedTuple):
    """A group of every image (None: its own), by what, and what is to be told of it."""

    groups: NDArray[Any] | None
    grouping: Grouping | None
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()


def group_listing(
    listing: Listing, groups: str | Grouping | None, *, where: str = "load_images"
) -> Grouped:
    """The groups of a source before any of it is decoded; twins are found later, from pixels.

    A text is what the user told, and has to hold. A `Grouping` is how another source was grouped:
    where it does not apply, an assumption says so, and the source's own column counts.

    Raises SourceError if there is no such column, a pattern matches no name, or all images are one
    group. Raises InputError if a pattern is none, is too long, or takes too long.
    """
    if isinstance(groups, str):
        return _by_rule(listing, rule_of(listing, groups, where), where)
    if groups is None or not groups.told:
        return _by_default(listing)
    if groups.by == "array":
        return _by_default(listing, "the run's groups were named one by one, for its own images")
    try:
        rule = rule_of(listing, groups.rule, where)
        return _by_rule(listing, rule, where, one_group=True)
    except SourceError:
        return _by_default(
            listing, f"the run's groups, by {groups.words}, are not found in this source"
        )


def rule_of(listing: Listing, told: str, where: str) -> Grouping:
    """What a text names: a column of the source, else ``folder`` or ``twins``, else a pattern."""
    if told in _columns(listing):
        return Grouping(by="column", rule=told)
    if told == FOLDER:
        return Grouping(by="folder", rule=told)
    if told == TWINS:
        return Grouping(by="twins", rule=told)
    if SIGNS & set(told):
        check_pattern(told, where)
        return Grouping(by="pattern", rule=told)
    names = _columns(listing)
    close = difflib.get_close_matches(told, [*names, FOLDER, TWINS], 1, 0.6)
    has = f"the columns {few(names)}" if names else "no columns to group by"
    is_other = told in _READ_OTHERWISE
    got = f"which is read as the {told} itself" if is_other else f"and the source has {has}"
    mend = f"Write {close[0]!r} if that is meant" if close else "Name one of those"
    raise SourceError(
        f"{where}: groups: must be a column of the source, the word folder or twins, or a regular"
        rf" expression such as 'part(\d+)'. Got {told!r}, {got}. {mend}."
    )


def column_of(groups: Any) -> str | None:
    """What may be the name of a column in what `load_images` takes as ``groups``."""
    if isinstance(groups, Grouping):
        return groups.rule if groups.by == "column" else None
    return groups if isinstance(groups, str) else None


def twins_of(groups: NDArray[np.int64], paths: NDArray[Any]) -> Grouped:
    """Groups of near-twins as they were found: `groups` holds the row of the first of each."""
    sizes = Counter(groups.tolist())
    names = shared(str(paths[first]) if sizes[first] > 1 else None for first in groups.tolist())
    largest, n_several = max(sizes.values(), default=0), sum(n > 1 for n in sizes.values())
    made = Assumption(
        about="groups",
        taken=f"{len(sizes):,} groups of {len(groups):,} images",
        because=(
            f"{n_several:,} of them hold near-twins, up to {largest:,}: one picture but for"
            " brightness, size, a narrow crop or a turn"
        ),
        to_tell=TO_TELL,
    )
    note = (
        f"one group of twins holds {largest:,} of {len(groups):,} images: a chain of pictures that"
        " are alike may have joined what does not belong together",
    )
    is_large = largest > _LARGE * len(groups) and len(groups) > 1
    return Grouped(names, Grouping(by="twins", rule=TWINS), note if is_large else (), (made,))


def as_groups(groups: Any, n: int, *, problems: Problems, name: str = "groups") -> NDArray[Any]:
    """Names of groups (n,) as texts; None, NaN and empty texts are None: a group of its own.

    >>> as_groups([1, "a", None, float("nan")], 4, problems=Problems("here")).tolist()
    ['1', 'a', None, None]
    """
    if np.ndim(groups) != 1 or len(groups) != n:
        return problems.instead(
            shared([None] * n),
            f"{name} must have one entry per image",
            f"shape {np.shape(groups)} for {n} images",
            "Pass one name per image, and None where it has none",
            ShapeError,
        )
    values = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    return shared(map(group_name, values))


def group_cells(
    listing: Listing, grouping: Grouping, *, where: str = "load_images"
) -> list[str | None]:
    """The group of each image by a column, the folder or a pattern; None where it has none."""
    names = [str(name) for name in listing.names]
    if grouping.by == "folder":
        return [_folder(name) for name in names]
    if grouping.by == "pattern":
        return matches(grouping.rule, names, where)
    column = listing.own.get(grouping.rule, listing.groups if grouping.by == "column" else None)
    return [None] * len(names) if column is None else [group_name(value) for value in column]


def n_groups(groups: Iterable[str | None]) -> int:
    """How many groups there are; an image without one is its own.

    >>> n_groups(["a", "a", None, None])
    3
    """
    named = Counter(groups)
    return len(named) + max(0, named[None] - 1)


def group_codes(groups: Iterable[str | None]) -> NDArray[np.int64]:
    """Numbers for names of groups, in the order in which they come; without a name each its own.

    >>> group_codes(["b", "a", None, "b", None]).tolist()
    [0, 1, 2, 0, 3]
    """
    numbers: dict[str | int, int] = {}
    return np.fromiter(
        (
            numbers.setdefault(row if group is None else group, len(numbers))
            for row, group in enumerate(groups)
        ),
        np.int64,
    )


def _columns(listing: Listing) -> list[str]:
    there = [] if listing.groups is None else list(dict.fromkeys([listing.group_column, DEFAULT]))
    return [*there, *listing.own]


def _by_default(listing: Listing, why: str | None = None) -> Grouped:
    """The column of groups, else none; `why` a rule that there was does not count."""
    if listing.groups is None:
        alone = Assumption(
            about="groups",
            taken="each image is its own group",
            because=str(why),
            to_tell=TO_TELL,
        )
        return Grouped(None, None, (), () if why is None else (alone,))
    name = listing.group_column
    made = Assumption(
        about="groups",
        taken=f"{n_groups(listing.groups):,} groups of {len(listing.groups):,} images",
        because=f"the source has a column {name!r}" + ("" if why is None else f", and {why}"),
        to_tell=f"--groups {name}, or another COLUMN, folder or a pattern of the file name",
    )
    grouping = Grouping(by="column", rule=name, told=False)
    return Grouped(shared(listing.groups), grouping, (), (made,))


def _by_rule(
    listing: Listing, grouping: Grouping, where: str, *, one_group: bool = False
) -> Grouped:
    if grouping.by == "twins":
        return Grouped(None, grouping)
    found = group_cells(listing, grouping, where=where)
    if grouping.by == "folder":
        _refuse_label_folders(listing, found, where)
    missing = [row for row, group in enumerate(found) if group is None]
    if len(missing) == len(found) and found:
        raise SourceError(
            f"{where}: groups: {grouping.words} must name a group of some image. Got none of"
            f" {count(len(found), 'image')}, {str(listing.names[0])!r} for one. Correct it, or"
            " leave groups out."
        )
    if len(found) > 1 and len(set(found)) == 1 and not one_group:
        raise SourceError(
            f"{where}: groups: {grouping.words} must tell groups apart. Got one group,"
            f" {found[0]!r}, for all {len(found):,} images. Correct it, or leave groups out."
        )
    notes = []
    if missing:
        notes.append(
            f"groups by {grouping.words}: {count(len(missing), 'image')} without one, each its own"
            f" group, {str(listing.names[missing[0]])!r} for one"
        )
    if len(found) > 1 and n_groups(found) == len(found):
        notes.append(
            f"groups by {grouping.words}: each of {len(found):,} images is its own group, so"
            " nothing is grouped"
        )
    return Grouped(shared(found), grouping, tuple(notes))


def _refuse_label_folders(listing: Listing, folders: Sequence[str | None], where: str) -> None:
    """Folders that say no more than labels and parts do are no groups."""
    if listing.labels is None:
        return
    splits = listing.splits if listing.splits is not None else [None] * len(folders)
    told = set(zip(map(str, splits), map(str, listing.labels), strict=True))
    if len(set(folders)) <= len(told):
        raise SourceError(
            f"{where}: groups: folder needs a folder for each group. Got the folders"
            f" {few(sorted(map(str, set(folders))))}, which are the labels. Name a column or a"
            " pattern, or put each group into a folder of its own inside its label's."
        )


def _folder(name: str) -> str | None:
    folder = PurePosixPath(name).parent.as_posix()
    return None if folder == "." else folder


def check_pattern(told: str, where: str, what: str = "groups") -> None:
    """Refuse a text that is no regular expression, or one that could take for ever."""

    def refusal(must: str, got: str, mend: str) -> InputError:
        return InputError(f"{where}: {what}: {must}. Got {got}. {mend}.")

    if len(told) > _LONGEST:
        raise refusal(
            f"a pattern must have at most {_LONGEST} characters", f"{len(told):,}", "Shorten it"
        )
    try:
        re.compile(told)
    except (re.error, RecursionError, OverflowError) as error:
        raise refusal(
            "a pattern must be a regular expression", f"{told!r}: {error}", "Correct it"
        ) from None
    if _NESTED.search(told):
        raise refusal(
            "a pattern must not repeat what is repeated inside already",
            f"{told!r}, which some names would keep busy for ever",
            "Repeat once: '(a+)' or 'a+', not '(a+)+'",
        )


def matches(
    pattern: str, names: Sequence[str], where: str, what: str = "groups"
) -> list[str | None]:
    """The first capturing group, else the whole match, in each name; None without one."""
    expression, found = re.compile(pattern), []
    began = time.monotonic()
    for n_done, name in enumerate(names):
        match = expression.search(name)
        found.append(None if match is None else (match[1 if expression.groups else 0] or None))
        seconds = time.monotonic() - began
        if seconds > _MOST_SECONDS + _SECONDS_EACH * n_done:
            raise InputError(
                f"{where}: {what}: a pattern must match each name within about"
                f" {_SECONDS_EACH * 1000:g} ms. Got {pattern!r}, which took {seconds:.0f} s for"
                f" {count(n_done + 1, 'name')}. Write a simpler one, without several .* or .+."
            )
    return found


def with_groups(listing: Listing, grouped: Grouped) -> Listing:
    """The listing with its groups, and what is told of them."""
    return replace(
        listing,
        groups=grouped.groups,
        notes=[*listing.notes, *grouped.notes],
        assumptions=[*listing.assumptions, *grouped.assumptions],
    )
