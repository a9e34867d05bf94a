"""Images that the model was trained on, or copies of them, among those it is judged on."""

from __future__ import annotations

from collections.abc import Mapping

from residua.images.copies import Leaks
from residua.metrics.names import metric_inside
from residua.records import Estimate, Finding, Severity

CODE = "leakage"

_SHARE_OF_AN_ERROR = 0.01
_MOST_EXAMPLES = 20
_HEADLINES = ("roc_auc", "accuracy", "mse")


def find_leakage(
    leaks: Leaks,
    *,
    metrics: Mapping[str, Estimate] | None = None,
    without: Mapping[str, Estimate] | None = None,
    judged: str = "images judged here",
    seen: str = "training images",
) -> Finding | None:
    """Say which judged images are copies of seen ones, of what kind, and what every metric is without them.

    Error: more than one in a hundred. Warning: fewer.

    Parameters
    ----------
    leaks : Leaks
        From `residua.images.copies.leaks_of`.
    metrics, without : mapping of str to Estimate, optional
        Of all judged images, and of those that are no copies.
    judged, seen : str
        What the two are called.

    Examples
    --------
    >>> from residua.images.copies import exact_leaks
    >>> names = np.array(["x.png", "y.png"], object)
    >>> leaks = exact_leaks(np.array(["a1", "b2"], object), np.array(["b2", "c3"], object), names)
    >>> told = find_leakage(leaks)
    >>> told.severity, told.measured["n_leaked"], told.measured["kinds"]
    ('error', 1, {'exact': 1})
    """
    n, n_leaked = len(leaks.kinds), int(leaks.leaked.sum())
    if n == 0:
        return None
    kind = "a copy, be it re-encoded, resized, brightened, cropped, flipped or rotated," if leaks.is_thorough else "an exact copy"
    measured = {
        "n_leaked": n_leaked,
        "n_images": n,
        "looked_for": "copies of every kind" if leaks.is_thorough else "exact copies",
    }
    if n_leaked == 0:
        meaning = f"None of the {n:,} {judged} is {kind} of one of the {seen}."
        return Finding(code=CODE, severity="ok", measured=measured, meaning=meaning, what_to_do="")
    severity: Severity = "error" if n_leaked > _SHARE_OF_AN_ERROR * n else "warning"
    shown = {name: one.model_dump(mode="json") for name, one in (without or {}).items()}
    by_kind = ", ".join(f"{count:,} {name}" for name, count in list(leaks.tally.items())[:6])
    return Finding(
        code=CODE,
        severity=severity,
        measured={
            **measured,
            "kinds": leaks.tally,
            "examples": [one._asdict() for one in leaks.examples(_MOST_EXAMPLES)],
            **({"metrics_without": shown} if without is not None else {}),
        },
        meaning=f"{n_leaked:,} of the {n:,} {judged} {'is a copy' if n_leaked == 1 else 'are copies'} of {seen} ({by_kind}): "
        f"on those the model is asked what it was told, so the figures flatter.{_compared(metrics or {}, without or {})}",
        what_to_do="Take the copies out of one of the parts, or give them one group in a manifest (`residua.images.group_twins` "
        "names it), and fit again.",
    )


def _compared(metrics: Mapping[str, Estimate], without: Mapping[str, Estimate]) -> str:
    headlines = ("accuracy",) if "log_loss" in metrics else _HEADLINES  # a classifier's is its accuracy
    name = next((name for name in headlines if name in metrics and name in without), None)
    if name is None or metrics[name].value is None:
        return ""
    one, said = without[name], metric_inside(name)
    if one.value is None:
        return f" Without them too few images are left for {said}."
    interval = "" if one.low is None or one.high is None else f" ({one.low:.4g} to {one.high:.4g})"
    return f" Without them {said} is {one.value:.4g}{interval} instead of {metrics[name].value:.4g}."
