"""`evaluate_codes`: a linear and a nearest-neighbours probe on codes, beside the same probes on
what was there before.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, as_images, same_length
from residua.errors import LabelError, RangeError, ShapeError
from residua.evaluation.conclusion import conclude
from residua.evaluation.labels import label_name, without_missing
from residua.evaluation.standings import beside_columns
from residua.findings import JudgedFacts
from residua.images.resize import flattened
from residua.metrics._classes import in_order
from residua.metrics.groups import Groups, names_of
from residua.metrics.intervals import share_interval
from residua.records import Evaluation

_WHERE = "evaluate_codes"


def evaluate_codes(
    codes: Any,
    labels: Any,
    test_codes: Any,
    test_labels: Any,
    *,
    images: Any = None,
    test_images: Any = None,
    test_groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """What codes are worth to a classifier: probes fitted on training codes and labels, judged on
    test codes.

    An autoencoder has no accuracy. This is the question that "the accuracy of my autoencoder"
    means: can the classes be read off its code, and better than off the pixels?

    Parameters
    ----------
    codes, test_codes : float array, (n_images, n_dimensions)
        Of any encoder. The encoder must not have seen the test images.
    labels, test_labels : array of int or str, (n_images,)
        None, NaN and empty strings are "no label": left out.
    images, test_images : array, (n_images, height, width[, channels]), optional
        The images behind the codes; with them the same probes on pixels, and on as many principal
        components as the code has dimensions, stand beside.
    test_groups : array, (n_images,), optional
        Names of what the test images were sampled in, such as the part that each shows: intervals
        then speak of new parts. An image without a name is a group of its own.
    confidence : float
    seed : int
        Of folds and samples.
    split, provenance
        Kept in the record, the options that were chosen with them.

    Returns
    -------
    Evaluation
        ``linear_probe_accuracy`` and ``neighbours_probe_accuracy`` with baselines
        ``majority_class``, and ``pixels`` and ``pca`` where images are given.

    Raises
    ------
    ShapeError, LabelError, RangeError
        If lengths differ, codes are not finite, train has a single class, or a test label is
        unknown in train.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 2
    >>> codes = rng.normal(size=(200, 3)) + 4 * labels[:, np.newaxis]
    >>> record = evaluate_codes(codes[:100], labels[:100], codes[100:], labels[100:])
    >>> (
    ...     record.metrics["linear_probe_accuracy"].value,
    ...     record.baselines["majority_class"]["linear_probe_accuracy"].value,
    ... )
    (1.0, 0.5)
    """
    problems = Problems(_WHERE)
    known, asked = _codes(codes, "codes", problems), _codes(test_codes, "test_codes", problems)
    if not problems:
        same_length(problems, codes=known, labels=labels, images=images)
        same_length(problems, test_codes=asked, test_labels=test_labels, test_images=test_images)
        if known.shape[1] != asked.shape[1]:
            problems.add(
                "codes and test_codes must have as many dimensions",
                f"{known.shape[1]} and {asked.shape[1]}",
                "Encode both with one model",
                ShapeError,
            )
    grouped = None
    if test_groups is not None and not problems:
        grouped = Groups.read(test_groups, len(asked), problems, name="test_groups")
    problems.raise_any()
    names, classes, truth = _classes(labels, test_labels)
    rows, test_rows = np.flatnonzero(classes >= 0), np.flatnonzero(truth >= 0)
    spaces = {"": (known, asked), **_pixel_spaces(images, test_images, rows, known.shape[1], seed)}
    classes, truth = classes[rows], truth[test_rows]
    found = {
        space: {
            kind: run_probe(kind, before[rows], classes, after[test_rows], seed=seed)
            for kind in PROBES
        }
        for space, (before, after) in spaces.items()
    }
    own, judged = found.pop(""), None if grouped is None else grouped.of(test_rows)
    metrics = {
        name: share_interval(right > 0.5, judged, confidence=confidence)
        for name, right in _right(own, truth).items()
    }
    commonest = truth == int(np.bincount(classes).argmax())
    rivals = {space: _right(probes, truth) for space, probes in found.items()}
    rivals["majority_class"] = {f"{kind}_accuracy": commonest for kind in PROBES}
    beside = beside_columns(
        _WHERE, rivals, _right(own, truth), groups=judged, confidence=confidence, seed=seed
    )
    facts = JudgedFacts(
        job="classify",
        n_images=len(asked),
        n_unlabelled=len(asked) - len(test_rows),
        counts={"test": len(truth)},
        metrics=metrics,
        baselines=beside.metrics,
        standings=beside.standings,
        groups=names_of(test_groups, grouped),
    )
    of_codes = {
        "code_dimensions": known.shape[1],
        "fitted_on": len(rows),
        "classes": names,
        **{f"{kind}_option": probe.option for kind, probe in own.items()},
    }
    return conclude(facts, split=split, provenance={**(provenance or {}), **of_codes}).evaluation


def _codes(codes: Any, name: str, problems: Problems) -> NDArray[np.float64]:
    try:
        array = array_of(codes).astype(np.float64)
    except (ValueError, TypeError):
        return problems.instead(
            np.zeros((0, 1)),
            f"{name} must be numbers",
            "values that are none",
            "Pass what the encoder gives",
            RangeError,
        )
    if array.ndim != 2 or array.shape[1] == 0:
        return problems.instead(
            np.zeros((0, 1)),
            f"{name} must have shape (n_images, n_dimensions)",
            f"{array.shape}",
            "Flatten each code",
            ShapeError,
        )
    n_bad = int(np.count_nonzero(~np.isfinite(array)))
    if n_bad:
        problems.add(
            f"{name} must be finite",
            f"{n_bad} NaN or infinite values",
            "Leave those images out",
            RangeError,
        )
    return array


def _classes(
    labels: Any, test_labels: Any
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Names of the classes in train, and the place of each label among them; -1 without a label."""
    read = [
        [
            None if value is None else label_name(value)
            for value in without_missing(values).ravel().tolist()
        ]
        for values in (labels, test_labels)
    ]
    names = in_order(name for name in read[0] if name is not None)
    place = {name: index for index, name in enumerate(names)}
    problems = Problems(_WHERE)
    unknown = sorted({name for name in read[1] if name is not None and name not in place})
    if len(names) < 2:
        got = f"the class {names[0]} alone" if names else "no label"
        problems.add(
            "training labels must hold at least two classes",
            got,
            "Probe on images of several classes",
            LabelError,
        )
    elif unknown:
        got = ", ".join(unknown[:8])
        problems.add(
            "test labels must occur in train",
            got,
            "Leave those images out, or give train some of them",
            LabelError,
        )
    if not any(name is not None for name in read[1]):
        problems.add(
            "some test images must have a label", "none that has one", "Pass labels", LabelError
        )
    problems.raise_any()
    values = [
        np.array([-1 if name is None else place[name] for name in column], np.int64)
        for column in read
    ]
    return names, values[0], values[1]


def _pixel_spaces(
    images: Any, test_images: Any, rows: NDArray[np.int64], n_dimensions: int, seed: int
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Pixels at 32 a side at most, and as many of their components as the code has."""
    from sklearn.decomposition import PCA

    if images is None or test_images is None:
        return {}
    problems = Problems(_WHERE)
    known = as_images(images, name="images", problems=problems)
    asked = as_images(test_images, name="test_images", problems=problems)
    problems.raise_any()
    known, asked = (flattened(one) for one in (known, asked))
    n_components = min(n_dimensions, known.shape[1], len(rows))
    pca = PCA(n_components, svd_solver="randomized", random_state=seed).fit(known[rows[:10_000]])
    return {"pixels": (known, asked), "pca": (pca.transform(known), pca.transform(asked))}


def _right(probes: Mapping[str, Probed], truth: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Whether each image is right, by the name of the metric."""
    return {
        f"{kind}_accuracy": (probe.said == truth).astype(np.float64)
        for kind, probe in probes.items()
    }


LINEAR, NEIGHBOURS = "linear_probe", "neighbours_probe"
PROBES = (LINEAR, NEIGHBOURS)

_STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
_COUNTS = (1, 3, 5, 10, 20)
_FOLDS = 3
_MOST_CHOSEN_ON, _MOST_FITTED_ON = 3000, 20_000
_STEPS = 300


@dataclass(frozen=True)
class Probed:
    """The predicted classes of the test codes, and the option that cross-validation chose."""

    said: NDArray[np.int64]
    option: float


def run_probe(
    kind: str,
    codes: NDArray[Any],
    classes: NDArray[np.int64],
    test_codes: NDArray[Any],
    *,
    seed: int,
) -> Probed:
    """Standardise the codes by the training ones, choose the option on at most 3,000 of them, fit
    on at most 20,000.

    ``linear_probe`` is logistic regression, its option the inverse strength C of the ridge penalty;
    ``neighbours_probe`` the vote of the k nearest codes, its option k. Of equal ones the stronger C
    and the smaller k.
    """
    centre, spread = codes.mean(0), codes.std(0)
    spread = np.where(spread > 0, spread, 1)
    known, asked = ((array - centre) / spread for array in (codes, test_codes))
    chosen_on, fitted_on = (
        _some(classes, most, seed) for most in (_MOST_CHOSEN_ON, _MOST_FITTED_ON)
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that lbfgs stopped at its last step, or that a class is too small for the folds
        option = _choose(kind, known[chosen_on], classes[chosen_on], seed)
        model = _model(kind, option, len(fitted_on)).fit(known[fitted_on], classes[fitted_on])
    return Probed(np.asarray(model.predict(asked), np.int64), option)


def _choose(kind: str, codes: NDArray[Any], classes: NDArray[np.int64], seed: int) -> float:
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    options = _STRENGTHS if kind == LINEAR else tuple(float(k) for k in _COUNTS)
    smallest = int(np.bincount(classes)[np.unique(classes)].min())
    if smallest < 2:  # a class of one image is in no fold's training and test at once
        return options[2] if kind == LINEAR else options[0]
    folds = StratifiedKFold(min(_FOLDS, smallest), shuffle=True, random_state=seed)
    n_known = len(codes) - -(-len(codes) // folds.n_splits)
    means = [
        float(cross_val_score(_model(kind, one, n_known), codes, classes, cv=folds).mean())
        for one in options
    ]
    return options[int(np.argmax(means))]


def _model(kind: str, option: float, n_known: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    if kind == LINEAR:
        return LogisticRegression(C=option, max_iter=_STEPS)
    return KNeighborsClassifier(min(int(option), n_known), algorithm="brute")


def _some(classes: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most `most` rows, of every class its share."""
    if len(classes) <= most:
        return np.arange(len(classes))
    rng = np.random.default_rng([seed, len(classes), most])
    rank = np.empty(len(classes))
    for one in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == one))
        rank[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.sort(np.argsort(rank, kind="stable")[:most])
