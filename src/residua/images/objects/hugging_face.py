"""Hugging Face's ``Dataset`` and ``DatasetDict``: a column of images, and classes by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from residua._text import few
from residua.errors import SourceError
from residua.images.columns import shared, texts
from residua.images.listing import Listing, Options
from residua.images.objects import sequences
from residua.images.objects.items import IMAGE_KEYS, LABEL_KEYS, list_items
from residua.images.shards import join_listings
from residua.images.sources.split_folders import PART_FOLDERS

_KIND = "Hugging Face Dataset"
_OWN = frozenset({"string", "large_string", "int64", "int32", "int16", "int8", "bool"})


def recognises(thing: Any) -> bool:
    """Classes of the package ``datasets``."""
    return type(thing).__module__.split(".")[0] == "datasets"


def read(thing: Any, options: Options) -> Listing:
    """The rows of one data set, or of each part of several; images are read as they are used.

    Streams, and data sets with a transform of the user's own, are read item by item.
    """
    if isinstance(thing, Mapping):
        unknown = [part for part in thing if part.lower() not in PART_FOLDERS]
        unread = [part for part, data in thing.items() if not _has_rows(data)]
        if unknown or unread:
            raise SourceError(
                "load_images: a DatasetDict: must hold data sets called train, validation,"
                f" calibration or test, with rows. Got {few([*unknown, *unread])}. Load its parts"
                " one by one."
            )
        parts = [_rows(data, options, part) for part, data in thing.items()]
        named = zip(parts, thing, strict=True)
        return join_listings(
            _KIND,
            [
                replace(one, splits=[PART_FOLDERS[part.lower()]] * len(one.names))
                for one, part in named
            ],
        )
    if _has_rows(thing):
        return _rows(thing, options, str(thing.split or "row"))
    is_stream = not hasattr(thing, "__len__") and thing.features is not None
    return sequences.read(_named_rows(thing) if is_stream else thing, options)


def _has_rows(data: Any) -> bool:
    return hasattr(data, "__len__") and data.format["type"] != "custom"


def _rows(data: Any, options: Options, name: str) -> Listing:
    data = data.with_format(None)
    image = _column(data, "Image", IMAGE_KEYS)
    if image is None:
        raise SourceError(
            "load_images: a Hugging Face Dataset: must have a column of images. Got the columns"
            f" {few(data.column_names)}. Rename it to image."
        )
    label = _column(data, "ClassLabel", LABEL_KEYS)
    feature = data.features[image]
    if type(feature).__name__ == "Image":  # bytes as they lie: decoded here, as files are
        data = data.cast_column(image, type(feature)(decode=False))
    pixels = data.select_columns([image])
    listing = list_items(
        _KIND, len(data), lambda row: pixels[row][image], options, name=name, check_twice=False
    )
    own = {
        column: [None if cell is None else str(cell) for cell in data[column]]
        for column, kind in data.features.items()
        if column not in {image, label} and getattr(kind, "dtype", None) in _OWN
    }
    groups = own.pop("group", None)
    return replace(
        listing,
        labels=None if label is None else shared(_named(data[label], data.features[label])),
        groups=None if groups is None else shared(groups),
        own={column: texts(cell or "" for cell in cells) for column, cells in own.items()},
    )


def _named_rows(stream: Any) -> Iterator[dict[str, Any]]:
    image, label = (
        _column(stream, kind, names)
        for kind, names in (("Image", IMAGE_KEYS), ("ClassLabel", LABEL_KEYS))
    )
    for row in stream:
        named = None if label is None else _named([row[label]], stream.features[label])[0]
        yield {"image": row.get(image), "label": named}


def _column(data: Any, kind: str, names: tuple[str, ...]) -> str | None:
    """The column of a type by name, else the only one of it, else one of a usual name."""
    of_kind = [name for name, one in data.features.items() if type(one).__name__ == kind]
    usual = [name for name in names if name in (of_kind or data.column_names)]
    if not usual and len(of_kind) > 1:
        raise SourceError(
            f"load_images: a Hugging Face Dataset: must show which column of {kind} counts. Got"
            f" {few(of_kind)}. Rename one to {names[0]}."
        )
    return next(iter([*usual, *of_kind]), None)


def _named(labels: Any, feature: Any) -> list[Any]:
    """Labels by name where classes have names; -1 is how the Hub writes that there is none."""
    names = getattr(feature, "names", None)
    if not names:
        return list(labels)
    return [None if one is None or one < 0 else names[one] for one in labels]
