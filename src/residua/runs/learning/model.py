"""A model that learns from corrections: the same network with another score and threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua._labels import spelled
from residua.errors import InputError, PolicyError
from residua.images import ImageSet
from residua.records import OperatingPoint
from residua.runs.learning.copies import Copies
from residua.runs.learning.corrections import Corrections
from residua.runs.learning.features import StoredFeatures, joined, joined_groups
from residua.runs.learning.record import Flagged
from residua.runs.learning.tile_scores import (
    of_images,
    scores_of,
    shown_by_masks,
    teaching_tiles,
    tile_scores,
)
from residua.runs.progress import Watcher
from residua.thresholds import parse_policy
from residua.thresholds.defaults import choose_again, choose_operating_point
from residua.thresholds.false_alarms import FalseAlarms
from residua.thresholds.fixed import Fixed
from residua.training.bundle import Bundle, BundleConfig, check_fits
from residua.training.scoring.graph import InferenceGraph, lay_out
from residua.training.scoring.head_weight import net_found
from residua.training.scoring.learned_score import LearnedScorer, Learning, Reach

_FEWEST_HELD_OUT = 20  # normal images that no threshold needs; with fewer, calibration lends half

_FEWEST_TO_SCALE = 3  # without which scores have no scale

_REACHES: tuple[Reach, ...] = ("wide", "narrow")

_MOST_MISSED = 0.02  # of the anomalies that were flagged, by what false alarms teach


@dataclass(frozen=True)
class LearntModel:
    """What came of learning: the bundle, the features behind it, and what changed.

    ``flagged`` holds for each correction whether it was flagged before and is flagged now, bool
    (n_corrections, 2); ``lent`` are the hashes of calibration images that became normals to learn
    beside. ``at_threshold`` counts images and which of them are flagged before and after: the
    labelled ``anomalies`` of calibration, corrected ``defects`` and ``alarms``, each left out in
    turn, the defects as if ``unlike`` any that the head knows, and held-out ``normals``.
    ``is_headless`` tells that a head was dropped for what it would miss. ``reach`` is how far
    corrected false alarms are learnt, and ``harm`` what a wider reach would miss, by name.
    """

    bundle: Bundle
    features: StoredFeatures
    learning: Learning
    n_alarms: int
    flagged: NDArray[np.bool_]
    lent: NDArray[Any]
    at_threshold: dict[str, Flagged]
    is_headless: bool
    reach: Reach
    harm: dict[str, Flagged]


def learn_model(
    bundle: Bundle,
    stored: StoredFeatures,
    corrections: Corrections,
    *,
    copies: Copies | None = None,
    sample: ImageSet | None = None,
    watcher: Watcher | None = None,
) -> LearntModel:
    """Learn from `corrections` and from all that `stored` holds of earlier ones.

    The threshold is chosen anew, by the policy that it had, on a calibration set that stays whole:
    without the alarms in it, it would show too few. What is corrected in it counts with the score
    of a model that did not learn from it, and so does a near-copy of a correction, as `copies`
    tell. A complete `sample` of good images joins it.

    Raises
    ------
    InputError
        If the bundle is no detector, or has no calibration images left.
    """
    watcher, config, copies = watcher or Watcher(), bundle.config, copies or Copies()
    point = check_learns(config)
    check_fits(config, corrections.images)
    before = bundle.graph.scorer
    of_corrections = StoredFeatures.of_images(bundle, corrections.images, "defect")
    spellings = {spelled(kind): kind for kind in stored.kinds.tolist()}
    named = [one.kind or "" for one in corrections.said]
    kinds = np.array([spellings.get(spelled(kind), kind) for kind in named], object)
    is_good = corrections.is_good
    teaches = teaching_tiles(before, of_corrections, corrections, stored, config)
    of_corrections = replace(of_corrections, kinds=kinds, teaches=teaches)
    if copies.groups is not None:
        groups = joined_groups(of_corrections.groups, copies.groups)
        of_corrections = replace(of_corrections, groups=groups)
    scores_before = scores_of(before, of_corrections.seen, config).numpy()
    was_flagged = scores_before > point.threshold
    # Corrected once more: what was learnt of such an image lowers it, and judges it no more.
    was_good, was_defect = (
        np.isin(of_corrections.pixels, stored.of(part).pixels) for part in ("good", "defect")
    )
    is_alarm, is_new = is_good & (was_flagged | was_good), ~(was_good | was_defect)
    calibration = _Calibration.of(bundle, stored).corrected_by(corrections, copies)
    shown = shown_by_masks(bundle, corrections, of_corrections, stored.of("shown"))
    told = {*of_corrections.pixels.tolist(), *copies.of}
    stored = stored.rows(np.array([one not in told for one in stored.pixels.tolist()], np.bool_))
    taught = joined(
        [
            stored.of("good", "defect"),
            of_corrections.rows(is_alarm).as_part("good"),
            of_corrections.rows(~is_good),
        ]
    )
    made = stored.of("made")
    shown = shown.rows(np.isin(shown.pixels, taught.of("defect").pixels))
    normals, calibration, lent = _normals(
        stored, calibration, {*taught.pixels.tolist(), *copies.of}
    )
    if sample is not None and len(sample):
        check_fits(config, sample)
        calibration = calibration.joined_by(StoredFeatures.of_images(bundle, sample, "calibration"))
    if not (~calibration.is_anomalous).any():
        raise InputError(
            "learn: there must be good calibration images to choose the threshold on. None is left."
            " Add a complete sample of good images with --sample."
        )
    lesson = _Lesson(bundle, normals, calibration, taught, copies, made, shown)
    version, is_headless, harm = lesson.best()
    for note in version.notes:
        watcher.note(note)
    scorer, learning, scores = version.scorer, version.learning, version.scores
    scores_of_parent = scores_of(before, calibration.features.seen, config).numpy()
    fresh = version.config.model_copy(update={"learnt": True, "kinds": lesson.kinds or None})
    learnt = replace(
        bundle,
        config=fresh,
        graph=InferenceGraph(bundle.graph.prepare, scorer).eval(),
        calibration_scores=scores,
        calibration_is_anomalous=calibration.is_anomalous,
        calibration_groups=calibration.groups,
    ).with_operating_point(version.point)
    assert learnt.config.operating_point is not None
    now = scores_of(scorer, of_corrections.seen, fresh).numpy()
    flagged = np.stack([was_flagged, now > learnt.config.operating_point.threshold], axis=1)
    features = joined([normals, calibration.features, taught, made, shown])
    n_alarms = int(is_alarm.sum())
    held_out = normals.of("held out").seen
    n_bad, least = int((~is_good).sum()), version.point.threshold
    has_taught = np.isin(calibration.features.pixels, [*told, *taught.pixels.tolist()])
    asked: dict[str, tuple[Any, Any, Any]] = {
        "anomalies": (scores_of_parent, scores, calibration.is_anomalous & ~has_taught),
        # Earlier corrections taught the parent, so that it knows them.
        "defects": (
            scores_before[~is_good],
            _last(learning.defects, n_bad),
            is_new[~is_good],
        ),
        "unlike": (
            scores_before[~is_good],
            _last(learning.unraised, n_bad),
            is_new[~is_good] & bool(scorer.weight > 0),
        ),
        "alarms": (
            scores_before[is_alarm],
            _last(learning.good, n_alarms),
            is_new[is_alarm],
        ),
        "made": (
            scores_of(before, made.seen, config).numpy(),
            scores_of(scorer, made.seen, fresh).numpy(),
            None,
        ),
        "normals": (
            scores_of(before, held_out, config).numpy(),
            scores_of(scorer, held_out, fresh).numpy(),
            None,
        ),
    }
    counts = {
        name: _flagged(old, new, rows, point.threshold, least)
        for name, (old, new, rows) in asked.items()
    }
    return LearntModel(
        learnt,
        features,
        learning,
        n_alarms,
        flagged,
        lent,
        counts,
        is_headless,
        version.reach,
        harm,
    )


@dataclass(frozen=True)
class _Version:
    """One way to score that has learnt, with the calibration scores and the threshold chosen.

    ``config`` has the means and spreads of its tiles; ``learning`` holds scores of whole images.
    """

    config: BundleConfig
    scorer: LearnedScorer
    learning: Learning
    scores: NDArray[np.float32]
    point: OperatingPoint
    notes: tuple[str, ...]
    reach: Reach


@dataclass(frozen=True)
class _Lesson:
    """What there is to learn from, and what to choose the threshold on."""

    bundle: Bundle
    normals: StoredFeatures
    calibration: _Calibration
    taught: StoredFeatures
    copies: Copies
    made: StoredFeatures
    shown: StoredFeatures

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds with defects of two groups, so that each can be left out."""
        defects = self.taught.of("defect")
        groups: dict[str, set[int]] = {}
        for name, group in zip(defects.kinds.tolist(), defects.groups.tolist(), strict=True):
            groups.setdefault(name, set()).add(group)
        return tuple(sorted(name for name, some in groups.items() if name and len(some) > 1))

    def best(self) -> tuple[_Version, bool, dict[str, Flagged]]:
        """The version whose head finds most at the threshold; whether a head was dropped; and what
        a wider reach than its own would miss.

        What counts are defects left out: those found more, less those that would be lost if they
        were of kinds that the head does not know. A head for which that is a loss is not used.
        """
        reach, harm = self.reach()
        wide = self.version("wide", reach)
        if wide.learning.head is None or not wide.learning.head.weight:
            return wide, False, harm
        best = without = self.version(None, reach)
        groups = torch.from_numpy(self.taught.of("defect").groups)
        before, most = without.learning.defects > without.point.threshold, 0.0
        for one in (self.version("narrow", reach), wide):
            after, unraised = (
                scores > one.point.threshold
                for scores in (one.learning.defects, one.learning.unraised)
            )
            net = net_found(before, after, unraised, groups)
            if one.learning.head and one.learning.head.weight and net >= most:
                best, most = one, net
        return best, best is without, harm

    def reach(self) -> tuple[Reach, dict[str, Flagged]]:
        """How far corrected false alarms may be learnt: the widest reach that misses at most 2% of
        what was flagged; and what the reach before that one would miss.

        Asked are labelled anomalies of calibration that taught nothing, labelled defects, each left
        out in turn, and made defects; each is compared with a version that learns no false alarms.
        """
        harm: dict[str, Flagged] = {}
        if not len(self.taught.of("good")):
            return "wide", harm
        without = self._found(self.version(None, "none"))
        for reach in _REACHES:
            found = self._found(self.version(None, reach))
            lost = {
                name: Flagged(n=len(was), before=int(was.sum()), after=int(found[name].sum()))
                for name, was in without.items()
            }
            lost = {
                name: one
                for name, one in lost.items()
                if one.before - one.after > _MOST_MISSED * one.before
            }
            if not lost:
                return reach, harm
            harm = lost
        return "none", harm

    def _found(self, version: _Version) -> dict[str, NDArray[np.bool_]]:
        """Which anomalies are flagged that taught nothing, by what they are."""
        taught = [*self.taught.pixels.tolist(), *self.copies.of]
        is_free = ~np.isin(self.calibration.features.pixels, taught)
        asked = {
            "anomalies": version.scores[self.calibration.is_anomalous & is_free],
            "defects": version.learning.defects.numpy(),
            "made": scores_of(version.scorer, self.made.seen, version.config).numpy(),
        }
        return {name: scores > version.point.threshold for name, scores in asked.items()}

    def version(self, head: Literal["wide", "narrow"] | None, reach: Reach) -> _Version:
        """A scorer that has learnt, with its threshold."""
        before, config = self.bundle.graph.scorer, self.bundle.config
        scorer = LearnedScorer(before.inner if isinstance(before, LearnedScorer) else before)
        good, defects, kinds = self.taught.of("good"), self.taught.of("defect"), None
        if self.kinds:
            numbers = {name: number for number, name in enumerate(self.kinds)}
            kinds = torch.tensor([numbers.get(name, -1) for name in defects.kinds.tolist()])
        rows = {pixels: row for row, pixels in enumerate(defects.pixels.tolist())}
        of_defects = torch.tensor([rows[one] for one in self.shown.pixels.tolist()]).long()
        with torch.inference_mode():
            learning = scorer.learn(
                self.normals.seen,
                torch.from_numpy(self.normals.parts == "held out"),
                good=good.seen,
                defects=defects.seen,
                groups=torch.from_numpy(defects.groups),
                good_groups=torch.from_numpy(good.groups),
                head=head,
                kinds=kinds,
                made=self.made.seen if len(self.made) else None,
                reach=reach,
                teaches=(torch.from_numpy(good.teaches), torch.from_numpy(defects.teaches)),
                shown=(self.shown.seen, of_defects),
            )
        lay_out(scorer)
        if config.tiling is not None:
            held_out = self.normals.of("held out").seen
            of_tiles = tile_scores(scorer, held_out, config.batch_size).numpy()
            tiling = config.tiling.standardised(of_tiles)
            config = config.model_copy(update={"tiling": tiling})
        learning = learning._replace(
            good=of_images(learning.good, config),
            defects=of_images(learning.defects, config),
            unraised=of_images(learning.unraised, config),
        )
        scores = scores_of(scorer, self.calibration.features.seen, config).numpy()
        left_out = {
            **dict(zip(good.pixels.tolist(), learning.good.tolist(), strict=True)),
            **dict(zip(defects.pixels.tolist(), learning.defects.tolist(), strict=True)),
        }
        for row, pixels in enumerate(self.calibration.features.pixels.tolist()):
            scores[row] = left_out.get(self.copies.of.get(pixels, pixels), scores[row])
        notes: list[str] = []
        point = config.operating_point
        assert point is not None
        chosen = _choose(point, scores, self.calibration, Watcher(on_note=notes.append))
        return _Version(config, scorer, learning, scores, chosen, tuple(notes), reach)


def _flagged(
    old: NDArray[np.float32],
    new: NDArray[np.float32],
    rows: NDArray[np.bool_] | None,
    old_threshold: float,
    new_threshold: float,
) -> Flagged:
    if rows is not None:
        old, new = old[rows], new[rows]
    return Flagged(
        n=len(old), before=int((old > old_threshold).sum()), after=int((new > new_threshold).sum())
    )


def _last(scores: Tensor, n: int) -> NDArray[np.float32]:
    """The scores of this step's images, which come after those of earlier steps."""
    return scores[len(scores) - n :].numpy()


def check_learns(config: BundleConfig) -> OperatingPoint:
    """The operating point of a model that can learn.

    Raises
    ------
    InputError
        If it is no detector, or has several thresholds.
    """
    point = config.operating_point
    if config.job != "detect" or point is None:
        raise InputError(
            f"learn: the model must be a detector with a threshold. Got the job {config.job}. Fit"
            " with --job detect."
        )
    if config.products is not None:
        raise InputError(
            "learn: the model must have one threshold. This one has a threshold for each product,"
            " which learning does not choose anew. Put the corrected labels into the source of the"
            " run, and fit again."
        )
    return point


@dataclass(frozen=True)
class _Calibration:
    """The calibration images as learning needs them."""

    features: StoredFeatures
    is_anomalous: NDArray[np.bool_]
    groups: NDArray[np.int64] | None

    @classmethod
    def of(cls, bundle: Bundle, stored: StoredFeatures) -> _Calibration:
        features = stored.of("calibration")
        if len(features) != len(bundle.calibration_scores):
            raise InputError(
                f"learn: the features of {len(bundle.calibration_scores):,} calibration images must"
                f" be known. Got those of {len(features):,}. Name the run's images with --source."
            )
        return cls(features, bundle.calibration_is_anomalous, bundle.calibration_groups)

    def rows(self, chosen: NDArray[np.bool_]) -> _Calibration:
        groups = None if self.groups is None else self.groups[chosen]
        return _Calibration(self.features.rows(chosen), self.is_anomalous[chosen], groups)

    def corrected_by(self, corrections: Corrections, copies: Copies) -> _Calibration:
        """The same images; what was said of some of them, or of a copy, is what they are."""
        said = {one.pixels: one.label == "defect" for one in corrections.said}
        said |= {own: said[one] for own, one in copies.of.items() if one in said}
        pairs = zip(self.features.pixels.tolist(), self.is_anomalous.tolist(), strict=True)
        flags = np.array([said.get(pixels, flag) for pixels, flag in pairs], np.bool_)
        return replace(self, is_anomalous=flags)

    def joined_by(self, sample: StoredFeatures) -> _Calibration:
        """These and a sample of good images, whose groups are new ones."""
        groups = self.groups
        if groups is not None:
            groups = np.concatenate([groups, sample.groups + groups.max(initial=-1) + 1])
        is_anomalous = np.concatenate([self.is_anomalous, np.zeros(len(sample), np.bool_)])
        return _Calibration(joined([self.features, sample]), is_anomalous, groups)


def _normals(
    stored: StoredFeatures, calibration: _Calibration, taught: set[str]
) -> tuple[StoredFeatures, _Calibration, NDArray[Any]]:
    """Normal images to learn beside, and the calibration images that are left.

    A recipe that holds nothing out leaves too few: every second group of the good calibration
    images is then lent, so that the threshold keeps images of its own.
    """
    normals = stored.of("train", "held out")
    n_held_out, good = int((normals.parts == "held out").sum()), ~calibration.is_anomalous
    enough_to_lend = good.sum() >= 2 * _FEWEST_HELD_OUT
    if n_held_out >= (_FEWEST_HELD_OUT if enough_to_lend else _FEWEST_TO_SCALE):
        return normals, calibration, np.zeros(0, object)
    if good.sum() < 2 * _FEWEST_TO_SCALE:
        raise InputError(
            f"learn: there must be at least {2 * _FEWEST_TO_SCALE} good calibration images where"
            f" training held out fewer than {_FEWEST_TO_SCALE} good images. Got {good.sum():,}"
            f" and {n_held_out:,}. Fit on more images."
        )
    groups = np.arange(len(good)) if calibration.groups is None else calibration.groups
    is_lent = good & (np.unique(groups, return_inverse=True)[1] % 2 == 1)
    is_lent &= [one not in taught for one in calibration.features.pixels.tolist()]
    lent = calibration.features.rows(is_lent).as_part("held out")
    return joined([normals, lent]), calibration.rows(~is_lent), lent.pixels


def _choose(
    point: OperatingPoint, scores: NDArray[np.float32], calibration: _Calibration, watcher: Watcher
) -> OperatingPoint:
    """The policy and the promise that there were; a number holds on the old scale alone."""
    flags, groups = calibration.is_anomalous, calibration.groups
    if isinstance(parse_policy(point.policy), Fixed):
        watcher.note(
            f"the threshold {point.policy} was set as a number, which means nothing on the new"
            " scale of scores: the default policy chooses one"
        )
        return choose_operating_point(scores, flags, None, groups=groups)
    try:
        return choose_again(point, scores, flags, groups=groups)
    except PolicyError:
        if not isinstance(parse_policy(point.policy), FalseAlarms):
            raise
        chosen = choose_operating_point(
            scores, flags, None, groups=groups, contamination=point.contamination
        )
        watcher.note(
            f"the {int((~flags).sum()):,} good calibration images that are left cannot show"
            f" {point.policy}: the promise is {chosen.policy} now. Add a complete sample of good"
            " images with --sample"
        )
        return chosen
