"""How much a rate flatters when the threshold was tuned on the same images that it is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_binary_labels, as_scores, same_length
from residua.errors import LabelError, PolicyError
from residua.thresholds.choose import calibration_of
from residua.thresholds.policy import Policy
from residua.thresholds.rates import is_flagged
from residua.thresholds.registry import parse_policy

RateName = Literal["f1", "precision", "recall", "false_alarm_rate"]


@dataclass(frozen=True)
class Optimism:
    """A rate as measured on the images a threshold was tuned on, and as unseen ones give it.

    ``optimism`` = ``apparent`` - ``honest``. For ``false_alarm_rate``, where less is better,
    flattery makes it negative.
    """

    rate: str
    apparent: float
    honest: float
    n_images: int

    @property
    def optimism(self) -> float:
        """How much the apparent value overstates."""
        return self.apparent - self.honest


def threshold_optimism(
    policy: str | float | Policy,
    scores: Any,
    labels: Any,
    *,
    rate: RateName = "f1",
    n_folds: int = 10,
    n_repeats: int = 20,
    confidence: float = 0.95,
    prevalence: float | None = None,
    seed: int = 0,
) -> Optimism:
    """How much a rate flatters when the threshold was tuned on the tested images.

    Estimated by repeated cross-fitting.

    The images are split into `n_folds` (stratified by label); each fold is judged by a threshold
    chosen on the others, and the rate is computed over all of them. The mean over `n_repeats`
    random splits is the honest value.

    Parameters
    ----------
    policy : str, number or Policy
    scores : float array, (n_images,)
        Higher = more anomalous.
    labels : bool or 0/1 array, (n_images,)
        True = anomalous; both kinds must be there, at least two of each.
    rate : {"f1", "precision", "recall", "false_alarm_rate"}

    Raises
    ------
    LabelError
        If there are fewer than two images of either kind.
    PolicyError
        If the policy can't be chosen on ``1 - 1 / n_folds`` of the images.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(120) < 20
    >>> told = threshold_optimism("max-f1", rng.normal(size=120) + labels, labels)
    >>> told.apparent > told.honest
    True
    """
    rule = parse_policy(policy)
    problems = Problems("threshold_optimism")
    array = as_scores(scores, problems=problems)
    anomalous = as_binary_labels(labels, problems=problems)
    if not problems:
        same_length(problems, scores=array, labels=anomalous)
    if not problems and min(anomalous.sum(), (~anomalous).sum()) < 2:
        problems.add(
            "at least two images of each kind are needed",
            f"{anomalous.sum()} anomalous and {(~anomalous).sum()} normal",
            "Label more images",
            LabelError,
        )
    problems.raise_any()
    array, anomalous = _at_most(array, anomalous, 20_000, seed)
    whole = rule.choose(
        calibration_of(array, anomalous, confidence=confidence, prevalence=prevalence)
    ).threshold
    rng = np.random.default_rng(seed)
    folds = [_stratified_folds(anomalous, n_folds, rng) for _ in range(n_repeats)]
    honest = [
        _rate(
            rate,
            _cross_fitted(
                rule, array, anomalous, fold, confidence=confidence, prevalence=prevalence
            ),
            anomalous,
        )
        for fold in folds
    ]
    return Optimism(
        rate,
        _rate(rate, is_flagged(array, whole), anomalous),
        float(np.mean(honest)),
        len(array),
    )


def _at_most(
    array: NDArray[Any], anomalous: NDArray[np.bool_], n: int, seed: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """A stratified part of a large set: its optimism is an upper limit for that of the whole."""
    if len(array) <= n:
        return array, anomalous
    rng = np.random.default_rng(seed)
    index = np.concatenate(
        [
            rng.permutation(members)[: max(2, len(members) * n // len(array))]
            for members in map(np.flatnonzero, (anomalous, ~anomalous))
        ]
    )
    return array[index], anomalous[index]


def _stratified_folds(
    anomalous: NDArray[np.bool_], n_folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    fold = np.empty(len(anomalous), np.intp)
    for members in (np.flatnonzero(anomalous), np.flatnonzero(~anomalous)):
        fold[members] = rng.permutation(len(members)) % n_folds
    return fold


def _cross_fitted(
    rule: Policy,
    array: NDArray[Any],
    anomalous: NDArray[np.bool_],
    fold: NDArray[np.intp],
    *,
    confidence: float,
    prevalence: float | None,
) -> NDArray[np.bool_]:
    flagged = np.zeros(len(array), np.bool_)
    for k in np.unique(fold):
        held = fold == k
        calibration = calibration_of(
            array[~held], anomalous[~held], confidence=confidence, prevalence=prevalence
        )
        flagged[held] = is_flagged(array[held], rule.choose(calibration).threshold)
    return flagged


def _rate(name: RateName, flagged: NDArray[np.bool_], anomalous: NDArray[np.bool_]) -> float:
    hits, alarms = int((flagged & anomalous).sum()), int((flagged & ~anomalous).sum())
    n_anomalous, n_normal = int(anomalous.sum()), int((~anomalous).sum())
    if name == "f1":
        return 2 * hits / (hits + alarms + n_anomalous)
    if name == "precision":
        return hits / (hits + alarms) if hits + alarms else 0.0
    if name == "recall":
        return hits / n_anomalous
    if name == "false_alarm_rate":
        return alarms / n_normal
    raise PolicyError(
        f"threshold_optimism: rate must be f1, precision, recall or false_alarm_rate. Got {name!r}."
        " Name one of them."
    )
