"""The interface of everything that scores decoded images, and the loop over an image set.

Also what everybody who uses a model asks of it, whoever trained it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from residua.errors import ShapeError
from residua.images import ImageSet
from residua.images.listing import Progress
from residua.images.reading import Reading
from residua.images.region import Region
from residua.images.tiling import Framing, Tiling
from residua.records import Job, OperatingPoint
from residua.thresholds.products import Products

NONE = "none of these"
"""The kind of defects that are of no kind known."""
LEAST_KNOWN = 0.5
"""Probability that a defect is of any kind known, below which it is of none of these."""


class ModelFacts(BaseModel):
    """The facts that a bundle, a card of an exported file and a wrapped run share.

    ``size`` is (height, width) as the network sees images, ``reading`` says how values become
    brightness, ``classes`` name the columns of a classifier's probabilities, and with
    ``multilabel`` several of them may hold at once. With a ``tiling`` the network sees tiles of an
    image, and with a ``region`` nothing outside it. ``kinds`` name the kinds of defects that a
    detector has learnt to tell; the column after theirs is that of none of these. With ``products``
    each has a threshold of its own, and the operating point speaks of their common scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Job
    recipe: str
    size: tuple[int, int]
    channels: int = Field(ge=1)
    normal: tuple[str, ...] | None = None
    classes: tuple[int | str, ...] | None = None
    multilabel: bool = False
    kinds: tuple[str, ...] | None = None
    operating_point: OperatingPoint | None = None
    products: Products | None = None
    reading: Reading = Reading()
    tiling: Tiling | None = None
    region: Region | None = None

    @property
    def threshold(self) -> float:
        """The one threshold that decides; infinite for none, or for one of each product."""
        if self.operating_point is None or self.products is not None:
            return float("inf")
        return self.operating_point.threshold

    @property
    def columns(self) -> tuple[str, ...] | None:
        """What the columns of probabilities are of: classes, or kinds and none of these."""
        if self.classes is not None:
            return tuple(map(str, self.classes))
        return None if self.kinds is None else (*self.kinds, NONE)

    @property
    def is_framed(self) -> bool:
        """Whether the network sees parts of images: tiles, or what lies around a region."""
        return self.tiling is not None or self.region is not None

    @property
    def framing(self) -> Framing:
        """What is looked at in an image."""
        return Framing(self.tiling or Tiling(), self.region)

    @property
    def seen_size(self) -> tuple[int, int]:
        """(height, width) at which a whole image is seen, in one picture or in tiles."""
        return self.framing.seen_size(self.size)


@dataclass(frozen=True)
class Scores:
    """Per-image results in the order of the images.

    float32 arrays (n_images,), decisions bool (n_images,).

    ``columns`` holds ``mse``, ``mae`` and ``ssim``. ``maps`` (where asked for) are float32 (height,
    width), each at its image's own resolution; ``reconstructions`` (where asked for) float32
    (n_images, height, width, channels) at the network's; ``probabilities`` are those of a
    classifier, (n_images, n_classes), or of kinds of defects, (n_images, n_kinds + 1).
    """

    score: NDArray[np.float32]
    anomalous: NDArray[np.bool_]
    columns: dict[str, NDArray[np.float32]]
    maps: list[NDArray[np.float32]] | None = None
    reconstructions: NDArray[np.float32] | None = None
    probabilities: NDArray[np.float32] | None = None


def kinds_of(probabilities: NDArray[Any], kinds: Sequence[str]) -> list[str]:
    """The likeliest kind of each image, or none of these where that is likelier than all kinds.

    - `probabilities`: float array, (n_images, n_kinds + 1). The last column is that of none of
      these.

    >>> kinds_of(np.array([[0.35, 0.3, 0.35], [0.2, 0.2, 0.6]]), ["crack", "dent"])
    ['crack', 'none of these']
    """
    likeliest = probabilities[:, :-1].argmax(axis=1).tolist()
    is_none = (probabilities[:, -1] > 1 - LEAST_KNOWN).tolist()
    return [NONE if none else kinds[kind] for none, kind in zip(is_none, likeliest, strict=True)]


class Engine(Protocol):
    """What scores decoded images.

    The reference graph in PyTorch, an exported file, a wrapped model.

    ``name`` is what ``--engine`` takes, ``batch_size`` how many images it likes to get at once.
    """

    @property
    def name(self) -> str:
        """What ``--engine`` takes."""

    @property
    def batch_size(self) -> int:
        """How many images go through at once."""

    def score(
        self,
        images: Sequence[NDArray[Any]],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        """Scores of decoded images, in order.

        Images are (h, w, c), uint8 or float32 in [0, 1], of any sizes.

        Without `columns` that dictionary is empty: mse, mae and ssim cost time that a server may
        not have.
        """


@runtime_checkable
class Endable(Protocol):
    """An engine that another thread can end while it scores: a file may loop for ever."""

    def end(self) -> None:
        """End what runs now; whoever waits for it gets an error."""


def score_with(
    engine: Engine,
    images: ImageSet,
    *,
    maps: bool = False,
    reconstructions: bool = False,
    progress: Progress | None = None,
    on_map: Callable[[int, NDArray[np.float32]], None] | None = None,
) -> Scores:
    """Scores of a whole set, a batch of the engine's own size after the other.

    ``on_map`` is given each image's number and map, which is then dropped: maps of many large
    images fill any memory. Raises ShapeError if the images have another number of channels than the
    engine takes.
    """
    parts = []
    done = 0
    for batch in images.batches(engine.batch_size):
        scored = engine.score(
            batch, maps=maps or on_map is not None, reconstructions=reconstructions
        )
        if on_map is not None:
            for row, one in enumerate(scored.maps or [], start=done):
                on_map(row, one)
            scored = replace(scored, maps=None)
        parts.append(scored)
        done += len(batch)
        if progress is not None:
            progress(done, len(images))
    return (
        join_scores(parts)
        if parts
        else engine.score([], maps=maps, reconstructions=reconstructions)
    )


def check_channels(given: Iterable[int], channels: int) -> None:
    """Refuse images whose numbers of channels are `given`, unless all are the model's."""
    found = sorted(set(given) - {channels})
    if found:
        colour = {1: "grey (1 channel)", 3: "colour (3 channels)"}
        raise ShapeError(
            f"score: images must be {colour.get(channels, channels)} like those the model was"
            f" trained on. Got {colour.get(found[0], found[0])}. Convert the images, or train a"
            " model on images of this kind."
        )


def join_scores(parts: Sequence[Scores]) -> Scores:
    """Scores of several batches as those of one; all of them hold the same things.

    >>> part = Scores(np.ones(2, np.float32), np.zeros(2, bool), {"mse": np.ones(2, np.float32)})
    >>> len(join_scores([part, part]).score)
    4
    """
    first = parts[0]
    return Scores(
        score=np.concatenate([part.score for part in parts]),
        anomalous=np.concatenate([part.anomalous for part in parts]),
        columns={
            name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns
        },
        maps=None if first.maps is None else [one for part in parts for one in part.maps or []],
        reconstructions=_joined([part.reconstructions for part in parts]),
        probabilities=_joined([part.probabilities for part in parts]),
    )


def _joined(arrays: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    there = [one for one in arrays if one is not None]
    return np.concatenate(there) if there else None


_AT_ONCE = 16


class OneByOne:
    """An engine that runs `engine` on one image at a time.

    So no score depends on company, bit for bit.

    Exported files take as many images as there are, and runtimes choose other kernels for another
    number: last digits may follow. ``batch_size`` is how many images it likes to be handed at once,
    not how many run together.
    """

    batch_size = _AT_ONCE

    def __init__(self, engine: Engine) -> None:
        self._engine, self.name = engine, engine.name

    def end(self) -> None:
        """End what `engine` runs now, where it can be ended."""
        if isinstance(self._engine, Endable):
            self._engine.end()

    def score(
        self,
        images: Sequence[NDArray[Any]],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        """Scores of decoded images, in order, each from a run of its own."""
        alone = [[image] for image in images] or [[]]
        return join_scores(
            [
                self._engine.score(one, maps=maps, reconstructions=reconstructions, columns=columns)
                for one in alone
            ]
        )
