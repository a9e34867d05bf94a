"""A threshold for each product that one model judges, each with its own promise."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mode
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._text import few
from residua.errors import PolicyError
from residua.metrics.groups import Groups
from residua.records import OperatingPoint, Record
from residua.thresholds.calibration import Promised
from residua.thresholds.conformal import PValues
from residua.thresholds.rates import is_flagged, rates_at

NOT_KNOWN = "the model does not know the product {!r}"
NO_PRODUCT = "the image has no product"


class Product(Record):
    """A product with its threshold.

    ``operating_point`` is None where it got none, and ``reason`` then says why. ``centre`` is the
    median of its normal calibration scores, and ``spread`` how far they lie from it on average.
    ``borrows`` tells a threshold for which scores of other products were taken too.
    """

    name: str
    operating_point: OperatingPoint | None = None
    n_normal: int = 0
    n_anomalous: int = 0
    centre: float = 0.0
    spread: float = 1.0
    borrows: bool = False
    reason: str | None = None

    @property
    def reach(self) -> float:
        """From the centre to the threshold; the spread where that is less.

        It is for policies that speak of recall.
        """
        assert self.operating_point is not None
        return max(self.operating_point.threshold - self.centre, self.spread)


class Products(Record):
    """The products of a model by name, and how it is told which one an image shows.

    The others are what was asked of their thresholds; see `choose_products`.
    """

    rule: str
    each: tuple[Product, ...]
    policy: str | None = None
    confidence: float = 0.95
    promise: Promised | None = None
    contamination: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(one.name for one in self.each)

    def places(self, names: Any) -> NDArray[np.int64]:
        """The place of each image's product, (n,); -1 where it is none of these."""
        place = {one: row for row, one in enumerate(self.names)}
        return np.array([place.get(one, -1) for one in np.asarray(names, object)], np.int64)

    def at(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """The products at some places, (n,); None at -1."""
        return np.array([*self.names, None], object)[places]

    def threshold_of(self, name: str | None) -> float | None:
        """The threshold of a product; None where it has none or is not known."""
        point = next((one.operating_point for one in self.each if one.name == name), None)
        return None if point is None else point.threshold

    def why_not(self, name: str | None) -> str | None:
        """Why nothing is decided about an image of this product; None where something is."""
        if name is None:
            return NO_PRODUCT
        one = next((one for one in self.each if one.name == name), None)
        if one is None:
            return f"{NOT_KNOWN.format(name)}; it knows {few(self.names, 12)}"
        return one.reason if one.operating_point is None else None

    def flags(self, scores: Any, names: Any) -> list[bool | None]:
        """Which images lie above the threshold of their product; None where nothing is decided."""
        aligned, level = self.aligned(scores, names), np.float32(self.level)
        return [None if np.isnan(one) else bool(one > level) for one in aligned]

    @property
    def level(self) -> float:
        """The threshold on the common scale: the mean of all thresholds."""
        points = [one.operating_point for one in self.each if one.operating_point is not None]
        return mean_level([point.threshold for point in points])

    def aligned(self, scores: Any, names: Any) -> NDArray[np.float32]:
        """Scores on one scale for all products, (n,).

        The medians of their normal scores lie at one place, and their thresholds at another,
        `level`. NaN where a product has no threshold. No decision changes: above `level` is above
        the product's own threshold, bit for bit.
        """
        found, of = np.asarray(scores), np.asarray(names, object)
        made = np.full(len(found), np.nan, np.float32)
        decided = [one for one in self.each if one.operating_point is not None]
        unit = float(np.mean([one.reach for one in decided]))
        level = np.float32(self.level)
        for one in decided:
            assert one.operating_point is not None
            rows = np.flatnonzero(of == one.name)
            limit = one.operating_point.threshold
            flagged = is_flagged(found[rows], limit)
            away = (found[rows].astype(np.float64) - limit) * (unit / one.reach)
            moved = (level + away).astype(np.float32)
            beyond = np.nextafter(level, np.float32(np.inf))
            made[rows] = np.where(flagged, np.maximum(moved, beyond), np.minimum(moved, level))
        return made


class ProductPValues(NamedTuple):
    """P-values by product: each among the normal calibration scores of its own product alone.

    Products that borrow a threshold have few of those, and so no small p-value; it is right all the
    same.
    """

    each: dict[str, PValues]

    @classmethod
    def of(cls, normals: Any, names: Any, groups: Any, promise: Promised) -> ProductPValues:
        """From the scores of normal calibration images, (n,), and their products."""
        of, scores = np.asarray(names, object), np.asarray(normals)
        codes = None if groups is None else np.asarray(groups)
        return cls(
            {
                str(name): PValues.of(
                    scores[of == name], None if codes is None else codes[of == name], promise
                )
                for name in dict.fromkeys(of.tolist())
                if name is not None
            }
        )

    @property
    def n_units(self) -> int:
        """Images, or groups, of the product that has most."""
        return max((one.n_units for one in self.each.values()), default=0)

    @property
    def smallest(self) -> float:
        """The smallest p-value of the product that has most images."""
        return 1 / (self.n_units + 1)

    @property
    def by_groups(self) -> bool:
        """Whether groups count, and not images."""
        return any(one.by_groups for one in self.each.values())

    def __call__(self, scores: Any, names: Any) -> NDArray[np.float64]:
        """P-values, (n_images,); NaN where a product has no normal calibration scores."""
        found, of = np.asarray(scores), np.asarray(names, object)
        made = np.full(len(found), np.nan)
        for name, reference in self.each.items():
            rows = np.flatnonzero(of == name)
            made[rows] = reference(found[rows])
        return made

    def threshold_of(self, p_value: float, name: str | None = None) -> float | None:
        """See `PValues.threshold_of`; None where a product has no normal scores."""
        reference = None if name is None else self.each.get(name)
        return None if reference is None else reference.threshold_of(p_value)


def standardised(
    scores: Any, names: NDArray[Any], normals: Any, of_normals: NDArray[Any]
) -> NDArray[np.float32]:
    """Scores on one scale for all products, (n,).

    By the median and the spread of normal ones of each product; by those of all where a product
    has fewer than two.

    Examples
    --------
    >>> of = np.array(["lens", "tile"], object)
    >>> standardised([1.0, 30.0], of, [0, 1, 2, 10, 20, 30], np.repeat(of, 3)).tolist()
    [0.0, 1.5]
    """
    found, known = np.asarray(scores, np.float64), np.asarray(normals, np.float64)
    made = np.zeros(len(found), np.float32)
    for name in dict.fromkeys(names.tolist()):
        own = known[of_normals == name]
        own = own if len(own) > 1 else known
        rows = np.flatnonzero(names == name)
        made[rows] = (found[rows] - np.median(own)) / (spread_of(own) or 1.0)
    return made


def common_point(
    products: Products, scores: Any, is_anomalous: NDArray[np.bool_], names: Any, groups: Any = None
) -> OperatingPoint:
    """The operating point of all products together, on their common scale.

    Raises
    ------
    PolicyError
        If no product has a threshold.
    """
    points = [one.operating_point for one in products.each if one.operating_point is not None]
    if not points:
        first = products.each[0]
        raise PolicyError(
            f"products: some product must get a threshold. Got none of {len(products.each)}:"
            f" {first.reason}"
        )
    aligned = products.aligned(scores, names)
    kept = ~np.isnan(aligned)
    known = None if groups is None else Groups.read(groups, len(aligned)).of(kept)
    rates = rates_at(products.level, aligned[kept], np.asarray(is_anomalous)[kept], groups=known)
    promises = {one.promise for one in points}
    return OperatingPoint(
        threshold=products.level,
        policy=mode(one.policy for one in points),
        how=in_words(products),
        rates=rates,
        promise=promises.pop() if len(promises) == 1 else None,
        contamination=points[0].contamination,
    )


def mean_level(thresholds: Sequence[float]) -> float:
    """The threshold of all products on their common scale.

    Examples
    --------
    >>> mean_level([1.0, 2.0])
    1.5
    """
    return float(np.float32(np.mean(thresholds)))


def in_words(products: Products) -> str:
    """Which products have a threshold of what kind, in whole sentences."""
    own = [one for one in products.each if one.operating_point is not None and not one.borrows]
    borrow = [one for one in products.each if one.borrows]
    refused = [one for one in products.each if one.operating_point is None]
    points = [one.operating_point for one in (*own, *borrow)]
    levels = [point.threshold for point in points if point is not None]
    n, low, high = len(products.each), min(levels), max(levels)
    said = [
        f"{len(levels):,} of {n:,} products {'has' if len(levels) == 1 else 'have'} a threshold"
        if n > len(levels)
        else f"Each of {n:,} products has a threshold of its own"
        if n > 1
        else "One product has a threshold"
    ]
    said[0] += "." if low == high else f", from {low:.4g} to {high:.4g}."
    if len(levels) > 1:
        said.append(
            "Figures over all products are of scores on one scale, on which every product has the"
            " threshold above."
        )
    policies = sorted({point.policy for point in points if point is not None})
    if len(policies) > 1:
        said.append(f"What is promised differs: {few(policies)}.")
    if borrow:
        said.append(
            f"{few([one.name for one in borrow], 8)}: too few normal images for a promise of"
            " their own, so the threshold borrows from the other products."
        )
    if refused:
        said.append(
            f"{few([one.name for one in refused], 8)}: no threshold, so nothing is decided about"
            " their images."
        )
    return " ".join(said)


def spread_of(scores: NDArray[Any]) -> float:
    """The mean distance from the median; 0 without scores."""
    return float(np.abs(scores - np.median(scores)).mean()) if len(scores) else 0.0
