"""`ImageSet`: images with labels, parts, groups and masks.

An immutable view into what a source held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._shown import Shown
from residua.errors import LabelError, ShapeError
from residua.images.columns import shared
from residua.images.groups import Grouping, group_codes, n_groups
from residua.images.hashing import fingerprint, in_hex
from residua.images.listing import Quarantined
from residua.images.normal_labels import (
    Labels,
    as_texts,
    is_inferred_normal,
    known_labels,
    known_texts,
    spelled_otherwise,
)
from residua.images.pixels import WORKERS
from residua.images.reading import Reading, reading_of
from residua.images.resize import resize
from residua.images.splits import make_splits, notes_of_split, shares_of
from residua.images.summary import part_counts, summarise
from residua.images.table import Masks, Table, check_columns, table_of_arrays
from residua.records import Assumption

_READ_VALUES = 2**25  # of images that are read together


class ImageSet(Shown):
    """Images with their labels, parts, groups and masks.

    Immutable; slicing gives another `ImageSet`.

    ``images[i]`` is (h, w, c), uint8, or float32 in [0, 1] where the source has more than 8 bits
    (read-only); ``images[slice]``, ``images[index array]`` and ``images[boolean array]`` are
    `ImageSet`. `load_images` makes one from a source, `ImageSet.from_arrays` from arrays.

    Examples
    --------
    >>> images = ImageSet.from_arrays(
    ...     np.zeros((3, 8, 8), np.uint8), labels=["good", "good", "crack"], normal="good"
    ... )
    >>> images[0].shape, images[:2].labels.tolist(), images.is_anomalous.tolist()
    ((8, 8, 1), ['good', 'good'], [False, False, True])
    """

    def __init__(
        self, table: Table, rows: NDArray[np.int64], normal: tuple[str, ...] | None = None
    ) -> None:
        self._table, self._rows, self._normal = table, np.asarray(rows, np.int64), normal

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any = None,
        *,
        paths: Sequence[str] | None = None,
        splits: Sequence[str] | str | None = None,
        groups: Sequence[Any] | NDArray[Any] | None = None,
        products: Sequence[Any] | NDArray[Any] | None = None,
        masks: Sequence[NDArray[np.bool_] | None] | None = None,
        normal: Labels | None = None,
        source: str = "arrays",
        bits: int | None = None,
        reading: Reading | None = None,
    ) -> ImageSet:
        """An `ImageSet` from plain arrays, as from a source; an `ImageSet` comes back as it is.

        Parameters
        ----------
        images : array, (n, h, w) or (n, h, w, c), or a sequence of (h, w) or (h, w, c)
            uint8, bool, uint16, or floats in [0, 1]. Not copied where uint8 or float32.
        labels : sequence, optional
            One an image, integers or strings, None where there is none.
        splits : sequence or str, optional
            ``train``, ``calibration`` or ``test`` for every image or for all of them; ``train`` if
            left out.
        groups : sequence, optional
            The group of each image, None where it is its own.
        products : sequence, optional
            What each image shows, where one model is to judge several products.
        bits : int, optional
            How many bits of whole numbers count, as in `load_images`.
        reading : Reading, optional
            How another set was read, so that this one is read alike; `bits` comes before it.

        Raises
        ------
        ShapeError, RangeError, LabelError
            If images or columns do not hold; all problems at once.
        """
        if isinstance(images, ImageSet):
            return images
        columns = {"splits": splits, "groups": groups, "products": products}
        table = table_of_arrays(
            images,
            labels,
            {"paths": paths, "masks": masks, **columns},
            source,
            reading_of(bits, reading, where="ImageSet.from_arrays"),
            of_model=bits is None and reading is not None,
        )
        whole = cls(table, np.arange(len(table.paths)))
        return whole if normal is None else whole.with_normal(normal)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> NDArray[Any]: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | NDArray[Any]) -> ImageSet: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            return self._table.pixels.read(self._rows[index : index + 1 or None])[0]
        return ImageSet(
            self._table,
            self._rows[index if isinstance(index, slice) else _as_index(index)],
            self._normal,
        )

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for batch in self.batches(64):
            yield from batch

    def __repr__(self) -> str:
        size = "mixed sizes" if self.uniform_size is None else "{}x{}".format(*self.uniform_size)
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        parts = ", ".join(f"{part} {n:,}" for part, n in part_counts(self.splits).items())
        return (
            f"ImageSet({self.source!r}: {len(self):,} images, {size}, {channels}, {self.dtype};"
            f" {parts})"
        )

    def batches(self, n: int) -> Iterator[list[NDArray[Any]]]:
        """Lists of at most `n` images in order, decoded in parallel where they are not in memory.

        Sizes may differ. Of a few that are asked for at a time, as many are read together as there
        are threads to decode them, unless they are large.
        """
        together = n * max(1, min(WORKERS, _READ_VALUES // self._most_values()) // n)
        for start in range(0, len(self), together):
            images = list(self._table.pixels.read(self._rows[start : start + together]))
            for first in range(0, len(images), n):
                yield images[first : first + n]

    def chunks(self, n: int = 256, values: int = 2**25) -> Iterator[list[NDArray[Any]]]:
        """As `batches`, but of fewer images where they are large.

        A list holds about `values` numbers at most, at least one image.
        """
        return self.batches(max(1, min(n, values // self._most_values())))

    def _most_values(self) -> int:
        """Of an image."""
        return self.channels * int(self.sizes.prod(axis=1).max(initial=1))

    def array(self, size: tuple[int, int] | None = None) -> NDArray[Any]:
        """All images as one array (n, h, w, c), a copy.

        With `size` = (height, width) each is resized to it first.

        Raises
        ------
        ShapeError
            If sizes are mixed and no `size` is given.
        """
        wanted = size if size is not None else self.uniform_size
        if wanted is None:
            low, high = self.sizes.min(axis=0).tolist(), self.sizes.max(axis=0).tolist()
            raise ShapeError(
                f"ImageSet.array: images must have one size to form one array. Got {len(self)}"
                f" images between {low[0]}x{low[1]} and {high[0]}x{high[1]}. Pass size=(height,"
                " width) to resize them."
            )
        result = np.empty((len(self), *wanted, self.channels), self.dtype)
        start = 0
        for batch in self.batches(1024 if self.uniform_size is not None else 64):
            for image in batch:
                result[start] = resize(image, wanted)
                start += 1
        return result

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour; the same for every image of the source."""
        return self._table.pixels.channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """``uint8``, or ``float32`` where the source has more than 8 bits."""
        return self._table.pixels.dtype

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Heights and widths, (n, 2)."""
        return np.asarray(self._table.pixels.sizes[self._rows], np.int64)

    @property
    def uniform_size(self) -> tuple[int, int] | None:
        """(height, width) that all images have, else None; an empty set has its source's."""
        sizes = self._table.pixels.sizes[self._rows] if len(self) else self._table.pixels.sizes
        return (
            None
            if not len(sizes) or (sizes != sizes[0]).any()
            else (int(sizes[0, 0]), int(sizes[0, 1]))
        )

    @property
    def paths(self) -> NDArray[Any]:
        """Names as told to users, str: paths relative to the source, or ``x_train[3]``."""
        return self._table.paths[self._rows].astype(object)

    @property
    def labels(self) -> NDArray[Any] | None:
        """Labels as the source gives them: int64, or objects with None; None if there are none."""
        return None if self._table.labels is None else self._table.labels[self._rows]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which images have a label."""
        labels = [None] * len(self) if self.labels is None else self.labels.tolist()
        return np.asarray([label is not None for label in labels], np.bool_)

    @property
    def splits(self) -> NDArray[Any]:
        """The part of every image: ``train``, ``calibration`` or ``test``."""
        return self._table.splits[self._rows]

    @property
    def drawn(self) -> frozenset[str]:
        """The parts that were drawn at random, because the source does not name them."""
        return self._table.drawn

    @property
    def groups(self) -> NDArray[Any] | None:
        """The group of each image, None where it is its own; None if the source has no groups."""
        return None if self._table.groups is None else self._table.groups[self._rows]

    @property
    def products(self) -> NDArray[Any] | None:
        """The product of each image, None where it is not known; None if nobody named any."""
        return None if self._table.products is None else self._table.products[self._rows]

    @property
    def grouping(self) -> Grouping | None:
        """By what the images were grouped; None if they were not."""
        return self._table.grouping

    @property
    def n_groups(self) -> int | None:
        """How many groups these images are of; None if the source has no groups."""
        return None if self.groups is None else n_groups(self.groups.tolist())

    @property
    def group_codes(self) -> NDArray[np.int64] | None:
        """The group of each image by number, from 0; None if the source has no groups."""
        return None if self.groups is None else group_codes(self.groups.tolist())

    @property
    def own_columns(self) -> dict[str, NDArray[Any]]:
        """Columns of a manifest that residua does not read, such as a camera, as str."""
        return {name: column[self._rows].astype(object) for name, column in self._table.own.items()}

    @property
    def train(self) -> ImageSet:
        """The images that models are fitted on."""
        return self._part("train")

    @property
    def calibration(self) -> ImageSet:
        """The images that thresholds come from."""
        return self._part("calibration")

    @property
    def test(self) -> ImageSet:
        """The images that nothing is ever fitted to."""
        return self._part("test")

    @property
    def masks(self) -> Masks:
        """``masks[i]`` is bool (h, w), True = defective, or None."""
        return Masks(self._table, self._rows)

    @property
    def has_masks(self) -> bool:
        """Whether any image of this set has a mask."""
        return bool(self.masks.known.any())

    @property
    def normal(self) -> tuple[str, ...] | None:
        """The labels that mean normal, as text; None while they are not named."""
        return self._normal

    def with_normal(self, labels: Labels) -> ImageSet:
        """The same images with the normal labels named; `LabelError` if one is not there."""
        named = as_texts(labels, self._table.labels)
        normal = known_labels(named, self._table.labels, where="with_normal")
        earlier = (one for one in self._table.assumptions if not is_inferred_normal(one))
        assumed = (*earlier, *spelled_otherwise(named, normal))
        return ImageSet(
            replace(self._table, assumptions=tuple(dict.fromkeys(assumed))), self._rows, normal
        )

    def with_split(self, splits: Sequence[str] | str) -> ImageSet:
        """The same images as ``train``, ``calibration`` or ``test``, told for each or for all."""
        parts = [splits] * len(self) if isinstance(splits, str) else list(splits)
        problems = Problems("ImageSet.with_split")
        check_columns(problems, len(self), {"splits": parts})
        problems.raise_any()
        column = self._table.splits.copy()
        column[self._rows] = shared(parts)
        return ImageSet(replace(self._table, splits=column), self._rows, self._normal)

    def split(self, *, calibration: float = 0.2, test: float = 0.2, seed: int = 0) -> ImageSet:
        """The same images in parts that are drawn anew, as `load_images` draws them.

        Stratified by label, whole groups together; once normal labels are named, no anomalous image
        comes into train. The draw depends on `seed` and the paths alone.

        Parameters
        ----------
        calibration, test : float in [0, 1)
            Their shares of the images; 0 leaves a part empty. The rest is train. Of anomalous
            images 30% go to calibration and 70% to test.
        seed : int
            Another one draws other parts.

        Raises
        ------
        RangeError
            If nothing would be left to train on.

        Examples
        --------
        >>> images = ImageSet.from_arrays(np.zeros((10, 8, 8), np.uint8), [0] * 8 + [1] * 2)
        >>> parts = images.with_normal(0).split(calibration=0.25, test=0.25)
        >>> len(parts.train), len(parts.calibration), parts.test.labels.tolist()
        (4, 3, [0, 0, 1])
        """
        shares = shares_of(calibration, test)
        parts, told = make_splits(
            self.paths,
            self.labels,
            groups=self.groups,
            normal=self._normal,
            seed=seed,
            shares=shares,
        )
        table = replace(
            self.with_split(parts.tolist())._table,
            drawn=frozenset(shares),
            notes=notes_of_split(self.notes, told),
        )
        return ImageSet(table, self._rows, self._normal)

    def without(self, *others: ImageSet) -> ImageSet:
        """The images that are in none of `others`, which are parts of the same source."""
        taken = np.zeros(len(self._table.paths), np.bool_)
        for other in others:
            taken[other._rows] = True
        return self[np.flatnonzero(~taken[self._rows])]

    @property
    def is_anomalous(self) -> NDArray[np.bool_]:
        """True where the label is none of the normal ones.

        False, and meaningless, where `labelled` is False.

        Raises
        ------
        LabelError
            While normal is not named.
        """
        if self._normal is None:
            known = known_texts(self._table.labels)
            got = "the labels " + ", ".join(known[:20]) if known else "no labels at all"
            raise LabelError(
                f"{self.source}: the normal label must be named before images are normal or"
                f" anomalous. Got {got}. Name it with normal= (--normal)."
            )
        labels = self.labels
        return (
            np.zeros(len(self), np.bool_)
            if labels is None
            else np.asarray(
                [label is not None and str(label) not in self._normal for label in labels.tolist()],
                np.bool_,
            )
        )

    @property
    def presumed_anomalous(self) -> NDArray[np.bool_]:
        """`is_anomalous`; all False where there are no labels, or none is named normal."""
        return (
            np.zeros(len(self), np.bool_)
            if self.labels is None or self._normal is None
            else self.is_anomalous
        )

    @property
    def byte_hashes(self) -> NDArray[Any]:
        """SHA-256 of each file's bytes (of the raw pixels where there is no file), in hex."""
        return in_hex(self.byte_digests)

    @property
    def pixel_hashes(self) -> NDArray[Any]:
        """BLAKE2b-128 of each decoded image in hex, equal for equal pictures in other files."""
        return in_hex(self.pixel_digests)

    @property
    def byte_digests(self) -> NDArray[np.uint8]:
        """`byte_hashes` as raw bytes, uint8 (n, 32): a fifth of the memory."""
        return self._table.pixels.byte_digests[self._rows]

    @property
    def pixel_digests(self) -> NDArray[np.uint8]:
        """`pixel_hashes` as raw bytes, uint8 (n, 16)."""
        return self._table.pixels.pixel_digests[self._rows]

    @property
    def fingerprint(self) -> str:
        """One hex string over the decoded images, whatever their order."""
        return fingerprint(self.pixel_digests)

    @property
    def quarantined(self) -> tuple[Quarantined, ...]:
        """The files of the source that were kept out, each with its reason."""
        return self._table.quarantined

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done on the way in: converted, held out, first frame taken."""
        return self._table.notes

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was read off the source because nobody told it."""
        return self._table.assumptions

    @property
    def reading(self) -> Reading:
        """How values became brightness: the bits that count, the ground under transparency."""
        return self._table.reading

    @property
    def source(self) -> str:
        """The source as it was named."""
        return self._table.source

    @property
    def kind(self) -> str:
        """What the source was recognised as."""
        return self._table.kind

    def summary(self) -> dict[str, Any]:
        """What `info --json` writes: counts, sizes, notes and quarantined files, as JSON values."""
        return summarise(self, self._table.formats)

    def _part(self, part: str) -> ImageSet:
        return self[np.flatnonzero(self.splits == part)]


def _as_index(index: Any) -> NDArray[Any]:
    array = np.asarray(index)
    return array if array.size else array.astype(np.int64)
