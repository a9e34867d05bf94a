"""From whatever arrays somebody has to an evaluation and the evidence behind it.

Where one metric was asked for: to that one, or a refusal where it means nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import InputError, PolicyError
from residua.evaluation import Evidence, evaluate_classification
from residua.evaluation.arrays import column, reading
from residua.evaluation.arrays.classes import OrderedColumns, arranged, known_classes
from residua.evaluation.arrays.detector import judge_scores
from residua.evaluation.arrays.inputs import Decision, Inputs, check_combination
from residua.evaluation.arrays.reading import beside
from residua.evaluation.classes import is_multilabel, read_classes
from residua.evaluation.pictures import Pictures
from residua.evaluation.reconstruction import judge_pictures, pictures_of, scale_options
from residua.evaluation.scale_options import Numbers, ScaleOptions
from residua.evaluation.verdict import with_verdict
from residua.evaluation.worst_images import small_images, worst_images
from residua.findings import find_meaningless_accuracy
from residua.metrics.demonstration import AccuracyDemonstration, accuracy_demonstration
from residua.records import Evaluation, assumptions_of, now, with_assumptions
from residua.thresholds import parse_policy
from residua.thresholds.calibration import Promised


def judge(
    *,
    images: Any = None,
    reconstructions: Any = None,
    scale: str = "auto",
    mean: Numbers = None,
    std: Numbers = None,
    reconstructions_scale: str | None = None,
    reconstructions_mean: Numbers = None,
    reconstructions_std: Numbers = None,
    labels: Any = None,
    scores: Any = None,
    train_scores: Any = None,
    predictions: Any = None,
    calibration_scores: Any = None,
    calibration_labels: Any = None,
    groups: Any = None,
    calibration_groups: Any = None,
    threshold: float | None = None,
    policy: str | None = None,
    metric: str | None = None,
    normal: str | None = None,
    positive: str | int | None = None,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    multilabel: bool | None = None,
    confidence: float = 0.95,
    prevalence: float | None = None,
    promise: Promised = "new-groups",
    contamination: float | None = None,
    seed: int = 0,
) -> tuple[Evaluation, Evidence]:
    """Judge a model from its arrays alone; every array may be a path: ``.npy``, ``.npz``, ``.csv``,
    ``.tsv``, ``.parquet``.

    Images with reconstructions are judged as a reconstructor; with labels, a threshold or a policy
    too, their ``mse`` is the score of a detector. Scores are judged as a detector's, predictions
    with labels as a classifier's.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels]) or (n_images, n_pixels),
    or path
        Their scale and layout are read from the values, each side by itself, or refused.
    scale, mean, std, reconstructions_scale, reconstructions_mean, reconstructions_std
        As for `residua.evaluate_reconstruction`, where the scale is to be told.
    labels : array, (n_images,), or a 0/1 matrix, or path
    scores : float array, (n_images,), or path
        Higher = more anomalous.
    train_scores : float array, (n,), or path
        Scores (or errors) of training images, or their mean as a single number.
    predictions : array, (n_images,) or (n_images, n_classes), or path
        Integers or strings are classes; one float column is P(second class); several are
        probabilities.
    calibration_scores, calibration_labels
        Where a policy chooses the threshold. Without them it is chosen on the judged images, with a
        finding that says how much that flatters.
    groups, calibration_groups : array, (n_images,) and (n_calibration,), or path, or name
        What the images were sampled in, such as the part that each shows; an image without a name
        is a group of its own. A text that is no file names a column of a table that was given.
    threshold, policy
        A number, or a policy as for `residua.thresholds.parse_policy`.
    metric : str, optional
        The one asked for; of a model that does not classify, ``accuracy`` is refused by a finding
        of severity error.
    normal : str, optional
        The normal labels, separated by commas.
    positive : str or int, optional
        Of two classes the one that precision, recall and F1 are of; see `evaluate_classification`.
    classes : sequence, optional
        The classes in the order of the columns of predictions, where no header names them.
    multilabel : bool, optional
        What a 0/1 matrix of labels is: several labels an image, or one class; see
        `evaluate_classification`.
    confidence, prevalence, promise, contamination, seed
        See `choose_threshold`.

    Raises
    ------
    InputError
        All problems of the call at once.

    Examples
    --------
    >>> record, evidence = judge(scores=[0.002, 0.0015, 0.005, 0.0008, 0.007], threshold=0.004)
    >>> [
    ...     str(name)
    ...     for name, score in zip(evidence.paths, evidence.scores)
    ...     if score > record.operating_point.threshold
    ... ]
    ['3', '5']
    """
    # The options of scale are those of `evaluate_reconstruction`: both are front doors, and a user
    # reads them in the signature.
    problems = Problems("judge")
    arrays = {
        "images": images,
        "reconstructions": reconstructions,
        "labels": labels,
        "scores": scores,
        "predictions": predictions,
        "calibration-scores": calibration_scores,
        "calibration-labels": calibration_labels,
        "train-scores": train_scores,
    }
    arrays |= {
        "groups": beside(groups, [scores, labels, predictions, images]),
        "calibration-groups": beside(calibration_groups, [calibration_scores, calibration_labels]),
    }
    arrays = {name: array for name, array in arrays.items() if array is not None}
    told = None if classes is None else tuple(classes)
    chosen = threshold, policy, normal, confidence, prevalence
    decision = Decision(*chosen, positive, told, multilabel, promise, contamination)
    given = _read(arrays, told, problems)
    check_combination(set(arrays), decision, problems)
    if policy is not None:
        _check_policy(policy, problems)
    given = given.joined(problems)
    given.check_lengths(problems)
    scales = scale_options(
        ScaleOptions(scale, mean, std),
        ScaleOptions(reconstructions_scale, reconstructions_mean, reconstructions_std),
    )
    if problems:
        given.look_further(normal, scales, problems)
    problems.raise_any()
    pictures = None
    if given.predictions is not None and given.labels is not None:
        evaluation, evidence = _judge_classes(
            given, arranged(given.labels, given.predictions, decision.classes), decision, seed
        )
    elif given.scores is not None:
        evaluation, evidence = judge_scores(given, given.scores.values, decision, seed)
    else:
        pictures = pictures_of(*given.pixels, train_errors=given.train_errors, scales=scales)
        evaluation, evidence = _judge_pictures(given, pictures, decision, seed)
    judged = {name: _described(array) for name, array in arrays.items()}
    known = {**evaluation.provenance, "judged": judged, "date": now()}
    provenance = with_assumptions(known, given.assumptions)
    evaluation = evaluation.model_copy(update={"provenance": provenance})
    evaluation = asked_for(metric, evaluation, given.pixels, pictures).with_evidence(evidence)
    return evaluation, evidence


def _read(
    arrays: dict[str, Any], classes: Sequence[Any] | NDArray[Any] | None, problems: Problems
) -> Inputs:
    """Every array that was given, from memory or from its file."""
    columns = {
        role.name: reading.read(arrays.get(role.name), role, problems) for role in column.COLUMNS
    }
    columns["predictions"] = reading.read(
        arrays.get("predictions"),
        column.PREDICTIONS,
        problems,
        known_classes(columns["labels"], classes),
    )
    return Inputs(**{name.replace("-", "_"): one for name, one in columns.items()})


def _check_policy(policy: str, problems: Problems) -> None:
    try:
        parse_policy(policy)
    except PolicyError as error:
        mend = str(error).rpartition(". ")[2] if ". " in str(error) else str(error)
        problems.add(
            "--policy must be a policy of residua, with numbers in its range",
            repr(policy),
            mend.rstrip(".?"),
            PolicyError,
        )


def _described(value: Any) -> str:
    return (
        str(value)
        if isinstance(value, str) or hasattr(value, "__fspath__")
        else f"array {np.shape(value)}"
    )


def _judge_classes(
    given: Inputs, read: OrderedColumns, decision: Decision, seed: int
) -> tuple[Evaluation, Evidence]:
    labels, predictions, classes = read
    evaluation = evaluate_classification(
        labels,
        predictions,
        classes=classes,
        positive=decision.positive,
        multilabel=decision.multilabel,
        groups=given.names_of_groups,
        confidence=decision.confidence,
        seed=seed,
    )
    names = given.names(len(labels))
    if is_multilabel(labels, predictions, decision.multilabel):
        return evaluation, Evidence(paths=names)
    groups = given.names_of_groups
    known, found, _ = read_classes(labels, predictions, classes)
    true = found.classes[found.true].astype(
        object
    )  # spelled as the classes are: 1, not 1.0 or True
    return evaluation, Evidence(
        paths=names[known],
        labels=true,
        probabilities=found.probabilities,
        predicted=None if found.probabilities is not None else found.predicted,
        classes=found.classes,
        groups=None if groups is None else groups[known],
        seed=seed,
    )


def _judge_pictures(
    given: Inputs, read: Pictures, decision: Decision, seed: int
) -> tuple[Evaluation, Evidence]:
    """Judge reconstructions; with labels or a threshold, their mse as a detector's score too."""
    train = given.train_errors
    made = judge_pictures(
        read,
        train_errors=train,
        groups=given.names_of_groups,
        confidence=decision.confidence,
        seed=seed,
    )
    evaluation, columns = made.evaluation, made.facts.errors
    x, r = read.images, read.reconstructions
    pictures: dict[str, Any] = {
        "per_image": dict(columns),
        "gallery": worst_images(x, r, columns["mse"]),
        "thumbnails": small_images(x, columns["mse"]),
    }
    if given.labels is None and decision.threshold is None and decision.policy is None:
        plain = Evidence(
            paths=given.names(len(x)),
            train_scores=None if train is None else np.atleast_1d(np.asarray(train)),
            groups=given.names_of_groups,
            seed=seed,
            figures=made.figures,
        )
        return evaluation, replace(plain, **pictures)
    detection, evidence = judge_scores(given, columns["mse"], decision, seed)
    codes = {finding.code for finding in detection.findings}
    more = tuple(finding for finding in evaluation.findings if finding.code not in codes)
    merged = {
        "metrics": {**detection.metrics, **evaluation.metrics},
        "findings": (*detection.findings, *more),
        "provenance": with_assumptions(evaluation.provenance, assumptions_of(detection.provenance)),
    }
    return (
        with_verdict(detection.model_copy(update=merged)),
        replace(evidence, figures={**made.figures, **evidence.figures}, **pictures),
    )


# Metrics of decisions about classes. A model that reconstructs makes none.
_OF_CLASSES = (
    "accuracy", "acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy",
    "balanced_accuracy", "precision",
    "recall", "f1", "top_3_accuracy", "top_5_accuracy", "confusion_matrix", "log_loss", "roc_auc",
    "average_precision",
)  # fmt: skip
_OF_PROBABILITIES = (
    "roc_auc", "log_loss", "brier_score", "expected_calibration_error", "top_3_accuracy",
    "top_5_accuracy", "average_precision",
)  # fmt: skip
_OF_RANKING = ("roc_auc", "average_precision")


def asked_for(
    metric: str | None, evaluation: Evaluation, given: tuple[Any, Any], pictures: Pictures | None
) -> Evaluation:
    """The evaluation with the metric asked for alone; with all of them and a finding where it means
    nothing.

    `given` holds images and reconstructions as they came, `pictures` how they were read.
    """
    if metric is None:
        return evaluation
    name = metric.strip().lower().replace("-", "_").replace(" ", "_")
    name = "accuracy" if name == "acc" else name
    if name in evaluation.metrics and not (
        evaluation.metrics[name].value is None and name in _OF_CLASSES
    ):
        return evaluation.model_copy(update={"metrics": {name: evaluation.metrics[name]}})
    if evaluation.job != "classify" and name in _OF_CLASSES:
        return _refused(name, evaluation, given, pictures)
    if name in evaluation.metrics:
        return evaluation.model_copy(update={"metrics": {name: evaluation.metrics[name]}})
    if evaluation.job == "classify" and name in _OF_PROBABILITIES:
        raise InputError(
            f"judge: {name} needs probabilities. Got classes. Pass one column of probabilities per"
            " class (--predictions), or ask for accuracy."
        )
    near = difflib.get_close_matches(name, list(evaluation.metrics), n=1, cutoff=0.5)
    known = ", ".join(list(evaluation.metrics)[:12])
    mend = f"Did you mean {near[0]}" if near else f"Name one of {known}"
    raise InputError(
        f"judge: --metric must be a metric that these arrays define. Got {metric!r}. {mend}."
    )


def _refused(
    name: str, evaluation: Evaluation, given: tuple[Any, Any], pictures: Pictures | None
) -> Evaluation:
    has_labels = any(
        estimate.n for key, estimate in evaluation.metrics.items() if key in _OF_RANKING
    )
    if evaluation.job == "detect" and has_labels and name not in evaluation.metrics:
        raise InputError(
            f"judge: {name} needs decisions. Got no threshold. Pass --threshold or --policy, or ask"
            " for roc_auc."
        )
    if evaluation.job == "detect" and has_labels:
        return evaluation.model_copy(update={"metrics": {name: evaluation.metrics[name]}})
    finding = find_meaningless_accuracy(
        "reconstruct" if given[0] is not None else evaluation.job,
        metric=name,
        demonstration=_demonstration(given, pictures),
    )
    return evaluation.model_copy(update={"findings": (finding, *evaluation.findings)})


def _demonstration(
    given: tuple[Any, Any], pictures: Pictures | None
) -> AccuracyDemonstration | None:
    """What Keras computes on the arrays as given: shape decides its rule, scale its value."""
    if pictures is None or pictures.of_images is None or np.shape(given[0]) != np.shape(given[1]):
        return None
    black, white = (pictures.of_images.in_shape(np.shape(given[0]), level) for level in (0.0, 1.0))
    return accuracy_demonstration(*given, black=black, white=white)
