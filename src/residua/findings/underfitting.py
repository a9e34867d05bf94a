"""Reconstructions worse than those of something far simpler: the network has not learnt what is
there to learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from residua.findings.kind import Estimate, Finding, FindingKind, JudgedFacts, Standing
from residua.findings.unknown_code_size import of_known_size


def find_underfitting(
    mse: Estimate,
    baselines: Mapping[str, Estimate],
    *,
    standings: Mapping[str, Standing] | None = None,
    train_error: float | None = None,
) -> Finding | None:
    """Compare a reconstructor's error with that of the mean image and of PCA with as many numbers a
    code.

    Error: no better than the mean image. Warning: worse than PCA, and training images are not much
    better off (where they are, that is overfitting). None where there is nothing to compare.

    Parameters
    ----------
    mse : Estimate
    baselines : mapping of str to Estimate
        ``pca`` and ``mean_image`` are looked at.
    standings : mapping of str to Standing, optional
        How baselines stand to the model in pairs; without that of PCA the interval's lower end
        counts.
    train_error : float, optional
        Mean squared error on training images.

    Examples
    --------
    >>> find_underfitting(
    ...     Estimate(value=0.02), {"pca": Estimate(value=0.01)}, train_error=0.019
    ... ).severity
    'warning'
    >>> find_underfitting(
    ...     Estimate(value=0.02), {"pca": Estimate(value=0.01)}, train_error=0.004
    ... ) is None
    True
    """
    mean, pca = (
        baselines[name].value if name in baselines else None for name in ("mean_image", "pca")
    )
    if mse.value is None or (mean is None and pca is None):
        return None
    measured: dict[str, Any] = {
        "mse": mse.value,
        "mean_image": mean,
        "pca": pca,
        "train_error": train_error,
    }
    if mean is not None and mse.value >= mean:
        return Finding(
            code=KIND.code,
            severity="error",
            measured=measured,
            meaning=(
                f"The mean squared error is {mse.value:.4g}. Showing the mean training image"
                f" every time gives {mean:.4g}. The network has learnt nothing of use."
            ),
            what_to_do=(
                "Look at the training curve and at the output. The activation, the scale or"
                " the learning rate may be wrong, or training far too short."
            ),
        )
    if pca is None:
        return None
    low, paired = mse.value if mse.low is None else mse.low, (standings or {}).get("pca")
    is_worse = low > pca
    if paired is not None and paired.metric == "mse":
        is_worse = paired.baseline == "better"
        measured["difference_to_pca"] = paired.difference.model_dump(mode="json")
    if is_worse:
        if train_error is not None and train_error < 0.5 * mse.value:
            return None
        return Finding(
            code=KIND.code,
            severity="warning",
            measured=measured,
            meaning=(
                "PCA with as many numbers as the latent code reaches a mean squared error of"
                f" {pca:.4g}, the network {mse.value:.4g}. The network does worse than a linear"
                " map, on training images too."
            ),
            what_to_do=(
                "Train longer or with another learning rate, and look for dead units. A wider"
                " decoder helps more than a wider latent code."
            ),
        )
    return Finding(
        code=KIND.code,
        severity="ok",
        measured=measured,
        meaning=(
            f"The mean squared error {mse.value:.4g} is not shown to be worse than that of PCA with"
            f" as many numbers as the latent code, {pca:.4g}."
        ),
        what_to_do="",
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    train = facts.train_errors
    if "mse" not in facts.metrics:
        return None
    return find_underfitting(
        facts.metrics["mse"],
        of_known_size(facts.baselines_in("mse")),
        standings=facts.standings,
        train_error=None if train is None or len(train) == 0 else float(np.mean(train)),
    )


KIND = FindingKind(
    "underfitting",
    "Worse than a much simpler model",
    find_underfitting,
    _ask,
    needs=("metrics", "baselines"),
    jobs=("reconstruct",),
)
