"""Images taken for normal whose scores lie apart from the rest, as hidden anomalies would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError
from residua.findings.figures import MOST_PICTURES, Group, Picture
from residua.findings.kind import Answer, Figure, Finding, FindingKind, Histogram, JudgedFacts

_FEWEST = 40
_MOST_SHARE = 0.15
_EACH = 100  # numbers of images that are each tried; of more, an even share
_TAIL = 50  # spacings below the images in question that say how scores thin out
_OUTER = 0.1  # the share of scores beyond the quantiles that show how skewed they are
# Between an exponential tail (1), which is too heavy for scores once they are no longer skewed, and
# a normal one (2).
_POWER = 1.25
_LEVEL = 0.005
_LOWER_LEVEL = 0.1  # scores with as heavy a tail below are heavy-tailed, and tell nothing
_COSTS = 0.02  # of recall


@dataclass(frozen=True)
class Apart:
    """The rows whose scores lie apart, the highest first, the highest score of the rest, and how
    probable such a set is where nothing is wrong.
    """

    rows: NDArray[np.int64]
    rest: float
    p_value: float


@dataclass(frozen=True)
class Cost:
    """What the images apart do to a threshold: with them and without, and recall at both."""

    policy: str
    threshold: float
    without: float
    recall: tuple[float, float] | None = None


def find_hidden_anomalies(
    scores: NDArray[Any],
    *,
    part: str = "calibration",
    groups: Any = None,
    paths: Sequence[str] | NDArray[Any] | None = None,
    cost: Cost | None = None,
) -> Finding | None:
    """Say which of the highest scores of normal images lie apart; None where none do.

    Note: what they do to the threshold changes recall by less than .02. Warning otherwise.

    Parameters
    ----------
    scores : float array, (n_images,)
        Of images that are all taken for normal; higher = more anomalous.
    part : str
        Where they are from, in words.
    groups, paths : array, (n_images,), optional
    cost : Cost, optional

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.gamma(9, 1, 200)
    >>> find_hidden_anomalies(scores) is None
    True
    >>> find_hidden_anomalies(np.append(scores, [48, 50, 55])).measured["n_apart"]
    3
    """
    told = scores_apart(scores, groups)
    if told is None:
        return None
    n, rows = len(told.rows), told.rows
    named = [] if paths is None else [str(paths[row]) for row in rows[:10]]
    lowest = float(scores[rows[-1]])
    spends = ""
    if cost is not None:
        spends = (
            f" With {'it' if n == 1 else 'them'} the threshold by {cost.policy} is"
            f" {cost.threshold:.4g}, without {cost.without:.4g}."
        )
        if cost.recall is not None:
            spends += (
                f" Recall on the judged images is {cost.recall[0]:.3g} and {cost.recall[1]:.3g}."
            )
    is_cheap = cost is not None and (
        cost.recall is not None and cost.recall[1] - cost.recall[0] < _COSTS
    )
    are, names = ("image", "It lies") if n == 1 else ("images", "They lie")
    which = f" ({', '.join(named)}{', ...' if n > len(named) else ''})" if named else ""
    return Finding(
        code=KIND.code,
        severity="note" if is_cheap else "warning",
        measured={
            "part": part,
            "n_apart": n,
            "n_images": len(scores),
            "rows": rows[:100].tolist(),
            "paths": named,
            "scores": [float(scores[row]) for row in rows[:100]],
            "highest_of_the_rest": told.rest,
            "p_value": told.p_value,
            **(
                {}
                if cost is None
                else {
                    "policy": cost.policy,
                    "threshold": cost.threshold,
                    "threshold_without": cost.without,
                    "recall": None if cost.recall is None else list(cost.recall),
                }
            ),
        },
        meaning=(
            f"{n:,} of the {len(scores):,} {part} images that are taken for normal score"
            f" {lowest:.4g} or more{which}. {names} apart from the others, which end at"
            f" {told.rest:.4g}. Among images such as these that is next to impossible"
            f" (p = {told.p_value:.1g}), so anomalies may be hidden among them.{spends}"
        ),
        what_to_do=(
            f"Look at the {are} with the highest scores. Take real anomalies out, or label them,"
            " and choose the threshold (or train) again. If a few may always slip in, choose the"
            " threshold with --contamination SHARE. If they are normal, nothing is wrong: show the"
            " model more images like them."
        ),
    )


def scores_apart(scores: NDArray[Any], groups: Any = None) -> Apart | None:
    """The highest scores that the others do not explain; None where there are none, for fewer than
    40 images (groups), and where scores do not spread.

    The scores are first made symmetric (the g of Tukey's g-and-h distributions, from the median and
    the 10% and 90% quantiles), so that neither scale nor skewness counts: scores of normal,
    exponential, gamma and lognormal shape all end in a tail no heavier than that of the reference.
    In it, the spacings between neighbouring scores times their rank are alike (Renyi 1953). The
    spacings of the k highest are compared with those of the 50 below (an F test), for k up to 15%
    of the images, and the p-value is multiplied by the number of trials.

    Where the lowest scores lie apart as well, scores are heavy-tailed, and nothing is said. Of a
    group only the highest score counts, since its images are alike.

    >>> scores_apart(np.append(np.random.default_rng(1).normal(size=200), [9, 8])).rows
    array([200, 201])
    """
    from residua.metrics.groups import as_groups

    values = np.asarray(scores, np.float64)
    known = as_groups(groups, len(values))
    tops = values
    if known is not None:
        tops = np.full(known.n_groups, -np.inf)
        np.maximum.at(tops, known.codes, values)
    if len(tops) < _FEWEST or not np.isfinite(tops).all():
        return None
    ordered = np.sort(tops)[::-1]
    n_apart, p_value = _most_apart(ordered)
    if p_value >= _LEVEL or _most_apart(-ordered[::-1])[1] < _LOWER_LEVEL:
        return None
    rest = float(ordered[n_apart])
    rows = np.flatnonzero(values > rest)
    return Apart(rows[np.argsort(-values[rows], kind="stable")], rest, p_value)


def _most_apart(ordered: NDArray[np.float64]) -> tuple[int, float]:
    """How many of the highest are most clearly apart, and how probable that is by chance."""
    most = max(1, int(_MOST_SHARE * len(ordered)))
    counts = [*range(1, min(most, _EACH) + 1)]
    if most > _EACH:
        counts += np.unique(np.geomspace(_EACH + 1, most, 40).astype(np.int64)).tolist()
    p_values = [_p_value(ordered, k) for k in counts]
    best = int(np.argmin(p_values))
    # Neighbouring numbers are nearly one trial: as many count as there are on a coarse scale.
    n_trials = 4 + 6 * np.log2(most)
    return counts[best], float(min(1.0, n_trials * p_values[best]))


def _p_value(ordered: NDArray[np.float64], k: int) -> float:
    """How probable spacings as large as those of the `k` highest are, after the others."""
    from scipy.special import fdtrc

    tail = min(_TAIL, max(10, (len(ordered) - k) // 4))
    if k + tail + 1 > 0.6 * len(ordered) or ordered[k - 1] == ordered[k]:
        return 1.0
    symmetric = _without_skew(ordered[: k + tail + 1], ordered[k:])
    if symmetric is None:
        return 1.0
    stretched = np.maximum(symmetric, 0) ** _POWER
    spacings = np.arange(1, len(stretched)) * -np.diff(stretched)
    usual = max(float(spacings[k:].mean()), 1e-12)
    gap = fdtrc(2, 2 * tail, spacings[k - 1] / usual)
    block = fdtrc(2 * k, 2 * tail, float(spacings[:k].mean()) / usual)
    return float(min(1.0, 2 * min(gap, block)))


def _without_skew(
    values: NDArray[np.float64], rest: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """`values` where `rest` is about standard normal; None where it does not spread."""
    from scipy.special import ndtri

    reach = float(ndtri(1 - _OUTER))
    low, middle, high = np.quantile(rest, [_OUTER, 0.5, 1 - _OUTER])
    if not low < middle < high:
        return None
    skew = max(float(np.log((high - middle) / (middle - low))) / reach, 0.0)
    if skew < 1e-6:
        return np.asarray((values - middle) * reach / (middle - low))
    width = (middle - low) * skew / -np.expm1(-skew * reach)
    return np.asarray(np.log1p(skew * (values - middle) / width) / skew)


def _ask(facts: JudgedFacts) -> Answer:
    """Calibration first, as it costs the threshold; training images where that is fine."""
    told = None
    if facts.calibration is not None:
        told = _of_calibration(facts)
    if told is None and facts.train_errors is not None:
        told = _of_training(facts)
    return told


def _of_calibration(facts: JudgedFacts) -> Answer:
    scores, images = np.asarray(facts.calibration), facts.calibration_images
    apart = scores_apart(scores, facts.calibration_groups)
    if apart is None:
        return None
    finding = find_hidden_anomalies(
        scores,
        groups=facts.calibration_groups,
        paths=facts.calibration_paths,
        cost=_cost(facts, apart),
    )
    return finding, _figure(scores, apart, images, apart.rows)


def _of_training(facts: JudgedFacts) -> Answer:
    if facts.groups is not None and facts.train_images is None:
        return None  # training images come in groups too, and nobody knows which
    scores = np.asarray(facts.train_errors)
    apart = scores_apart(scores)
    if apart is None:
        return None
    # Which images the kept scores are of is not kept: they are scored again, as this is rare.
    images, found = facts.train_images, apart
    if images is not None:
        scores = np.asarray(facts.score_of(images))
        again = scores_apart(scores, images.groups)
        if again is None:
            return None
        found = again
    finding = find_hidden_anomalies(
        scores,
        part="training",
        groups=None if images is None else images.groups,
        paths=None if images is None else images.paths,
    )
    return finding, _figure(scores, found, images, found.rows)


def _figure(scores: NDArray[Any], apart: Apart, images: Any, rows: NDArray[np.int64]) -> Figure:
    pictures: list[Group] = []
    if images is not None:
        shown = [
            Picture.of(images[int(row)], f"{images.paths[row]}: {scores[row]:.4g}")
            for row in rows[:MOST_PICTURES]
        ]
        pictures.append(Group(tuple(shown), "taken for normal, and apart from the rest"))
    is_apart = np.isin(np.arange(len(scores)), apart.rows)
    drawn = Histogram.of({"the rest": scores[~is_apart], "apart": scores[is_apart]}, "score")
    return Figure.of(pictures, histogram=drawn, caption="The highest scores first.")


def _cost(facts: JudgedFacts, apart: Apart) -> Cost | None:
    """What the policy makes of the normal calibration scores with and without the images apart;
    None for a policy that takes more than those.
    """
    from residua.thresholds import choose_threshold, is_flagged

    point, scores = facts.operating_point, np.asarray(facts.calibration)
    if point is None:
        return None
    kept = ~np.isin(np.arange(len(scores)), apart.rows)
    groups = facts.calibration_groups
    try:
        both = [
            choose_threshold(
                point.policy, scores[some], groups=None if groups is None else groups[some]
            ).threshold
            for some in (np.ones(len(scores), np.bool_), kept)
        ]
    except InputError:
        return None
    if both[0] == both[1]:
        return None
    recall = None
    if facts.is_anomalous is not None and len(facts.anomalous_rows):
        of_anomalous = facts.scores[facts.anomalous_rows]
        lower, higher = (float(is_flagged(of_anomalous, one).mean()) for one in both)
        recall = (lower, higher)
    return Cost(point.policy, both[0], both[1], recall)


KIND = FindingKind(
    "hidden-anomalies",
    "Images taken for normal whose scores lie apart",
    find_hidden_anomalies,
    _ask,
    needs=("scores",),
    jobs=("detect",),
)
