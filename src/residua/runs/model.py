"""One model as judging sees it, whoever trained it: trained here, exported, or wrapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from residua.engines import Card, Engine, score_with
from residua.engines.interface import ModelFacts, check_channels
from residua.images import ImageSet
from residua.images.resize import fit_to
from residua.metrics.names import RECIPES_OF_BASELINES
from residua.records import Assumption
from residua.thresholds import PValues
from residua.thresholds.calibration import Promised
from residua.thresholds.products import ProductPValues, Products

Floats = NDArray[np.float32]

_AT_ONCE = 2**22  # values of images that are resized together


@dataclass(frozen=True)
class Calibration:
    """What a threshold was chosen on: float32 scores (n,), which of them are of anomalous images,
    the hashes of the images' pixels, their looks (see `looks_of`) with the pixel threshold of their
    maps, and the group of each by number, (n,); None where nobody named groups. ``products`` are
    the names of theirs, (n,), None where there are none. ``elsewhere`` are
    the hashes of images of another source, on which the threshold was chosen later, and of
    corrections that the model learnt from.
    """

    scores: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    is_anomalous: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    pixel_hashes: NDArray[Any] = field(default_factory=lambda: np.zeros(0, object))
    looks: dict[str, Any] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    products: NDArray[Any] | None = None
    elsewhere: NDArray[Any] = field(default_factory=lambda: np.zeros(0, object))

    @property
    def chosen_on(self) -> NDArray[Any]:
        """The hashes of all images that a threshold of this model was chosen on."""
        return np.concatenate([self.pixel_hashes.astype(object), self.elsewhere])

    @property
    def normals(self) -> Floats:
        """The scores of the normal images."""
        return self.scores[~self.is_anomalous]

    def aligned(self, products: Products | None) -> Calibration:
        """The same with scores on the common scale of products, those without a threshold left out;
        as it is where there are no products.
        """
        if products is None or self.products is None:
            return self
        scores = products.aligned(self.scores, self.products)
        kept = ~np.isnan(scores)
        hashes = self.pixel_hashes[kept] if len(self.pixel_hashes) else self.pixel_hashes
        return replace(
            self,
            scores=scores[kept],
            is_anomalous=self.is_anomalous[kept],
            pixel_hashes=hashes,
            groups=None if self.groups is None else self.groups[kept],
            products=self.products[kept],
            elsewhere=np.concatenate([self.elsewhere, self.pixel_hashes[~kept]])
            if len(hashes)
            else self.elsewhere,
        )

    @property
    def pixel_threshold(self) -> float | None:
        """Above which error a pixel is marked; None where too few images or no maps say it."""
        level: float | None = self.looks.get("pixel_threshold")
        return level

    @property
    def normal_groups(self) -> NDArray[np.int64] | None:
        """The groups of the normal images."""
        return None if self.groups is None else self.groups[~self.is_anomalous]


class Network(Protocol):
    """What only a network that was trained here can answer."""

    def untrained(self, fitted_on: ImageSet) -> Engine | None:
        """The same architecture with fresh weights, its score fitted to the same images; None where
        nothing was trained, so that it would be the model itself.
        """
        ...

    def latents(self, images: ImageSet) -> Floats | None:
        """The latent vector of each image, (n_images, latent); None where there is none."""
        ...


@dataclass(frozen=True)
class JudgedModel:
    """What judging asks of any model.

    Attributes
    ----------
    facts : ModelFacts
        Job, size, channels, normal, classes, operating point.
    engine : Engine
        What scores images.
    calibration : Calibration
        What the operating point was chosen on.
    seed : int
        Of everything that is drawn while judging.
    latent : int or None
        The size of the latent vector, which PCA gets too; None where it is not known.
    no_code : str or None
        Why images are not rebuilt from the latent vector alone; None where they are, or where
        nobody knows.
    provenance : mapping
        Where the model comes from, for the record.
    keep_aspect : bool
        Whether images keep their proportions when they are resized.
    output_size : (height, width) or None
        Of the reconstructions, where that is not the size of what goes in.
    reconstructs, is_random : bool
        Whether it gives reconstructions, and whether two calls on one image differ.
    assumptions : tuple of Assumption
        What was read off the model because nobody told it.
    training : mapping
        Columns of the training history (``history/loss``), ``train_scores`` and ``train_mse``.
    network : Network or None
        None where the model is a file, or somebody else's.
    read_scales : callable or None
        ``f(prepared, expected)``: facts about a model that may be read on another scale.
    error_maps : callable or None
        ``f(expected, reconstructions)``: maps against targets that are not the input.
    """

    facts: ModelFacts
    engine: Engine
    calibration: Calibration = field(default_factory=Calibration)
    seed: int = 0
    latent: int | None = None
    no_code: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    keep_aspect: bool = False
    output_size: tuple[int, int] | None = None
    reconstructs: bool = True
    is_random: bool = False
    assumptions: tuple[Assumption, ...] = ()
    training: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    network: Network | None = None
    read_scales: Callable[[Floats, Floats], dict[str, Any]] | None = None
    error_maps: Callable[[Floats, Floats], Floats] | None = None

    @property
    def threshold(self) -> float | None:
        """The threshold; None where there is none."""
        point = self.facts.operating_point
        return None if point is None else point.threshold

    @cached_property
    def p_values(self) -> PValues | ProductPValues | None:
        """What makes p-values of scores, with the promise of the threshold; by product where there
        are products. None where the model is no detector, or its normal calibration scores are not
        known.
        """
        normals, point = self.calibration.normals, self.facts.operating_point
        if self.facts.job != "detect" or not len(normals):
            return None
        is_known = point is not None and point.promise == "known groups"
        promise: Promised = "known-groups" if is_known else "new-groups"
        groups, products = self.calibration.normal_groups, self.calibration.products
        if products is not None:
            names = products[~self.calibration.is_anomalous]
            return ProductPValues.of(normals, names, groups, promise)
        return PValues.of(normals, groups, promise)

    def p_of(self, scores: Any, products: Any) -> NDArray[np.float64]:
        """The p-value of each score, by product where there are products; NaN where it has none."""
        if self.p_values is None:
            return np.full(len(scores), np.nan)
        if isinstance(self.p_values, PValues):
            return self.p_values(scores)
        return self.p_values(scores, products)

    @property
    def twin(self) -> str | None:
        """The baseline that is this very model; None where there is none."""
        pairs = RECIPES_OF_BASELINES.items()
        return next((name for name, recipe in pairs if recipe == self.facts.recipe), None)

    @property
    def rebuilt_size(self) -> tuple[int, int]:
        """(height, width) of the reconstructions."""
        return self.output_size or self.facts.size

    def scores(self, images: ImageSet) -> Floats:
        """Scores, (n_images,): higher = more anomalous; of products on their common scale."""
        return self.aligned(self.own_scores(images), images)

    def own_scores(self, images: ImageSet) -> Floats:
        """Scores as the engine gives them, (n_images,)."""
        return score_with(self.engine, images).score

    def aligned(self, scores: Floats, images: ImageSet) -> Floats:
        """The scores of `images` on the common scale of products, where there are any."""
        if self.facts.products is None:
            return scores
        names = [None] * len(images) if images.products is None else images.products
        return self.facts.products.aligned(scores, names)

    def prepare(self, images: ImageSet, size: tuple[int, int] | None = None) -> Floats:
        """Images as the network sees them, or at another `size`: float32 (n_images, height, width,
        channels) in [0, 1].

        Where a network lets images keep sizes of their own, they are stretched to one.
        """
        size = size or self.facts.size
        check_channels((images.channels,) if len(images) else (), self.facts.channels)
        prepared = np.zeros((len(images), *size, self.facts.channels), np.float32)
        start = 0
        for stack in _of_one_size(images):
            prepared[start : start + len(stack)] = fit_to(stack, size, keep_aspect=self.keep_aspect)
            start += len(stack)
        return prepared


def model_of_card(card: Card, engine: Engine) -> JudgedModel:
    """An exported file, as its card describes it: it takes no torch."""
    scores = np.array(card.calibration_scores, np.float32)
    flags = np.array(card.calibration_is_anomalous, np.bool_)
    return JudgedModel(
        facts=card,
        engine=engine,
        calibration=Calibration(
            scores,
            flags,
            looks=card.calibration_images,
            groups=card.group_numbers,
            products=card.product_names,
        ),
        keep_aspect=card.aspect == "keep",
    )


def _of_one_size(images: ImageSet) -> Iterator[NDArray[Any]]:
    """The images in order, as arrays of neighbours that have the same size."""
    for batch in images.chunks(values=_AT_ONCE):
        start = 0
        for end in range(1, len(batch) + 1):
            if end == len(batch) or batch[end].shape != batch[start].shape:
                # One alone is not copied: grey that is repeated stays a view of one channel.
                yield batch[start][np.newaxis] if end - start == 1 else np.stack(batch[start:end])
                start = end
