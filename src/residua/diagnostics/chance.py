"""Scores that rank no better than chance, or backwards."""

from __future__ import annotations

from residua.records import Estimate, Finding

CODE = "not-better-than-chance"


def find_not_better_than_chance(roc_auc: Estimate) -> Finding | None:
    """Compare ROC AUC with 0.5; None where it is undefined or clearly above.

    Examples
    --------
    >>> find_not_better_than_chance(Estimate(value=0.1, low=0.05, high=0.2)).measured["reversed"]
    True
    >>> find_not_better_than_chance(Estimate(value=0.9, low=0.8, high=0.95)) is None
    True
    """
    if roc_auc.value is None or roc_auc.low is None or roc_auc.high is None or roc_auc.low > 0.5:
        return None
    is_reversed = roc_auc.high < 0.5
    measured = {"roc_auc": roc_auc.value, "low": roc_auc.low, "high": roc_auc.high, "reversed": is_reversed}
    where = f"ROC AUC {roc_auc.value:.3g} ({roc_auc.low:.3g} to {roc_auc.high:.3g})"
    if is_reversed:
        return Finding(
            code=CODE,
            severity="error",
            measured=measured,
            meaning=f"{where}: anomalies score lower than normal images. Scores or labels seem reversed.",
            what_to_do="Higher must mean more anomalous, label 1 anomalous: negate a similarity, or swap the labels.",
        )
    return Finding(
        code=CODE,
        severity="error" if roc_auc.value <= 0.55 else "warning",
        measured=measured,
        meaning=f"{where}: these images do not show that the scores tell anomalies from normal images at all.",
        what_to_do="Test on more labelled images, or another model or score; no threshold helps here.",
    )
