"""Numbers of the code that never change, and a code that has collapsed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind, JudgedFacts

_DEAD = 0.01


def find_dead_latent(codes: NDArray[Any]) -> Finding | None:
    """Count the dimensions of the code that do not vary; None for fewer than ten images.

    Dead means a standard deviation below a hundredth of the largest one's. Error: all are constant.
    Warning: more than half are. ``effective`` is the participation ratio of the covariance: how
    many dimensions carry the variance between them.

    Parameters
    ----------
    codes : float array, (n_images, n_latent)

    Examples
    --------
    >>> codes = np.random.default_rng(0).normal(size=(100, 8))
    >>> codes[:, 3:] = 0.5
    >>> find_dead_latent(codes).measured["n_dead"]
    5
    """
    if len(codes) < 10 or codes.shape[1] == 0:
        return None
    spread = codes.std(axis=0, dtype=np.float64)
    size = max(float(np.abs(codes).max()), 1e-12)
    if spread.max() <= 1e-5 * size:
        return Finding(
            code=KIND.code,
            severity="error",
            measured={"n_latent": codes.shape[1], "n_dead": codes.shape[1], "effective": 0.0},
            meaning=(
                f"The latent code has collapsed: none of its {codes.shape[1]} numbers changes"
                " from image to image. Every image therefore has the same reconstruction."
            ),
            what_to_do=(
                "Try a lower learning rate, another activation or less regularisation (in a"
                " variational model a smaller beta)."
            ),
        )
    n_dead = int((spread < _DEAD * spread.max()).sum())
    values = np.linalg.eigvalsh(np.atleast_2d(np.cov(codes.T.astype(np.float64))))
    effective = float(values.sum() ** 2 / np.square(values).sum())
    measured = {"n_latent": codes.shape[1], "n_dead": n_dead, "effective": effective}
    told = (
        f"{n_dead} of the {codes.shape[1]} numbers of the latent code never change. The"
        f" variance lies in about {effective:.1f} dimensions."
    )
    if n_dead <= codes.shape[1] / 2:
        return Finding(
            code=KIND.code, severity="ok", measured=measured, meaning=told, what_to_do=""
        )
    return Finding(
        code=KIND.code,
        severity="warning",
        measured=measured,
        meaning=f"{told} The latent code is smaller than it looks.",
        what_to_do=(
            "A smaller latent vector is enough. If errors are high too, try a lower learning"
            " rate, another activation or less regularisation."
        ),
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    codes = facts.latent_of()
    return None if codes is None else find_dead_latent(codes)


KIND = FindingKind(
    "dead-latent",
    "Latent numbers that never change",
    find_dead_latent,
    _ask,
    needs=("latent_of",),
    jobs=("detect", "reconstruct"),
    noun="dead numbers of the code",
)
