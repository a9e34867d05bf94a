"""Judge several models of one job on the test images that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._text import few
from residua.errors import InputError, LabelError
from residua.evaluation import Evidence
from residua.evaluation.comparison.at_thresholds import Contestant, at_thresholds
from residua.evaluation.comparison.measures import Images, Measure, measures_of
from residua.evaluation.comparison.records import (
    ComparedModel,
    Comparison,
    PairedDifference,
    in_one_sentence,
    pair_sentence,
)
from residua.evaluation.paired import Paired
from residua.findings import find_different_images
from residua.metrics._confidence import check_confidence
from residua.metrics.groups import Groups, as_groups
from residua.records import Evaluation, Finding

_WHERE = "compare"


@dataclass(frozen=True)
class _Shared:
    """The rows of each contestant that are the shared, labelled images, and what they are."""

    rows: list[NDArray[np.int64]]
    images: Images
    findings: tuple[Finding, ...]


def compare_models(
    models: Sequence[Contestant] | Mapping[str, Evaluation],
    *,
    confidence: float = 0.95,
    leave_out: Collection[str] = (),
) -> Comparison:
    """Paired differences of two or more models on the same test images.

    Images are matched by the hashes of their pixels. Where the models were tested on different
    images, those that all share are taken, and a finding says how many that leaves. With more than
    two models the intervals of a metric hold together (Bonferroni over the pairs). Where the
    evidence knows groups, tests and intervals are by groups.

    Parameters
    ----------
    models : sequence of Contestant, or mapping of str to Evaluation
        Of one job, with names that differ. A mapping holds records that know the images they were
        judged on, as those of `evaluate` of an estimator do.
    confidence : float in (0, 1)
    leave_out : collection of str
        Hashes of images that are no test of some model, since they taught it.

    Returns
    -------
    Comparison
        Classifiers: ``accuracy`` (McNemar; by groups the exact test of exchanged signs),
        ``log_loss``, and ``mse`` where both reconstruct. Detectors: ``roc_auc`` (DeLong; by groups
        Obuchowski), ``average_precision``. Reconstructors: ``mse``, ``ssim``, ``psnr``.

    Raises
    ------
    InputError, LabelError
        If there are fewer than two models, jobs, labels or groups differ, or no image is shared.

    Examples
    --------
    >>> def model(name, right):
    ...     evidence = Evidence(
    ...         np.arange(200), pixel_hashes=np.arange(200).astype(str), per_image={"right": right}
    ...     )
    ...     return Contestant(
    ...         name, Evaluation(job="classify", n_images=200, split="test"), evidence
    ...     )
    >>> first, second = np.ones(200), (np.arange(200) >= 30).astype(float)
    >>> compare_models([model("joint", first), model("plain", second)]).sentence
    'joint beats plain by 15.0 points of accuracy [10.0, 20.2] on 200 test images.'
    """
    given = models.values() if isinstance(models, Mapping) else models
    kind = Evaluation if isinstance(models, Mapping) else Contestant
    if wrong := [type(one).__name__ for one in given if not isinstance(one, kind)]:
        raise InputError(
            f"{_WHERE}: models must be a mapping of names to what evaluate gave, or Contestants."
            f" Got {few(dict.fromkeys(wrong))}. Evaluate the models first."
        )
    if isinstance(models, Mapping):
        models = [
            Contestant(name, one, one.evidence or Evidence(paths=np.array([], object)))
            for name, one in models.items()
        ]
    _check(models, confidence)
    job = models[0].evaluation.job
    shared = _shared(models, frozenset(leave_out))
    pairs = list(combinations(range(len(models)), 2))
    standings: list[dict[str, Any]] = [{} for _ in models]
    differences: list[PairedDifference] = []
    compared: list[Measure] = []
    for measure in measures_of(job):
        columns = [
            measure.column(model.evidence, rows)
            for model, rows in zip(models, shared.rows, strict=True)
        ]
        known = [column for column in columns if column is not None]
        if len(known) < len(models):
            continue
        compared.append(measure)
        for standing, column in zip(standings, known, strict=True):
            standing[measure.name] = measure.estimate(column, shared.images, confidence)
        for a, b in pairs:
            found = measure.test(
                known[a], known[b], shared.images, 1 - (1 - confidence) / len(pairs)
            )
            differences.append(
                _difference(
                    measure, (models[a].name, models[b].name), found, len(pairs), confidence
                )
            )
    if not compared:
        raise InputError(
            f"{_WHERE}: the runs must hold what is compared. Got evaluations without it. Run"
            " `residua evaluate` again."
        )
    main = [one for one in differences if one.metric == compared[0].name]
    n_images, groups = len(shared.rows[0]), shared.images.groups
    n_groups = None if groups is None else groups.n_groups
    return Comparison(
        job=job,
        n_images=n_images,
        n_groups=n_groups,
        confidence=confidence,
        n_pairs=len(pairs),
        correction=(
            None if len(pairs) == 1 else f"Bonferroni over {len(pairs)} pairs, metric by metric"
        ),
        standings=tuple(
            ComparedModel(
                name=model.name,
                n_own=len(model.evidence.paths),
                metrics=metrics,
                code=_compression(model).get("code"),
                code_ratio=_compression(model).get("ratio"),
            )
            for model, metrics in zip(models, standings, strict=True)
        ),
        pairs=tuple(differences),
        at_thresholds=at_thresholds(models, shared.rows, shared.images, confidence),
        sentence=in_one_sentence(main, [model.name for model in models], n_images, n_groups),
        findings=shared.findings,
    )


def _compression(model: Contestant) -> dict[str, Any]:
    return dict(model.evaluation.provenance.get("compression") or {})


def _check(models: Sequence[Contestant], confidence: float) -> None:
    problems = Problems(_WHERE)
    check_confidence(confidence, problems)
    if len(models) < 2:
        problems.add(
            "there must be at least two runs", f"{len(models)}", "Name two or more", InputError
        )
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        problems.add("the runs must differ", ", ".join(names), "Name each once", InputError)
    if len({model.evaluation.job for model in models}) > 1:
        got = ", ".join(f"{model.name} ({model.evaluation.job})" for model in models)
        problems.add("the runs must be of one job", got, "Compare like with like", InputError)
    without = [model.name for model in models if model.evidence.pixel_hashes is None]
    if without:
        got = f"none for {', '.join(without)}"
        problems.add(
            "evaluations must hold the hashes of their images",
            got,
            "Run `residua evaluate` again, or compare what `evaluate` of an estimator gave",
            InputError,
        )
    problems.raise_any()


def _shared(models: Sequence[Contestant], leave_out: frozenset[str]) -> _Shared:
    hashes = [np.asarray(model.evidence.pixel_hashes).astype(str) for model in models]
    rows = common_rows(hashes)
    is_left = ~np.isin(hashes[0][rows[0]], list(leave_out))
    if len(is_left) and not is_left.any():
        raise InputError(
            f"{_WHERE}: test images must have taught none of the runs. All"
            f" {len(is_left):,} that the runs share did. Compare on other images with --on."
        )
    rows = [own[is_left] for own in rows]
    n_shared = len(rows[0])
    if not n_shared:
        raise InputError(
            f"{_WHERE}: the runs must have test images in common. They have none. Fit them on the"
            " same source with the same seed, so that they keep the same images for testing."
        )
    sizes = [len(model.evidence.paths) for model in models]
    findings = [
        find_different_images(
            n_shared,
            dict(zip([model.name for model in models], sizes, strict=True)),
            int((~is_left).sum()),
        )
    ]
    truths = [_truth(model, own) for model, own in zip(models, rows, strict=True)]
    if any(not np.array_equal(truths[0], other) for other in truths[1:]):
        n_other = max(int((truths[0] != other).sum()) for other in truths[1:])
        raise LabelError(
            f"{_WHERE}: the runs must have the same labels on the images they share. Got {n_other}"
            f" of {n_shared} images with others. Fit them with the same labels and the same"
            " --normal."
        )
    known = np.flatnonzero(truths[0] != None)  # noqa: E711  element by element
    if models[0].evaluation.job == "reconstruct":
        known = np.arange(n_shared)
    if not len(known):
        raise LabelError(
            f"{_WHERE}: shared test images must have labels. None of {n_shared} has one. Add labels"
            " and evaluate again."
        )
    rows = [own[known] for own in rows]
    flags = truths[0][known].astype(np.bool_) if models[0].evaluation.job == "detect" else None
    return _Shared(
        rows,
        Images(flags, _groups(models, rows)),
        tuple(one for one in findings if one is not None),
    )


def _groups(models: Sequence[Contestant], rows: list[NDArray[np.int64]]) -> Groups | None:
    """What the shared images were sampled in, by the models that know it; None where none does."""
    read = [
        (model.name, as_groups(np.asarray(model.evidence.groups, object)[own], len(own)))
        for model, own in zip(models, rows, strict=True)
        if model.evidence.groups is not None
    ]
    known = [(name, groups) for name, groups in read if groups is not None]
    if not known:
        return None
    first, groups = known[0]
    for name, other in known[1:]:
        if not np.array_equal(groups.codes, other.codes):
            raise InputError(
                f"{_WHERE}: the runs must have the same groups on the images they share. Got"
                f" {groups.n_groups} in {first} and {other.n_groups} in {name}, or others. Run"
                " `residua evaluate` again with the same --groups."
            )
    return groups


def common_rows(hashes: Sequence[NDArray[Any]]) -> list[NDArray[np.int64]]:
    """Rows of each set that hold the same images in the same order, that of the first set.

    An image that occurs several times is matched as often as it occurs in every set.

    - `hashes`: sequence of arrays of str, (n_images,) each.

    >>> rows = common_rows([np.array(["a", "b", "c"]), np.array(["c", "x", "a"])])
    >>> [one.tolist() for one in rows]
    [[0, 2], [2, 0]]
    """
    keyed = [_numbered(one) for one in hashes]
    places = [{key: row for row, key in enumerate(keys)} for keys in keyed]
    shared = [key for key in keyed[0] if all(key in place for place in places[1:])]
    return [np.array([place[key] for key in shared], np.int64) for place in places]


def _numbered(hashes: NDArray[Any]) -> list[tuple[str, int]]:
    """Each hash with how often it came before."""
    seen: Counter[str] = Counter()
    keys = []
    for one in map(str, hashes.tolist()):
        keys.append((one, seen[one]))
        seen[one] += 1
    return keys


def _truth(model: Contestant, rows: NDArray[np.int64]) -> NDArray[Any]:
    """What each shared image is: abnormal or its label; None where that is not known."""
    evidence, truth = model.evidence, np.full(len(rows), None, object)
    if model.evaluation.job == "detect" and evidence.is_anomalous is not None:
        truth = np.asarray(evidence.is_anomalous)[rows].astype(object)
        if evidence.labelled is not None:
            truth[~np.asarray(evidence.labelled, np.bool_)[rows]] = None
    if model.evaluation.job == "classify":
        labels = (
            np.asarray(evidence.labels, object)[rows]
            if evidence.labels is not None
            else np.arange(len(rows)).astype(object)
        )
        truth = np.array(
            [None if label is None else str(label) for label in labels.tolist()], object
        )
        right = evidence.per_image.get("right")
        if right is not None:
            truth[np.isnan(np.asarray(right, np.float64)[rows])] = None
    return truth


def _difference(
    measure: Measure, names: tuple[str, str], found: Paired, n_pairs: int, confidence: float
) -> PairedDifference:
    difference = found.difference
    adjusted = None if found.p_value is None else min(1.0, found.p_value * n_pairs)
    better = None
    if found.is_shown(1 - confidence, n_pairs) and difference.value is not None:
        better = names[0] if (difference.value > 0) == measure.higher_is_better else names[1]
    return PairedDifference(
        metric=measure.name,
        a=names[0],
        b=names[1],
        difference=difference,
        p_value=found.p_value,
        p_adjusted=adjusted,
        method=found.method,
        better=better,
        sentence=pair_sentence(
            measure.name, names, difference, better, higher_is_better=measure.higher_is_better
        ),
    )
