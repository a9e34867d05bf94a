"""`residua evaluate`: what a run's model is worth on images it has not seen, beside what it has to
beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import ensure_folder
from residua._version import __version__
from residua.engines import score_with
from residua.engines.kinds import REFERENCE
from residua.errors import InputError
from residua.evaluation import Evidence, evaluate_detection
from residua.evaluation.evidence import ThresholdFrom
from residua.evaluation.labels import DetectionLabels
from residua.evaluation.positive import check_positive
from residua.evaluation.reconstruction import baseline_errors, errors_of, evaluate_errors
from residua.evaluation.report import write_json
from residua.findings import Checks, not_checked
from residua.images import ImageSet
from residua.images.stores import is_url
from residua.metrics import PixelTally
from residua.records import Evaluation, Finding, with_assumptions
from residua.runs.baselines import (
    MOST_BASELINE_IMAGES,
    as_seen,
    baseline_scores,
    latent_of,
    seed_of,
    untrained_graph,
)
from residua.runs.check import read_check
from residua.runs.chunks import (
    Columns,
    errors_beside,
    images_at_once,
    in_chunks,
    reconstructing_baselines,
)
from residua.runs.command import fit_command
from residua.runs.detection_findings import errors_shown, notice_in_detection
from residua.runs.engines import Opened, open_engine
from residua.runs.evaluate_classes import judge_classes
from residua.runs.findings import calibration_normals, find_dead_codes, find_reused
from residua.runs.fit import MEMORY_MEGABYTES
from residua.runs.parts import JudgedImages, other_images, own_test_images
from residua.runs.pictures import make_gallery, make_thumbnails
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder, RunState
from residua.runs.selection import choose_images
from residua.thresholds.defaults import choose_operating_point
from residua.training.bundle import Bundle, BundleConfig, load_bundle, score_set
from residua.training.scoring.engine import score_images


@dataclass(frozen=True)
class Judged:
    """An evaluation and the arrays behind it."""

    evaluation: Evaluation
    evidence: Evidence


def evaluate_run(
    run: str | Path,
    source: str | None = None,
    *,
    memory_megabytes: float = MEMORY_MEGABYTES,
    engine: str = REFERENCE,
    positive: str | None = None,
    bits: int | None = None,
    watcher: Watcher | None = None,
) -> Judged:
    """Judge the model of `run` on its own test part, or on another source; the run keeps the latest
    judgement of its own.

    Another `engine` than the reference scores the judged images and brings its own threshold; see
    `residua.engines`. `bits` are those of another source whose scale is not that of the training
    images. `positive` names the positive one of a classifier's two classes; see
    `evaluate_classification`.

    Returns
    -------
    Judged
        ``evaluation`` is what ``--json`` writes; ``evidence`` is what the report draws.
    """
    watcher = watcher or Watcher()
    folder = RunFolder(Path(run))
    state = folder.read_finished()
    is_own_url = source is not None and source == state.options.source and is_url(source)
    source = None if is_own_url else source
    if source is None:
        ensure_folder(folder.path, where="evaluate")  # said before the work, not after it
    stored = load_bundle(folder.bundle)
    _check_positive(stored.config, positive)
    opened = open_engine(folder, stored, engine, watcher)
    bundle = opened.bundle
    judged = (
        own_test_images(folder, state, bundle.config, watcher, memory_megabytes, named=is_own_url)
        if source is None
        else other_images(folder, state, bundle.config, source, watcher, memory_megabytes, bits)
    )
    judges = {"detect": _judge_detection, "reconstruct": _judge_reconstruction}
    judges["classify"] = partial(_judge_classification, positive=positive)
    result = judges[bundle.config.job](folder, state, opened, judged)
    if source is None:
        result = replace(
            result,
            evaluation=_with_findings(
                result.evaluation, _noticed_before(folder, result.evaluation)
            ),
        )
        _keep(folder, result)
    return result


def _check_positive(config: BundleConfig, positive: str | None) -> None:
    """Said before the work, not after it."""
    if positive is not None and config.job != "classify":
        raise InputError(
            f"evaluate: a positive class is one of a classifier. Got {positive} for the job"
            f" {config.job}. Leave it out."
        )
    if positive is not None:
        check_positive([str(name) for name in config.classes or ()], positive, "evaluate")


def _keep(folder: RunFolder, judged: Judged) -> None:
    """Both files of a judgement, or the evaluation alone is missing: never one beside the evidence
    of another.
    """
    with folder.locked():
        folder.evaluation.unlink(missing_ok=True)
        judged.evidence.save(folder.evidence)
        write_json(judged.evaluation, folder.evaluation)


def _judge_detection(
    folder: RunFolder, state: RunState, opened: Opened, judged: JudgedImages
) -> Judged:
    images, bundle = judged.images, opened.bundle
    is_anomalous = images.presumed_anomalous
    labelled = (
        images.labelled
        if images.labels is not None and images.normal is not None
        else np.zeros(len(images), np.bool_)
    )
    pixels = PixelTally() if images.has_masks else None
    on_map = None if pixels is None else _adding(pixels, images, labelled & ~is_anomalous)
    scores = score_with(opened.engine, images, on_map=on_map)
    training = folder.read_training()
    baselines = _detection_baselines(bundle, judged) if judged.fitted_on is not None else {}
    evaluation = evaluate_detection(
        DetectionLabels(is_anomalous, labelled),
        scores.score,
        operating_point=bundle.config.operating_point,
        pixels=pixels,
        train_scores=training.get("train_scores"),
        baselines=baselines,
        leaks=judged.leaks,
        seed=state.options.settings.seed,
        split=judged.part,
        provenance=_provenance(folder, state, opened, judged),
    )
    found, figures = notice_in_detection(
        lambda others: score_set(bundle, others).score,
        images,
        scores,
        (is_anomalous, labelled),
        evaluation=evaluation,
        calibration=calibration_normals(bundle),
    )
    checks = Checks()
    dead = checks.make("dead numbers of the code", lambda: find_dead_codes(bundle, judged))
    reused = checks.make("images used before", lambda: find_reused(folder, judged))
    evaluation = _with_findings(evaluation, [*found, dead, reused, *checks.not_made])
    new = scores.score[labelled & ~is_anomalous] if labelled.any() else scores.score
    figures |= errors_shown(evaluation, training.get("train_scores"), new)
    threshold = (
        None if bundle.config.operating_point is None else bundle.config.operating_point.threshold
    )
    known = is_anomalous if labelled.all() else None
    return _result(
        folder,
        bundle,
        judged,
        evaluation,
        scores.columns,
        choose_images(scores.score, known, threshold),
        {
            "scores": scores.score,
            "figures": figures,
            "is_anomalous": is_anomalous if labelled.any() else None,
            "labelled": labelled if labelled.any() else None,
            "train_scores": training.get("train_scores"),
            "calibration_scores": bundle.calibration_scores,
            "calibration_is_anomalous": bundle.calibration_is_anomalous,
            "baselines": baselines,
            "threshold_from": _threshold_from(bundle),
            "seed": state.options.settings.seed,
            "thumbnails": make_thumbnails(bundle, images, scores.score, known),
        },
    )


def _adding(
    pixels: PixelTally, images: ImageSet, is_normal: NDArray[np.bool_]
) -> Callable[[int, NDArray[np.float32]], None]:
    """What adds a map with its mask. No mask means nowhere on a normal image; of others the pixels
    are unknown.
    """

    def add(row: int, error_map: NDArray[np.float32]) -> None:
        mask = images.masks[row]
        if mask is not None or is_normal[row]:
            pixels.add(mask, error_map)

    return add


def _judge_reconstruction(
    folder: RunFolder, state: RunState, opened: Opened, judged: JudgedImages
) -> Judged:
    images, bundle = judged.images, opened.bundle
    beside = reconstructing_baselines(bundle, judged.fitted_on)
    fresh = None if judged.fitted_on is None else untrained_graph(bundle, judged.fitted_on)
    found: list[Finding | None] = []

    def columns_of(chunk: ImageSet, rows: slice) -> Columns:
        prepared = as_seen(bundle, chunk)
        columns, told = errors_of(
            prepared, score_with(opened.engine, chunk, reconstructions=True).reconstructions
        )
        found.extend(told if rows.start == 0 else [])
        if fresh is not None:
            made = score_images(
                fresh, chunk, batch_size=bundle.config.batch_size, reconstructions=True
            ).reconstructions
            columns |= {} if made is None else errors_beside("untrained", prepared, made)
        return columns | beside(prepared)

    columns, others = in_chunks(images, images_at_once(bundle), columns_of)
    train, seed = folder.read_training().get("train_mse"), state.options.settings.seed
    evaluation = evaluate_errors(
        columns,
        train_errors=train,
        baselines=baseline_errors(others, seed=seed),
        leaks=judged.leaks,
        seed=seed,
        split=judged.part,
        provenance=_provenance(folder, state, opened, judged),
        findings=found,
    )
    checks = Checks()
    dead = checks.make("dead numbers of the code", lambda: find_dead_codes(bundle, judged))
    evaluation = _with_findings(evaluation, [dead, *checks.not_made])
    shown = errors_shown(evaluation, train, columns["mse"])
    more: dict[str, Any] = {
        "baselines": others,
        "train_scores": train,
        "seed": seed,
        "figures": shown,
    }
    return _result(
        folder, bundle, judged, evaluation, columns, choose_images(columns["mse"], None, None), more
    )


def _judge_classification(
    folder: RunFolder,
    state: RunState,
    opened: Opened,
    judged: JudgedImages,
    positive: str | None = None,
) -> Judged:
    bundle = opened.bundle
    made = judge_classes(
        bundle,
        opened.engine,
        state,
        judged,
        _provenance(folder, state, opened, judged),
        positive=positive,
    )
    shown = choose_images(made.ranked_by, None, None)
    return _result(folder, bundle, judged, made.evaluation, made.columns, shown, made.more)


def _result(  # noqa: PLR0917
    folder: RunFolder,
    bundle: Bundle,
    judged: JudgedImages,
    evaluation: Evaluation,
    columns: dict[str, NDArray[Any]],
    shown: NDArray[np.int64],
    more: dict[str, Any],
) -> Judged:
    evaluation = _with_findings(evaluation, judged.findings)
    figures = {
        **more.pop("figures", {}),
        **({} if judged.leak_pictures is None else {"leakage": judged.leak_pictures}),
    }
    history = {
        name.removeprefix("history/"): column
        for name, column in folder.read_training().items()
        if name.startswith("history/")
    }
    evidence = Evidence(
        paths=judged.images.paths,
        labels=judged.images.labels,
        per_image=dict(columns),
        history=history,
        pixel_hashes=judged.images.pixel_hashes,
        gallery=make_gallery(bundle, judged.images, shown, judged.fitted_on),
        quarantined=tuple((path, reason) for path, reason in judged.images.quarantined),
        figures=figures,
        **more,
    )
    return Judged(evaluation, evidence)


def _noticed_before(folder: RunFolder, evaluation: Evaluation) -> list[Finding]:
    """What was found in the images before training and is not judged again here."""
    told = {one.code for one in evaluation.findings} - {not_checked.CODE}
    return [one for one in read_check(folder) if one.code not in told]


def _with_findings(evaluation: Evaluation, more: Iterable[Finding | None]) -> Evaluation:
    found = tuple(finding for finding in more if finding is not None)
    return evaluation.model_copy(update={"findings": (*evaluation.findings, *found)})


def _detection_baselines(bundle: Bundle, judged: JudgedImages) -> dict[str, NDArray[Any]]:
    assert judged.fitted_on is not None
    scores = baseline_scores(bundle, judged.fitted_on, judged.images)
    graph = untrained_graph(bundle, judged.fitted_on)
    return {
        "untrained": score_images(graph, judged.images, batch_size=bundle.config.batch_size).score,
        **scores,
    }


def _threshold_from(bundle: Bundle) -> ThresholdFrom:
    """Whether the stored calibration scores give the bundle's threshold; `residua threshold RUN
    SOURCE` takes others.
    """
    point = bundle.config.operating_point
    if point is None:
        return "calibration"
    confidence = next((rate.confidence for rate in point.rates.values()), 0.95)
    scores, flags = bundle.calibration_scores, bundle.calibration_is_anomalous
    try:
        again = choose_operating_point(scores, flags, point.policy, confidence=confidence)
    except InputError:
        return "elsewhere"
    return "calibration" if again.threshold == point.threshold else "elsewhere"


def _provenance(
    folder: RunFolder, state: RunState, opened: Opened, judged: JudgedImages
) -> dict[str, Any]:
    of_model, card = model_provenance(folder, state, opened.bundle), opened.card
    told = {
        **of_model,
        "engine": opened.engine.name,
        "engine_deviation": None if card is None else card.deviation.model_dump(mode="json"),
        "judged_on": (
            f"{judged.part} part of {judged.images.source}"
            if judged.part == "test"
            else judged.images.source
        ),
        "fingerprints": {**of_model["fingerprints"], "judged": judged.images.fingerprint},
        "baselines_learnt_from": (
            None if judged.fitted_on is None else min(len(judged.fitted_on), MOST_BASELINE_IMAGES)
        ),
    }
    return with_assumptions(told, (*state.assumptions, *judged.images.assumptions))


def model_provenance(folder: RunFolder, state: RunState, bundle: Bundle) -> dict[str, Any]:
    """Where a run's model comes from, for the record of an evaluation."""
    config, training = bundle.config, bundle.config.training
    recorded = folder.read_images("part")
    parts = {
        part: int((recorded["part"] == part).sum())
        for part in ("train", "validation", "calibration", "test", "left out")
    }
    resized = next((note for note in state.notes if note.startswith("images ")), None)
    return {
        "source": state.options.source,
        "judged_on": None,
        "normal": ", ".join(config.normal) if config.normal else None,
        "recipe": config.recipe,
        "architecture": training.network,
        "parameters": training.parameters,
        "latent": latent_of(bundle),
        "splits": {part: n for part, n in parts.items() if n},
        "image_size": [*config.size, config.channels],
        "resize": resized,
        "epochs": training.epochs,
        "best_epoch": training.best_epoch,
        "seconds": training.seconds,
        "device": training.device,
        "precision": training.precision,
        "seed": seed_of(bundle),
        "version": __version__,
        "fingerprints": dict(config.fingerprints),
        "notes": list(state.notes),
        "settings": training.settings,
        "recipe_options": config.recipe_options,
        "baselines_learnt_from": None,
        "command": fit_command(folder, state),
    }
