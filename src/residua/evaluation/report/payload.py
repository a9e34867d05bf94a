"""The numbers a page carries: scores bit for bit, histograms, curves, the per-image table, and the
record itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evidence import Evidence
from residua.evaluation.report.kinds import UNKNOWN, truth
from residua.evaluation.report.pictures import sheets
from residua.evaluation.report.public import packed, plain, to_json
from residua.findings.figures import Histogram
from residua.metrics.groups import Groups
from residua.metrics.ranking import precision_recall_curve, roc_curve
from residua.records import Evaluation
from residua.thresholds import is_flagged

FORMAT, FORMAT_VERSION = "residua-report", 1
_VERTICES = 400


def report_payload(jobs: Mapping[str, tuple[Evaluation, Evidence]], budget: int) -> dict[str, Any]:
    """Everything a page carries: for each job what its script draws and what its figures are made
    of.

    The thumbnails of all jobs take about `budget` characters at most.
    """
    share = budget // max(1, len(jobs))
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "jobs": {
            key: {**job_payload(*job), "thumbnails": sheets(job[1], share)}
            for key, job in jobs.items()
        },
    }


def job_payload(evaluation: Evaluation, evidence: Evidence) -> dict[str, Any]:
    """One job; strict JSON, arrays packed."""
    point = evaluation.operating_point
    return {
        "job": evaluation.job,
        "split": evaluation.split,
        "threshold": None if point is None else point.threshold,
        "policy": None if point is None else point.policy,
        "record": to_json(evaluation),
        "sources": _sources(evidence),
        "scores": packed(evidence.scores),
        "truth": packed(truth(evidence)),
        "histogram": histogram(evaluation, evidence),
        "curves": curves(evidence),
        "history": {name: plain(np.asarray(column)) for name, column in evidence.history.items()},
        "table": table(evidence),
    }


def _sources(evidence: Evidence) -> dict[str, Any]:
    """What figures need beside scores, labels and the table: `residua verify` uses it."""
    return {
        "train_scores": packed(evidence.train_scores),
        "calibration_scores": packed(evidence.calibration_scores),
        "calibration_is_anomalous": packed(evidence.calibration_is_anomalous),
        "groups": packed(_numbers(evidence.groups)),
        "calibration_groups": packed(_numbers(evidence.calibration_groups)),
        "baselines": {name: packed(column) for name, column in evidence.baselines.items()},
        "probabilities": packed(evidence.probabilities),
        "predicted": packed(evidence.predicted),
        "classes": (
            None
            if evidence.classes is None
            else [str(one) for one in np.asarray(evidence.classes).tolist()]
        ),
        "seed": evidence.seed,
        "prevalence": evidence.prevalence,
        "threshold_from": evidence.threshold_from,
    }


def _numbers(groups: NDArray[Any] | None) -> NDArray[np.int64] | None:
    """Groups by number: their names may be of patients."""
    return None if groups is None else Groups.read(groups).codes


def outcome(evaluation: Evaluation, evidence: Evidence) -> dict[str, Any] | None:
    """Counts and rates at the stored threshold, undefined rates None; None without one."""
    known, point = truth(evidence), evaluation.operating_point
    if known is None or point is None or evidence.scores is None:
        return None
    flagged = is_flagged(evidence.scores, point.threshold)
    tp, fp = int((flagged & (known == 1)).sum()), int((flagged & (known == 0)).sum())
    fn, tn = int((known == 1).sum()) - tp, int((known == 0).sum()) - fp
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "alarms": _ratio(fp, fp + tn),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def histogram(evaluation: Evaluation, evidence: Evidence) -> dict[str, Any] | None:
    """Shares of images by score, in common bins."""
    series, quantity = _series(evaluation, evidence)
    drawn = Histogram.of(series, quantity)
    if drawn is None:
        return None
    return {
        "quantity": quantity,
        "log": drawn.is_log,
        "edges": drawn.edges.tolist(),
        "counts": {name: one.tolist() for name, one in drawn.counts.items()},
    }


def _series(
    evaluation: Evaluation, evidence: Evidence
) -> tuple[dict[str, NDArray[np.float64]], str]:
    if evidence.scores is None:
        name = next((name for name in ("mse", "mae") if name in evidence.per_image), None)
        values = (
            {} if name is None else {"images": np.asarray(evidence.per_image[name], np.float64)}
        )
        if name == "mse" and evidence.train_scores is not None:
            values["train"] = np.asarray(evidence.train_scores, np.float64)
        return values, name or ""
    scores, known = np.asarray(evidence.scores, np.float64), truth(evidence)
    if known is None or evaluation.job != "detect":
        series = {"images": scores}
    else:
        series = {"normal": scores[known == 0], "abnormal": scores[known == 1]}
    if evidence.normal_calibration is not None:
        series["calibration"] = evidence.normal_calibration[0]
    if evidence.train_scores is not None:
        series["train"] = np.asarray(evidence.train_scores, np.float64)
    return series, "score"


def curves(evidence: Evidence) -> dict[str, Any] | None:
    """ROC and precision-recall curves of at most 400 vertices; None without both kinds."""
    known = truth(evidence)
    if evidence.scores is None or known is None:
        return None
    labelled = known != UNKNOWN
    labels, scores = known[labelled] == 1, np.asarray(evidence.scores)[labelled]
    if labels.all() or not labels.any():
        return None
    rate, recall, _ = roc_curve(labels, scores, max_points=_VERTICES)
    precision, recalled, _ = precision_recall_curve(labels, scores, max_points=_VERTICES)
    return {
        "roc": _vertices(rate, recall),
        "pr": _vertices(recalled, precision),
        "prevalence": float(labels.mean()),
    }


def _vertices(x: NDArray[Any], y: NDArray[Any]) -> list[list[float]]:
    return [[round(float(a), 6), round(float(b), 6)] for a, b in zip(x, y, strict=True)]


def table(evidence: Evidence) -> dict[str, Any]:
    """The per-image table by columns; paths without the folder they share."""
    paths = [str(path) for path in np.asarray(evidence.paths).tolist()]
    folder = shared_folder(paths)
    names: dict[str, int] = {}
    labels = None if evidence.labels is None else _coded(np.asarray(evidence.labels), names)
    predicted, said = None, evidence.said
    if said is not None and evidence.classes is not None:
        predicted = _coded(np.asarray(evidence.classes)[said], names)
    return {
        "folder": folder,
        "paths": [path[len(folder) :] for path in paths],
        "label_names": list(names),
        "labels": labels,
        "predicted": predicted,
        "columns": {
            name: packed(np.asarray(column)) for name, column in evidence.per_image.items()
        },
    }


def _coded(labels: NDArray[Any], names: dict[str, int]) -> list[int]:
    """Each label's number in `names`, which grows by those that are new."""
    return [
        names.setdefault("" if label is None else str(label), len(names))
        for label in labels.tolist()
    ]


def shared_folder(paths: list[str]) -> str:
    """The folder that all of `paths` begin with, slash included; empty if there is none.

    >>> shared_folder(["parts/test/a.png", "parts/test/b/c.png"])
    'parts/test/'
    """
    if len(paths) < 2:
        return ""
    first, last = min(paths), max(paths)
    same = next(
        (i for i, (one, two) in enumerate(zip(first, last, strict=False)) if one != two),
        min(len(first), len(last)),
    )
    return first[: first.rfind("/", 0, same) + 1]
