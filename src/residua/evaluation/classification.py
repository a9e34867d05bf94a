"""What is known of a classifier from its predictions on labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import LabelError
from residua.evaluation.classes import is_multilabel, read_classes
from residua.evaluation.confusion import confusion_estimates, per_class_estimates
from residua.evaluation.leakage import leakage_of
from residua.evaluation.multilabel import evaluate_multilabel
from residua.evaluation.positive import PositiveClass, positive_class
from residua.evaluation.probabilities import probability_estimates
from residua.findings import (
    find_hard_probabilities,
    find_majority_class,
    find_most_confused,
    find_not_better_than_baseline,
    find_permuted_classes,
    find_too_few_images,
    find_undefined_metric,
    find_unlabelled,
)
from residua.metrics._classes import Classified
from residua.records import Assumption, Estimate, Evaluation, Finding, with_assumptions

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks


def evaluate_classification(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[Any] | None = None,
    positive: Any = None,
    multilabel: bool | None = None,
    baselines: Mapping[str, Mapping[str, Estimate]] | None = None,
    leaks: Leaks | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Judge a classifier by its predictions.

    Parameters
    ----------
    labels : array of int or str, (n_images,); or 0/1 matrix, (n_images, n_labels)
        True classes; a boolean or 0/1 matrix holds one-hot classes or several labels, see
        `multilabel`. None, empty and NaN entries are "no label": left out, counted.
    predictions : array, (n_images,), (n_images, n_classes) or (n_images, n_labels)
        Integers or strings are classes; one float column is P(second class); several are
        probabilities. Names that differ from the labels' by case, blanks or the form of a number
        are matched, which is an assumption in the provenance.
    classes : sequence, optional
        In the order of the columns; labels and predictions may then be places in it. Left out: all
        that occur, in order (2 before 10), which is an assumption in the provenance.
    positive : int or str, optional
        Of two classes the one that ``precision``, ``recall`` and ``f1`` are of. Left out: 1 beside
        0; else the class whose name says anomalous (``bad``, ``defect``), or the one beside a name
        that says normal (``good``, ``OK``); else the rarer one. What was taken is
        ``positive_class`` in the provenance, and an assumption there.
    multilabel : bool, optional
        What a 0/1 matrix of labels is. Left out: one-hot classes where its rows hold one 1 each and
        rows of predictions sum to 1; several labels where neither is so; else `LabelError` asks.
    baselines : mapping of str to mapping of str to Estimate, optional
        Metrics of simpler models on the same images.
    leaks : Leaks, optional
        Which of the images are copies of training images (`residua.images.duplicates.leaks_of`):
        every metric is given without them too, in the finding ``leakage``.
    confidence : float
    seed : int
        Of resampled intervals.
    split, provenance
        Kept in the record.

    Returns
    -------
    Evaluation
        ``accuracy``, ``balanced_accuracy``, ``precision``, ``recall``, ``f1`` (of the positive one
        of two classes; of more, the mean over classes), ``f1_weighted``, ``matthews_correlation``,
        ``cohen_kappa``, each class's ``precision[CLASS]`` and so on; from probabilities
        ``roc_auc``, ``log_loss``, ``brier_score``, ``expected_calibration_error``,
        ``top_3_accuracy``. Multi-label: see `evaluate_multilabel`.

    Raises
    ------
    ShapeError, RangeError, LabelError, InputError
        All problems of the call at once.

    Examples
    --------
    >>> record = evaluate_classification(["cat", "cat", "dog", "dog"], ["cat", "dog", "dog", "dog"])
    >>> record.metrics["accuracy"].value, record.metrics["recall[cat]"].value
    (0.75, 0.5)
    """
    if is_multilabel(labels, predictions, multilabel):
        _refuse_positive(positive)
        return evaluate_multilabel(
            labels,
            predictions,
            classes=classes,
            confidence=confidence,
            seed=seed,
            split=split,
            provenance=provenance,
        )
    known, read, assumptions = read_classes(labels, predictions, classes)
    names = [str(name) for name in read.classes.tolist()]
    everything = np.ones(len(known), np.bool_)
    matrix = _matrix(read, everything[known])
    chosen = _positive(names, matrix, positive)

    def metrics_of(kept: NDArray[np.bool_]) -> dict[str, Estimate]:
        some, matrix = kept[known], _matrix(read, kept[known])
        found = confusion_estimates(
            matrix,
            positive=None if chosen is None else chosen.place,
            confidence=confidence,
            seed=seed,
        )
        if read.probabilities is not None:
            found |= probability_estimates(
                read.true[some], read.probabilities[some], names, confidence=confidence, seed=seed
            )
        return found | per_class_estimates(matrix, names, confidence=confidence)

    metrics = metrics_of(everything)
    beside = {name: dict(values) for name, values in (baselines or {}).items()}
    findings = [
        find_unlabelled(int((~known).sum()), len(known)),
        leakage_of(leaks, len(known), metrics, metrics_of),
        *_findings(read, names, matrix, metrics, beside),
    ]
    return Evaluation(
        job="classify",
        n_images=len(known),
        split=split,
        metrics=metrics,
        baselines=beside,
        findings=tuple(finding for finding in findings if finding is not None),
        provenance=_provenance(provenance, names, chosen, assumptions),
    )


def _provenance(
    given: Mapping[str, Any] | None,
    names: list[str],
    chosen: PositiveClass | None,
    assumed: tuple[Assumption, ...],
) -> dict[str, Any]:
    """What was given, and of two classes the positive one."""
    if chosen is None:
        return with_assumptions(given, assumed) if assumed else dict(given or {})
    own = () if chosen.assumption is None else (chosen.assumption,)
    return with_assumptions(
        {**(given or {}), "positive_class": names[chosen.place]}, (*own, *assumed)
    )


def _positive(names: list[str], matrix: NDArray[Any], told: Any) -> PositiveClass | None:
    problems = Problems("evaluate_classification")
    chosen = positive_class(names, matrix.sum(axis=1).tolist(), told, problems)
    problems.raise_any()
    return chosen


def _refuse_positive(positive: Any) -> None:
    problems = Problems("evaluate_classification")
    if positive is not None:
        mend = "Leave it out: precision, recall and F1 are given for each label"
        problems.add(
            "a positive class is one of two", "labels that may hold together", mend, LabelError
        )
    problems.raise_any()


def _matrix(read: Classified, some: NDArray[np.bool_]) -> NDArray[Any]:
    """Counts (n_classes, n_classes), rows true, columns predicted."""
    k = len(read.classes)
    return np.bincount(read.true[some] * k + read.predicted[some], minlength=k * k).reshape(k, k)


def _findings(
    read: Classified,
    names: list[str],
    matrix: NDArray[Any],
    metrics: dict[str, Estimate],
    beside: dict[str, dict[str, Estimate]],
) -> list[Finding | None]:
    support = matrix.sum(axis=1)
    n = int(support.sum())
    permuted = find_permuted_classes(
        matrix, names, true=read.true, probabilities=read.probabilities
    )
    found = [
        _undefined(names, metrics, n),
        find_too_few_images(
            {f"class-{name}": int(count) for name, count in zip(names, support, strict=True)}
        ),
        permuted,
        find_most_confused(matrix, names),
        None if read.probabilities is None else find_hard_probabilities(read.probabilities),
        find_not_better_than_baseline(
            "accuracy",
            metrics["accuracy"],
            {name: values["accuracy"] for name, values in beside.items() if "accuracy" in values},
        ),
    ]
    if n and permuted is None:  # no advice about a model that may not be to blame
        commonest = int(support.argmax())
        found.append(
            find_majority_class(
                metrics["accuracy"], float(support[commonest] / n), names[commonest]
            )
        )
    return found


def _undefined(names: list[str], metrics: dict[str, Estimate], n: int) -> Finding | None:
    undefined = [name for name, estimate in metrics.items() if estimate.value is None]
    if n == 0:
        return find_undefined_metric(undefined, "No image is labelled.", "Pass labels.", n_images=0)
    without = [name for name in names if f"recall[{name}]" in undefined]
    unused = [name for name in names if f"precision[{name}]" in undefined and name not in without]
    parts = [f"no image is of class {', '.join(without[:5])}"] * bool(without) + [
        f"nothing is predicted as {', '.join(unused[:5])}"
    ] * bool(unused)
    reason = " and ".join(parts) or "the labels hold one class only"
    advice = (
        "Judge on images of every class; a class that is never predicted is the model's fault, not"
        " the metric's."
    )
    return find_undefined_metric(undefined, f"{reason[0].upper()}{reason[1:]}.", advice, n_images=n)
