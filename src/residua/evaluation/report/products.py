"""The products of a detector: how each is judged at its own threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residua._text import count
from residua.evaluation.products import PRODUCTS
from residua.evaluation.report.markup import Html, prose, row, scroller, table
from residua.evaluation.report.sections import panel
from residua.records import Evaluation

HEADER = ("Normal", "Anomalous", "Threshold", "Recall", "False alarms", "ROC AUC")


def product_rows(evaluation: Evaluation) -> list[tuple[str, list[str]]]:
    """Each product with its cells, the least caught first; none where there are no products.

    >>> each = {"lens": {"threshold": 0.5, "borrows": True, "n_normal": 9, "n_anomalous": 0}}
    >>> told = {PRODUCTS: {"each": each}}
    >>> product_rows(Evaluation(job="detect", n_images=9, split="test", provenance=told))
    [('lens (borrows)', ['9', '0', '0.5', '–', '–', '–'])]
    """
    told = evaluation.provenance.get(PRODUCTS)
    each: Mapping[str, Any] = told["each"] if isinstance(told, Mapping) else {}
    rows = [(_caught(one), name + _mark(one), _cells(one)) for name, one in each.items()]
    return [(name, cells) for _, name, cells in sorted(rows, key=lambda row: row[0])]


def summary(evaluation: Evaluation) -> str:
    """What is said of all products together, in sentences."""
    told = evaluation.provenance[PRODUCTS]
    mean, each = told.get("mean_roc_auc"), told["each"]
    figures = [one["metrics"] for one in each.values() if one.get("metrics")]
    rates = {
        name: [
            one[name]["value"] for one in figures if name in one and one[name]["value"] is not None
        ]
        for name in ("recall", "false_alarm_rate")
    }
    said = [f"{count(len(each), 'product')}, each judged at a threshold of its own."]
    if mean is not None:
        n = sum(_has_interval(one.get("roc_auc")) for one in figures)
        whose = "the products" if n == len(each) else f"{n:,} of them, where it can be told"
        said.append(f"Mean ROC AUC of {whose}: {_area(mean)}.")
    if rates["recall"]:
        said.append(f"The least recall is {min(rates['recall']):.0%}.")
    if rates["false_alarm_rate"]:
        said.append(f"The most false alarms are {max(rates['false_alarm_rate']):.1%}.")
    said.append(
        "Figures over all products are of scores on one scale, on which all have one threshold."
    )
    return " ".join(said)


def _has_interval(area: Mapping[str, Any] | None) -> bool:
    return area is not None and area["low"] is not None


def by_product(key: str, evaluation: Evaluation) -> Html | None:
    """The section; None where there are no products."""
    products = product_rows(evaluation)
    if not products:
        return None
    each = evaluation.provenance[PRODUCTS]["each"]
    rows = [row(name, *cells) for name, cells in products]
    notes = [
        row(name, prose(one["how"] or one["reason"] or ""))
        for name, one in each.items()
        if one["borrows"] or one["reason"]
    ]
    return panel(
        key,
        "products",
        "By product",
        scroller(table(("Product", *HEADER), rows), "Products"),
        scroller(table(("Product", "Why"), notes), "Why") if notes else None,
        lede=summary(evaluation),
    )


def _mark(one: Mapping[str, Any]) -> str:
    return " (borrows)" if one.get("borrows") else " (not decided)" if one.get("reason") else ""


def _cells(one: Mapping[str, Any]) -> list[str]:
    level, metrics = one.get("threshold"), one.get("metrics", {})
    return [
        f"{one['n_normal']:,}",
        f"{one['n_anomalous']:,}",
        "none" if level is None else f"{level:.4g}",
        *(_share(metrics.get(name)) for name in ("recall", "false_alarm_rate")),
        _area(metrics.get("roc_auc")),
    ]


def _share(told: Mapping[str, Any] | None) -> str:
    if told is None or told["value"] is None:
        return "–"
    value, low, high = (100 * told[name] for name in ("value", "low", "high"))
    return f"{value:.0f}% [{low:.0f}, {high:.0f}]"


def _area(told: Mapping[str, Any] | None) -> str:
    if told is None or told["value"] is None:
        return "–"
    low, high = told["low"], told["high"]
    ends = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{told['value']:.2f}{ends}"


def _caught(one: Mapping[str, Any]) -> float:
    recall = one.get("metrics", {}).get("recall")
    return 1.0 if recall is None or recall["value"] is None else float(recall["value"])
