"""What is known of a classifier from its predictions on labelled images, one label each or more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, same_length
from residua.errors import LabelError, ShapeError
from residua.evaluation.classes import is_multilabel, read_classes
from residua.evaluation.conclusion import conclude, with_metrics
from residua.evaluation.positive import PositiveClass, positive_class
from residua.evaluation.standings import beside_columns
from residua.findings import JudgedFacts
from residua.metrics.groups import Groups, names_of
from residua.metrics.reported import estimates_of, estimates_per_class
from residua.metrics.samples import ClassProbabilities, PredictedClasses, SeveralLabels
from residua.records import Estimate, Evaluation, NotApplicable

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks

OF_PROBABILITIES = "ROC AUC, log loss, Brier score, calibration and top-k accuracy"
WITHOUT_PROBABILITIES = (
    "the predictions are decisions without probabilities, so nothing says how sure the model is"
    " or how it ranks the images"
)


def evaluate_classification(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    positive: Any = None,
    multilabel: bool | None = None,
    baselines: Mapping[str, Mapping[str, Any]] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
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
    baselines : mapping of str to mapping of str to Estimate or array (n_images,), optional
        Metrics of simpler models on the same images. An array of ``accuracy`` says which images a
        baseline has right (NaN: no label), and is compared with the model in pairs:
        ``standings``.
    leaks : Leaks, optional
        Which of the images are copies of training images (`residua.images.duplicates.leaks_of`):
        every metric is given without them too, in the finding ``leakage``.
    groups : array, (n_images,), optional
        Names of what the images were sampled in, such as the part that each shows: intervals then
        speak of new parts. An image without a name is a group of its own.
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
        ``cohen_kappa``, each class's ``precision[CLASS]`` and so on; from probabilities alone
        ``roc_auc``, ``log_loss``, ``brier_score``, ``expected_calibration_error``,
        ``top_3_accuracy``. Multi-label:
        ``accuracy`` (of whole images: subset accuracy, as in scikit-learn),
        ``element_wise_accuracy`` with a finding that says how far it flatters, ``hamming_loss``,
        ``precision``, ``recall`` and ``f1`` pooled over labels, ``f1_macro``, ``average_precision``
        (mean over labels); of up to 30 labels ``recall[LABEL]``, ``precision[LABEL]``,
        ``f1[LABEL]``, ``average_precision[LABEL]``. Intervals of what is pooled over labels take
        images as what was sampled.

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
    facts = classification_facts(
        labels,
        predictions,
        classes=classes,
        positive=positive,
        multilabel=multilabel,
        baselines=baselines,
        leaks=leaks,
        groups=groups,
        confidence=confidence,
        seed=seed,
    )
    told = dict(provenance or {})
    if _are_decisions(facts):
        what = OF_PROBABILITIES if facts.multilabel is None else "Average precision"
        one = NotApplicable(what=what, reason=WITHOUT_PROBABILITIES)
        told["not_applicable"] = [*told.get("not_applicable", ()), one.model_dump()]
    return conclude(facts, split=split, provenance=told).evaluation


def classification_facts(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    positive: Any = None,
    multilabel: bool | None = None,
    baselines: Mapping[str, Mapping[str, Any]] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> JudgedFacts:
    """What `evaluate_classification` knows once labels and predictions are read."""
    if is_multilabel(labels, predictions, multilabel):
        _refuse_positive(positive)
        return multilabel_facts(
            labels,
            predictions,
            classes=classes,
            baselines=baselines,
            leaks=leaks,
            groups=groups,
            confidence=confidence,
            seed=seed,
        )
    known, read, assumptions = read_classes(labels, predictions, classes)
    names = [str(name) for name in read.classes.tolist()]
    grouped = None if groups is None else _groups(groups, len(known))
    own = None if grouped is None else grouped.of(known)
    p, rows = read.probabilities, np.arange(len(read.true))
    judged = PredictedClasses(
        confidence,
        seed,
        groups=own,
        true=read.true,
        predicted=read.predicted,
        n_classes=len(names),
        scores=None if p is None else p[rows, read.true],
    )
    chosen = _positive(names, judged.matrix, positive)
    judged = replace(judged, positive=None if chosen is None else chosen.place)

    def metrics_of(kept: NDArray[np.bool_]) -> dict[str, Estimate]:
        some = kept[known]
        counted = judged.of(some)
        found = estimates_of(counted)
        if p is not None:
            found |= estimates_of(
                ClassProbabilities(
                    confidence,
                    seed,
                    groups=counted.groups,
                    true=counted.true,
                    probabilities=p[some],
                )
            )
        return found | estimates_per_class(counted, names)

    right = np.full(len(known), np.nan)
    right[known] = read.predicted == read.true
    beside = beside_columns(
        "evaluate_classification",
        baselines,
        {"accuracy": right},
        groups=grouped,
        confidence=confidence,
        seed=seed,
    )
    of_positive = () if chosen is None or chosen.assumption is None else (chosen.assumption,)
    support = judged.matrix.sum(axis=1).tolist()
    return with_metrics(
        JudgedFacts(
            job="classify",
            confidence=confidence,
            seed=seed,
            n_images=len(known),
            n_unlabelled=int((~known).sum()),
            labelled=known,
            counts={f"class-{name}": count for name, count in zip(names, support, strict=True)},
            classes=names,
            positive=None if chosen is None else names[chosen.place],
            confusion=judged.matrix,
            true=read.true,
            predicted=read.predicted,
            probabilities=read.probabilities,
            baselines=beside.metrics or None,
            standings=beside.standings,
            groups=names_of(groups, grouped),
            assumptions=None
            if chosen is None and not assumptions
            else (*of_positive, *assumptions),
        ),
        metrics_of,
        leaks,
    )


def _are_decisions(facts: JudgedFacts) -> bool:
    if facts.multilabel is None:
        return facts.probabilities is None
    return facts.multilabel[1].dtype.kind != "f"


def _positive(names: list[str], matrix: NDArray[Any], told: Any) -> PositiveClass | None:
    problems = Problems("evaluate_classification")
    chosen = positive_class(names, matrix.sum(axis=1).tolist(), told, problems)
    problems.raise_any()
    return chosen


def _refuse_positive(positive: Any) -> None:
    if positive is not None:
        raise LabelError(
            "evaluate_classification: a positive class is one of two. Got several labels per image."
            " Leave it out: precision, recall and F1 are given for each label."
        )


def _groups(groups: Any, n: int) -> Groups:
    problems = Problems("evaluate_classification")
    read = Groups.read(groups, n, problems)
    problems.raise_any()
    return read


def multilabel_facts(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    baselines: Mapping[str, Mapping[str, Any]] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> JudgedFacts:
    """What is known of multi-label predictions; a probability above 0.5 counts as predicted.

    - `labels`: 0/1 array, (n_images, n_labels).
    - `predictions`: 0/1 array, or float in [0, 1], of the same shape.
    - `classes`: sequence, optional. Names of the labels.
    - `groups`: array, (n_images,), optional. Names of what the images were sampled in: intervals
      then speak of new groups.
    """
    y, p = np.asarray(labels).astype(np.bool_), np.asarray(predictions)
    names, grouped = _names(classes, y, p), None if groups is None else Groups.read(groups, len(y))
    predicted = p > 0.5 if p.dtype.kind == "f" else p.astype(np.bool_)
    beside = beside_columns(
        "evaluate_classification",
        baselines,
        {"accuracy": (predicted == y).all(axis=1).astype(np.float64)},
        groups=grouped,
        confidence=confidence,
        seed=seed,
    )
    sample = SeveralLabels(confidence, seed, groups=grouped, holds=y, predicted=predicted, given=p)

    def metrics_of(kept: NDArray[np.bool_]) -> dict[str, Estimate]:
        some = replace(
            sample,
            groups=None if grouped is None else grouped.of(kept),
            holds=y[kept],
            predicted=predicted[kept],
            given=p[kept],
        )
        return estimates_of(some) | estimates_per_class(some, names)

    facts = JudgedFacts(
        job="classify",
        confidence=confidence,
        seed=seed,
        n_images=len(y),
        counts={"test": len(y)},
        multilabel=(y, p),
        baselines=beside.metrics or None,
        standings=beside.standings,
        groups=names_of(groups, grouped),
    )
    return with_metrics(facts, metrics_of, leaks)


def _names(
    classes: Sequence[Any] | NDArray[Any] | None, y: NDArray[Any], p: NDArray[Any]
) -> list[str]:
    problems = Problems("evaluate_classification")
    same_length(problems, labels=y, predictions=p)
    if y.ndim != p.ndim or y.shape[1:] != p.shape[1:]:
        problems.add(
            "multi-label labels and predictions must have one shape",
            f"{y.shape} and {p.shape}",
            "Pass one column per label",
            ShapeError,
        )
    names = [str(name) for name in (range(y.shape[1]) if classes is None else classes)]
    if len(names) != y.shape[1]:
        problems.add(
            "classes must name every label",
            f"{len(names)} names for {y.shape[1]}",
            "Pass one name per column",
            LabelError,
        )
    problems.raise_any()
    return names
