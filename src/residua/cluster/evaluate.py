"""`residua score --cluster` and `residua evaluate --cluster`: workers score, one machine writes.

The file and the figures are those of one machine, exactly or by sketches that merge.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from residua.cluster.session import ClusterOptions, connected, through_workers
from residua.cluster.tally import UNKNOWN, Tally, evaluate_sketched, merged
from residua.cluster.worker import JudgedWorker, TableWorker, read_model_files
from residua.errors import InputError, LabelError, SourceError
from residua.evaluation import Evidence, evaluate_detection
from residua.evaluation.labels import DetectionLabels
from residua.records import with_assumptions
from residua.runs.evaluate import Judgement, model_provenance
from residua.runs.open_run import open_run
from residua.runs.progress import Watcher
from residua.runs.score import make_task, score_run
from residua.runs.tables import ScoreSummary, ScoringJob

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
    watcher: Watcher | None = None,
) -> Judgement:
    """Judge a detector on the test part of its own source, or on another, with the pieces scored by
    the workers of a Ray cluster.

    With ``ranking="exact"`` the scores come back, 5 bytes and a name an image, and every figure is
    that of one machine. With ``"sketch"`` bounded summaries do, whatever the number of images: the
    rates at the threshold stay exact, ROC AUC and average precision are known within guaranteed
    bounds, which the provenance states. Baselines and copies of training images are not looked for:
    they need the images in one place.
    """
    watcher = watcher or Watcher()
    folder = open_run(run)
    origin, model = folder.origin(), folder.model()
    if model.facts.job != "detect":
        raise InputError(
            f"evaluate --cluster: the run must be a detector. Got the job {model.facts.job}."
            " Leave --cluster out."
        )
    judged_on = source if source is not None else origin.source
    shards, task = make_task(folder, origin, model, judged_on, only_test=True, bits=bits)
    arguments = (read_model_files(folder), task, model.facts.normal, ranking == "sketch")
    items: list[Any] = [
        {"number": number, "piece": piece} for number, piece in enumerate(shards.pieces)
    ]
    tallies: dict[tuple[int, int], Tally] = {}
    with connected(options):
        for row in through_workers(JudgedWorker, arguments, items, options):
            tallies[int(row["number"]), int(row["part"])] = Tally.from_bytes(row["tally"])
            if watcher.on_read is not None:
                watcher.on_read(len({number for number, _ in tallies}), len(items))
    tally = merged(tallies)
    tally.quarantined += list(shards.quarantined)
    tally.n_quarantined += len(shards.quarantined)
    _check(tally, model.facts.normal, judged_on)
    told = model_provenance(model) | {
        "judged_on": source or f"test part of {origin.source}",
        "ranking": ranking,
        "quarantined": tally.n_quarantined,
        "not_looked_for": "baselines, copies of training images"
        + ("" if origin.groups is None else ", groups: intervals take each image for its own"),
    }
    provenance = with_assumptions(told, (*origin.assumptions, *task.assumptions))
    split = "test" if tally.is_test else "all"
    if ranking == "sketch":
        return Judgement(
            evaluate_sketched(tally, model.facts.operating_point, split, provenance),
            _evidence(tally, sketched=True),
        )
    evaluation = evaluate_detection(
        DetectionLabels(tally.truth == 1, tally.truth != UNKNOWN),
        tally.scores,
        operating_point=model.facts.operating_point,
        train_scores=model.training.get("train_scores"),
        seed=model.seed,
        split=split,
        provenance=provenance,
    )
    return Judgement(evaluation, _evidence(tally, sketched=False))


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


def _evidence(tally: Tally, *, sketched: bool) -> Evidence:
    quarantined = tuple((path, reason) for path, reason in tally.quarantined)
    if sketched:
        return Evidence(paths=np.zeros(0, object), quarantined=quarantined)
    known = tally.truth != UNKNOWN
    return Evidence(
        paths=np.array(tally.paths, object),
        scores=tally.scores,
        is_anomalous=tally.truth == 1 if known.any() else None,
        labelled=known if known.any() else None,
        quarantined=quarantined,
    )
