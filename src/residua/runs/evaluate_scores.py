"""A detector's record: scores, masks and baselines, and what its scores say of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Scores, score_with
from residua.evaluation.check import SCALES, image_statistics, measure_masks
from residua.evaluation.conclusion import conclude
from residua.evaluation.detection import areas_of, detection_facts
from residua.evaluation.evidence import MASK_PIXELS
from residua.evaluation.labels import DetectionLabels, kinds_of
from residua.evaluation.other_threshold import threshold_from
from residua.evaluation.products import PRODUCTS, product_records
from residua.findings import OF_MODEL, Checks, JudgedFacts, not_applicable, random_model
from residua.findings.blind_spots import changed_scores
from residua.images import ImageSet
from residua.images.region import Region
from residua.metrics import PixelTally
from residua.runs.baselines import baselines_of_products, detecting_baselines, sampled
from residua.runs.job_result import EvaluationRequest, JobResult, of_training, with_model
from residua.runs.model import Calibration, Floats, JudgedModel
from residua.runs.parts import JudgedImages
from residua.runs.pictures import choose_images, make_thumbnails


def judge_detector(
    model: JudgedModel, judged: JudgedImages, request: EvaluationRequest
) -> JobResult:
    """A detector on `judged`."""
    products = model.facts.products
    images, calibration = judged.images, model.calibration.aligned(products)
    is_anomalous = images.presumed_anomalous
    knows = images.labels is not None and images.normal is not None
    labelled = images.labelled if knows else np.zeros(len(images), np.bool_)
    pixels = None
    if images.has_masks:
        pixels = PixelTally(pixel_threshold=calibration.pixel_threshold)
    on_map = None
    if pixels is not None:
        on_map = adding_maps(pixels, images, labelled & ~is_anomalous, model.facts.region)
    scores = score_with(model.engine, images, on_map=on_map, progress=request.progress)
    scores = replace(scores, score=model.aligned(scores.score, images))
    train_scores = None
    if products is None:  # what is kept of training lies on the model's own scale
        train_scores = of_training(model, judged, "train_scores", model.scores)
    beside = {}
    if judged.fitted_on is not None:
        beside = (
            detecting_baselines(model, judged.fitted_on, images)
            if products is None
            else baselines_of_products(model, judged.fitted_on, judged.calibration, images)
        )
    facts = detection_facts(
        DetectionLabels(
            is_anomalous, labelled, kinds=kinds_of(images.labels, is_anomalous & labelled)
        ),
        scores.score,
        operating_point=model.facts.operating_point,
        pixels=pixels,
        train_scores=train_scores,
        baselines=beside,
        leaks=judged.leaks,
        groups=judged.images.groups,
        seed=model.seed,
    )
    facts = _with_images(facts, model, calibration, judged, scores)
    facts = _asked(with_model(facts, model, judged, scores.score, model.scores))
    provenance = dict(request.provenance)
    if products is not None and images.products is not None:
        provenance[PRODUCTS] = product_records(products, images.products, facts, beside)
    made = conclude(facts, split=judged.part, provenance=provenance)
    known = is_anomalous if labelled.all() else None
    columns: dict[str, NDArray[Any]] = dict(scores.columns)
    if pixels is not None:
        columns[MASK_PIXELS] = areas_of(pixels, len(images))
    return JobResult(
        made.evaluation,
        columns,
        choose_images(scores.score, known, model.threshold),
        {
            "scores": scores.score,
            "figures": made.figures,
            "is_anomalous": is_anomalous if labelled.any() else None,
            "labelled": labelled if labelled.any() else None,
            "train_scores": train_scores,
            "calibration_scores": calibration.scores,
            "calibration_is_anomalous": calibration.is_anomalous,
            "baselines": beside,
            "threshold_from": "elsewhere"
            if products is not None
            else threshold_from(
                model.facts.operating_point,
                calibration.scores,
                calibration.is_anomalous,
                calibration.groups,
            ),
            "calibration_paths": facts.calibration_paths,
            "changed": facts.changed,
            "again": None if facts.asked_twice is None else facts.asked_twice()[1],
            "leaks": judged.leaks,
            "thumbnails": make_thumbnails(model, images, scores.score, known),
        },
        not_applicable(facts, OF_MODEL),
    )


def _asked(facts: JudgedFacts) -> JudgedFacts:
    """`facts` with what the model answers for images that were changed, and for the same images
    once more: asked once, and kept with the evidence, so that another threshold takes no images.
    """
    checks = Checks()
    changed = checks.make("blind spots", lambda: changed_scores(facts))
    twice = None
    if facts.asked_twice is not None:
        twice = checks.make(random_model.KIND.check, facts.asked_twice)
    return replace(
        facts,
        changed=changed,
        asked_twice=None if twice is None else lambda: twice,
        not_made=(*facts.not_made, *checks.not_made),
    )


def _with_images(
    facts: JudgedFacts,
    model: JudgedModel,
    calibration: Calibration,
    judged: JudgedImages,
    scores: Scores,
) -> JudgedFacts:
    """`facts` of a detector with what its images and its model can be asked.

    - `facts`: From `residua.evaluation.detection.detection_facts`.
    - `model`: It scores other images: normal ones that are perturbed, and those it was fitted on.
    - `calibration`: Its scores are on the scale of `scores`.
    - `scores`: Those of the judged images, with error columns.
    """
    checks, images = Checks(), judged.images
    statistics = checks.make("the looks of images", lambda: image_statistics(images))
    features = {name: column for name, column in (statistics or {}).items() if name not in SCALES}
    fitted_on = judged.fitted_on
    of_threshold = _calibration_images(calibration, judged.calibration)
    return replace(
        facts,
        score_of=model.scores,
        images=images,
        paths=images.paths,
        pixel_hashes=images.pixel_hashes,
        calibration=calibration.normals,
        calibration_groups=calibration.normal_groups,
        calibration_images=of_threshold,
        calibration_paths=None if of_threshold is None else of_threshold.paths,
        train_images=None if fitted_on is None else sampled(fitted_on, model.seed),
        chosen_on=calibration.chosen_on,
        errors={"mse": np.asarray(scores.columns["mse"], np.float64)},
        statistics=statistics,
        features=None if statistics is None else features,
        masks=checks.make("masks", lambda: measure_masks([images])),
        network_size=model.facts.seen_size,
        is_tiled=model.facts.framing.tiling.n_places > 1,
        not_made=(*facts.not_made, *checks.not_made),
    )


def _calibration_images(calibration: Calibration, images: ImageSet | None) -> ImageSet | None:
    """The normal calibration images in the order of their scores; None unless all are at hand."""
    hashes = calibration.pixel_hashes
    if images is None or len(hashes) != len(calibration.scores):
        return None
    places = {one: row for row, one in enumerate(images.pixel_hashes.tolist())}
    rows = [places.get(one, -1) for one in hashes[~calibration.is_anomalous].tolist()]
    return None if -1 in rows else images[np.asarray(rows, np.int64)]


def adding_maps(
    pixels: PixelTally,
    images: ImageSet,
    is_normal: NDArray[np.bool_],
    region: Region | None = None,
) -> Callable[[int, Floats], None]:
    """What adds a map with its mask in the region; no mask is empty on a normal image alone."""

    def add(row: int, error_map: Floats) -> None:
        mask = images.masks[row]
        if mask is not None or is_normal[row]:
            inside = None if region is None else region.mask(*error_map.shape)
            pixels.add(mask, error_map, row=row, inside=inside)

    return add
