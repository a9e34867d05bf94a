"""`residua compare`: runs on the same test images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from residua.errors import InputError
from residua.evaluation.comparison import Comparison, Contestant, compare_models
from residua.findings import leakage, test_reused
from residua.records import Finding
from residua.runs.judgement import current_judgement
from residua.runs.learning.versions import as_expected, compare_versions, taught_by
from residua.runs.open_run import open_run
from residua.runs.progress import Watcher
from residua.runs.report import run_names

_USED = (leakage.KIND.code, test_reused.KIND.code)


def compare_runs(
    runs: Sequence[str | Path],
    on: str | None = None,
    *,
    confidence: float = 0.95,
    watcher: Watcher | None = None,
) -> Comparison:
    """Compare runs by their stored evaluations on their own test parts; at the threshold that
    each has now; those that have none are evaluated first.

    With a source `on`, each is judged on the test part of that source, or on all of it where it
    names no parts. What a run has stored stays as it is. Images that taught any of the runs are
    left out.

    Raises InputError, LabelError or BundleError: see `compare_models`; a folder that is no run, or
    is named twice.
    """
    watcher = watcher or Watcher()
    places = [Path(run).resolve() for run in runs]
    if len(set(places)) < len(places):
        twice = next(str(place) for place in places if places.count(place) > 1)
        raise InputError(
            f"compare: each run must be named once. Got {twice} twice. Name different runs."
        )
    contestants = []
    leaked: list[Finding] = []  # a source may hold training images of one run and not of the other
    for run, name in zip(runs, run_names(places), strict=True):
        if on is None:
            judged = current_judgement(run, watcher)
        else:
            from residua.runs.evaluate import evaluate_run  # what is stored takes no PyTorch

            judged = evaluate_run(run, on, watcher=watcher)
            leaked += [
                finding.model_copy(update={"meaning": f"{name}: {finding.meaning}"})
                for finding in judged.evaluation.findings
                if finding.code in _USED and finding.severity != "ok"
            ]
        contestants.append(Contestant(name, judged.evaluation, judged.evidence))
    folders = [open_run(run) for run in places]
    made = compare_models(contestants, confidence=confidence, leave_out=taught_by(folders))
    versions = compare_versions(folders, [one.name for one in contestants])
    findings = [as_expected(one) if versions else one for one in made.findings]
    return made.model_copy(update={"findings": (*findings, *leaked), "versions": versions})
