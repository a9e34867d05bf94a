"""What a record says of each product that one model judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import JudgedFacts
from residua.metrics.delong import roc_auc_interval
from residua.metrics.groups import Groups
from residua.records import Estimate
from residua.thresholds.products import Products
from residua.thresholds.rates import rates_at

PRODUCTS = "products"
"""Where the provenance of a record holds it."""
_RATES = ("recall", "false_alarm_rate")
_AREA = "roc_auc"
_OF_THRESHOLD = ("threshold", "policy", "how")


def product_records(
    products: Products, names: NDArray[Any], facts: JudgedFacts, baselines: Mapping[str, Any]
) -> dict[str, Any]:
    """The figures of each product, and the mean of their areas.

    Parameters
    ----------
    products : Products
    names : object array, (n_images,)
    facts : JudgedFacts
        Of all images; its scores are on the common scale.
    baselines : mapping
        Scores, (n_images,), by the name of the baseline.

    Returns
    -------
    dict
        ``rule``; ``mean_roc_auc``, an estimate of the mean over products; and ``each``, by product:
        ``threshold``, ``policy``, ``how``, ``borrows``, ``reason``, numbers of calibration and
        judged images, ``metrics`` (``recall``, ``false_alarm_rate``, ``roc_auc``, each an
        estimate), and the ROC AUC of each baseline.
    """
    codes = None if facts.groups is None else Groups.read(facts.groups, len(names))
    each = {}
    for one in products.each:
        rows = np.asarray(names == one.name) & facts.labelled
        each[one.name] = {
            **{name: getattr(one.operating_point, name, None) for name in _OF_THRESHOLD},
            "borrows": one.borrows,
            "reason": one.reason,
            "n_calibration_normal": one.n_normal,
            **_figures(rows, products, facts, codes),
            "baselines": _areas(rows, facts, baselines),
        }
    areas = [one["metrics"][_AREA] for one in each.values() if _AREA in one["metrics"]]
    return {"rule": products.rule, "mean_roc_auc": mean_area(areas), "each": each}


def _figures(
    rows: NDArray[np.bool_], products: Products, facts: JudgedFacts, codes: Groups | None
) -> dict[str, Any]:
    flags = np.zeros(len(rows), np.bool_) if facts.is_anomalous is None else facts.is_anomalous
    scores, groups = facts.scores[rows], None if codes is None else codes.of(rows)
    made = rates_at(products.level, scores, flags[rows], groups=groups) if rows.any() else {}
    found = {name: made[name] for name in _RATES if name in made}
    if len(set(flags[rows].tolist())) == 2:
        names = None if codes is None else codes.codes[rows]
        found[_AREA] = roc_auc_interval(flags[rows], scores, groups=names)
    return {
        "n_normal": int((rows & ~flags).sum()),
        "n_anomalous": int((rows & flags).sum()),
        "metrics": {name: one.model_dump(mode="json") for name, one in found.items()},
    }


def _areas(
    rows: NDArray[np.bool_], facts: JudgedFacts, baselines: Mapping[str, Any]
) -> dict[str, float | None]:
    if facts.is_anomalous is None or len(set(facts.is_anomalous[rows].tolist())) < 2:
        return {}
    return {
        name: roc_auc_interval(facts.is_anomalous[rows], np.asarray(scores)[rows]).value
        for name, scores in baselines.items()
        if not isinstance(scores, Mapping)
    }


def mean_area(areas: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The mean of the ROC AUC of products, with its interval; of those that have one.

    >>> mean_area([{"value": 0.8, "low": 0.5, "high": 0.9, "n": 9}])["low"]
    0.5
    """
    known = [one for one in areas if one["low"] is not None]
    if not known:
        return None
    value = float(np.mean([one["value"] for one in known]))
    below, above = (
        float(np.sqrt(sum((one[end] - one["value"]) ** 2 for one in known))) / len(known)
        for end in ("low", "high")
    )
    return Estimate(
        value=value,
        low=max(0.0, value - below),
        high=min(1.0, value + above),
        n=sum(one["n"] for one in known),
    ).model_dump(mode="json")
