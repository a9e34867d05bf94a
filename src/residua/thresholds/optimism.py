"""How much a rate flatters when the threshold was tuned on the same images that it is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_binary_labels, as_scores, same_length
from residua.errors import LabelError, PolicyError
from residua.metrics.groups import Groups, as_groups
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
    groups: Any = None,
) -> Optimism:
    """How much a rate flatters when the threshold was tuned on the tested images.

    Estimated by repeated cross-fitting.

    The images are split into `n_folds` (stratified by label); each fold is judged by a threshold
    chosen on the others, and the rate is computed over all of them. The mean over `n_repeats`
    random splits is the honest value. Images of a group (`groups`: a name per image) stay together,
    so that no threshold has seen views of a part that it is judged on.

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
        If there are fewer than two images of either kind, or groups that have any.
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
    known = None if problems else as_groups(groups, len(array))
    if known is not None and min(known.of(kind).n_groups for kind in (anomalous, ~anomalous)) < 2:
        problems.add(
            "images of each kind must come from two groups or more",
            "fewer",
            "Label images of more groups",
            LabelError,
        )
    problems.raise_any()
    rows = _at_most(anomalous, 20_000, seed)
    array, anomalous = array[rows], anomalous[rows]
    known = None if known is None else known.of(rows)

    def flagged_by(chosen_on: NDArray[np.bool_], judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
        calibration = calibration_of(
            array[chosen_on],
            anomalous[chosen_on],
            confidence=confidence,
            prevalence=prevalence,
            groups=None if known is None else known.of(chosen_on),
        )
        return is_flagged(array[judged], rule.choose(calibration).threshold)

    everything = np.ones(len(array), np.bool_)
    apparent = _rate(rate, flagged_by(everything, everything), anomalous)
    rng = np.random.default_rng(seed)
    honest = []
    for _ in range(n_repeats):
        fold = _stratified_folds(anomalous, known, n_folds, rng)
        flagged = np.zeros(len(array), np.bool_)
        for held in (fold == k for k in np.unique(fold)):
            flagged[held] = flagged_by(~held, held)
        honest.append(_rate(rate, flagged, anomalous))
    return Optimism(
        rate,
        apparent,
        float(np.mean(honest)),
        len(array),
    )


def _at_most(anomalous: NDArray[np.bool_], n: int, seed: int) -> NDArray[np.intp]:
    """Rows of a stratified part of a large set: its optimism is an upper limit for the whole's."""
    if len(anomalous) <= n:
        return np.arange(len(anomalous))
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.permutation(members)[: max(2, len(members) * n // len(anomalous))]
            for members in map(np.flatnonzero, (anomalous, ~anomalous))
        ]
    )


def _stratified_folds(
    anomalous: NDArray[np.bool_], groups: Groups | None, n_folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """The fold of each image, (n_images,): whole groups, those with anomalies spread evenly."""
    if groups is not None:
        of_groups = _stratified_folds(groups.sums(anomalous) > 0, None, n_folds, rng)
        return of_groups[groups.codes]
    fold = np.empty(len(anomalous), np.intp)
    for members in (np.flatnonzero(anomalous), np.flatnonzero(~anomalous)):
        fold[members] = rng.permutation(len(members)) % n_folds
    return fold


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
