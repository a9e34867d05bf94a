"""Labels that a judge who has not seen them contradicts with confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.figures import MOST_GROUPS, Group, Picture
from residua.findings.hidden_anomalies import scores_apart
from residua.findings.kind import Answer, Figure, Finding, FindingKind, JudgedFacts, LabelVotes

_LIMIT = 0.03  # the share of doubtful labels that has to be exceeded with confidence
_KNOWN_RECALL, _FEWEST_OF_CLASS = 0.6, 10
_CLEAR, _UNLIKELY = 0.5, 0.1
_FEWEST_SCORES = 20
_BY_CHANCE, _WHERE_BOTH = 0.002, 0.02
_EXCESS = 0.02
_SEPARATES, _DEEP, _FEWEST_DEEP = 0.5, 0.05, 3
_AS_NORMAL = 0.6
_SHOWN, _NAMED = 8, 10


@dataclass(frozen=True)
class _Doubt:
    """The rows whose labels are doubtful, the most doubtful first, and what speaks against each."""

    rows: NDArray[np.int64]
    words: Sequence[str]


def find_label_noise(
    true: NDArray[np.int64],
    probabilities: NDArray[Any],
    classes: Sequence[str],
    *,
    judge: str = "the classifier",
    paths: NDArray[Any] | Sequence[str] | None = None,
) -> Finding | None:
    """Confident learning (Northcutt, Jiang and Chuang 2021): say which labels a judge contradicts;
    None where they are few.

    A label is doubtful where the class that the judge gives has at least its usual probability (the
    mean over images with that label) and at least .5, and the label has at most .1. Only classes
    count that the judge recognises (60% of at least 10 images), since a weak judge proves nothing.
    Warning: more than 3% of the labels of those classes are doubtful, by the lower end of a 90%
    interval.

    Parameters
    ----------
    true : int array, (n_images,)
        Index of the label, in `classes`; -1 where there is none.
    probabilities : float array, (n_images, n_classes)
        Of a judge that has not seen these labels: a classifier on test images, or votes of
        neighbours.
    classes : sequence of str
    judge : str
        Who contradicts, in words.
    paths : (n_images,), optional

    Examples
    --------
    >>> true = np.repeat([0, 1], 50)
    >>> said = np.where(np.arange(100) % 10 == 0, 1 - true, true)
    >>> told = find_label_noise(true, 0.95 * np.eye(2)[said] + 0.025, ["cat", "dog"])
    >>> told.severity, told.measured["n_doubtful"]
    ('warning', 10)
    """
    from residua.metrics.intervals import rate_interval

    doubt, n = _contradicted(true, probabilities, classes)
    if n == 0:
        return None
    rate = rate_interval(len(doubt.rows), n, confidence=0.9)
    if rate.low is None or rate.low <= _LIMIT:
        return None
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={
            "n_doubtful": len(doubt.rows),
            "share": rate.value,
            "low": rate.low,
            "high": rate.high,
            "n_judged": n,
            **_listed(doubt, paths),
        },
        meaning=(
            f"{len(doubt.rows):,} of {n:,} labels ({100 * len(doubt.rows) / n:.3g}%) are"
            f" contradicted with confidence by {judge}, whose verdict does not rest on them."
            f" The clearest: {'; '.join(doubt.words[:3])}. Wrong labels here spoil"
            " every figure that is computed from them."
        ),
        what_to_do=(
            "Look at these images, and correct the labels that are wrong. If the labels are right,"
            " the classes overlap: say by which rule they differ."
        ),
    )


def _contradicted(
    true: NDArray[np.int64], probabilities: NDArray[Any], classes: Sequence[str]
) -> tuple[_Doubt, int]:
    """The doubtful labels, and how many labels are of classes that the judge recognises."""
    k, rows = len(classes), np.flatnonzero(true >= 0)
    label, p = true[rows], np.asarray(probabilities, np.float64)[rows]
    counts = np.bincount(label, minlength=k)
    own, said = p[np.arange(len(rows)), label], p.argmax(axis=1)
    each = np.maximum(counts, 1)
    usual = np.bincount(label, own, k) / each
    recall = np.bincount(label, said == label, k) / each
    known = (recall >= _KNOWN_RECALL) & (counts >= _FEWEST_OF_CLASS)
    sure = p[np.arange(len(rows)), said]
    doubtful = (
        known[label]
        & known[said]
        & (said != label)
        & (sure >= np.maximum(usual[said], _CLEAR))
        & (own <= _UNLIKELY)
    )
    found = np.flatnonzero(doubtful)
    found = found[np.argsort(own[found] - sure[found], kind="stable")]
    words = [f"{classes[label[i]]}, said {classes[said[i]]} ({sure[i]:.2f})" for i in found]
    return _Doubt(rows[found], words), int(known[label].sum())


def find_label_noise_in_scores(
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_],
    calibration: NDArray[Any] | None = None,
    *,
    groups: Any = None,
    calibration_groups: Any = None,
    paths: NDArray[Any] | Sequence[str] | None = None,
) -> Finding | None:
    """Say which labels the scores of a detector contradict; None where none are, or where there are
    fewer than 20 images of a kind.

    Warning: images labelled normal score deep among the anomalies (above their median) more often
    than normal calibration images do, beyond chance, while the others score as those do. Without
    calibration scores, or where those hold the same wrong labels: they lie apart from the other
    normal scores (see `scores_apart`). Note: half of the anomalies are above 95% of the normal
    images, and a twentieth lie below their middle, about as many as between: as normal images
    would, and not as anomalies that are nearly seen. Those are labelled wrongly, or of a kind that
    the detector does not see. Beyond chance is 2 in 1,000, or 2 in 100 where both kinds are found.

    Parameters
    ----------
    scores : float array, (n_images,)
        Higher = more anomalous.
    is_anomalous : bool array, (n_images,)
    calibration : float array, (n,), optional
        Scores of other normal images.
    groups, calibration_groups : array, optional
        Of the images, and of the calibration images.
    paths : (n_images,), optional

    Examples
    --------
    >>> rng, flags = np.random.default_rng(0), np.arange(300) < 100
    >>> scores, calibration = rng.normal(size=300) + 5 * flags, rng.normal(size=200)
    >>> find_label_noise_in_scores(scores, flags, calibration) is None
    True
    >>> flags[290:] = True
    >>> flags[:10] = False
    >>> find_label_noise_in_scores(scores, flags, calibration).measured["n_labelled_normal"]
    7
    """
    normal, anomalous = np.flatnonzero(~is_anomalous), np.flatnonzero(is_anomalous)
    if min(len(normal), len(anomalous)) < _FEWEST_SCORES:
        return None
    own = None if groups is None else np.asarray(groups)[normal]
    deep = float(np.median(scores[anomalous]))
    others = scores[normal]
    reference = others[others <= deep] if calibration is None else np.asarray(calibration)
    missed = _as_normals(scores, reference, anomalous)
    level = _WHERE_BOTH if len(missed) else _BY_CHANCE
    wrong = np.zeros(0, np.int64)
    if calibration is not None and (
        _exceed(others, reference, deep, own, calibration_groups) < level
    ):
        wrong = normal[others > deep]
    elif (apart := scores_apart(others, own)) is not None:
        wrong = normal[apart.rows[others[apart.rows] > deep]]
    wrong = wrong[np.argsort(-scores[wrong], kind="stable")]
    if not len(wrong) and not len(missed):
        return None
    doubt = _Doubt(
        np.concatenate([wrong, missed]),
        [
            *(f"labelled normal, score {scores[row]:.4g}" for row in wrong),
            *(f"labelled anomalous, score {scores[row]:.4g}" for row in missed),
        ],
    )
    told = []
    if len(wrong):
        told.append(
            f"{len(wrong):,} of {len(normal):,} images labelled normal score above {deep:.4g}, the"
            " median of the anomalous ones. Images that are known to be normal do not."
        )
    if len(missed):
        told.append(
            f"{len(missed):,} of {len(anomalous):,} images labelled anomalous score below the"
            " middle of the normal ones. They are labelled wrongly, or of a kind that the detector"
            " does not see."
        )
    return Finding(
        code=KIND.code,
        severity="warning" if len(wrong) else "note",
        measured={
            "n_labelled_normal": len(wrong),
            "n_labelled_anomalous": len(missed),
            "n_normal": len(normal),
            "n_anomalous": len(anomalous),
            "deep_among_anomalous": deep,
            **_listed(doubt, paths),
        },
        meaning=" ".join(told),
        what_to_do=(
            "Look at these images, and correct the labels that are wrong. Every figure of this"
            " record rests on them: wrong labels among the normal images count as false alarms,"
            " those among the anomalies as misses."
        ),
    )


def _exceed(
    scores: NDArray[Any], calibration: NDArray[Any], deep: float, groups: Any, others: Any
) -> float:
    """How probable it is by chance that so many more of `scores` than of `calibration` are above
    `deep`; 1 where their lower halves are not alike: then all have moved, which is drift.
    """
    from scipy.stats import fisher_exact

    if len(calibration) < _FEWEST_SCORES:
        return 1.0
    above, usual = scores > deep, calibration > deep
    if above.mean() - usual.mean() < _EXCESS:
        return 1.0
    share = float((scores <= np.median(calibration)).mean())
    (k, n), (k0, n0) = _effective(above, groups), _effective(usual, others)
    if share < 0.5 * (1 - 2 * above.mean()) - 2 * np.sqrt(0.25 / n + 0.25 / n0):
        return 1.0
    table = [[round(k), round(n - k)], [round(k0), round(n0 - k0)]]
    return float(fisher_exact(table, alternative="greater").pvalue)


def _effective(flags: NDArray[np.bool_], groups: Any) -> tuple[float, float]:
    """How many are set, of how many, as independent images."""
    from residua.metrics.groups import as_groups

    known = as_groups(groups, len(flags))
    share = 1.0 if known is None else 1 / known.effect_on_share(flags)
    return float(flags.sum()) * share, len(flags) * share


def _as_normals(
    scores: NDArray[Any], normal: NDArray[Any], anomalous: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The anomalous rows below the middle of the `normal` scores, the lowest first; none where they
    are few, or no more like normal ones than anomalies that are nearly seen.
    """
    if not len(normal):
        return anomalous[:0]
    middle, high = np.quantile(normal, [0.5, 0.95])
    own = scores[anomalous]
    rows = anomalous[own <= middle]
    between = int(((own > middle) & (own <= high)).sum())
    if (
        (own > high).mean() < _SEPARATES
        or len(rows) < max(_FEWEST_DEEP, _DEEP * len(anomalous))
        or len(rows) < _AS_NORMAL * between
    ):
        return np.zeros(0, np.int64)
    return np.asarray(rows[np.argsort(scores[rows], kind="stable")], np.int64)


def _listed(doubt: _Doubt, paths: Any) -> dict[str, Any]:
    rows = doubt.rows[:100].tolist()
    named = [] if paths is None else [str(paths[row]) for row in rows[:_NAMED]]
    return {"rows": rows, "paths": named}


def _draw(
    finding: Finding, words: Callable[[int], str], picture_of: Callable[[int], NDArray[Any]]
) -> Figure:
    """The doubtful images, the most doubtful first, eight to a row."""
    pictures = [Picture.of(picture_of(row), words(row)) for row in finding.measured["rows"]]
    rows = [
        Group(tuple(pictures[start : start + _SHOWN])) for start in range(0, len(pictures), _SHOWN)
    ]
    return Figure.of(rows[:MOST_GROUPS], caption="The most doubtful labels first.")


def _ask(facts: JudgedFacts) -> Answer:
    if facts.job == "detect":
        return _of_detector(facts)
    if facts.job == "classify":
        if facts.true is None or facts.probabilities is None or facts.multilabel is not None:
            return None
        rows = np.flatnonzero(facts.labelled)
        votes = LabelVotes(rows, facts.true, facts.probabilities, facts.classes)
        return _of_votes(facts, votes, "the classifier")
    if facts.votes_of is None:
        return None
    return _of_votes(facts, facts.votes_of(), "the images most like them (votes of 10 neighbours)")


def _of_votes(facts: JudgedFacts, votes: LabelVotes, judge: str) -> Answer:
    paths = None if facts.paths is None else facts.paths[votes.rows]
    finding = find_label_noise(
        votes.true, votes.probabilities, votes.classes, judge=judge, paths=paths
    )
    if finding is None or facts.picture_of is None:
        return finding
    picture_of, said = facts.picture_of, votes.probabilities.argmax(axis=1)

    def words(row: int) -> str:
        name = "" if paths is None else f"{paths[row]}: "
        return f"{name}{votes.classes[votes.true[row]]}, said {votes.classes[said[row]]}"

    return finding, _draw(finding, words, lambda row: picture_of(int(votes.rows[row])))


def _of_detector(facts: JudgedFacts) -> Answer:
    if facts.is_anomalous is None or facts.scores is None:
        return None
    rows = np.flatnonzero(facts.labelled)
    paths = None if facts.paths is None else facts.paths[rows]
    finding = find_label_noise_in_scores(
        *facts.known,
        None if facts.calibration is None else np.asarray(facts.calibration),
        groups=facts.groups_of(rows),
        calibration_groups=facts.calibration_groups,
        paths=paths,
    )
    if finding is None or facts.images is None:
        return finding
    images, flags = facts.images, facts.is_anomalous[rows]

    def words(row: int) -> str:
        label = "anomalous" if flags[row] else "normal"
        return f"{images.paths[rows[row]]}: {label}, {facts.scores[rows[row]]:.4g}"

    return finding, _draw(finding, words, lambda row: images[int(rows[row])])


KIND = FindingKind(
    "label-noise",
    "Labels that are contradicted with confidence",
    find_label_noise,
    _ask,
    needs=("labelled",),
    jobs=("detect", "classify", "check"),
)
