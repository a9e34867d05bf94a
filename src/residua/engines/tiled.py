"""An engine that looks at images in tiles, or within a region, around one that scores pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines.interface import Endable, Engine, ModelFacts, Scores
from residua.images import ImageSet
from residua.images.resize import fit_to
from residua.images.tiling import GREY, Framing, Stitched


def whole(engine: Engine, facts: ModelFacts) -> Engine:
    """`engine`, or around it what cuts whole images as the model's facts say, and decides."""
    if not facts.is_framed:
        return engine
    return TiledEngine(engine, facts.framing, facts.size, facts.threshold)


@dataclass
class _Gathered:
    """What comes of the tiles of one image."""

    scores: NDArray[np.float32]
    columns: dict[str, list[np.float32]] = field(default_factory=dict)
    map: Stitched | None = None
    rebuilt: Stitched | None = None
    probabilities: dict[int, NDArray[np.float32]] = field(default_factory=dict)


class TiledEngine:
    """Cuts images into tiles, scores these by `engine` in its own batches, and joins the results.

    Maps and reconstructions are stitched. The score of an image is made of its tiles' by the
    tiling; mse, mae and ssim are the means of theirs, and probabilities those of its highest tile.
    Memory holds the images, a map each, and one batch of tiles.
    """

    def __init__(
        self, engine: Engine, framing: Framing, size: tuple[int, int], threshold: float
    ) -> None:
        self._engine, self._framing, self._size = engine, framing, size
        self._threshold = np.float32(threshold)
        self.name = engine.name
        self.batch_size = max(1, engine.batch_size // framing.tiling.n_places)

    def end(self) -> None:
        """End what the engine runs now, where it can be ended."""
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
        """Scores of decoded images, in order."""
        if not len(images):
            return self._engine.score(
                [], maps=maps, reconstructions=reconstructions, columns=columns
            )
        wanted = {"maps": maps, "reconstructions": reconstructions, "columns": columns}
        each = list(self._gathered(images, wanted))
        score = np.array([self._framing.tiling.combine(one.scores) for one in each], np.float32)
        names = each[0].columns
        return Scores(
            score,
            score > self._threshold,
            {
                name: np.array([np.mean(one.columns[name]) for one in each], np.float32)
                for name in names
            },
            [one.map.whole for one in each if one.map is not None] if maps else None,
            (
                np.stack([one.rebuilt.whole for one in each if one.rebuilt is not None])
                if reconstructions
                else None
            ),
            (
                np.stack([one.probabilities[self._highest(one)] for one in each])
                if each[0].probabilities
                else None
            ),
        )

    def tile_scores(self, images: ImageSet) -> NDArray[np.float32]:
        """The scores of the tiles, (n_images, n_places); NaN where none is looked at."""
        wanted = {"columns": False}
        parts = [
            one.scores
            for batch in images.batches(self.batch_size)
            for one in self._gathered(batch, wanted)
        ]
        return np.stack(parts)

    def _highest(self, one: _Gathered) -> int:
        """The tile that gives the image its score."""
        return int(np.nanargmax(self._framing.tiling.standard(one.scores)))

    def _gathered(self, images: Sequence[NDArray[Any]], wanted: dict[str, bool]) -> list[_Gathered]:
        n_places = self._framing.tiling.n_places
        each = [_Gathered(np.full(n_places, np.nan, np.float32)) for _ in images]
        pairs = (
            (row, place)
            for row, image in enumerate(images)
            for place in self._framing.places(*image.shape[:2])
        )
        while some := list(islice(pairs, self._engine.batch_size)):
            tiles = [self._framing.cut(images[row], place) for row, place in some]
            found = self._engine.score(tiles, **wanted)
            for at, (row, place) in enumerate(some):
                self._take(each[row], found, at, images[row].shape, place)
        return each

    def _take(
        self, one: _Gathered, found: Scores, at: int, shape: tuple[int, ...], place: int
    ) -> None:
        """Add what was found of a tile to what is known of its image."""
        height, width, channels = shape
        framing = self._framing
        one.scores[place] = found.score[at]
        for name, values in found.columns.items():
            one.columns.setdefault(name, []).append(values[at])
        if found.probabilities is not None:
            one.probabilities[place] = found.probabilities[at]
        if found.maps is not None:
            one.map = one.map or Stitched(framing, height, width)
            one.map.add(place, framing.within(found.maps[at], height, width, place))
        if found.reconstructions is not None:
            one.rebuilt = one.rebuilt or Stitched(framing, *self._size, channels, ground=GREY / 255)
            box = framing.boxes(*self._size)[place]
            one.rebuilt.add(
                place, fit_to(found.reconstructions[at : at + 1], (box.height, box.width))[0]
            )
