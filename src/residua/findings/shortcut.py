"""One number per image that tells the label as well as a model would, such as brightness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import (
    Answer,
    Estimate,
    Figure,
    Finding,
    FindingKind,
    Histogram,
    JudgedFacts,
    Severity,
)
from residua.metrics.names import difference_words

# Of how an image was made, not of what it shows: the label should not follow from these at all.
# What an image shows moves the measure of compression a little (ROC AUC up to .69 between
# garments), and the size of a file much (up to .9).
TECHNICAL = {"height": 0.7, "width": 0.7, "compression": 0.8}
# Light is the commonest shortcut, and what an image shows moves it less than its sharpness.
LIGHT = ("brightness", "contrast")
_LIMIT, _LIGHT_LOW = 0.95, 0.85
_TELLING = 0.6


def find_shortcut(
    features: Mapping[str, NDArray[Any]],
    is_anomalous: NDArray[np.bool_],
    *,
    model: Estimate | None = None,
    scores: NDArray[Any] | None = None,
    groups: Any = None,
    confidence: float = 0.95,
) -> Finding | None:
    """Rank images by one simple number after the other; None where no label is there, or nothing
    tells.

    The area under the curve is taken in whichever direction is better, the limit is on its
    interval's lower end, which is widened for having tried several. Error: how an image was made
    (its size ranks above .7, its compression above .8). Warning: sharpness or the size of the file
    ranks above .95; brightness or contrast does so by its value, and by its interval above .85; or
    something ranks above .6 and no worse than the model. Note: something ranks above .75.

    Parameters
    ----------
    features : mapping of str to float array, (n_images,)
    is_anomalous : bool array, (n_images,)
    model : Estimate, optional
        The model's ROC AUC on the same images.
    scores : float array, (n_images,), optional
        The model's scores: the finding then says by how much the two differ, in pairs.
    groups : array, (n_images,), optional
        What was sampled together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) < 50
    >>> find_shortcut({"width": rng.normal(size=200) + 2 * labels}, labels).severity
    'error'
    >>> find_shortcut({"brightness": rng.normal(size=200)}, labels) is None
    True
    """
    from residua.metrics.delong import roc_auc_difference, roc_auc_interval

    if not is_anomalous.any() or is_anomalous.all():
        return None
    tried = {
        name: np.asarray(column, np.float64)
        for name, column in features.items()
        if np.ptp(column) > 0
    }
    level = 1 - (1 - confidence) / max(1, 2 * len(tried))
    areas: dict[str, tuple[float, float]] = {}
    signs: dict[str, int] = {}
    for name, column in tried.items():
        both = [
            roc_auc_interval(is_anomalous, sign * column, groups=groups, confidence=level)
            for sign in (1, -1)
        ]
        best = max(both, key=lambda one: one.value or 0.0)
        signs[name] = 1 if best is both[0] else -1
        areas[name] = (best.value or 0.0, best.low or 0.0)
    if not areas:
        return None
    technical = [name for name in areas if areas[name][1] > TECHNICAL.get(name, 1)]
    strong = [name for name in areas if _is_strong(name, *areas[name])]
    worst = max(technical or strong or areas, key=lambda name: areas[name][1])
    value, low = areas[worst]
    matches_model = (
        model is not None and model.value is not None and value >= model.value and low > _TELLING
    )
    if not (technical or low > 0.75 or matches_model):
        return None
    severity: Severity = "error" if technical else "warning" if strong or matches_model else "note"
    measured: dict[str, Any] = {
        "feature": worst,
        "roc_auc": value,
        "low": low,
        "all": {name: area for name, (area, _) in areas.items()},
    }
    beside = ""
    if model is not None and model.value is not None:
        beside = f". The model reaches {model.value:.3g}"
    if beside and scores is not None:
        difference = roc_auc_difference(
            is_anomalous,
            scores,
            signs[worst] * tried[worst],
            groups=groups,
            confidence=confidence,
        )
        measured["difference"] = difference.model_dump(mode="json")
        beside += (
            f", and in pairs on the same images model minus {worst.replace('_', ' ')} is"
            f" {difference_words('roc_auc', difference)}"
        )
    made = "how the image was made" if technical else "one number per image"
    return Finding(
        code=KIND.code,
        severity=severity,
        measured=measured,
        meaning=(
            f"{worst.replace('_', ' ').capitalize()} alone tells normal from anomalous with a"
            f" ROC AUC of {value:.3g} (at least {low:.3g}){beside}. So {made} gives the label"
            " away, and a detector may learn nothing else."
        ),
        what_to_do=(
            "Find out why: one of the classes may come from another camera, another day or"
            " another program. Record both kinds in the same way. Or crop, resize and compress"
            " all images in one way."
        ),
    )


def _is_strong(name: str, value: float, low: float) -> bool:
    return low > _LIMIT or (name in LIGHT and value > _LIMIT and low > _LIGHT_LOW)


def shortcut_of(facts: JudgedFacts) -> Finding | None:
    """The finding on the judged images; None also where their looks or labels are not known."""
    if facts.lacks(KIND.needs) or facts.job not in KIND.jobs:
        return None
    known = facts.labelled
    return find_shortcut(
        {name: column[known] for name, column in facts.features.items()},
        facts.is_anomalous[known],
        model=None if facts.metrics is None else facts.metrics.get("roc_auc"),
        scores=None if facts.scores is None else facts.scores[known],
        groups=facts.groups_of(known),
    )


def _ask(facts: JudgedFacts) -> Answer:
    finding = shortcut_of(facts)
    if finding is None or facts.job == "check":
        return finding
    name = finding.measured["feature"]
    column = facts.features[name]
    series = {"normal": column[facts.normal_rows], "anomalous": column[facts.anomalous_rows]}
    return finding, Figure(histogram=Histogram.of(series, name.replace("_", " ")))


KIND = FindingKind(
    "shortcut",
    "A simple property of the image predicts the label",
    find_shortcut,
    _ask,
    needs=("features", "is_anomalous"),
    jobs=("detect", "check"),
    noun="shortcuts",
)
