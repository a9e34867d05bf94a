"""Scorers for scikit-learn's searches, and a warning of its own that read labels the other way."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from residua import metrics
from residua.errors import InputError
from residua.training.estimators.anomaly_labels import read_anomalies

_OF_SCORES = ("roc_auc", "average_precision")
_OF_DECISIONS = ("f1", "precision", "recall", "balanced_accuracy")


def scorer(name: str) -> Callable[[Any, Any, Any], float]:
    """A metric of a detector as ``scoring=`` of `GridSearchCV` and `cross_val_score`.

    Labels are read as in `OneClassDetector.fit`, and anomalous is the positive class. Those of
    scikit-learn take the larger label for normal, and turn numbers upside down where 1 is
    anomalous.

    Parameters
    ----------
    name : str
        ``roc_auc`` and ``average_precision`` of the scores; ``f1``, ``precision``, ``recall`` and
        ``balanced_accuracy`` at the threshold. Higher is better, in [0, 1]; ``nan`` where the
        images cannot define it.

    Returns
    -------
    callable
        ``(estimator, X, y) -> float``, for a `OneClassDetector` or any outlier detector of
        scikit-learn, in a pipeline too.

    Raises
    ------
    InputError
        If there is no metric of that name.

    Examples
    --------
    >>> import residua
    >>> digits = residua.load_images("digits", normal=0)
    >>> detector = residua.OneClassDetector("pca", seed=0).fit(digits.train)
    >>> y = digits.test.is_anomalous.astype(int)
    >>> residua.scorer("roc_auc")(detector, digits.test, y) > 0.9
    True
    """
    if name not in (*_OF_SCORES, *_OF_DECISIONS):
        known = ", ".join((*_OF_SCORES, *_OF_DECISIONS))
        raise InputError(
            f"scorer: the name must be one of {known}. Got {name!r}. Name one of those."
        )

    def score(estimator: Any, X: Any, y: Any) -> float:
        seen = getattr(estimator, "_seen_labels", ())
        told = estimator.score_samples(X) if name in _OF_SCORES else estimator.predict(X)
        read = read_anomalies(y, len(told), f"scorer({name!r})", seen)
        truth, metric = read.flags[read.labelled], getattr(metrics, name)
        if name in _OF_SCORES:
            return float(metric(truth, -np.asarray(told)[read.labelled]))
        flagged = (np.asarray(told) == -1)[read.labelled]
        return float(np.ravel(metric(truth, flagged, classes=[0, 1]))[-1])

    score.__name__ = f"scorer_{name}"
    return score


def warn_of_scorer(seen: Collection[Any], what: str) -> None:
    """Warn where scikit-learn's own scorer asks, and labels of `fit` were not its +1 and -1."""
    if set(seen) <= {-1, 1}:
        return
    frame: Any = sys._getframe(2)
    for _ in range(6):  # a pipeline lies between
        if frame is None or frame.f_globals.get("__name__") == __name__:
            return
        if frame.f_globals.get("__name__") == "sklearn.utils._response":
            got = ", ".join(map(str, sorted(seen, key=str)))
            names = any(isinstance(one, str) for one in seen)  # the last by alphabet is normal
            warnings.warn(
                f"OneClassDetector.{what}: a scorer of scikit-learn takes +1 for normal and -1 for"
                f" anomalous. fit got {got}, so its scores {'may be' if names else 'are'} upside"
                " down. Pass scoring=residua.scorer('roc_auc'), or labels +1 and -1.",
                UserWarning,
                stacklevel=3,
            )
            return
        frame = frame.f_back
