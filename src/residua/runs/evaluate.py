"""`residua evaluate`: what a model is worth on images it has not seen, beside what it has to beat.

Every command and every Python face that judges a model comes here, whoever trained the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import ensure_folder
from residua._version import __version__
from residua.engines.kinds import REFERENCE
from residua.errors import InputError, OutputError
from residua.evaluation import Evidence
from residua.evaluation.compression import UNKNOWN, compression_facts
from residua.evaluation.per_day import Day, check_job, with_day
from residua.evaluation.positive import check_positive
from residua.findings import leakage
from residua.images import ImageSet
from residua.images.listing import Progress
from residua.images.stores import is_url
from residua.images.summary import groups_of
from residua.metrics.names import baseline_title
from residua.records import Job, NotApplicable, now, with_assumptions
from residua.runs.baselines import MOST_BASELINE_IMAGES
from residua.runs.chosen_on import with_chosen_on
from residua.runs.evaluate_classes import judge_classifier
from residua.runs.evaluate_errors import judge_reconstructor
from residua.runs.evaluate_scores import judge_detector
from residua.runs.job_result import EvaluationRequest, JobResult, with_findings
from residua.runs.judgement import Judgement, keep, with_check, write_judgement
from residua.runs.model import JudgedModel
from residua.runs.open_run import open_run
from residua.runs.origin import MEMORY_MEGABYTES
from residua.runs.parts import JudgedImages, RunImages
from residua.runs.pictures import make_gallery
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder
from residua.runs.tested import accepted_place, read_acceptances, record_tested
from residua.runs.wrapped.targets import targets_of


def evaluate_run(
    run: str | Path,
    source: str | None = None,
    *,
    memory_megabytes: float = MEMORY_MEGABYTES,
    engine: str = REFERENCE,
    positive: str | None = None,
    bits: int | None = None,
    groups: str | None = None,
    product: str | None = None,
    day: Day | None = None,
    watcher: Watcher | None = None,
) -> Judgement:
    """Judge the model of `run` on its own test part, or on another source; the run keeps the latest
    judgement of its own.

    Another `engine` than the reference scores the judged images and brings its own threshold; see
    `residua.engines`. `bits` are those of another source whose scale is not that of the training
    images. `groups` say which images belong together, as in `load_images`; left out, they are
    grouped as the run's were. `product` says the same of products. A `day` has the costs told in
    parts. `positive` names the positive one of a classifier's two classes; see
    `evaluate_classification`.

    Returns
    -------
    Judgement
        ``evaluation`` is what ``--json`` writes; ``evidence`` is what the report draws.
    """
    watcher = watcher or Watcher()
    folder = open_run(run)
    origin = folder.origin().grouped_by(groups).of_products(product)
    is_own_url = source is not None and source == origin.source and is_url(source)
    source = None if is_own_url else source
    if source is None:
        ensure_folder(folder.path, where="evaluate")  # said before the work, not after it
    model = with_chosen_on(folder.model(engine, watcher), folder)
    _check_positive(model, positive)
    if day is not None:
        check_job(model.facts.job, "evaluate")
    images = RunImages(folder, origin.for_model(model.facts), model, watcher, memory_megabytes)
    judged = images.own_test(named=is_own_url) if source is None else images.other(source, bits)
    accepted = read_acceptances(folder)
    targets = origin.located_targets()
    if targets is not None:
        judged = replace(judged, targets=targets_of(targets, judged.images))
    judgement = evaluate_model(
        model,
        judged,
        job="reconstruct" if targets is not None else model.facts.job,
        positive=positive,
        separator=origin.separator,
        progress=watcher.on_read,
        provenance=with_assumptions(
            {
                "source": origin.source,
                "weights_sha256": folder.mark().weights,
                **({"accepted": accepted[-1].mark} if accepted else {}),
            },
            origin.assumptions,
        ),
    )
    judgement = judgement._replace(evaluation=with_day(judgement.evaluation, day))
    if source is None:
        judgement = judgement._replace(evaluation=with_check(folder, judgement.evaluation))
        with folder.locked():
            keep(folder, judgement)
    else:
        keep_of_other(folder, judgement, watcher)
    return judgement


def keep_of_other(folder: RunFolder, judgement: Judgement, watcher: Watcher) -> None:
    """Record that images of another source were judged; the judgement itself is kept where the
    run's acceptance criteria are for these images.
    """
    place, accepted = accepted_place(folder), read_acceptances(folder)
    told = judgement.evaluation.provenance.get("fingerprints", {}).get("judged")
    is_wanted = bool(accepted) and place != folder and accepted[-1].fingerprint == told
    if judgement.evidence.pixel_hashes is None:
        watcher.note("the run does not record which images were judged: no hashes were kept")
        return
    try:
        record_tested(folder, judgement.evaluation, judgement.evidence)
        if is_wanted:
            ensure_folder(place.path, where="evaluate")
            write_judgement(place, judgement)
    except OutputError as error:
        if accepted:
            raise
        watcher.note(f"the run does not record that these images were judged: {error}")


def evaluate_model(
    model: JudgedModel,
    judged: JudgedImages,
    *,
    job: Job | None = None,
    positive: str | None = None,
    separator: str | None = None,
    progress: Progress | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Judgement:
    """The evaluation of `model` on `judged`, and the arrays behind it.

    Raises InputError if there are no images, or targets beside a job that is not to reconstruct.
    """
    images, job = judged.images, job or model.facts.job
    if len(images) == 0:
        raise InputError("evaluate: there must be images to judge. Got none. Name other images.")
    if judged.targets is not None and job != "reconstruct":
        raise InputError(
            f"evaluate: targets must be judged as reconstructions. Got job={job!r}. Leave job or"
            " targets out."
        )
    told = {**_provenance(model, judged), **dict(provenance or {}), "date": now()}
    told["assumptions"] = [*(provenance or {}).get("assumptions", ())]
    of_images = (*model.assumptions, *images.assumptions)
    request = EvaluationRequest(
        job, with_assumptions(told, of_images), positive, separator, progress
    )
    kinds: dict[Job, Callable[[JudgedModel, JudgedImages, EvaluationRequest], JobResult]] = {
        "detect": judge_detector,
        "reconstruct": judge_reconstructor,
        "classify": judge_classifier,
    }
    result = kinds[job](model, judged, request)
    not_asked = _not_applicable(model, judged, result.not_applicable)
    provenance = {
        **result.evaluation.provenance,
        "not_applicable": [one.model_dump(mode="json") for one in not_asked],
    }
    figures = result.evidence.pop("figures", {})
    if judged.leak_pictures is not None:
        figures |= {leakage.KIND.code: judged.leak_pictures}
    evidence = Evidence(
        paths=images.paths,
        labels=images.labels,
        per_image=dict(result.columns),
        history=_history(model),
        pixel_hashes=images.pixel_hashes,
        groups=images.groups,
        calibration_groups=model.calibration.groups if job == "detect" else None,
        gallery=make_gallery(model, images, result.shown, judged.fitted_on, judged.targets),
        quarantined=tuple((path, reason) for path, reason in images.quarantined),
        seed=model.seed,
        figures=figures,
        **result.evidence,
    )
    evaluation = result.evaluation.model_copy(update={"provenance": provenance})
    evaluation = with_findings(evaluation, judged.findings)
    return Judgement(evaluation.with_evidence(evidence), evidence)


def _check_positive(model: JudgedModel, positive: str | None) -> None:
    """Said before the work, not after it."""
    if positive is None:
        return
    if model.facts.job != "classify":
        raise InputError(
            f"evaluate: a positive class is one of a classifier. Got {positive} for the job"
            f" {model.facts.job}. Leave it out."
        )
    check_positive([str(name) for name in model.facts.classes or ()], positive, "evaluate")


def _history(model: JudgedModel) -> dict[str, NDArray[Any]]:
    prefix = "history/"
    return {
        name.removeprefix(prefix): column
        for name, column in model.training.items()
        if name.startswith(prefix) and len(column)  # a computed model has none
    }


def model_provenance(model: JudgedModel) -> dict[str, Any]:
    """Where a model comes from, for the record of an evaluation."""
    facts = model.facts
    return {
        "recipe": facts.recipe,
        "latent": model.latent,
        "image_size": [*facts.size, facts.channels],
        "seed": model.seed,
        "version": __version__,
        "engine": model.engine.name,
        **model.provenance,
    }


def _compression(model: JudgedModel, images: ImageSet) -> dict[str, Any]:
    """How large the code is beside an image; without one, the reason."""
    facts = model.facts
    reason = model.no_code or ("" if model.reconstructs else "it rebuilds no image") or UNKNOWN
    is_known = model.latent is not None and reason is UNKNOWN
    bits = 8 if images.dtype == np.uint8 else facts.reading.bits or 16
    return compression_facts(
        (*facts.size, facts.channels),
        model.latent if is_known else None,
        bits_a_value=bits,
        reason=reason,
    )


def _provenance(model: JudgedModel, judged: JudgedImages) -> dict[str, Any]:
    images, fitted_on = judged.images, judged.fitted_on
    told = model_provenance(model)
    return {
        "source": images.source,
        "normal": ", ".join(images.normal) if images.normal else None,
        **told,
        "compression": _compression(model, images),
        "judged_on": (
            f"{judged.part} part of {images.source}" if judged.part == "test" else images.source
        ),
        "fingerprints": {**told.get("fingerprints", {}), "judged": images.fingerprint},
        "baselines_learnt_from": (
            None if fitted_on is None else min(len(fitted_on), MOST_BASELINE_IMAGES)
        ),
        **({} if images.grouping is None else {"groups": groups_of(images)}),
        **({} if judged.targets is None else {"targets": judged.targets.source}),
    }


def _not_applicable(
    model: JudgedModel, judged: JudgedImages, findings: Iterable[NotApplicable]
) -> list[NotApplicable]:
    """What a trained run would be told and this model is not, with the reason."""
    told = []
    if model.network is None:
        reason = f"{facts_name(model)} has no network that residua can build again or inspect"
        told.append(NotApplicable(what="untrained baseline", reason=reason))
    elif model.twin is not None:
        reason = "the model is computed from its images, so no weights could be left untrained"
        told.append(NotApplicable(what="untrained baseline", reason=reason))
    if (twin := model.twin) is not None:
        reason = f"the model is made as this baseline is: {baseline_title(twin)}"
        told.append(NotApplicable(what=f"baseline {twin}", reason=reason))
    if not _history(model):
        reason = f"{facts_name(model)} keeps no record of training"
        told.append(NotApplicable(what="training history", reason=reason))
    if judged.fitted_on is None:
        reason = "the training images of the model are not available"
        told.append(NotApplicable(what="baselines", reason=reason))
    return [*told, *findings]


def facts_name(model: JudgedModel) -> str:
    """The kind of model in words."""
    return f"a {model.facts.recipe}" if model.facts.recipe.startswith("wrapped") else "the model"
