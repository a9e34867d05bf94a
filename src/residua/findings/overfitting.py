"""Training images reconstructed much better than new ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import (
    Answer,
    Figure,
    Finding,
    FindingKind,
    Histogram,
    JudgedFacts,
    Severity,
)
from residua.metrics.groups import as_groups


def find_overfitting(
    train_errors: NDArray[Any],
    new_errors: NDArray[Any],
    *,
    groups: Any = None,
    confidence: float = 0.95,
) -> Finding | None:
    """Compare the mean error on training images with that on new normal images, by their ratio and
    its interval.

    The interval is Welch's on the logarithm of the ratio (delta method). Where either side is a
    single number there is no interval: the numbers are taken for means that somebody states, and
    judged with wider limits. With an interval, error means at least twice the training error,
    warning at least a quarter more; without one, five times and twice.

    Parameters
    ----------
    train_errors, new_errors : float array, (n,)
        Errors >= 0 of one kind (mse with mse). Leave anomalies out of `new_errors`: theirs ought to
        be high.
    groups : array, (n_new,), optional
        What of the new images was sampled together. Training images are taken to come in groups as
        alike.

    Returns
    -------
    Finding or None
        None where a side is empty or an error is negative (a score whose ratio means nothing).

    Examples
    --------
    >>> told = find_overfitting(np.array([0.0005]), np.array([0.01]))
    >>> told.severity, round(told.measured["ratio"], 6)
    ('error', 20.0)
    """
    if (
        len(train_errors) == 0
        or len(new_errors) == 0
        or min(train_errors.min(), new_errors.min()) < 0
    ):
        return None
    train, new = (float(np.mean(errors, dtype=np.float64)) for errors in (train_errors, new_errors))
    if train == 0 and new == 0:
        return None
    ratio = new / train if train > 0 else math.inf
    interval = _interval(train_errors, new_errors, ratio, confidence, groups)
    severity = _severity(ratio, interval)
    return Finding(
        code=KIND.code,
        severity=severity,
        measured={
            "train_error": train,
            "new_error": new,
            "ratio": ratio if math.isfinite(ratio) else None,
            "low": interval[0] if interval else None,
            "high": interval[1] if interval else None,
            "confidence": confidence,
            "n_train": len(train_errors),
            "n_new": len(new_errors),
            **_distributions(train_errors, new_errors),
        },
        **_words(severity, train, new, ratio, interval),
    )


def _distributions(train: NDArray[Any], new: NDArray[Any]) -> dict[str, Any]:
    """Quantiles of both sides, and how many new errors exceed 95% of the training errors."""
    if min(len(train), len(new)) < 2:
        return {}
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    quantiles = {
        name: {f"{level:g}": float(np.quantile(errors, level)) for level in levels}
        for name, errors in (("train_quantiles", train), ("new_quantiles", new))
    }
    return {
        **quantiles,
        "new_above_95_percent_of_train": float((new > np.quantile(train, 0.95)).mean()),
    }


def _interval(
    train: NDArray[Any], new: NDArray[Any], ratio: float, confidence: float, groups: Any
) -> tuple[float, float] | None:
    from scipy.special import ndtri

    if min(len(train), len(new)) < 2 or not 0 < ratio < math.inf:
        return None
    relative = [
        float(np.var(e, ddof=1, dtype=np.float64))
        / len(e)
        / float(np.mean(e, dtype=np.float64)) ** 2
        for e in (train, new)
    ]
    known = as_groups(groups, len(new))
    effect = 1.0 if known is None else known.effect_on_ranks(new)
    width = float(ndtri(1 - (1 - confidence) / 2)) * math.sqrt(effect * sum(relative))
    return ratio * math.exp(-width), ratio * math.exp(width)


def _severity(ratio: float, interval: tuple[float, float] | None) -> Severity:
    at_least, error, warning = (ratio, 5.0, 2.0) if interval is None else (interval[0], 2.0, 1.25)
    if at_least >= error:
        return "error"
    if at_least >= warning:
        return "warning"
    return "note" if interval is not None and at_least > 1 else "ok"


def _words(
    severity: Severity, train: float, new: float, ratio: float, interval: tuple[float, float] | None
) -> dict[str, str]:
    times = f"{ratio:.3g} times" if math.isfinite(ratio) else "infinitely many times"
    spread = f" ({interval[0]:.3g} to {interval[1]:.3g})" if interval else ""
    fact = (
        f"The error on new images is {times}{spread} that on training images: {new:.4g} against"
        f" {train:.4g}."
    )
    if severity == "ok":
        return {"meaning": f"{fact} No sign of overfitting.", "what_to_do": "Nothing."}
    if severity == "error":
        verdict = (
            "This is overfitting: the model has memorised its training images and does not"
            " generalise. Not ready for production."
        )
    else:
        verdict = (
            "The model reconstructs its training images better than new ones: some overfitting."
        )
    mend = (
        "First make sure that new images look like the training ones (same camera, same"
        " scale). Then train with more or more varied images, a smaller latent code,"
        " regularisation or corruption of the input, and stop early on validation error."
    )
    return {"meaning": f"{fact} {verdict}", "what_to_do": mend}


def _ask(facts: JudgedFacts) -> Answer:
    train, new = facts.train_errors, facts.new_errors
    groups = facts.groups_of(facts.new_rows if facts.job == "detect" else np.arange(len(new)))
    if facts.job == "detect" and not facts.are_normal and facts.calibration is not None:
        # Images without labels may be anomalous; calibration images are new and normal.
        new, groups = np.asarray(facts.calibration), facts.calibration_groups
    finding = find_overfitting(train, new, groups=groups, confidence=facts.confidence)
    drawn = Histogram.of({"training images": train, "new images": new}, "error")
    return finding, Figure(histogram=drawn)


KIND = FindingKind(
    "overfitting",
    "Training images reconstructed better than new ones",
    find_overfitting,
    _ask,
    needs=("train_errors",),
    jobs=("detect", "reconstruct"),
)
