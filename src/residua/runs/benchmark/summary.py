"""What a benchmark's fits come to: means over classes, spread over seeds, and whether the best
recipe beats the baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from residua._text import of_groups
from residua.metrics import paired_difference_interval, roc_auc_difference
from residua.records import Estimate

Record = dict[str, Any]
Areas = dict[str, dict[str, list[float]]]
"""ROC AUC by column (a recipe or a baseline), by class: one value a seed."""


_CHANCE = 0.5


def untrained_name(recipe: str) -> str:
    """The column of a recipe's untrained network."""
    return f"untrained {recipe}"


def summarise(
    rows: Sequence[Record], baselines: Sequence[Record], *, confidence: float = 0.95
) -> Record:
    """Columns, the best recipe, the strongest baseline, their difference and a sentence.

    Parameters
    ----------
    rows : sequence of dict
        A fit each: ``class, recipe, seed, roc_auc, seconds_fit``, and with one class ``scores,
        is_anomalous``; ``groups`` and ``n_test_groups`` where the test images know groups.
    baselines : sequence of dict
        ``class, name, roc_auc``, and with one class ``scores``. One that separates a class
        backwards, its interval wholly below .5, counts there with its scores turned around.

    Returns
    -------
    dict
        ``columns``: name to ``mean`` over classes (of means over seeds), ``seed_spread`` (standard
        deviation over seeds of the mean over classes; None with one seed), ``classes``; of a
        baseline also ``turned``, the classes that it separates backwards.
        ``difference``: mean over classes of best recipe minus strongest baseline, with its
        interval; with one class by DeLong on its test images.

    Examples
    --------
    >>> rows = [
    ...     dict(
    ...         zip(
    ...             ("class", "recipe", "seed", "roc_auc", "seconds_fit"),
    ...             ("0", "plain", 0, {"value": 0.9}, 1.0),
    ...         )
    ...     )
    ... ]
    >>> baselines = [{"class": "0", "name": "pca", "roc_auc": {"value": 0.8}}]
    >>> summary = summarise(rows, baselines)
    >>> (
    ...     summary["best_recipe"],
    ...     summary["strongest_baseline"],
    ...     round(summary["difference"]["value"], 2),
    ... )
    ('plain', 'pca', 0.1)
    """
    trained = _areas(rows, "recipe", lambda row: row["roc_auc"]["value"])
    beside = _areas(baselines, "name", _turned_area)
    columns = {name: _column(values) for name, values in {**trained, **beside}.items()}
    for one in baselines:
        turned = columns[one["name"]].setdefault("turned", [])
        turned += [one["class"]] if _is_backwards(one) else []
    for name in trained:
        columns[name]["seconds_fit"] = float(
            np.mean([row["seconds_fit"] for row in rows if row["recipe"] == name])
        )
    best = max(trained, key=lambda name: columns[name]["mean"])
    strongest = max(beside, key=lambda name: columns[name]["mean"])
    difference = _difference(best, strongest, rows, baselines, columns, confidence)
    return {
        "classes": list(trained[best]),
        "columns": columns,
        "best_recipe": best,
        "strongest_baseline": strongest,
        "difference": difference.model_dump(mode="json"),
        "verdict": _verdict(
            best,
            strongest,
            columns,
            difference,
            n_recipes=len(trained),
            n_classes=len(trained[best]),
        ),
    }


def _areas(records: Sequence[Record], key: str, area_of: Callable[[Record], float]) -> Areas:
    found: Areas = {}
    for record in records:
        of_class = found.setdefault(record[key], {}).setdefault(record["class"], [])
        of_class.append(area_of(record))
    return found


def _is_backwards(baseline: Record) -> bool:
    high = baseline["roc_auc"].get("high")
    return high is not None and high < _CHANCE


def _turned_area(baseline: Record) -> float:
    value = float(baseline["roc_auc"]["value"])
    return 1 - value if _is_backwards(baseline) else value


def _column(by_class: dict[str, list[float]]) -> Record:
    means = {label: float(np.mean(values)) for label, values in by_class.items()}
    of_seeds = np.array(list(by_class.values())).mean(axis=0)
    spread = float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else None
    return {
        "mean": float(np.mean(list(means.values()))),
        "seed_spread": spread,
        "n_seeds": len(of_seeds),
        "classes": means,
    }


def _difference(  # noqa: PLR0917
    best: str,
    strongest: str,
    rows: Sequence[Record],
    baselines: Sequence[Record],
    columns: Record,
    confidence: float,
) -> Estimate:
    """Paired over classes; over the test images where there is one class with its scores."""
    ours, theirs = columns[best]["classes"], columns[strongest]["classes"]
    if len(ours) > 1:
        return paired_difference_interval(
            [ours[label] for label in ours],
            [theirs[label] for label in ours],
            confidence=confidence,
        )
    own = [row for row in rows if row["recipe"] == best]
    beside = next(one for one in baselines if one["name"] == strongest)
    (label,) = ours
    unbounded = Estimate(value=ours[label] - theirs[label], confidence=confidence, n=1)
    if not all("scores" in one for one in (*own, beside)):
        return unbounded
    sign = -1 if _is_backwards(beside) else 1
    paired = [
        roc_auc_difference(
            row["is_anomalous"],
            row["scores"],
            sign * np.asarray(beside["scores"]),
            confidence=confidence,
            groups=row.get("groups"),
        )
        for row in own
    ]
    lows, highs = (
        [one.low for one in paired if one.low is not None],
        [one.high for one in paired if one.high is not None],
    )
    about = ("n", "n_groups", "n_effective", "caveat")
    told = unbounded.model_copy(update={name: getattr(paired[0], name) for name in about})
    if len(lows) < len(paired):
        return told if told.caveat is not None else unbounded
    # Of several seeds the widest: what one training run may come to is part of the doubt.
    return told.model_copy(update={"low": min(lows), "high": max(highs)})


def _verdict(
    best: str,
    strongest: str,
    columns: Record,
    difference: Estimate,
    *,
    n_recipes: int,
    n_classes: int,
) -> str:
    over = f"over {n_classes} classes" if n_classes > 1 else "on the one class"
    first = (
        f"Best on average of {n_recipes} recipes: {best}, mean ROC AUC {columns[best]['mean']:.3f}"
        f" {over}."
    )
    if n_recipes == 1:
        first = f"{best}: mean ROC AUC {columns[best]['mean']:.3f} {over}."
    around = _around(len(columns[strongest]["turned"]), n_classes)
    title = f"{strongest.replace('_', ' ')}, {columns[strongest]['mean']:.3f}{around}"
    against = f"the strongest baseline ({title})"
    value, low, high = difference.value, difference.low, difference.high
    assert value is not None
    if low is None or high is None:
        why = "on too little for an interval." if difference.caveat is None else difference.caveat
        return f"{first} {_side(value)} {against}, {why[0].lower()}{why[1:]}"
    interval = f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"
    over = "paired over test images" + of_groups(difference.n_groups)
    over = "paired over classes" if n_classes > 1 else over
    caveat = "" if difference.caveat is None else f" {difference.caveat}"
    if low > 0:
        return f"{first} It beats {against}: {interval}, {over}.{caveat}"
    if high < 0:
        return f"{first} It falls behind {against}: {interval}, {over}.{caveat}"
    return f"{first} No difference to {against} is shown: {interval}, {over}.{caveat}"


def _around(n_turned: int, n_classes: int) -> str:
    if not n_turned:
        return ""
    where = "" if n_classes == 1 else f" in {n_turned} of {n_classes} classes"
    return f", turned around{where}"


def _side(value: float) -> str:
    return (
        "It equals"
        if value == 0
        else f"It lies {abs(value):.3f} {'above' if value > 0 else 'below'}"
    )
