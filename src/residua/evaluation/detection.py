"""What is known of a one-class detector from its scores on labelled images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, as_scores, same_length, unmasked
from residua.errors import InputError, ShapeError
from residua.evaluation.conclusion import conclude, with_metrics
from residua.evaluation.labels import DetectionLabels, as_detection_labels
from residua.evaluation.standings import Beside, standing_of_areas
from residua.evaluation.worst_images import scored_images
from residua.findings import JudgedFacts
from residua.metrics.groups import Groups, names_of
from residua.metrics.pixel import checked_pair
from residua.metrics.pixel_errors import PixelErrors
from residua.metrics.pixel_tally import PixelTally
from residua.metrics.reported import estimates_of, estimates_per_kind
from residua.metrics.samples import ScoredImages
from residua.records import Evaluation, OperatingPoint
from residua.thresholds import choose_threshold, is_flagged

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks


def evaluate_detection(
    labels: Any,
    scores: Any,
    *,
    operating_point: OperatingPoint | float | None = None,
    normal: str | Iterable[str] | None = None,
    masks: Sequence[Any] | None = None,
    maps: Sequence[Any] | None = None,
    pixels: PixelTally | None = None,
    pixel_threshold: float | None = None,
    train_scores: Any = None,
    baselines: Mapping[str, Any] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
    images: Sequence[Any] | None = None,
) -> Evaluation:
    """Judge a detector by its scores on images that it was neither fitted nor thresholded on.

    Parameters
    ----------
    labels : array, (n_images,), or None
        0/1 or booleans (1 = anomalous), or names: see `normal`. None, empty and NaN entries are "no
        label": left out, counted. `DetectionLabels` too.
    scores : float array, (n_images,)
        Higher = more anomalous. Any scale.
    operating_point : OperatingPoint or float, optional
        Without it there are no decisions, and no metric that needs one.
    normal : str or strings, optional
        Which labels are normal; without it 0, or names that say it: ``good``, ``OK``, ``pass``.
        What was taken is an assumption in the record's provenance.
    masks : sequence of bool (height, width) or None, optional
        Where each image is defective. None on a normal image means nowhere, on an anomalous one
        unknown.
    maps : sequence of float (height, width), optional
        Error of each pixel; with `masks`, pixel metrics.
    pixels : PixelTally, optional
        Masks and maps that were added one at a time, in place of both: for more than memory holds.
        It brings a pixel threshold of its own; with `groups` each needs its ``row``.
    pixel_threshold : float, optional
        A pixel whose error lies above it is marked. Take it from maps of normal images that are not
        judged here (`residua.thresholds.pixel_threshold_of`), never from the masks.
    train_scores : float array, (n,), optional
        Scores of training images, for overfitting.
    baselines : mapping, optional
        For each name, scores of the same images (judged here, and compared with the model in
        pairs: ``standings``), or metrics as a mapping of name to `Estimate`.
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
    images : array (n_images, height, width[, channels]), optional
        uint8, bool, or floats in [0, 1]: the highest and lowest scored are shown in reports and
        figures, with their maps and masks. No number depends on them.

    Returns
    -------
    Evaluation
        ``roc_auc``, ``average_precision``, ``false_alarm_rate_at_90_recall``; with an operating
        point ``precision``, ``recall``, ``f1``, ``accuracy``, ``balanced_accuracy``,
        ``false_alarm_rate``, and ``flagged_rate`` (of all images, labelled or not); where several
        names of labels are anomalous ``recall[KIND]`` and ``roc_auc[KIND]`` of each; with masks and
        an operating point ``smallest_found``, of each kind too; with maps
        ``pixel_roc_auc``, ``pixel_average_precision``, ``aupro``; with a pixel threshold ``iou``,
        ``defect_detection_rate`` and ``marked_normal_rate``. What the labels can't define has the
        value None and a finding.

    Raises
    ------
    ShapeError, RangeError, LabelError, InputError
        All problems of the call at once.

    Examples
    --------
    >>> record = evaluate_detection([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> record.metrics["roc_auc"].value
    0.75
    >>> evaluate_detection([0, 0], [0.1, 0.4]).metrics["roc_auc"].value is None
    True
    """
    # A front door: its options are spelled out here and in `detection_facts`, so that both document
    # and check them.
    facts = detection_facts(
        labels,
        scores,
        operating_point=operating_point,
        normal=normal,
        masks=masks,
        maps=maps,
        pixels=pixels,
        pixel_threshold=pixel_threshold,
        train_scores=train_scores,
        baselines=baselines,
        leaks=leaks,
        groups=groups,
        confidence=confidence,
        seed=seed,
    )
    record = conclude(facts, split=split, provenance=provenance).evaluation
    if images is None:
        return record
    problems = Problems("evaluate_detection")
    shown = scored_images(images, as_scores(scores, problems=problems), maps, masks, problems)
    problems.raise_any()
    evidence = record.evidence
    return record.with_evidence(None if evidence is None else replace(evidence, gallery=shown))


def detection_facts(
    labels: Any,
    scores: Any,
    *,
    operating_point: OperatingPoint | float | None = None,
    normal: str | Iterable[str] | None = None,
    masks: Sequence[Any] | None = None,
    maps: Sequence[Any] | None = None,
    pixels: PixelTally | None = None,
    pixel_threshold: float | None = None,
    train_scores: Any = None,
    baselines: Mapping[str, Any] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> JudgedFacts:
    """What `evaluate_detection` knows once its arguments are checked and metrics are computed."""
    problems = Problems("evaluate_detection")
    array = as_scores(scores, problems=problems)
    n_given = len(np.atleast_1d(array_of(unmasked(scores, "scores", Problems("")))))
    truth = as_detection_labels(labels, n_given, normal=normal, problems=problems)
    train = (
        None
        if train_scores is None
        else as_scores(train_scores, name="train_scores", problems=problems)
    )
    if not problems:
        same_length(problems, labels=truth.labelled, scores=array)
        same_length(problems, scores=array, masks=masks)
        same_length(problems, scores=array, maps=maps)
    grouped = None if groups is None else Groups.read(groups, len(array), problems)
    has_maps = masks is not None and maps is not None
    if maps is not None and masks is None:
        must, got = "maps must come with masks, as pixel metrics compare them", "maps alone"
        problems.add(must, got, "Pass masks= too: None where an image has none")
    _check_pixels(pixels, pixel_threshold, grouped, has_maps, problems)
    rivals = _checked_baselines(baselines, len(array), problems)
    problems.raise_any()
    known, anomalous = array[truth.labelled], truth.is_anomalous[truth.labelled]
    point = _as_point(operating_point)
    if masks is not None and maps is not None:
        pixels = _tallied(masks, maps, truth, pixel_threshold)
    areas = _areas(truth, pixels, len(array))

    sample = ScoredImages(
        confidence,
        seed,
        is_anomalous=anomalous,
        scores=known,
        flagged=None if point is None else is_flagged(known, point.threshold),
        all_flagged=None if point is None else is_flagged(array, point.threshold),
        groups=None if grouped is None else grouped.of(truth.labelled),
        all_groups=grouped,
        kinds=None if truth.kinds is None else truth.kinds[truth.labelled],
        areas=None if areas is None else areas[truth.labelled],
    )

    n_anomalous = int(anomalous.sum())
    beside = _beside(rivals, truth, sample)
    facts = JudgedFacts(
        job="detect",
        confidence=confidence,
        seed=seed,
        n_images=len(array),
        n_unlabelled=len(array) - len(known),
        counts={"normal": len(known) - n_anomalous, "anomalous": n_anomalous},
        scores=array,
        labelled=truth.labelled,
        is_anomalous=truth.is_anomalous if len(known) else None,
        doubt=truth.doubt,
        operating_point=point,
        train_errors=train,
        baselines=beside.metrics or None,
        standings=beside.standings,
        groups=names_of(groups, grouped),
        assumptions=() if truth.assumption is None else (truth.assumption,),
    )
    facts = with_metrics(facts, lambda kept: estimates_of(sample.of(kept[truth.labelled])), leaks)
    facts = replace(facts, metrics={**facts.metrics, **estimates_per_kind(sample)})
    if pixels is None:
        return facts
    own = None if grouped is None else grouped.of(np.array(pixels.rows, np.int64))
    of_pixels = estimates_of(PixelErrors(confidence, seed, groups=own, pixels=pixels))
    return replace(facts, metrics={**facts.metrics, **of_pixels})


def _areas(truth: DetectionLabels, pixels: PixelTally | None, n: int) -> NDArray[np.float64] | None:
    """The defective pixels of each image's mask, NaN where there is none; None without masks."""
    if truth.areas is not None or pixels is None:
        return truth.areas
    return areas_of(pixels, n)


def areas_of(pixels: PixelTally, n: int) -> NDArray[np.float64]:
    """The defective pixels of each of `n` images, NaN where no mask was added.

    >>> tally = PixelTally()
    >>> tally.add(np.array([[True, False]]), np.array([[0.9, 0.1]]), row=1)
    >>> areas_of(tally, 2).tolist()
    [nan, 1.0]
    """
    areas = np.full(n, np.nan)
    areas[pixels.rows] = pixels.areas
    return areas


def _as_point(operating_point: OperatingPoint | float | None) -> OperatingPoint | None:
    if operating_point is None or isinstance(operating_point, OperatingPoint):
        return operating_point
    try:
        threshold = float(operating_point)
    except (TypeError, ValueError):
        text = isinstance(operating_point, str)
        got = repr(operating_point) if text else type(operating_point).__name__
        raise InputError(
            "evaluate_detection: operating_point must be a threshold, or what choose_threshold"
            f" gave. Got {got}. Choose one on calibration scores: choose_threshold(POLICY, scores)."
        ) from None
    return choose_threshold(threshold, [])


def _checked_baselines(
    baselines: Mapping[str, Any] | None, n_images: int, problems: Problems
) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    for name, value in (baselines or {}).items():
        if isinstance(value, Mapping):
            checked[name] = dict(value)
            continue
        array = as_scores(value, name=f"baseline {name}", problems=problems)
        if len(array) and n_images:
            same_length(problems, **{"scores": np.empty(n_images), f"baseline {name}": array})
        checked[name] = array
    return checked


def _beside(rivals: Mapping[str, Any], truth: DetectionLabels, sample: ScoredImages) -> Beside:
    """What baselines reach on the labelled images, and how they stand to the model."""
    beside = Beside()
    for name, value in rivals.items():
        if isinstance(value, dict):
            beside.metrics[name] = value
            continue
        own = replace(sample, scores=value[truth.labelled], flagged=None, all_flagged=None)
        beside.metrics[name] = estimates_of(own)
        standing = standing_of_areas(
            sample.is_anomalous,
            sample.scores,
            own.scores,
            beside.metrics[name]["roc_auc"],
            groups=sample.groups,
            confidence=sample.confidence,
        )
        beside.standings.update({} if standing is None else {name: standing})
    return beside


def _check_pixels(
    pixels: PixelTally | None,
    pixel_threshold: float | None,
    groups: Groups | None,
    has_maps: bool,
    problems: Problems,
) -> None:
    if pixel_threshold is not None and not has_maps:
        problems.add(
            "pixel_threshold must come with masks and maps",
            "none" if pixels is None else "a PixelTally",
            "Pass both, or PixelTally(pixel_threshold=...)",
            InputError,
        )
    if pixels is None or groups is None:
        return
    rows, n = pixels.rows, len(groups)
    if rows and (max(rows) >= n or (rows == list(range(len(rows))) and len(rows) < n)):
        problems.add(
            "pixels must name the row of each of its images where groups are given",
            f"{len(rows)} maps for {n} images, numbered as they came",
            "Pass row= to PixelTally.add",
            ShapeError,
        )


def _tallied(
    masks: Sequence[Any],
    maps: Sequence[Any],
    truth: DetectionLabels,
    pixel_threshold: float | None,
) -> PixelTally:
    """The pixels of all maps whose mask is known.

    A mask None on a normal image is empty; on an anomalous or unlabelled one it is unknown, and the
    image is left out.
    """
    tally = PixelTally(pixel_threshold=pixel_threshold)
    problems = Problems("evaluate_detection")
    is_normal = truth.labelled & ~truth.is_anomalous
    for index, (mask, error_map) in enumerate(zip(masks, maps, strict=True)):
        if mask is None and not is_normal[index]:
            continue
        pair = checked_pair(index, mask, error_map, problems)
        if pair is not None:
            tally.add(*pair, row=index)
    problems.raise_any()
    return tally
