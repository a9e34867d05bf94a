"""A reconstructor's record: errors of each image, beside those of the baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from residua.engines import score_with
from residua.evaluation.conclusion import conclude
from residua.evaluation.reconstruction import error_facts, errors_of
from residua.evaluation.standings import by_baseline
from residua.findings import OF_MODEL, not_applicable
from residua.images import ImageSet
from residua.images.listing import Progress
from residua.metrics import mse
from residua.records import Finding
from residua.runs.baselines import (
    Columns,
    chunk_size,
    errors_beside,
    in_chunks,
    reconstructing_baselines,
)
from residua.runs.job_result import EvaluationRequest, JobResult, of_training, with_model
from residua.runs.model import JudgedModel
from residua.runs.parts import JudgedImages
from residua.runs.pictures import choose_images, make_thumbnails


def judge_reconstructor(
    model: JudgedModel, judged: JudgedImages, request: EvaluationRequest
) -> JobResult:
    """A reconstructor on `judged`."""
    columns, others, found = error_columns(model, judged, request.progress)

    def errors(images: ImageSet) -> NDArray[Any]:
        made = score_with(model.engine, images, reconstructions=True).reconstructions
        return mse(model.prepare(images, model.rebuilt_size), made)

    train = None
    if judged.targets is None:
        train = of_training(model, judged, "train_mse", errors)
    facts = error_facts(
        columns,
        train_errors=train,
        baselines=by_baseline(others),
        leaks=judged.leaks,
        groups=judged.images.groups,
        seed=model.seed,
    )
    facts = with_model(facts, model, judged, columns["mse"], errors)
    if judged.targets is not None:  # `errors` compares with the images themselves
        facts = replace(facts, asked_twice=None)
    made = conclude(facts, split=judged.part, provenance=request.provenance, before=found)
    more = {
        "baselines": others,
        "train_scores": train,
        "figures": made.figures,
        "thumbnails": make_thumbnails(model, judged.images, columns["mse"], None),
    }
    shown = choose_images(columns["mse"], None, None)
    return JobResult(made.evaluation, columns, shown, more, not_applicable(facts, OF_MODEL))


def error_columns(
    model: JudgedModel, judged: JudgedImages, progress: Progress | None = None
) -> tuple[Columns, Columns, list[Finding | None]]:
    """The errors of the model, those of the baselines, and the pictures' own findings."""
    found: list[Finding | None] = []
    beside = reconstructing_baselines(model, judged.fitted_on)
    network, fitted_on, targets = model.network, judged.fitted_on, judged.targets
    fresh = None if network is None or fitted_on is None else network.untrained(fitted_on)

    def columns_of(chunk: ImageSet, rows: slice) -> Columns:
        prepared = model.prepare(chunk)
        expected = model.prepare(chunk if targets is None else targets[rows], model.rebuilt_size)
        made = score_with(model.engine, chunk, reconstructions=True).reconstructions
        columns, of_pictures = errors_of(expected, made)
        found.extend(of_pictures if rows.start == 0 else [])
        if fresh is not None:
            blank = score_with(fresh, chunk, reconstructions=True).reconstructions
            columns |= {} if blank is None else errors_beside("untrained", expected, blank)
        if targets is not None:
            columns |= errors_beside("input_unchanged", expected, prepared)
        if progress is not None:
            progress(min(rows.stop, len(judged.images)), len(judged.images))
        return columns | beside(prepared, expected)

    own, others = in_chunks(judged.images, chunk_size(model), columns_of)
    return own, others, found
