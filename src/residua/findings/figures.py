"""What a finding looks like: small pictures side by side, and how two sets of numbers are
distributed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua._pixels import as_bytes
from residua.errors import BundleError, ShapeError

MOST_GROUPS = 24
MOST_PICTURES = 8  # in a group
MOST_SIDE = 128
_BINS = 60


@dataclass(frozen=True)
class Picture:
    """A thumbnail, uint8 (height, width, 1 or 3), of at most `MOST_SIDE`, and its words."""

    pixels: NDArray[np.uint8]
    caption: str = ""

    @classmethod
    def of(cls, image: Any, caption: str = "") -> Picture:
        """A picture of an image of any size: uint8, or float in [0, 1]; (height, width[, 1 or 3]).

        Raises ShapeError if it has another shape, or no pixel.

        >>> Picture.of(np.zeros((512, 256)), "parts/a.png").pixels.shape
        (128, 64, 1)
        """
        array = np.asarray(image)
        array = array[..., np.newaxis] if array.ndim == 2 else array
        if array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
            raise ShapeError(
                "Picture.of: the image must have shape (height, width), (height, width, 1) or"
                f" (height, width, 3). Got {np.shape(image)}. Pass one image."
            )
        if array.dtype != np.uint8:
            array = as_bytes(np.nan_to_num(array.astype(np.float32)))
        return cls(_shrunk(array), caption)


def _shrunk(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if max(pixels.shape[:2]) <= MOST_SIDE:
        return np.ascontiguousarray(pixels)
    small = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    small.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small, np.uint8).reshape(small.height, small.width, pixels.shape[2])


@dataclass(frozen=True)
class Group:
    """Pictures that belong together: copies of one another, an image and what became of it."""

    pictures: tuple[Picture, ...]
    caption: str = ""


@dataclass(frozen=True)
class Histogram:
    """How several sets of numbers are distributed, in common bins.

    ``edges`` (n_bins + 1,) rise; ``counts`` holds n_bins integers for each set. ``quantity`` is
    what was counted. Bins are even in the logarithm where ``is_log``.
    """

    edges: NDArray[np.float64]
    counts: Mapping[str, NDArray[np.int64]]
    quantity: str = ""
    is_log: bool = False

    @classmethod
    def of(cls, series: Mapping[str, Any], quantity: str = "") -> Histogram | None:
        """Count finite values of each set in 60 bins; in the logarithm where they span decades.
        None if there are none.

        >>> found = Histogram.of({"train": [0.0, 0.1], "test": [0.2, 0.6, 0.6]}, "error")
        >>> len(found.edges), found.counts["test"].sum()
        (61, np.int64(3))
        """
        finite = {name: np.asarray(values, np.float64) for name, values in series.items()}
        finite = {name: values[np.isfinite(values)] for name, values in finite.items()}
        finite = {name: values for name, values in finite.items() if values.size}
        if not finite:
            return None
        everything = np.concatenate(list(finite.values()))
        low, high = float(everything.min()), float(everything.max())
        is_log = low > 0 and high / low > 50 and high > 8 * float(np.median(everything))
        if low == high:
            low, high = low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5
        edges = np.geomspace(low, high, _BINS + 1) if is_log else np.linspace(low, high, _BINS + 1)
        edges[0], edges[-1] = low, high
        counts = {
            name: np.histogram(values, edges)[0].astype(np.int64) for name, values in finite.items()
        }
        return cls(edges, counts, quantity, is_log)


@dataclass(frozen=True)
class Figure:
    """The pictures of one finding, and a histogram where a distribution is what it is about.

    ``n_more`` counts groups that there were beyond those kept.
    """

    groups: tuple[Group, ...] = ()
    histogram: Histogram | None = None
    caption: str = ""
    n_more: int = 0

    @classmethod
    def of(
        cls,
        groups: Iterable[Sequence[Picture]] | Iterable[Group] = (),
        *,
        histogram: Histogram | None = None,
        caption: str = "",
    ) -> Figure:
        """Keep the first `MOST_GROUPS` groups of at most `MOST_PICTURES` each, and count the rest.

        - `groups`: The most telling first; a sequence of pictures is a group without a caption.
        - `caption`: One line above the pictures.

        >>> pair = [
        ...     Picture.of(np.zeros((8, 8)), "train/1.png"),
        ...     Picture.of(np.zeros((8, 8)), "test/7.png"),
        ... ]
        >>> figure = Figure.of([pair] * 30, caption="The same pixels.")
        >>> len(figure.groups), figure.n_more
        (24, 6)
        """
        given = [one if isinstance(one, Group) else Group(tuple(one)) for one in groups]
        kept = [Group(one.pictures[:MOST_PICTURES], one.caption) for one in given[:MOST_GROUPS]]
        return cls(tuple(kept), histogram, caption, len(given) - len(kept))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays by name, for an ``.npz``; `from_arrays` reads it back."""
        words: dict[str, Any] = {
            "caption": self.caption,
            "n_more": self.n_more,
            "groups": [
                {
                    "caption": group.caption,
                    "pictures": [picture.caption for picture in group.pictures],
                }
                for group in self.groups
            ],
        }
        arrays: dict[str, NDArray[Any]] = {
            f"{i}.{j}": picture.pixels
            for i, group in enumerate(self.groups)
            for j, picture in enumerate(group.pictures)
        }
        if self.histogram is not None:
            drawn = self.histogram
            words["histogram"] = {
                "names": list(drawn.counts),
                "quantity": drawn.quantity,
                "is_log": drawn.is_log,
            }
            arrays["edges"] = drawn.edges
            arrays["counts"] = np.stack(list(drawn.counts.values()))
        return {"words": np.array(json.dumps(words)), **arrays}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Figure:
        """What `to_arrays` made.

        Raises
        ------
        BundleError
            If something is missing.
        """
        try:
            words = json.loads(str(arrays["words"]))
            groups = tuple(
                Group(
                    tuple(
                        Picture(arrays[f"{i}.{j}"], text)
                        for j, text in enumerate(group["pictures"])
                    ),
                    group["caption"],
                )
                for i, group in enumerate(words["groups"])
            )
            histogram = None
            if "histogram" in words:
                drawn = words["histogram"]
                counts = dict(zip(drawn["names"], arrays["counts"], strict=True))
                histogram = Histogram(arrays["edges"], counts, drawn["quantity"], drawn["is_log"])
            return cls(groups, histogram, words["caption"], words["n_more"])
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                f"figure: must be whole. Got: {error!r}. Run evaluate again."
            ) from error
