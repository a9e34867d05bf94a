"""`residua compare`: runs on the same test images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from residua.errors import InputError
from residua.evaluation.comparison import Comparison, Contestant, compare_models
from residua.runs.progress import Watcher
from residua.runs.report import judgement_of, run_names


def compare_runs(
    runs: Sequence[str | Path], *, confidence: float = 0.95, watcher: Watcher | None = None
) -> Comparison:
    """Compare runs by their stored evaluations on their own test parts; those that have none are
    evaluated first.

    Raises
    ------
    InputError, LabelError, BundleError
        See `compare_models`; a folder that is no run, or is named twice.
    """
    watcher = watcher or Watcher()
    places = [Path(run).resolve() for run in runs]
    if len(set(places)) < len(places):
        twice = next(str(place) for place in places if places.count(place) > 1)
        raise InputError(
            f"compare: each run must be named once. Got {twice} twice. Name different runs."
        )
    contestants = []
    for run, name in zip(runs, run_names(places), strict=True):
        judged = judgement_of(Path(run), watcher)
        contestants.append(Contestant(name, judged.evaluation, judged.evidence))
    return compare_models(contestants, confidence=confidence)
