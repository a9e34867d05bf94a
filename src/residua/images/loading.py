"""`load_images`: from a SOURCE to a clean `ImageSet`.

Every file is decoded once; what fails is quarantined.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._log import logger
from residua._text import count, few, without_secrets
from residua.errors import ImageError, InputError, RangeError, ShapeError, SourceError
from residua.images.arrays import as_labels
from residua.images.columns import shared, texts
from residua.images.duplicates import search_duplicates
from residua.images.groups import (
    Grouped,
    Grouping,
    as_groups,
    column_of,
    group_listing,
    twins_of,
    with_groups,
)
from residua.images.imageset import ImageSet
from residua.images.listing import Listing, Options, Progress, Quarantined
from residua.images.normal_labels import Labels, inferred_normal, named_normal, told_beside
from residua.images.objects import list_object
from residua.images.objects.items import mask_of
from residua.images.products import with_products
from residua.images.reading import Reading, reading_of
from residua.images.source_pixels import LoadedSource, read_pixels
from residua.images.sources import list_source
from residua.images.splits import drawn_parts, groups_in_two_splits, make_splits
from residua.images.table import Table, check_columns

_AS_BITS = "pass images.astype(bool), or images.bool() of a tensor"
_MEND_OBJECT = "Pass images; paths are relative to root=, or to the folder in which Python runs"
_COLUMNS = {"labels": "labels", "paths": "names", "splits": "splits", "masks": "masks"}

_log = logger("images")


def load_images(
    source: Any,
    *,
    normal: str | int | Sequence[str | int] | None = None,
    labels: Any = None,
    groups: str | Grouping | Sequence[Any] | NDArray[Any] | None = None,
    product: str | Sequence[Any] | NDArray[Any] | None = None,
    masks: Sequence[Any] | None = None,
    paths: Sequence[str] | None = None,
    splits: Sequence[str] | str | None = None,
    seed: int = 0,
    pixel_limit: int = 100_000_000,
    memory_megabytes: float = 2048,
    progress: Progress | None = None,
    root: str | Path | None = None,
    bits: int | None = None,
    reading: Reading | None = None,
    follow_links: bool = False,
) -> ImageSet:
    """Read a SOURCE of any kind.

    A folder in any layout, ``.npz``, ``.npy``, IDX, Parquet, tar shards, a URL, a CSV manifest, or
    ``digits``; or an object of Python: arrays, tensors, lists of images, data sets of torch,
    Hugging Face and TensorFlow, data frames.

    Every file is decoded once, in parallel, so that what comes back is clean; a file that does not
    decode or exceeds a limit is in ``.quarantined`` with its reason. The layouts are described in
    the page *Images*, the objects in the page *Images in Python*.

    Parameters
    ----------
    source : str, Path or object
        The word ``digits`` means scikit-learn's bundled digits; a folder of that name is
        ``./digits``.
    normal : str, int or several
        The label or labels that mean *normal*, compared as text. None: taken from the source where
        it shows (said in ``.notes``), else left open.
    labels, masks, paths, splits : sequence, optional
        Of objects alone, one an image: labels; boolean arrays (height, width), True = defective;
        names; ``train``, ``calibration`` or ``test`` (one text for all). None where an image has
        none. They come before what the object says itself.
    groups : str, array or Grouping, optional
        Which images belong together, such as the views of one part: the name of a column of a
        manifest or Parquet file; ``folder`` for the folder that each image lies in; a regular
        expression, of which the first capturing group (or the whole match) in the image's path is
        the group; ``twins`` for groups of near-duplicates. Of several that a text could be, the
        first. An array names the group of each image of the set, None where it is its own. A
        `Grouping` is how another set was grouped (its ``.grouping``); where it does not apply here,
        an assumption says so. None: the column ``group`` where there is one.
    product : str or array, optional
        Which product each image shows, where one model is to judge several: the name of a column of
        a manifest or Parquet file; ``folder`` for the first folder on the way to the image that is
        neither a part nor its label; a regular expression as for `groups`; ``=NAME`` for all
        images. An array names the product of each image. None: there are no products.
    seed : int
        Of the split, where the source does not give one.
    pixel_limit : int
        An image that declares more pixels is quarantined before it is decoded.
    memory_megabytes : float
        Decoded pixels are kept in memory up to this; the rest is decoded again on access.
    progress : callable, optional
        Called with (done, total) as files are decoded.
    root : str or Path, optional
        For a manifest: the folder that its paths are relative to and must stay in, instead of the
        manifest's own.
    bits : int, optional
        How many bits of whole numbers in larger containers count: 12 for a camera of 12 bits that
        writes 16. None: what the files declare, else recognised where all images end at 8, 10, 12
        or 14 bits (said in ``.assumptions``), else all.
    reading : Reading, optional
        How another set was read (its ``.reading``), so that this one is read alike; `bits` comes
        before it.
    follow_links : bool
        For a folder: follow links that lead out of it, as DVC and git-annex make them. Left out,
        such files are quarantined, as a folder from elsewhere could otherwise bring in any file of
        this machine.

    Raises
    ------
    SourceError
        If the source does not exist, holds no readable image, or contradicts itself; if `groups`
        name no column, match no image, or put all into one group.
    InputError
        If a pattern for `groups` is none, or takes too long.
    ShapeError, RangeError
        If an object's images have no shape or scale of images, or a column has not one entry per
        image.
    LabelError
        If `normal` names a label that is not there.

    Examples
    --------
    >>> images = load_images("digits", normal=0)
    >>> (
    ...     len(images.train),
    ...     len(images.calibration),
    ...     len(images.test),
    ...     images.uniform_size,
    ...     images.channels,
    ... )
    (107, 522, 1168, (8, 8), 1)
    >>> load_images(np.zeros((10, 8, 8), np.uint8), labels=[0] * 8 + [1] * 2, normal=0)
    ImageSet('array': 10 images, 8x8, 1 channel, uint8; train 5, calibration 3, test 2)
    """
    if pixel_limit < 1 or not memory_megabytes >= 0:
        raise RangeError(
            "load_images: pixel_limit must be at least 1 and memory_megabytes at least 0. "
            f"Got {pixel_limit} and {memory_megabytes}. Leave them out for the defaults."
        )
    options = Options(
        pixel_limit,
        memory_megabytes,
        None if root is None else Path(root),
        follow_links,
        progress,
        reading_of(bits, reading, where="load_images"),
        of_model=bits is None and reading is not None,
        group_column=column_of(groups),
        product_column=product if isinstance(product, str) else None,
    )
    if isinstance(source, ImageSet):
        raise InputError(
            "load_images: a source must not be read twice. Got an ImageSet. Use it as it is, or its"
            " with_normal, with_split and split."
        )
    own: Any = None
    told = {"labels": labels, "masks": masks, "paths": paths, "splits": splits}
    is_path = isinstance(source, (str, os.PathLike))
    if is_path:
        if any(column is not None for column in told.values()):
            raise InputError(
                "load_images: labels=, masks=, paths= and splits= are for objects. Got a path."
                " Write them into a manifest, whose columns are path,label,mask,split,group."
            )
        listing, name = list_source(source, options), str(source)
    else:
        found = list_object(source, options)
        listing = _with_told(found, told)
        name, own = listing.kind, found.labels
    grouped = (
        group_listing(listing, groups)
        if groups is None or isinstance(groups, str | Grouping)
        else Grouped(None, Grouping(by="array"))
    )
    by = None if grouped.grouping is None else grouped.grouping.by
    loaded = read_pixels(with_products(with_groups(listing, grouped), product), options)
    if labels is not None and own is not None:
        notes = told_beside(listing.labels, own, "load_images")
        told_notes = [*loaded.listing.notes, *notes]
        loaded = replace(loaded, listing=replace(loaded.listing, notes=told_notes))
    if not len(loaded.listing.names):
        refused = loaded.listing.quarantined
        raise SourceError(
            nothing_readable(name, refused, len(refused), mend="" if is_path else _MEND_OBJECT)
        )
    _check_masks(loaded)
    loaded = _named_one_by_one(loaded, "products", None if isinstance(product, str) else product)
    if by == "array":
        loaded = _named_one_by_one(loaded, "groups", groups)
    elif by == "twins":
        loaded = _grouped_by_twins(loaded, name)
    images = _assemble(name, loaded, grouped.grouping, normal, seed)
    if not is_path:  # of files `check` has a finding
        _refuse_bits(images)
    _log.info("%s", without_secrets(repr(images)))
    if images.quarantined:
        path, reason = images.quarantined[0]
        n = count(len(images.quarantined), "file")
        _log.warning("%s left out, such as %s: %s", n, path, reason)
    return images


def as_image_set(
    images: Any,
    labels: Any = None,
    *,
    reading: Reading | None = None,
    normal: Labels | None = None,
) -> ImageSet:
    """An `ImageSet` as it is; any object that `load_images` takes as one, all of it in train.

    Raises
    ------
    ImageError
        If an image does not decode: what comes back has a row for each image that came.
    InputError
        If `images` is a path: which part of a source is meant is the caller's to say.

    Examples
    --------
    >>> as_image_set([np.zeros((8, 8)), np.ones((9, 9))]).sizes.tolist()
    [[8, 8], [9, 9]]
    """
    if isinstance(images, ImageSet):
        return images
    if isinstance(images, np.ndarray) and images.dtype != object:
        made = ImageSet.from_arrays(images, labels, reading=reading, normal=normal)
        _refuse_bits(made)
        return made
    if isinstance(images, (str, os.PathLike)):
        raise InputError(
            f"images: must be an ImageSet or an object with images. Got the path {images}. Pass"
            f" residua.load_images({str(images)!r}), or its .train or .test."
        )
    found = load_images(images, labels=labels, splits="train", reading=reading, normal=normal)
    if found.quarantined:
        path, reason = found.quarantined[0]
        raise ImageError(
            f"{path}: every image must decode. Got {count(len(found.quarantined), 'image')} that"
            f" cannot be read: {reason}. Leave them out; load_images does."
        )
    return found


def _refuse_bits(images: ImageSet) -> None:
    """Refuse bytes that hold 0 and 1 alone: as images they are black. One alone may be."""
    if images.dtype != np.uint8 or not len(images) or images[0].max() > 1:
        return
    if max(int(np.max(one)) for one in images) != 1:
        return
    if len(images) == 1:
        warnings.warn(
            "images: the image holds 0 and 1 alone, and bytes are brightness from 0 to 255, so it"
            f" is read as black. If it is binary, {_AS_BITS}.",
            UserWarning,
            stacklevel=3,
        )
        return
    raise RangeError(
        f"images: bytes must be brightness from 0 to 255. Got 0 and 1 alone. If they are binary,"
        f" {_AS_BITS}, or multiply them by 255; floats that were cut to whole numbers have to be"
        " scaled first."
    )


def _with_told(listing: Listing, told: Mapping[str, Any]) -> Listing:
    """The listing of an object with the columns that were told beside it."""
    n, problems = len(listing.names), Problems("load_images")
    columns = dict(told)
    if isinstance(columns["splits"], str):
        columns["splits"] = [columns["splits"]] * n
    splits = columns["splits"] or ["train"] * n
    check_columns(problems, n, {**columns, "labels": None, "splits": splits})
    if columns["labels"] is not None:
        columns["labels"] = as_labels(columns["labels"], n, name="labels", problems=problems)
    problems.raise_any()
    if columns["paths"] is not None:
        columns["paths"] = texts(str(path) for path in columns["paths"])
    if columns["masks"] is not None:
        columns["masks"] = [None if mask is None else mask_of(mask) for mask in columns["masks"]]
    given = {_COLUMNS[name]: column for name, column in columns.items() if column is not None}
    return replace(listing, **given)


def _check_masks(loaded: LoadedSource) -> None:
    """Masks that came as arrays have the sizes of their images."""
    listing, sizes = loaded.listing, loaded.pixels.sizes
    wrong = [
        f"{listing.names[row]}: {mask.shape} where its image is {tuple(sizes[row].tolist())}"
        for row, mask in enumerate(listing.masks or ())
        if isinstance(mask, np.ndarray) and mask.shape != tuple(sizes[row].tolist())
    ]
    if wrong:
        raise ShapeError(
            "load_images: a mask must have the height and width of its image. Got"
            f" {few(wrong, 3)}. Resize them."
        )


def _named_one_by_one(loaded: LoadedSource, name: str, told: Any) -> LoadedSource:
    if told is None:
        return loaded
    problems = Problems("load_images")
    column = as_groups(told, len(loaded.listing.names), problems=problems, name=name)
    problems.raise_any()
    told_column: dict[str, Any] = {name: column}
    return replace(loaded, listing=replace(loaded.listing, **told_column))


def _grouped_by_twins(loaded: LoadedSource, source: str) -> LoadedSource:
    """Near-duplicates share a group, and so do all that such pairs join."""
    paths = texts(loaded.listing.names)
    table = Table(loaded.pixels, paths, None, shared(["train"] * len(paths)), source=source)
    images = ImageSet(table, np.arange(len(paths)))
    found = search_duplicates(images, progress=loaded.options.progress)
    return replace(
        loaded, listing=with_groups(loaded.listing, twins_of(found.groups, images.paths))
    )


def _assemble(
    source: str,
    loaded: LoadedSource,
    grouping: Grouping | None,
    normal: str | int | Sequence[str | int] | None,
    seed: int,
) -> ImageSet:
    listing = loaded.listing
    problems = Problems("load_images")
    labels = (
        None
        if listing.labels is None
        else as_labels(listing.labels, len(listing.names), name="labels", problems=problems)
    )
    problems.raise_any()
    if labels is not None and labels.dtype == object and all(label is None for label in labels):
        labels = None
    assumed = list(listing.assumptions)
    named = (
        named_normal(normal, labels, assumed)
        if normal is not None
        else inferred_normal(listing.normal, listing.splits, labels, assumed)
    )
    splits, split_notes = make_splits(
        listing.names, labels, splits=listing.splits, groups=listing.groups, normal=named, seed=seed
    )
    split_notes += _about_test(listing, labels, named)
    torn = groups_in_two_splits(splits, listing.groups)
    if torn:
        split_notes.append(
            f"{count(len(torn), 'group')} in more than one of train, calibration and test, such as"
            f" {torn[0]!r}: test is not independent"
        )
    if listing.quarantined:
        split_notes.append(f"{count(len(listing.quarantined), 'file')} quarantined")
    table = Table(
        pixels=loaded.pixels,
        paths=texts(listing.names),
        labels=shared(labels) if labels is not None and labels.dtype == object else labels,
        splits=splits,
        drawn=drawn_parts(listing.splits),
        groups=None if listing.groups is None else shared(listing.groups),
        grouping=None if listing.groups is None else grouping,
        products=listing.products,
        masks=_if_any(listing.masks),
        own=listing.own,
        mask_convention=loaded.mask_convention,
        source=source,
        kind=listing.kind,
        notes=(*listing.notes, *split_notes),
        reading=listing.reading,
        assumptions=tuple(assumed),
        quarantined=tuple(listing.quarantined),
        formats=listing.formats,
        pixel_limit=loaded.options.pixel_limit,
        byte_limit=loaded.options.byte_limit,
    )
    return ImageSet(table, np.arange(len(listing.names)), named)


def nothing_readable(
    source: str, quarantined: Sequence[Quarantined], n: int, *, mend: str = ""
) -> str:
    """The refusal of a source whose `n` files cannot be read; `quarantined` holds the first."""
    got = "none"
    if quarantined:
        first = quarantined[0]
        got = f"{count(n, 'file')} that cannot be read ({first.path}: {first.reason})"
    return (
        f"{source}: a source must hold at least one image that decodes. Got {got}."
        f" {mend or 'Name a folder or file with images'}."
    )


def _about_test(
    listing: Listing, labels: NDArray[Any] | None, normal: tuple[str, ...] | None
) -> list[str]:
    """A note where the test part cannot show how well anomalies are told from normal images."""
    if listing.splits is None or labels is None or normal is None:
        return []
    parts = zip(labels, listing.splits, strict=True)
    is_normal = {
        str(label) in normal for label, part in parts if part == "test" and label is not None
    }
    if len(is_normal) != 1:
        return []
    there, missing = ("anomalous", "normal") if False in is_normal else ("normal", "anomalous")
    return [
        f"the test part holds no {missing} image, {there} ones alone: ROC AUC cannot be measured"
        " on it"
    ]


def _if_any(masks: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if masks is None or all(mask is None for mask in masks) else tuple(masks)
