"""`residua score --cluster` and `residua evaluate --cluster`: workers score, one machine writes.

The file and the figures are those of one machine, exactly or by sketches that merge.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from residua.cluster.facts import (
    exact_facts,
    groups_of,
    lacking_of,
    lacking_of_sketch,
    source_changed,
)
from residua.cluster.session import ClusterOptions, connected, through_workers
from residua.cluster.tally import UNKNOWN, Tally, evaluate_sketched, merged
from residua.cluster.worker import Asked, JudgedWorker, TableWorker, read_model_files
from residua.errors import InputError, LabelError, SourceError
from residua.evaluation import Evidence
from residua.evaluation.conclusion import conclude
from residua.evaluation.detection import areas_of
from residua.evaluation.evidence import MASK_PIXELS
from residua.findings import find_unreadable_files
from residua.findings.figures import Figure
from residua.images.hashing import in_hex
from residua.images.shards import Block, Shard
from residua.metrics.pixel_tally import MOST_EXACT
from residua.records import with_assumptions
from residua.runs.evaluate import keep_of_other, model_provenance
from residua.runs.job_result import with_findings
from residua.runs.judgement import Judgement, found_before
from residua.runs.model import JudgedModel
from residua.runs.open_run import open_run
from residua.runs.progress import Watcher
from residua.runs.score import make_task, score_run
from residua.runs.tables import ScoreSummary, ScoringJob

_FEW_PIECES = 8  # up to so many, each may keep as many pixels as they are as one machine does

Ranking = Literal["exact", "sketch"]


def score_on_cluster(
    run: str | Path, source: str, out: str | Path, options: ClusterOptions, **more: Any
) -> ScoreSummary:
    """As `residua.runs.score_run`, with the pieces scored by the workers of a Ray cluster.

    The model goes to them over the wire, the source must lie where all of them can read it under
    the same name: a shared folder or a URL. The parts come back over the wire and are kept here, so
    `resume` works as on one machine.
    """
    files = read_model_files(open_run(run))

    def workers(job: ScoringJob) -> None:
        items: list[Any] = [
            {"number": number, "seen": seen, "n_parts": n_parts, "piece": job.shards.pieces[number]}
            for number, seen, n_parts in job.open_shards()
        ]
        if not items:
            return
        n_done, n_finished = 0, 0
        with connected(options):
            for row in through_workers(
                TableWorker, (files, job.task, job.parts.out.suffix), items, options
            ):
                note = json.loads(row["note"])
                job.parts.write(int(row["number"]), int(row["part"]), row["table"], note)
                n_done, n_finished = n_done + note["seen"], n_finished + note["last"]
                job.tell(n_done, n_finished)

    return score_run(run, source, out, workers=workers, **more)


def evaluate_on_cluster(
    run: str | Path,
    source: str | None,
    options: ClusterOptions,
    *,
    ranking: Ranking = "exact",
    bits: int | None = None,
    groups: str | None = None,
    watcher: Watcher | None = None,
) -> Judgement:
    """Judge a detector on the test part of its own source, or on another, with the pieces scored by
    the workers of a Ray cluster.

    With ``ranking="exact"`` some 100 bytes and a name come back of each image (its score, hash,
    group, error and looks), and pixels beside masks as one machine keeps them: every metric is that
    of one machine. With ``"sketch"`` bounded summaries do, whatever the number of images: the rates
    at the threshold stay exact, ROC AUC, average precision and the cost of 90% recall are known
    within guaranteed bounds, which the provenance states. What neither way can give is named in
    ``provenance["not_applicable"]``, each with the reason. `groups` are as in `evaluate_run`.
    """
    watcher = watcher or Watcher()
    folder = open_run(run)
    origin, model = folder.origin().grouped_by(groups), folder.model()
    if model.facts.job != "detect":
        raise InputError(
            f"evaluate --cluster: the run must be a detector. Got the job {model.facts.job}."
            " Leave --cluster out."
        )
    if model.facts.region is not None or model.facts.products is not None:
        got = "a threshold for each product" if model.facts.products else "a region"
        raise InputError(
            "evaluate --cluster: the run must look at whole images and have one threshold. Got one"
            f" with {got}. Leave --cluster out."
        )
    is_own = source is None
    judged_on = source if source is not None else origin.source
    shards, task = make_task(folder, origin, model, judged_on, only_test=True, bits=bits)
    has_masks = any(_has_masks(piece) for piece in shards.pieces)
    asked = Asked(
        model.facts.normal,
        ranking == "sketch",
        model.calibration.pixel_threshold,
        MOST_EXACT // max(1, len(shards.pieces) // _FEW_PIECES) if has_masks else 0,
    )
    items: list[Any] = [
        {"number": number, "piece": piece} for number, piece in enumerate(shards.pieces)
    ]
    tallies: dict[tuple[int, int], Tally] = {}
    with connected(options):
        for row in through_workers(
            JudgedWorker, (read_model_files(folder), task, asked), items, options
        ):
            tallies[int(row["number"]), int(row["part"])] = Tally.from_bytes(row["tally"])
            if watcher.on_read is not None:
                watcher.on_read(len({number for number, _ in tallies}), len(items))
    tally = merged(tallies)
    tally.quarantined += list(shards.quarantined)
    tally.n_quarantined += len(shards.quarantined)
    if not is_own:  # of its own source nothing tells whether these were test images
        tally.n_unreadable += sum(not one.is_mask for one in shards.quarantined)
    _check(tally, model.facts.normal, judged_on)
    told = model_provenance(model) | {
        "judged_on": source or f"test part of {origin.source}",
        "weights_sha256": folder.mark().weights,
        "ranking": ranking,
        "quarantined": tally.n_quarantined,
    }
    provenance = with_assumptions(told, (*origin.assumptions, *task.assumptions))
    split = "test" if tally.is_test else "all"
    if ranking == "sketch":
        evaluation = evaluate_sketched(tally, model.facts.operating_point, split, provenance)
        lacking = lacking_of_sketch(evaluation, has_masks=has_masks, is_own=is_own)
        evidence = Evidence(paths=np.zeros(0, object), quarantined=_quarantined(tally))
    else:
        facts, lacking = exact_facts(folder, model, tally, task)
        made = conclude(facts, split=split, provenance=provenance)
        evaluation, lacking = made.evaluation, [*lacking, *lacking_of(facts, model, is_own=is_own)]
        evidence = _evidence(tally, model, made.figures)
    if is_own:
        evaluation = with_findings(evaluation, found_before(folder, evaluation))
        changed = None if ranking == "sketch" else source_changed(folder, origin, tally, shards)
        evaluation = with_findings(evaluation, [changed])
    unread = find_unreadable_files(
        [one for one in tally.quarantined if not one.is_mask],
        tally.n_images,
        n_unreadable=tally.n_unreadable,
        judged=True,
    )
    kept = {one.code for one in evaluation.findings}
    if unread is not None and unread.code not in kept:
        evaluation = with_findings(evaluation, [unread])
    told_apart = [one for one in lacking if one.what not in kept]
    provenance = evaluation.provenance | {
        "not_applicable": [one.model_dump(mode="json") for one in told_apart]
    }
    judgement = Judgement(evaluation.model_copy(update={"provenance": provenance}), evidence)
    keep_of_other(folder, judgement, watcher)
    return judgement


def _has_masks(piece: Shard) -> bool:
    return isinstance(piece, Block) and piece.rows.masks is not None and any(piece.rows.masks)


def _check(tally: Tally, normal: tuple[str, ...] | None, source: str) -> None:
    if not tally.n_images:
        first = tally.quarantined[0] if tally.quarantined else None
        got = (
            "none"
            if first is None
            else f"{tally.n_quarantined:,} that cannot be read ({first.path}: {first.reason})"
        )
        raise SourceError(
            f"{source}: there must be images to judge. Got {got}. Name a source with test images."
        )
    negatives, positives = int(tally.confusion[:2].sum()), int(tally.confusion[2:].sum())
    if normal is not None and positives and not negatives:
        names = ", ".join(normal)
        raise LabelError(
            f"{source}: the normal label must occur in the source. Got none of {names}. Name a"
            " source with the model's labels."
        )


def _quarantined(tally: Tally) -> tuple[tuple[str, str], ...]:
    return tuple((path, reason) for path, reason in tally.quarantined)


def _evidence(tally: Tally, model: JudgedModel, figures: dict[str, Figure]) -> Evidence:
    known = tally.truth != UNKNOWN
    pixels = tally.pixels if tally.mask_conventions else None
    areas = {} if pixels is None else {MASK_PIXELS: areas_of(pixels, tally.n_images)}
    return Evidence(
        paths=np.array(tally.paths, object),
        scores=tally.scores,
        is_anomalous=tally.truth == 1 if known.any() else None,
        labelled=known if known.any() else None,
        labels=np.array(tally.labels, object) if known.any() else None,
        per_image={"mse": tally.columns["mse"], **areas},
        pixel_hashes=in_hex(tally.hashes),
        groups=groups_of(tally),
        calibration_groups=model.calibration.groups,
        calibration_scores=model.calibration.scores,
        calibration_is_anomalous=model.calibration.is_anomalous,
        train_scores=model.training.get("train_scores"),
        quarantined=_quarantined(tally),
        seed=model.seed,
        figures=figures,
    )
