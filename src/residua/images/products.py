"""Which product each image shows: by a column, a folder, a pattern, or one for all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from residua._labels import group_name
from residua._text import count, few
from residua.errors import SourceError
from residua.images.columns import shared
from residua.images.groups import FOLDER, SIGNS, check_pattern, matches
from residua.images.listing import Listing
from residua.images.sources.split_folders import PART_FOLDERS

_ALL = "="
_MOST_TOLD = 5


class OfModel(str):
    """A model's rule for products, which need not hold of another source."""

    __slots__ = ()


def product_cells(listing: Listing, told: str, *, where: str = "load_images") -> list[str | None]:
    """The product of each image of a listing; None where it has none.

    `told` is a column of the source; else ``folder``, the first folder on the way to the image that
    is neither a part nor its label; a regular expression, of which the first capturing group (or
    the whole match) in the path is the product; or ``=NAME``, one product for all.

    Raises SourceError if there is no such column, or no image has a product. Raises InputError if a
    pattern is none, is too long, or takes too long.

    >>> names = ["train/good/lens/1.png", "tile/2.png", "3.png"]
    >>> listing = Listing("folder", names, [], labels=["good", None, None])
    >>> product_cells(listing, "folder")
    ['lens', 'tile', None]
    >>> product_cells(listing, "=lens")
    ['lens', 'lens', 'lens']
    """
    names = [str(name) for name in listing.names]
    grouped = {} if listing.groups is None else {listing.group_column: listing.groups}
    columns = {**grouped, **listing.own}
    if told in columns:
        found = [group_name(cell) for cell in columns[told]]
    elif told.startswith(_ALL) and told[1:].strip():
        found = [told[1:].strip()] * len(names)
    elif told == FOLDER:
        labels = [None] * len(names) if listing.labels is None else listing.labels
        found = [_folder(name, label) for name, label in zip(names, labels, strict=True)]
    elif SIGNS & set(told):
        check_pattern(told, where, "product")
        found = matches(told, names, where, "product")
    else:
        has = f"the columns {few(list(columns))}" if columns else "no columns"
        raise SourceError(
            f"{where}: product: must be a column of the source, the word folder, a regular"
            r" expression such as '^(\w+)/', or =NAME where all images are of one product. Got"
            f" {told!r}, and the source has {has}. Name one of those."
        )
    if names and not any(found):
        raise SourceError(
            f"{where}: product: {told} must name the product of some image. Got none of"
            f" {count(len(names), 'image')}, {names[0]!r} for one. Correct it, or leave product"
            " out."
        )
    return found


def is_of_path(told: str | None) -> bool:
    r"""Whether a rule reads the product off the path, or is one for all.

    >>> [is_of_path(rule) for rule in ("folder", r"^(\w+)_", "=lens", "line", None)]
    [True, True, True, False, False]
    """
    return told is not None and (told == FOLDER or told.startswith(_ALL) or bool(SIGNS & set(told)))


def with_products(
    listing: Listing, told: Any, *, must_hold: bool = True, where: str = "load_images"
) -> Listing:
    """The listing with its products; where a model's rule does not apply to it, none has any.

    As it is where `told` is no rule.
    """
    if not isinstance(told, str):
        return listing
    try:
        cells = product_cells(listing, told, where=where)
    except SourceError:
        if must_hold and not isinstance(told, OfModel):
            raise
        cells = [None] * len(listing.names)
    found = _doubts(cells) if must_hold else []
    return replace(listing, products=shared(cells), notes=(*listing.notes, *found))


def nearly_alike(names: Iterable[str]) -> list[str]:
    """What is to be told of names that differ in case, blanks or the form of a number alone.

    >>> len(nearly_alike(["Lens", "lens", "1", "1.0", "2"]))
    2
    """
    told, alike = [], dict[str, str]()
    for name in sorted(set(names)):
        plain = "".join(name.casefold().split())
        with contextlib.suppress(ValueError):
            plain = str(float(plain))
        if (other := alike.setdefault(plain, name)) != name:
            told.append(
                f"products {other} and {name} are taken for two; write one name if they are one"
            )
    return told


def _doubts(cells: list[str | None]) -> list[str]:
    """What is to be told of the names of products: missing ones, and some that are nearly alike.

    >>> _doubts(["Lens", "lens"])
    ['products Lens and lens are taken for two; write one name if they are one']
    >>> _doubts(["lens", None])
    ['1 of 2 images has no product: nothing is decided about it']
    """
    told = nearly_alike([one for one in cells if one is not None])
    if n := sum(one is None for one in cells):
        has, them = ("has", "it") if n == 1 else ("have", "them")
        told.append(
            f"{n:,} of {count(len(cells), 'image')} {has} no product: nothing is decided about"
            f" {them}"
        )
    return told if len(told) <= _MOST_TOLD else [*told[:_MOST_TOLD], "and more such products"]


def _folder(name: str, label: Any) -> str | None:
    levels = [one for one in PurePosixPath(name).parts[:-1] if one.lower() not in PART_FOLDERS]
    if len(levels) > 1 and str(label) in levels:
        levels.remove(str(label))
    return levels[0] if levels else None
