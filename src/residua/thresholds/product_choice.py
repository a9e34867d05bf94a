"""Choosing a threshold for each product: from its own images, or borrowing from the others."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mode
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.errors import PolicyError
from residua.thresholds.calibration import Promised, percent
from residua.thresholds.choose import choose_threshold
from residua.thresholds.defaults import choose_operating_point
from residua.thresholds.false_alarms import FalseAlarms
from residua.thresholds.products import Product, Products, spread_of
from residua.thresholds.quantile import Quantile
from residua.thresholds.registry import parse_policy

_FEWEST = 8
"""Normal images from which a product may borrow: fewer say too little of its scores."""
_FEWEST_LENDERS = 4
_FEW = 19
"""Normal images below which a product borrows where no policy is named."""
_DRAWS = 100
_BORROWS = (FalseAlarms, Quantile)


class _Known(NamedTuple):
    """The calibration scores of one product."""

    name: str
    scores: NDArray[Any]
    is_anomalous: NDArray[np.bool_]
    groups: NDArray[np.int64] | None

    @property
    def normals(self) -> NDArray[np.float64]:
        return np.asarray(self.scores[~self.is_anomalous], np.float64)

    @property
    def n_units(self) -> int:
        """Normal images, or groups of them."""
        if self.groups is None:
            return len(self.normals)
        return len(np.unique(self.groups[~self.is_anomalous]))


def choose_products(
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_],
    names: NDArray[Any],
    policy: str | None,
    *,
    rule: str,
    confidence: float = 0.95,
    groups: NDArray[np.int64] | None = None,
    promise: Promised | None = None,
    contamination: float | None = None,
    trained: Sequence[str] = (),
    before: Products | None = None,
) -> Products:
    """A threshold for each product by `policy`, from its own calibration scores.

    A product with too few normal images for the promise borrows where the policy is about normal
    images: its median and spread are drawn towards those of the other products, the more the fewer
    images it has, and its threshold lies as many spreads above its median as would have sufficed
    for nearly all of the others, had they shown as few images. Else it gets no threshold.

    Parameters
    ----------
    scores : float array, (n_images,)
        Of calibration images; higher = more anomalous.
    is_anomalous : bool array, (n_images,)
    names : object array, (n_images,)
        The product of each; images without one (None) are left out.
    policy : str, optional
        See `parse_policy`. None: the strictest promise that each product's images can show.
    rule : str
        By what products are told, for the record.
    trained : sequence of str, optional
        Products that the model was fitted on; without calibration images they have no threshold.
    before : Products, optional
        Those of it that none of these images shows stay as they are.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> made = choose_products(
    ...     np.concatenate([rng.normal(1, 0.1, 80), rng.normal(9, 2, 80)]),
    ...     np.zeros(160, bool),
    ...     np.repeat(np.array(["lens", "tile"], object), 80),
    ...     "false-alarms<=0.05",
    ...     rule="product",
    ... )
    >>> made.threshold_of("lens") < 1.4 < made.threshold_of("tile"), made.why_not("tube")
    (True, "the model does not know the product 'tube'; it knows lens, tile")
    """
    of = np.asarray(names, object)
    there = sorted({str(one) for one in (*of.tolist(), *trained) if one is not None})
    known = [
        _Known(
            name,
            scores[of == name],
            is_anomalous[of == name],
            None if groups is None else groups[of == name],
        )
        for name in there
    ]
    asked: dict[str, Any] = {"promise": promise, "contamination": contamination}
    options = {"confidence": confidence, **asked}
    made = {
        one.name: _own(one, policy, options)
        for one in known
        if policy is not None or one.n_units >= _FEW
    }
    lenders = [
        one for one in known if one.name in made and made[one.name].operating_point is not None
    ]
    of_most = policy or (
        mode(one.operating_point.policy for one in made.values() if one.operating_point)
        if lenders
        else None
    )
    for one in known:
        own = made.get(one.name)
        if own is None or own.operating_point is None:
            borrowed = _borrowed(one, lenders, of_most, confidence)
            made[one.name] = borrowed or own or _own(one, policy, options)
    if before is not None:
        made = {one.name: one for one in before.each} | made
    each = tuple(made[name] for name in sorted(made))
    return Products(rule=rule, each=each, policy=policy, confidence=confidence, **asked)


def choose_again(
    products: Products,
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_],
    names: NDArray[Any],
    groups: NDArray[np.int64] | None = None,
) -> Products:
    """What was asked of thresholds, on other calibration scores."""
    asked = {
        name: getattr(products, name) for name in ("rule", "confidence", "promise", "contamination")
    }
    return choose_products(
        scores, is_anomalous, names, products.policy, groups=groups, before=products, **asked
    )


def _own(one: _Known, policy: str | None, options: dict[str, Any]) -> Product:
    normals = one.normals
    facts: dict[str, Any] = {
        "name": one.name,
        "n_normal": len(normals),
        "n_anomalous": int(one.is_anomalous.sum()),
        "centre": float(np.median(normals)) if len(normals) else 0.0,
        "spread": spread_of(normals) or 1.0,
    }
    if policy is None and one.n_units < _FEWEST:
        there = count(one.n_units, "image" if one.groups is None else "group")
        return Product(
            **facts,
            reason=f"{one.name}: a threshold takes at least {_FEWEST} normal calibration images. It"
            f" has {there}",
        )
    try:
        point = choose_operating_point(
            one.scores, one.is_anomalous, policy, groups=one.groups, **options
        )
    except PolicyError as error:
        said = str(error).removeprefix("choose_threshold: ").rstrip(".")
        return Product(**facts, reason=f"{one.name}: {said}")
    return Product(**facts, operating_point=point)


def _borrowed(
    one: _Known,
    lenders: list[_Known],
    policy: str | None,
    confidence: float,
) -> Product | None:
    """The product with a threshold for which other products lend; None where that cannot be."""
    n, normals = one.n_units, one.normals
    others = [_by_unit(lender) for lender in lenders if lender.name != one.name]
    rule = None if policy is None else parse_policy(policy)
    if n < _FEWEST or len(others) < _FEWEST_LENDERS or not isinstance(rule, _BORROWS):
        return None
    rate = rule.rate if isinstance(rule, FalseAlarms) else 1 - rule.q
    rng = np.random.default_rng(len(normals))
    reach = []
    for place, units in enumerate(others):
        prior = _Prior.of([*others[:place], *others[place + 1 :]])
        level = float(np.quantile(np.concatenate(units), 1 - rate, method="higher"))
        for _ in range(_DRAWS):
            some = [units[row] for row in rng.permutation(len(units))[:n]]
            centre, spread = prior.drawn(np.concatenate(some), n)
            reach.append((level - centre) / spread)
    prior = _Prior.of(others)
    centre, spread = prior.drawn(normals, n)
    most = (1 + confidence) / 2  # few products lend: half as many may be worse
    wanted = float(np.quantile(np.array(reach), most))
    level = float(np.float32(centre + wanted * spread))
    fixed = choose_threshold(level, one.scores, one.is_anomalous, groups=one.groups)
    how = (
        f"Borrowed: {count(len(normals), 'normal calibration image')} of {one.name} cannot show"
        f" {policy}. Their median and spread are drawn towards those of {len(others)} other"
        f" products. The threshold lies {wanted:.3g} spreads above the median, which sufficed for"
        f" {percent(most)} of draws of as few images from those products. That is no"
        f" guarantee of its own: it holds if the scores of {one.name} are spread like theirs. For"
        " one, add normal images."
    )
    return Product(
        name=one.name,
        operating_point=fixed.model_copy(
            update={"policy": str(rule), "how": how, "promise": "none"}
        ),
        n_normal=len(normals),
        n_anomalous=int(one.is_anomalous.sum()),
        centre=centre,
        spread=spread,
        borrows=True,
    )


class _Prior(NamedTuple):
    """How medians and (the logarithms of) spreads vary from product to product."""

    centre: float
    centre_variance: float
    spread: float
    spread_variance: float

    @classmethod
    def of(cls, products: Sequence[list[NDArray[np.float64]]]) -> _Prior:
        """From the normal scores of each, by unit."""
        whole = [np.concatenate(units) for units in products]
        centres = np.array([np.median(scores) for scores in whole])
        spreads = np.log([spread_of(scores) or 1e-12 for scores in whole])
        return cls(
            float(centres.mean()),
            float(centres.var(ddof=1)),
            float(spreads.mean()),
            float(spreads.var(ddof=1)),
        )

    def drawn(self, normals: NDArray[np.float64], n_units: int) -> tuple[float, float]:
        """Median and spread of few scores, drawn towards those of the other products."""
        own = spread_of(normals)
        noise = 1.0 / n_units
        weight = self.spread_variance / (self.spread_variance + noise)
        logarithm = np.log(own) if own > 0 else self.spread
        spread = float(np.exp(weight * logarithm + (1 - weight) * self.spread))
        error = (1.6 * spread) ** 2 / n_units
        pull = self.centre_variance / (self.centre_variance + error)
        return pull * float(np.median(normals)) + (1 - pull) * self.centre, spread


def _by_unit(one: _Known) -> list[NDArray[np.float64]]:
    """The normal scores of each group, or of each image."""
    normals = one.normals
    if one.groups is None:
        return [normals[row : row + 1] for row in range(len(normals))]
    codes = np.unique(one.groups[~one.is_anomalous], return_inverse=True)[1].reshape(-1)
    return [normals[codes == code] for code in range(int(codes.max(initial=-1)) + 1)]
