"""A model that is not shown to beat something simpler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residua._text import count
from residua.findings.kind import Estimate, Finding, FindingKind, JudgedFacts, Standing
from residua.findings.shortcut import LIGHT, shortcut_of
from residua.findings.unknown_code_size import of_known_size
from residua.metrics.names import (
    PRIMARY,
    baseline_title,
    difference_words,
    metric_inside,
    metric_words,
)

# What a baseline is called as a recipe, by the metric of the job that the recipe can do.
_RECIPES = {
    ("roc_auc", "pca"): "pca",
    ("roc_auc", "pixel_neighbours"): "neighbours",
    ("mse", "pca"): "pca --job reconstruct",
}
_LEARN_MORE = (
    "find out what the model fails to learn: too little training, too large a latent code, the"
    " wrong score."
)
_ADVICE = {
    **dict.fromkeys(
        LIGHT,
        "One number per image says as much. So find out why normal and anomalous images differ in"
        " it: another camera, light or day. Record both kinds in the same way.",
    ),
    "untrained": "Train longer, or try another recipe: so far, training is not shown to help.",
    "mean_image": (
        "Look at what the model learns: comparing each image with the mean training image does as"
        " well. Train longer, or try another recipe."
    ),
    "majority_class": (
        "Look at the classes one by one: always naming the commonest class is right as often."
    ),
    "input_unchanged": (
        "Look at the pairs of images: leaving the input as it is comes as close to what is"
        " expected."
    ),
}
# The states of a baseline, from what says most against the model on.
_BETTER, _OPEN, _AS_GOOD, _BEHIND, _WORSE = range(5)


def find_not_better_than_baseline(
    metric: str,
    model: Estimate,
    baselines: Mapping[str, Estimate],
    *,
    standings: Mapping[str, Standing] | None = None,
    higher_is_better: bool = True,
) -> Finding | None:
    """Compare one metric of a model with the same metric of its baselines; None where nothing can
    be compared.

    Warning: some baseline is shown to be better, or no difference is shown to one. Ok: each is
    shown to be worse. Baselines without a standing are compared by their values alone. Warning: one
    is as good or better. Note: the model is ahead, and nothing says whether by chance.

    Parameters
    ----------
    metric : str
    model : Estimate
    baselines : mapping of str to Estimate
    standings : mapping of str to Standing, optional
        How baselines stand to the model in pairs on the same images.
    higher_is_better : bool

    Examples
    --------
    >>> pca = Estimate(value=0.91)
    >>> pairs = Standing(
    ...     metric="roc_auc",
    ...     difference=Estimate(value=-0.01, low=-0.03, high=0.01),
    ...     baseline="no difference shown",
    ... )
    >>> told = find_not_better_than_baseline(
    ...     "roc_auc", Estimate(value=0.9), {"pca": pca}, standings={"pca": pairs}
    ... )
    >>> told.severity, told.measured["baseline"]
    ('warning', 'pca')
    """
    pairs = {name: one for name, one in (standings or {}).items() if one.metric == metric}
    values = {
        name: 1 - one.value if name in pairs and pairs[name].is_backwards else one.value
        for name, one in baselines.items()
        if one.value is not None
    }
    if model.value is None or not values:
        return None
    sign = 1 if higher_is_better else -1
    states = {
        name: _state(pairs.get(name), sign * (model.value - value))
        for name, value in values.items()
    }
    worst = min(states.values())
    of_worst = [name for name in states if states[name] == worst]
    best = max(of_worst, key=lambda name: sign * values[name])
    measured: dict[str, Any] = {
        "metric": metric,
        "model": model.value,
        "baseline": best,
        "baseline_value": values[best],
        "baselines": values,
    }
    if best in pairs:
        measured["standing"] = pairs[best].baseline
        measured["difference"] = pairs[best].difference.model_dump(mode="json")
    said = _said(metric, model.value, values[best], best, pairs.get(best))
    others = [baseline_title(name) for name in of_worst if name != best]
    return Finding(
        code=KIND.code,
        severity="ok" if worst == _WORSE else "note" if worst == _BEHIND else "warning",
        measured=measured,
        meaning=f"{_opening(worst, best, len(values))} {said}{_meant(worst, others)}",
        what_to_do=_what_to_do(worst, metric, best),
    )


def _state(standing: Standing | None, ahead: float) -> int:
    if standing is None:
        return _BEHIND if ahead > 0 else _AS_GOOD
    return {"better": _BETTER, "no difference shown": _OPEN, "worse": _WORSE}[standing.baseline]


def _opening(worst: int, best: str, n: int) -> str:
    title = baseline_title(best)
    return {
        _BETTER: f"The baseline {title} is better.",
        _OPEN: f"No difference is shown between the model and the baseline {title}.",
        _AS_GOOD: f"The baseline {title} is as good or better.",
        _BEHIND: f"The model is ahead of the best baseline, {title}.",
        _WORSE: (
            f"The baseline {title} is worse."
            if n == 1
            else f"Each of the {count(n, 'baseline')} is worse. The best is {title}."
        ),
    }[worst]


def _said(metric: str, model: float, baseline: float, name: str, standing: Standing | None) -> str:
    said = metric_inside(metric)
    turned = standing is not None and standing.is_backwards
    beside = (
        f"The model's {said} is {model:.4g}, the baseline's {baseline:.4g}"
        f"{', its scores turned around' if turned else ''}."
    )
    if standing is None:
        return f"{beside} They were not compared in pairs."
    difference = difference_words(metric, standing.difference)
    caveat = standing.difference.caveat
    return (
        f"{beside} Model minus baseline, in pairs on the same images: {difference}."
        f"{'' if caveat is None else f' {caveat}'}"
    )


def _meant(worst: int, others: list[str]) -> str:
    """What follows for the model, and which other baselines stand alike."""
    told = ""
    if others and worst in (_BETTER, _OPEN):
        alike = "better" if worst == _BETTER else "not shown to differ"
        told = f" {', '.join(others)}: {alike} too."
    if worst in (_BETTER, _AS_GOOD):
        return f"{told} The model adds nothing to the baseline."
    return f"{told} So nothing shows that the model adds to it." if worst == _OPEN else told


def _what_to_do(worst: int, metric: str, best: str) -> str:
    if worst == _WORSE:
        return "Nothing."
    if worst == _BEHIND:
        return (
            "Give what the baseline says of each image instead of its mean, so that both are"
            " compared in pairs."
        )
    recipe = _RECIPES.get((metric, best))
    command = None if recipe is None else f"`residua fit SOURCE --recipe {recipe}`"
    if worst != _OPEN:
        use = "Use the baseline, or" if command is None else f"Use the baseline: {command}. Or"
        return _ADVICE.get(best, f"{use} {_LEARN_MORE}")
    either = "Either may be the better one" + ("." if command is None else f" ({command}).")
    return (
        f"{_ADVICE.get(best, f'{either} Take the simpler one.')} Or test on more images, which"
        " narrows the interval."
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    metric = next((name for name in PRIMARY[facts.job] if name in facts.metrics), None)
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
        standings=facts.standings,
        higher_is_better=metric_words(metric).higher_is_better,
    )


KIND = FindingKind(
    "not-better-than-baseline",
    "A simple baseline is as good",
    find_not_better_than_baseline,
    _ask,
    needs=("metrics", "baselines"),
)
