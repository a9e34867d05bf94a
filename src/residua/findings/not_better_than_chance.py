"""Scores that rank no better than chance, or backwards."""

from __future__ import annotations

from residua.findings.kind import Estimate, Finding, FindingKind


def find_not_better_than_chance(
    roc_auc: Estimate, *, prevalence: float | None = None
) -> Finding | None:
    """Compare ROC AUC with 0.5; None where it is undefined or clearly above.

    Parameters
    ----------
    roc_auc : Estimate
    prevalence : float, optional
        Share of anomalous images: above one half, the labels may be reversed as well.

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
    measured = {
        "roc_auc": roc_auc.value,
        "low": roc_auc.low,
        "high": roc_auc.high,
        "reversed": is_reversed,
        **({} if prevalence is None else {"prevalence": prevalence}),
    }
    where = f"ROC AUC {roc_auc.value:.3g} ({roc_auc.low:.3g} to {roc_auc.high:.3g})"
    if is_reversed:
        return Finding(
            code=KIND.code,
            severity="error",
            measured=measured,
            meaning=(
                f"{where}: images labelled anomalous score lower than those labelled normal."
                f" {_causes(prevalence)}"
            ),
            what_to_do=(
                "Look at the images with the highest and the lowest scores before you change"
                " anything. Higher must mean more anomalous. scikit-learn's decision_function"
                " and score_samples, and similarities such as SSIM, run the other way: negate"
                " those, and nothing else. Label 1 must mean anomalous."
            ),
        )
    return Finding(
        code=KIND.code,
        severity="error" if roc_auc.value <= 0.55 else "warning",
        measured=measured,
        meaning=(
            f"{where}: these images do not show that the scores tell anomalies from normal images."
        ),
        what_to_do=(
            "Test on more labelled images, or try another model or score. No threshold helps here."
        ),
    )


def _causes(prevalence: float | None) -> str:
    causes = (
        "Either the scores are reversed, or the labels are, or these anomalies really look"
        " more normal to the model."
    )
    if prevalence is None or prevalence <= 0.5:
        return causes
    return f"{causes} A prevalence of {prevalence:.0%} makes reversed labels more likely."


KIND = FindingKind(
    "not-better-than-chance",
    "Ranking no better than chance, or reversed",
    find_not_better_than_chance,
    lambda facts: find_not_better_than_chance(
        facts.metrics["roc_auc"],
        prevalence=facts.counts["anomalous"] / max(1, sum(facts.counts.values())),
    ),
    needs=("metrics", "counts"),
    jobs=("detect",),
)
