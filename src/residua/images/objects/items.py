"""One item of a data set: an image and its label, however a framework writes them."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua._check import array_of, is_tensor
from residua._text import count
from residua.errors import ImageError, RangeError, ShapeError, SourceError
from residua.images.columns import texts
from residua.images.decoding import Encoded
from residua.images.listing import Listing, Options
from residua.images.stores import read_bytes
from residua.records import Assumption

IMAGE_KEYS = ("image", "images", "img", "pixel_values", "x")
LABEL_KEYS = ("label", "labels", "target", "targets", "y", "class", "gt_label")
MASK_KEYS = ("mask", "masks", "gt_mask", "ground_truth")
CHANNELS = frozenset({1, 3, 4})
_N_AGAIN = 4  # items that are read twice, spread evenly
FIRST = Assumption(
    about="layout of tensors",
    taken="channels first",
    because="their first axis has 1, 3 or 4 entries and their last has not",
    to_tell="arrays with channels last",
)
_BESIDE = Assumption(
    about="second part of each item",
    taken="no label: left out",
    because="it is an image or a vector, not one value",
    to_tell="labels=",
)


class Item(NamedTuple):
    """The image of an item as it came, its label and its mask; None where it has none."""

    image: Any
    label: Any = None
    mask: Any = None


def item_of(value: Any, where: str) -> Item:
    """The parts of an item: a mapping by its keys, a pair by its order, else an image alone.

    >>> item_of({"img": "a.png", "target": 3}, "item 0")
    Item(image='a.png', label=3, mask=None)
    """
    if isinstance(value, Item):
        return value
    if dataclasses.is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping) and not _is_encoded(value):
        image, label, mask = (
            next((key for key in keys if key in value), None)
            for keys in (IMAGE_KEYS, LABEL_KEYS, MASK_KEYS)
        )
        if image is None:
            raise SourceError(
                f"{where}: must have one of the keys {', '.join(IMAGE_KEYS)}. Got"
                f" {', '.join(map(str, value)) or 'no keys'}. Rename the key of the image."
            )
        return Item(
            value[image],
            None if label is None else value[label],
            None if mask is None else value[mask],
        )
    if isinstance(value, tuple) or (isinstance(value, list) and value and np.ndim(value[0]) > 1):
        if not value:
            raise SourceError(f"{where}: must hold an image. Got an empty tuple. Drop it.")
        return Item(value[0], value[1] if len(value) > 1 else None)
    return Item(value)


def mask_of(mask: Any) -> NDArray[np.bool_]:
    """A mask as (height, width): what is not zero is defective; an axis of one channel is dropped.

    >>> mask_of(np.array([[[0, 255]]])).tolist()
    [[False, True]]
    """
    marked = np.asarray(np.not_equal(array_of(mask), 0))
    if marked.ndim == 3 and 1 in (marked.shape[0], marked.shape[-1]):
        marked = marked[0] if marked.shape[0] == 1 else marked[..., 0]
    return marked


def channels_last(array: NDArray[Any], where: str, *, torch: bool) -> tuple[NDArray[Any], bool]:
    """Images (..., h, w, c), and whether the channels had to be moved there.

    Tensors of torch have them first. Of other arrays that look so, `ShapeError` says how to move
    them.
    """
    first, last = array.shape[-3] in CHANNELS, array.shape[-1] in CHANNELS
    axis = array.ndim - 3
    if not first or (last and not torch):
        return array, False
    if first and last:
        raise ShapeError(
            f"{where}: must show where the channels are. Got shape {array.shape}, of which two axes"
            " could be. Pass a NumPy array with channels last."
        )
    if not torch:
        raise ShapeError(
            f"{where}: must have its channels last. Got shape {array.shape}, which looks like"
            f" channels first. Pass np.moveaxis(images, {axis}, -1)."
        )
    return np.moveaxis(array, axis, -1), True


class Items:
    """Images that an object gives by number, as content of a `Listing`.

    ``labels``, ``masks`` and ``assumptions`` grow while items are read for the first time, because
    an item costs as much as its image: a listing that holds the same lists is complete once all is
    read.
    """

    def __init__(
        self,
        get: Callable[[int], Any],
        names: Sequence[str] | NDArray[Any],
        options: Options,
        *,
        labels: list[Any],
        masks: list[NDArray[np.bool_] | None],
        assumptions: list[Assumption] | None = None,
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        self._get, self._names, self._options = get, names, options
        self._labels, self._masks = labels, masks
        self.assumptions = [] if assumptions is None else assumptions
        self._rows = np.arange(len(names)) if rows is None else rows
        self._lock = threading.RLock()  # data sets may not be read by two threads at once

    def __len__(self) -> int:
        return len(self._rows)

    def part(self, rows: NDArray[np.int64]) -> Items:
        """These items alone."""
        return Items(
            self._get,
            self._names,
            self._options,
            labels=self._labels,
            masks=self._masks,
            assumptions=self.assumptions,
            rows=self._rows[rows],
        )

    def read(self, index: int) -> Encoded:
        """One image: encoded bytes, an image of Pillow, or an array that holds."""
        row = int(self._rows[index])
        where = f"load_images: {self._names[row]}"
        with self._lock:
            item = item_of(self._get(row), where)
            self._labels[row] = self._label_of(item.label)
            if self._masks[row] is None and item.mask is not None:
                self._masks[row] = mask_of(item.mask)
        return self._encoded(item.image, where)

    def _label_of(self, label: Any) -> Any:
        if label is None or isinstance(label, str):
            return label
        array = array_of(label)
        if array.size != 1:
            self._tell(_BESIDE)
            return None
        return array.reshape(-1)[0].item() if array.dtype != object else array.reshape(-1)[0]

    def _tell(self, made: Assumption) -> None:
        with self._lock:
            if made not in self.assumptions:
                self.assumptions.append(made)

    def _encoded(self, image: Any, where: str) -> Encoded:
        if isinstance(image, Mapping) and _is_encoded(image):
            image = image["path"] if image.get("bytes") is None else image["bytes"]
        if image is None:
            raise ImageError("there is no image")
        if isinstance(image, Image.Image):
            file = getattr(image, "filename", "")
            if not (file and getattr(image, "tile", ()) and Path(file).is_file()):
                return image
            image = file  # opened and not decoded: the file has all its bits
        limit = self._options.byte_limit
        if isinstance(image, (str, os.PathLike)):
            return read_bytes(Path(image), limit)
        if isinstance(image, (bytes, bytearray, memoryview)):
            if len(image) > limit:
                raise ImageError(f"holds {len(image):,} bytes, more than {limit:,}")
            return bytes(image)
        return self._pixels(image, where)

    def _pixels(self, image: Any, where: str) -> NDArray[Any]:
        array = array_of(image)
        if array.dtype.kind not in "uifb" or array.ndim not in {2, 3} or 0 in array.shape:
            got = f"shape {array.shape} of {array.dtype}"
            if array.dtype == object or array.ndim == 0:
                got = f"{type(image).__module__}.{type(image).__qualname__}"
            raise ShapeError(
                f"{where}: must be an image: (height, width) or (height, width, channels), of"
                f" Pillow, or an encoded file. Got {got}. Convert it."
            )
        if array.ndim == 2:
            array = array[..., np.newaxis]
        array, was_moved = channels_last(array, where, torch=is_tensor(image))
        if was_moved:
            self._tell(FIRST)
        if array.shape[-1] not in CHANNELS:
            raise ShapeError(
                f"{where}: must have 1, 3 (red, green, blue) or 4 (and transparency) channels. Got"
                f" shape {array.shape}. Drop or merge channels."
            )
        return _canonical(array, where)


def _canonical(array: NDArray[Any], where: str) -> NDArray[Any]:
    """uint8, uint16, int32 or float32 in [0, 1]; all else is refused."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind != "f":
        return array if array.dtype in (np.uint8, np.uint16) else array.astype(np.int32)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        mend = "Divide them by 255" if low >= 0 and 16 < high <= 255 else "Clip or rescale them"
        if low < 0:
            mend = "Leave out a transform such as Normalize; the model scales images itself"
        raise RangeError(
            f"{where}: floats must lie in [0, 1]. Got values in [{low:.9g}, {high:.9g}]. {mend}."
        )
    return eight_bits(array.astype(np.float32, copy=False))


def eight_bits(array: NDArray[np.float32]) -> NDArray[Any]:
    """Floats in [0, 1] as uint8 where not one of them changes by it, as after ``ToTensor``.

    So they are the images of their files again, by hash too, in a quarter of the memory.

    >>> eight_bits(np.arange(3, dtype=np.float32) / np.float32(255)).tolist()
    [0, 1, 2]
    """
    steps = np.rint(array * np.float32(255))
    is_exact = np.array_equal(steps / np.float32(255), array)
    return steps.astype(np.uint8) if is_exact else array


def list_items(
    kind: str,
    n: int,
    get: Callable[[int], Any],
    options: Options,
    *,
    name: str,
    names: Sequence[str] | None = None,
    check_twice: bool = True,
) -> Listing:
    """`n` items that `get` gives by number, read while they are decoded and again as needed.

    Raises SourceError if an item is not the same when it is read again, as with random transforms.
    """
    labels: list[Any] = [None] * n
    masks: list[NDArray[np.bool_] | None] = [None] * n
    column = texts(names if names is not None else (f"{name}[{row}]" for row in range(n)))
    content = Items(get, column, options, labels=labels, masks=masks)
    if check_twice:
        _refuse_random(content, column)
    return Listing(kind, column, content, labels=labels, masks=masks)


def _refuse_random(content: Items, names: NDArray[Any]) -> None:
    n = len(content)
    for row in sorted({n * part // _N_AGAIN for part in range(min(n, _N_AGAIN))}):
        try:
            first, second = (np.asarray(content.read(row)) for _ in range(2))
        except ImageError:
            continue  # quarantined later, with its reason
        if not np.array_equal(first, second):
            raise SourceError(
                f"load_images: {names[row]}: an item must be the same each time it is read. Got"
                " other pixels the second time. Leave random transforms out of the data set, and"
                " pass them as augment=."
            )


def list_in_memory(
    kind: str, found: Any, options: Options, what: str, mend: str, *, batch_size: int = 0
) -> Listing:
    """Items that come in order once, alone or in batches, all in memory.

    All are read alike: three axes of which the first could be channels are a batch of grey images
    where the source gives batches of that size or larger, or another one could not be an image.
    Raises SourceError if they need more than four times the memory that is allowed.
    """
    items: list[tuple[Item, int]] = []  # with the most images that it can hold, where known
    n_bytes = 0
    for value in found:
        where = f"load_images: {what}: item {len(items)}"
        rows = value if isinstance(value, list) and all(map(_is_item, value)) else [value]
        for row in rows:
            items.append((item_of(row, where), batch_size if row is value else 0))
            n_bytes += _n_bytes(items[-1][0].image)
        if n_bytes > options.array_limit:
            raise SourceError(
                f"load_images: {what} must fit in memory, because it gives its images once, in"
                f" order. Got over {n_bytes:,} bytes in {count(len(items), 'image')} where"
                f" {options.array_limit:,} are allowed. {mend}, or raise memory_megabytes."
            )
    shapes = [_shape(item) for item, _ in items]
    grey = {shape[1:] for shape in shapes if len(shape) == 3 and _is_batch(shape)}
    alone = [
        one
        for (item, most), shape in zip(items, shapes, strict=True)
        for one in _unbatched(
            item, shape, _is_batch(shape) or shape[1:] in grey or 0 < (shape or (0,))[0] <= most
        )
    ]
    return list_items(kind, len(alone), alone.__getitem__, options, name="item", check_twice=False)


def _n_bytes(image: Any) -> int:
    if isinstance(image, (list, tuple)):
        return sum(map(_n_bytes, image))
    return 0 if isinstance(image, Image.Image) else array_of(image).nbytes


def _shape(item: Item) -> tuple[int, ...]:
    if isinstance(item.image, (Image.Image, bytes, str, Mapping, list, tuple)):
        return ()
    return tuple(np.shape(item.image))


def _is_batch(shape: tuple[int, ...]) -> bool:
    """Whether no image can have this shape."""
    return len(shape) == 4 or (len(shape) == 3 and not {shape[0], shape[-1]} & CHANNELS)


def _unbatched(item: Item, shape: tuple[int, ...], is_batch: bool) -> list[Item]:
    image = item.image
    if isinstance(image, (list, tuple)):
        n = len(image)
    elif is_batch and len(shape) > 2:
        n = shape[0]
    else:
        return [item]
    labels = item.label
    has_labels = isinstance(labels, (list, tuple)) or len(getattr(labels, "shape", ())) > 0
    if has_labels and len(labels) != n:
        raise SourceError(
            "load_images: a batch must have one label per image. Got"
            f" {len(labels)} for {n}. Correct how batches are collated."
        )
    masks = item.mask
    return [
        Item(
            image[row],
            labels[row] if has_labels else labels,
            None if masks is None else masks[row],
        )
        for row in range(n)
    ]


def _is_item(value: Any) -> bool:
    """Whether it is a whole item with its label, one of a batch that was not collated."""
    return isinstance(value, (tuple, Mapping))


def _is_encoded(value: Mapping[Any, Any]) -> bool:
    """Whether it is an image as Hugging Face writes one: ``{"bytes": ..., "path": ...}``."""
    return bool(value) and set(value) <= {"bytes", "path"}
