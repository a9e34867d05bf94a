"""A network that reconstructs anomalies as well as normal images: it copies its input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from residua.findings.kind import Finding, FindingKind, JudgedFacts

_FEWEST_RANKED = 3
_SAME_RANKING = 0.7  # rank correlation from which a score is a reconstruction error

_GOOD = 0.9


def find_learnt_identity(
    normal: NDArray[Any], anomalous: NDArray[Any], *, explained: float, confidence: float = 0.95
) -> Finding | None:
    """Say that errors of anomalies are not above those of normal images although the model
    reconstructs well; else None.

    Parameters
    ----------
    normal, anomalous : float array, (n,)
        Mean squared error of each image.
    explained : float
        One minus the error over the variance of the normal images: how well the model reconstructs
        at all. Below .9 it is `find_underfitting` that speaks.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> normal, anomalous = rng.gamma(4, 0.001, 200), rng.gamma(4, 0.001, 100)
    >>> find_learnt_identity(normal, anomalous, explained=0.99).severity
    'warning'
    >>> find_learnt_identity(normal, 3 * anomalous, explained=0.99) is None
    True
    """
    if (
        min(len(normal), len(anomalous)) < 10
        or explained < _GOOD
        or normal.mean() <= 0
        or anomalous.mean() <= 0
    ):
        return None
    ratio = float(anomalous.mean() / normal.mean())
    relative = sum(
        float(np.var(one, ddof=1)) / len(one) / float(one.mean()) ** 2
        for one in (normal, anomalous)
    )
    low = ratio * float(np.exp(-ndtri(0.5 + confidence / 2) * np.sqrt(relative)))
    if low > 1:
        return None
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={"ratio": ratio, "low": low, "explained": explained},
        meaning=(
            f"The model reconstructs {100 * explained:.3g}% of the variance. It reconstructs"
            f" anomalies as well as normal images: their error is {ratio:.3g} times that of"
            " normal images. It seems to have learnt to copy any input."
        ),
        what_to_do=(
            "Try a smaller latent code, corruption of the input (recipes denoising, restore,"
            " inspect), or a score on the density of the latent code."
        ),
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    mse, normal = facts.errors["mse"], facts.normal_rows
    if not _is_an_error(facts.scores, mse):
        return None
    variance = np.square(facts.statistics["contrast"][normal]).mean() if len(normal) else 1.0
    explained = 1 - float(mse[normal].mean() / max(variance, 1e-12)) if len(normal) else 0.0
    return find_learnt_identity(mse[normal], mse[facts.anomalous_rows], explained=explained)


def _is_an_error(scores: NDArray[Any], mse: NDArray[Any]) -> bool:
    """Whether scores rank images about as errors do; other scores may well copy the input."""
    if len(scores) < _FEWEST_RANKED:
        return False
    first, second = (np.argsort(np.argsort(one)) - (len(one) - 1) / 2 for one in (scores, mse))
    return bool(first @ second > _SAME_RANKING * (first @ first))


KIND = FindingKind(
    "learnt-identity",
    "Anomalies are reconstructed as well as normal images",
    find_learnt_identity,
    _ask,
    needs=("statistics", "scores", "errors", "is_anomalous"),
    jobs=("detect",),
    noun="copied input",
)
