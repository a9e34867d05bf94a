"""A model that does not beat something simpler."""

from __future__ import annotations

from collections.abc import Mapping

from residua.findings.kind import Estimate, Finding, FindingKind, JudgedFacts
from residua.findings.shortcut import LIGHT, shortcut_of
from residua.findings.unknown_code_size import of_known_size
from residua.metrics.names import baseline_title, metric_inside, metric_words

# The one metric of a job that is compared: the first that the record has.
_PRIMARY = {
    "detect": ("roc_auc",),
    "reconstruct": ("mse",),
    "classify": ("accuracy", "linear_probe_accuracy"),
}


def find_not_better_than_baseline(
    metric: str,
    model: Estimate,
    baselines: Mapping[str, Estimate],
    *,
    higher_is_better: bool = True,
) -> Finding | None:
    """Compare one metric of a model with the same metric of its baselines; None where nothing can
    be compared.

    Warning: some baseline is as good or better. Note: the model is ahead, but its interval reaches
    down to the baseline.

    Examples
    --------
    >>> told = find_not_better_than_baseline(
    ...     "roc_auc", Estimate(value=0.9, low=0.88, high=0.92), {"pca": Estimate(value=0.91)}
    ... )
    >>> told.severity, told.measured["baseline"]
    ('warning', 'pca')
    """
    values = {
        name: estimate.value for name, estimate in baselines.items() if estimate.value is not None
    }
    if model.value is None or not values:
        return None
    sign = 1 if higher_is_better else -1
    best = max(values, key=lambda name: sign * values[name])
    bound = (
        (model.low if higher_is_better else model.high) if model.low is not None else model.value
    )
    said = metric_inside(metric)
    measured = {
        "metric": metric,
        "model": model.value,
        "baseline": best,
        "baseline_value": values[best],
        "baselines": values,
    }
    if sign * model.value <= sign * values[best]:
        return Finding(
            code=KIND.code,
            severity="warning",
            measured=measured,
            meaning=(
                f"The baseline {baseline_title(best)} reaches {said} {values[best]:.4g}, the"
                f" model {model.value:.4g}. The model adds nothing to the baseline."
            ),
            what_to_do=(
                "Use the baseline, or find out what the model fails to learn: too little"
                " training, too large a latent code, the wrong score."
            ),
        )
    is_clear = bound is not None and sign * bound > sign * values[best]
    return Finding(
        code=KIND.code,
        severity="ok" if is_clear else "note",
        measured=measured,
        meaning=(
            f"The model's {said} {model.value:.4g} is better than that of the best baseline"
            f" ({baseline_title(best)}), {values[best]:.4g}"
        )
        + (
            "."
            if is_clear
            else ", but by less than its interval. These images cannot tell the two apart."
        ),
        what_to_do="Nothing." if is_clear else ("Test on more images before you prefer the model."),
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    metric = next((name for name in _PRIMARY[facts.job] if name in facts.metrics), None)
    if metric is None:
        return None
    beside = of_known_size(facts.baselines_in(metric))
    if (told := shortcut_of(facts)) is not None and told.severity == "warning":
        # The finding `shortcut` says it already, and what it means.
        beside = {name: one for name, one in beside.items() if name not in LIGHT}
    return find_not_better_than_baseline(
        metric,
        facts.metrics[metric],
        beside,
        higher_is_better=metric_words(metric).higher_is_better,
    )


KIND = FindingKind(
    "not-better-than-baseline",
    "A simple baseline is as good",
    find_not_better_than_baseline,
    _ask,
    needs=("metrics", "baselines"),
)
