"""What every job's evaluation is made of, and what can be said of the model itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.verdict import with_verdict
from residua.findings import Checks, JudgedFacts
from residua.findings.kind import Task
from residua.images import ImageSet
from residua.images.listing import Progress
from residua.records import Evaluation, Finding, Job, NotApplicable
from residua.runs.baselines import Columns, sampled
from residua.runs.model import JudgedModel
from residua.runs.parts import JudgedImages

_MOST_LATENTS = 2000
_MOST_TRAINING = 5000  # training images that are scored to see whether a model overfits
_MOST_TWICE = 256  # images that a random model is asked for again
_MOST_MISREAD = 256  # images that show whether a scale was misread


@dataclass(frozen=True)
class JobResult:
    """What the evaluation of one job gives: the record, the columns of the per-image table, the
    images to show, and what else the evidence holds.
    """

    evaluation: Evaluation
    columns: Columns
    shown: NDArray[np.int64]
    evidence: dict[str, Any]
    not_applicable: tuple[NotApplicable, ...] = ()


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked beyond the model and its images; see `evaluate_model`."""

    job: Job
    provenance: Mapping[str, Any]
    positive: str | None = None
    separator: str | None = None
    progress: Progress | None = None


def with_findings(evaluation: Evaluation, more: Iterable[Finding | None]) -> Evaluation:
    """The same record with further findings at its end, and what it comes to with them."""
    found = tuple(finding for finding in more if finding is not None)
    return with_verdict(evaluation.model_copy(update={"findings": (*evaluation.findings, *found)}))


def of_training(
    model: JudgedModel,
    judged: JudgedImages,
    name: str,
    measure: Callable[[ImageSet], NDArray[Any]],
) -> NDArray[Any] | None:
    """The scores or errors of training images, kept or of a sample; None where none is left."""
    if name in model.training:
        return model.training[name]
    if judged.fitted_on is None or model.network is not None:
        return None
    return measure(sampled(judged.fitted_on, model.seed, most=_MOST_TRAINING))


def with_model(
    facts: JudgedFacts,
    model: JudgedModel,
    judged: JudgedImages,
    first: NDArray[Any],
    measure: Callable[[ImageSet], NDArray[Any]],
) -> JudgedFacts:
    """`facts` with what can be asked of the model itself: its latent vectors, its scales, and the
    same images again. `first` is what `measure` gave for them.
    """
    images, network, checks = judged.images, model.network, Checks()
    some = images[:_MOST_TWICE]
    scales = checks.make("scales of the model", lambda: _scales(model, judged, facts.job))
    return replace(
        facts,
        latent_of=None if network is None else lambda: network.latents(images[:_MOST_LATENTS]),
        suspected=judged.suspected,
        asked_twice=(lambda: (first[: len(some)], measure(some))) if model.is_random else None,
        not_made=(*facts.not_made, *checks.not_made),
        **(scales or {}),
    )


def _scales(model: JudgedModel, judged: JudgedImages, job: Task) -> dict[str, Any]:
    """Facts on how the model's scales fit, from some of the images."""
    if model.read_scales is None or job == "classify":
        return {}
    images = judged.images
    anomalous = images.presumed_anomalous
    rows = np.flatnonzero(~anomalous) if not anomalous.all() else np.arange(len(images))
    some = rows[:_MOST_MISREAD]
    aims = images if judged.targets is None else judged.targets
    expected = model.prepare(aims[some], model.rebuilt_size)
    return model.read_scales(model.prepare(images[some]), expected)
