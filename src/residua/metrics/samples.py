"""What reported metrics are computed from.

Judged images as arrays, a kind of sample a file of results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua.metrics._confidence import two_sided_z
from residua.metrics.bootstrap import bootstrap_interval
from residua.metrics.confusion import ConfusionMetrics, metrics_from_confusion
from residua.metrics.confusion_bounds import (
    Statistic,
    confusion_bounds,
    mean_f1,
    mean_precision,
    mean_recall,
    slopes_of,
)
from residua.metrics.divergence import mean_bounds
from residua.metrics.groups import LEAST_GROUPS, Groups, caveat_of
from residua.metrics.intervals import f1_of_share, rate_interval, share_interval
from residua.metrics.means import mean_interval
from residua.records import Estimate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Count = int | np.integer[Any]
OfClass = Literal["precision", "recall", "f1"]
_MEANS: Mapping[OfClass, Statistic] = {
    "precision": mean_precision,
    "recall": mean_recall,
    "f1": mean_f1,
}
# Above this many images the averages over labels, which need a sort each, get no interval.
_MOST_RESAMPLED = 5000


@dataclass(frozen=True)
class Sample:
    """The base of all samples.

    How sure an interval is to be, the seed of resampled ones, and which images were sampled
    together: None where each was sampled by itself.
    """

    confidence: float = 0.95
    seed: int = 0
    groups: Groups | None = field(default=None, kw_only=True)

    def rate(self, n_successes: Count, n: Count) -> Estimate:
        """A share with Wilson's interval; without a value where `n` is 0."""
        return rate_interval(int(n_successes), int(n), confidence=self.confidence)

    def share(self, successes: Bools, images: Bools | None = None) -> Estimate:
        """The share of `successes`, by the groups of the `images` that it is among; None: all."""
        groups = self.groups if self.groups is None or images is None else self.groups.of(images)
        return share_interval(successes, groups, confidence=self.confidence)

    def mean(self, values: Floats, *, least: float = 0, most: float = 1) -> Estimate:
        """A mean of values per image with its interval, which stays between `least` and `most`."""
        return mean_interval(
            values,
            confidence=self.confidence,
            seed=self.seed,
            least=least,
            most=most,
            groups=self.groups,
        )

    def bounded_mean(
        self,
        values: Floats,
        right: Bools,
        scores: NDArray[Any] | None = None,
        *,
        least: float = 0,
        most: float,
    ) -> Estimate:
        """A mean of what cannot leave `least` to `most`, whatever an unseen image may have.

        `right` and `scores` show how alike the images of a group are.
        """
        n = len(values)
        estimate = self.without_interval(float(values.mean()) if n else np.nan, n)
        if estimate.value is None:
            return estimate
        spread = self.spread(right, values, scores)
        return spread.told(
            estimate, lambda: mean_bounds(values, spread.budget(n), least=least, most=most)
        )

    def spread(
        self,
        right: Bools,
        values: Floats,
        scores: NDArray[Any] | None = None,
        classes: Bools | None = None,
    ) -> GroupSpread:
        """How the groups spread a number that is the mean of `values` (n_images,).

        See `Groups.effect_on_share`.
        """
        if self.groups is None or self.groups.is_single:
            return GroupSpread(None, 1.0, two_sided_z(self.confidence))
        influence = (values - values.mean()) / len(values)
        effect = self.groups.effect_on_share(right, scores, influence, classes=classes)
        return GroupSpread(self.groups, effect, self.groups.reach(self.confidence, effect))

    def without_interval(self, value: float, n: int) -> Estimate:
        """A number alone; without a value where it is not finite."""
        known = float(value) if np.isfinite(value) else None
        return Estimate(value=known, confidence=self.confidence, n=n)


@dataclass(frozen=True)
class GroupSpread:
    """The design effect of groups on a number; how many standard errors its interval reaches."""

    groups: Groups | None
    effect: float
    reach: float

    @property
    def is_enough(self) -> bool:
        """Whether there are groups enough for an interval."""
        return self.groups is None or self.groups.n_groups >= LEAST_GROUPS

    def budget(self, n: int) -> float:
        """What bounds by distance take: squared standard errors over the number of images."""
        return self.reach**2 * self.effect / n

    def told(self, estimate: Estimate, bounds: Callable[[], tuple[float, float]]) -> Estimate:
        """The `estimate` with bounds that hold its value, and what the groups say of them."""
        update: dict[str, Any] = {}
        if self.groups is not None:
            n_groups = self.groups.n_groups
            update["n_groups"] = n_groups
            update["n_effective"] = round(estimate.n / self.effect, 1)
            update["caveat"] = caveat_of(n_groups)
            if not self.is_enough:
                return estimate.model_copy(update=update)
        low, high = bounds()
        value = np.nan if estimate.value is None else estimate.value
        ends = {"low": min(value, low), "high": max(value, high)}
        return estimate.model_copy(update=update | ends)


@dataclass(frozen=True, kw_only=True)
class ScoredImages(Sample):
    """A detector's labelled images.

    ``flagged`` are its decisions on them, None without a threshold; ``all_flagged`` those on all
    judged images, labelled or not, which ``all_groups`` are of. ``kinds`` names what each image
    shows, where there are several kinds of anomalies. ``areas`` are the defective pixels of each
    mask, NaN where there is none.
    """

    is_anomalous: Bools
    scores: NDArray[Any]
    flagged: Bools | None = None
    all_flagged: Bools | None = None
    all_groups: Groups | None = None
    kinds: NDArray[Any] | None = None
    areas: Floats | None = None

    def of(self, kept: Bools) -> ScoredImages:
        """Those of the images alone that `kept` says; all decisions only where all are kept."""
        if kept.all():
            return self
        return replace(
            self,
            is_anomalous=self.is_anomalous[kept],
            scores=self.scores[kept],
            flagged=None if self.flagged is None else self.flagged[kept],
            all_flagged=None,
            all_groups=None,
            groups=None if self.groups is None else self.groups.of(kept),
            kinds=None if self.kinds is None else self.kinds[kept],
            areas=None if self.areas is None else self.areas[kept],
        )

    @property
    def kind_names(self) -> list[str]:
        """The kinds of the anomalous images, in order; none where all are of one kind."""
        if self.kinds is None:
            return []
        names = sorted({str(one) for one in self.kinds[self.is_anomalous].tolist()})
        return names if len(names) > 1 else []

    def of_kind(self, name: str) -> ScoredImages:
        """All normal images, and the anomalous ones of one kind."""
        if self.kinds is None:
            return self
        return replace(self.of(~self.is_anomalous | (self.kinds.astype(str) == name)), kinds=None)

    @property
    def has_both(self) -> bool:
        """Whether normal and anomalous images are there."""
        return bool(self.is_anomalous.any() and not self.is_anomalous.all())

    def decided(self, rate: Callable[[Bools, Bools], tuple[Bools, Bools]]) -> Estimate | None:
        """A share of decisions: `rate` gives what counts and among what, both bools (n_images,)."""
        if self.flagged is None:
            return None
        counts, among = rate(self.flagged, self.is_anomalous)
        effect, anomalous = None, self.is_anomalous
        of_one = np.array_equal(among, anomalous) or np.array_equal(among, ~anomalous)
        if self.groups is not None and not of_one:
            effect = self.groups.effect_on_share(
                counts, self.scores, among=among, classes=anomalous
            )
        return share_interval(
            counts[among],
            None if self.groups is None else self.groups.of(among),
            scores=self.scores[among],
            effect=effect,
            confidence=self.confidence,
        )


@dataclass(frozen=True, kw_only=True)
class ImageErrors(Sample):
    """Every metric of every reconstruction, by name; see `ReportedMetric.per_image`."""

    columns: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True)
class PredictedClasses(Sample):
    """A classifier's images: places of the true and of the predicted class, (n_images,) each.

    ``positive`` is the place of the positive one of two classes. ``scores`` (n_images,) are what
    classes were decided by, where that is known: they show how alike images of a group are.
    """

    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    n_classes: int
    positive: int | None = None
    scores: NDArray[Any] | None = None

    @cached_property
    def matrix(self) -> NDArray[np.int64]:
        """Counts (n_classes, n_classes), rows true, columns predicted."""
        k = self.n_classes
        return np.bincount(self.true * k + self.predicted, minlength=k * k).reshape(k, k)

    def of(self, kept: Bools) -> PredictedClasses:
        """Those of the images alone that `kept` says."""
        return replace(
            self,
            groups=None if self.groups is None else self.groups.of(kept),
            true=self.true[kept],
            predicted=self.predicted[kept],
            scores=None if self.scores is None else self.scores[kept],
        )

    def average(self, read: Callable[[ConfusionMetrics], float], statistic: Statistic) -> Estimate:
        """A number of all classes; `statistic` is the same one with its slopes."""
        n, value = len(self.true), read(metrics_from_confusion(self.matrix))
        estimate = self.without_interval(value, n)
        if estimate.value is None:
            return estimate
        cells = slopes_of(self.matrix, statistic).of_cells(self.true, self.predicted)
        classes = self.true == 1 if self.n_classes == 2 else None
        spread = self.spread(self.true == self.predicted, cells, self.scores, classes)
        return spread.told(
            estimate, lambda: confusion_bounds(self.matrix, statistic, spread.budget(n))
        )

    def of_one(self, place: int) -> OneClass:
        """The class at `place` against all others."""
        return OneClass(
            self.confidence,
            self.seed,
            groups=self.groups,
            holds=self.true == place,
            predicted=self.predicted == place,
        )

    def of_positive(self, metric: OfClass) -> Estimate:
        """Of two classes the positive one's, of more the mean over classes."""
        if self.positive is not None:
            one: Estimate = getattr(self.of_one(self.positive), metric)
            return one
        return self.average(lambda matrix: matrix.average(metric, "macro"), _MEANS[metric])


@dataclass(frozen=True, kw_only=True)
class OneClass(Sample):
    """Which images are of one class, or have one label of several, and which are said to be.

    ``scores`` where probabilities are there.
    """

    holds: Bools
    predicted: Bools
    scores: Floats | None = None

    @property
    def precision(self) -> Estimate:
        """Of the images predicted as the class, the share that is."""
        return self._hits_among(self.predicted)

    @property
    def recall(self) -> Estimate:
        """Of the images of the class, the share that is predicted so."""
        return self._hits_among(self.holds)

    @property
    def f1(self) -> Estimate:
        """Harmonic mean of both."""
        return f1_of_share(self._hits_among(self.holds | self.predicted))

    def _hits_among(self, images: Bools) -> Estimate:
        return self.share((self.holds & self.predicted)[images], images)


@dataclass(frozen=True, kw_only=True)
class ClassProbabilities(Sample):
    """Index of the true class, and the probability of each."""

    true: NDArray[np.int64]
    probabilities: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class SeveralLabels(Sample):
    """Several labels per image: which hold, which are predicted, and the predictions as given."""

    holds: Bools
    predicted: Bools
    given: NDArray[Any]

    @property
    def are_ranked(self) -> bool:
        """Whether the predictions are probabilities: decisions rank no images."""
        return self.given.dtype.kind == "f"

    @cached_property
    def wrong(self) -> Floats:
        """The share of labels that is wrong, per image."""
        return np.asarray((self.holds != self.predicted).mean(axis=1))

    def pooled(self, hits: Bools, among: Bools) -> Estimate:
        """The share of `hits` pooled over labels, (n_images, n_labels) each.

        The labels of an image are no independent ones: images, or their groups, are what was
        sampled.
        """
        n = len(self.holds)
        images = Groups(np.arange(n)) if self.groups is None else self.groups
        share = share_interval(
            hits[among], images.of(np.nonzero(among)[0]), confidence=self.confidence
        )
        if self.groups is None or self.groups.is_single:
            return share.model_copy(
                update={"n": n, "n_groups": None, "n_effective": None, "caveat": None}
            )
        return share.model_copy(update={"n": n, "n_effective": None})

    def over_labels(
        self,
        statistic: Callable[..., float],
        given: NDArray[Any],
        of_one: Callable[[OneClass], Estimate | None],
    ) -> Estimate:
        """A mean over labels, with an interval where there are not too many images.

        Where resampled images all give the same, it is the mean of the labels' intervals, as if the
        labels were right and wrong together.
        """
        if len(self.holds) > _MOST_RESAMPLED:
            return self.without_interval(statistic(self.holds, given), len(self.holds))
        found = bootstrap_interval(
            statistic,
            self.holds,
            given,
            confidence=self.confidence,
            n_resamples=200,
            seed=self.seed,
            groups=self.groups,
        )
        if found.value is None or found.low is not None or len(self.holds) == 0:
            return found
        labels = [of_one(self.of_one(place)) for place in range(self.holds.shape[1])]
        return found.model_copy(update=mean_ends([one for one in labels if one is not None]))

    def of_one(self, place: int) -> OneClass:
        """The label at `place`."""
        holds, predicted = self.holds[:, place], self.predicted[:, place]
        return OneClass(
            self.confidence,
            self.seed,
            groups=self.groups,
            holds=holds,
            predicted=predicted,
            scores=self.given[:, place].astype(np.float64) if self.are_ranked else None,
        )


def mean_ends(estimates: Sequence[Estimate]) -> dict[str, float | None]:
    """The means of the lower and of the upper bounds; None where one is not known.

    It is the interval of the mean if all move together, and on the safe side if they do not.
    """
    ends: dict[str, float | None] = {}
    for end in ("low", "high"):
        known = [getattr(one, end) for one in estimates if getattr(one, end) is not None]
        ends[end] = float(np.mean(known)) if known and len(known) == len(estimates) else None
    return ends
