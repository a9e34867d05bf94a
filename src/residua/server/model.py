"""A model as the service needs it, whoever trained it.

An engine, the threshold, the calibration scores, and words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._version import __version__
from residua.engines.interface import NONE, kinds_of
from residua.errors import ImageError, PixelLimitError
from residua.findings import find_unlike_calibration
from residua.images.decoding import FORMATS, DecodedImage, decode, sniff
from residua.images.pixels import as_common
from residua.images.reading import Reading, common_type
from residua.images.summary import brightness
from residua.records import Finding
from residua.runs.model import JudgedModel
from residua.server.answers import Histogram, ImageFacts, ImageScore, ModelFacts, Rank, RefusedError
from residua.server.batcher import ImageResult
from residua.server.limits import Limits
from residua.server.uploads import not_an_image

_BINS = 40


@dataclass(frozen=True)
class Sight:
    """A decoded image as the model takes it, and the facts of its file."""

    pixels: NDArray[Any]
    facts: ImageFacts
    brightness: float

    @property
    def n_pixels(self) -> int:
        """Height times width."""
        return self.facts.height * self.facts.width


class ServedModel:
    """Everything about a model that answers need; nothing of it changes while the server runs.

    `ceiling` is the error that a map draws brightest (None: each image's own), `only_eight_bits`
    says that the engine takes uint8 alone, and `notice` what clients should know by now, such as
    another threshold of the run (None: nothing).
    """

    def __init__(
        self,
        name: str,
        model: JudgedModel,
        *,
        ceiling: float | None = None,
        only_eight_bits: bool = False,
        notice: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.name, self.facts, self.engine = name, model.facts, model.engine
        self.ceiling, self.only_eight_bits, self.notice = ceiling, only_eight_bits, notice
        self.p_of = model.p_of
        self.looks, self.normals = model.calibration.looks, np.sort(model.calibration.normals)
        calibration = model.calibration
        self.normals_of: dict[str | None, NDArray[Any]] = {}
        if (shown := calibration.products) is not None:
            good = shown[~calibration.is_anomalous]
            for one in dict.fromkeys(good.tolist()):
                self.normals_of[one] = np.sort(calibration.normals[good == one])

    def read(self, data: bytes, limits: Limits) -> Sight:
        """Decode an upload as every image of residua, and bring it to the model's channels."""
        decoded = _decode(data, limits, self.facts.reading)
        channels = decoded.pixels.shape[-1]
        if channels > self.facts.channels:
            raise RefusedError(
                422,
                "wrong-channels",
                "The image must be grey: the model was trained on grey images. Got colour.",
            )
        dtype = common_type([decoded.pixels.dtype], self.facts.reading)
        height, width = decoded.pixels.shape[:2]
        facts = ImageFacts(
            width=width,
            height=height,
            channels=channels,
            bits=8 * decoded.pixels.dtype.itemsize,
            format=decoded.format,
            converted=sorted(decoded.done),
        )
        if dtype == np.float32 and self.only_eight_bits:
            raise RefusedError(
                422,
                "too-many-bits",
                "The image must have 8 bits a channel: the engine takes no more. Got 16.",
            )
        pixels = as_common(decoded.pixels, self.facts.channels, dtype, self.facts.reading)
        return Sight(pixels, facts, brightness(pixels))

    def warm_up_image(self) -> NDArray[np.uint8]:
        """An image of the network's size, to be scored before the first real one."""
        return np.full((*self.facts.size, self.facts.channels), 128, np.uint8)

    def check_product(self, product: str | None) -> None:
        """Refuse a product that the model does not know."""
        known = () if self.facts.products is None else self.facts.products.names
        if product is not None and product not in known:
            says = f"It knows {', '.join(known)}." if known else "It knows none: leave it out."
            raise RefusedError(
                422, "unknown-product", f"The model does not know the product {product!r}. {says}"
            )

    def answer(self, sight: Sight, scored: ImageResult, product: str | None = None) -> ImageScore:
        """What the client is told of an image, without pictures."""
        score = _finite(scored.score)
        point = self.facts.operating_point if self.facts.job == "detect" else None
        level = None if point is None else point.threshold
        normals, why = self.normals, None
        if (products := self.facts.products) is not None:
            level, why = products.threshold_of(product), products.why_not(product)
            flag = products.flags(np.array([scored.score]), [product])[0]
            scored, point = replace(scored, anomalous=flag is True), point if why is None else None
            normals = self.normals_of.get(product, normals[:0])
        anomalous = None if point is None or np.isnan(scored.score) else scored.anomalous
        rank = None
        if score is not None and len(normals):
            rank = Rank(
                n_normals=len(normals),
                n_below=int(np.searchsorted(normals, scored.score, side="left")),
            )
        chances = self._chances(scored)
        of_classes = None if self.facts.classes is None else chances
        predicted = None if of_classes is None else self._predicted(of_classes)
        kind = self._kind(scored) if anomalous else None
        return ImageScore(
            score=score,
            product=product,
            threshold=level,
            anomalous=anomalous,
            p_value=None if score is None else self._p_value(scored.score, product),
            policy=None if point is None else point.policy,
            decision=f"Not judged: {why}."
            if why is not None
            else (
                _words(score, level, anomalous, rank)
                + ("" if kind is None or chances is None else f" {_kind_words(chances, kind)}")
                if of_classes is None or predicted is None
                else _class_words(of_classes, predicted)
            ),
            rank=rank,
            errors={name: _finite(value) for name, value in scored.columns.items()},
            predicted=predicted,
            kind=kind,
            probabilities=(
                None if chances is None else {name: float(chance) for name, chance in chances}
            ),
            findings=self._findings(sight, score),
            image=sight.facts,
            pictures=None,
        )

    def _p_value(self, score: np.float32, product: str | None) -> float | None:
        return _finite(self.p_of(np.array([score]), [product])[0])

    def _chances(self, scored: ImageResult) -> list[tuple[str, np.float32]] | None:
        if scored.probabilities is None or self.facts.columns is None:
            return None
        return list(zip(self.facts.columns, scored.probabilities, strict=True))

    def _kind(self, scored: ImageResult) -> str | None:
        if scored.probabilities is None or self.facts.kinds is None:
            return None
        return kinds_of(scored.probabilities[None], self.facts.kinds)[0]

    def _predicted(self, chances: list[tuple[str, np.float32]]) -> list[str]:
        if self.facts.multilabel:
            return [name for name, chance in chances if chance > 0.5]
        return [max(chances, key=lambda pair: pair[1])[0]]

    def _findings(self, sight: Sight, score: float | None) -> list[Finding]:
        seen = {
            **(self.looks or {"n": len(self.normals)}),
            "channels": self.facts.channels,
        }
        image = {
            "height": sight.facts.height,
            "width": sight.facts.width,
            "channels": sight.facts.channels,
            "brightness": sight.brightness,
        }
        scores = (float(self.normals[0]), float(self.normals[-1])) if len(self.normals) else None
        found = find_unlike_calibration(image, seen, score=score, scores=scores)
        return [] if found is None else [found]

    def describe(self, limits: Limits) -> ModelFacts:
        """What the model is and what the server takes."""
        facts = self.facts
        point = facts.operating_point if facts.job == "detect" else None
        return ModelFacts(
            name=self.name,
            job=facts.job,
            recipe=facts.recipe,
            engine=self.engine.name,
            height=facts.size[0],
            width=facts.size[1],
            channels=facts.channels,
            normal=None if facts.normal is None else list(facts.normal),
            threshold=None if point is None or facts.products is not None else point.threshold,
            policy=None if point is None else point.policy,
            how=None if point is None else point.how,
            products=None
            if facts.products is None
            else {one: facts.products.threshold_of(one) for one in facts.products.names},
            classes=None if facts.classes is None else list(map(str, facts.classes)),
            kinds=None if facts.kinds is None else list(facts.kinds),
            calibration=self._histogram(),
            formats=list(FORMATS),
            limits=limits.model_dump(include={"megabytes", "pixels", "images", "seconds"}),
            version=__version__,
            notice=self.notice(),
        )

    def _histogram(self) -> Histogram | None:
        if not len(self.normals):
            return None
        counts, edges = np.histogram(self.normals.astype(np.float64), bins=_BINS)
        return Histogram(edges=edges.tolist(), counts=counts.tolist())


def _decode(data: bytes, limits: Limits, reading: Reading) -> DecodedImage:
    if sniff(data[:16]) is None:
        raise not_an_image()
    try:
        return decode(data, limits.pixels, reading)
    except PixelLimitError as error:
        raise RefusedError(
            413, "too-many-pixels", f"The image {error}. Send a smaller one."
        ) from None
    except ImageError as error:
        raise RefusedError(
            422, "broken-image", f"The image must be whole. Got: {error}. Send another copy."
        ) from None


def _finite(value: np.floating[Any]) -> float | None:
    return float(value) if np.isfinite(value) else None


def _words(
    score: float | None, threshold: float | None, anomalous: bool | None, rank: Rank | None
) -> str:
    if threshold is None:
        return (
            "Not judged: the run has no threshold."
            if score is not None
            else "Not judged: the score is no finite number."
        )
    if score is None:
        verdict = "Anomalous" if anomalous else "Not judged"
        return f"{verdict}: the score is no finite number."
    side = "lies above" if anomalous else "is not above"
    words = (
        f"{'Anomalous' if anomalous else 'Normal'}: the score {score:.4g} {side} the threshold"
        f" {threshold:.4g}."
    )
    return words if rank is None else f"{words} {_rank_words(rank)}"


def _class_words(chances: list[tuple[str, np.float32]], predicted: list[str]) -> str:
    if not predicted:
        return "No label: none is likelier than not."
    chance_of = dict(chances)
    return (
        f"{', '.join(predicted)}: "
        + ", ".join(f"probability {chance_of[name]:.3f}" for name in predicted)
        + "."
    )


def _kind_words(chances: list[tuple[str, np.float32]], kind: str) -> str:
    known = "None of the kinds known" if kind == NONE else f"Kind {kind}"
    return f"{known}: probability {dict(chances)[kind]:.3f}."


def _rank_words(rank: Rank) -> str:
    low = {0: "none", rank.n_normals: "all"}.get(rank.n_below, f"{rank.n_below:,}")
    verb = "scores" if rank.n_below in (0, 1) else "score"
    return (
        f"Of the {rank.n_normals:,} normal images that the threshold was chosen on, {low} {verb}"
        " lower."
    )
