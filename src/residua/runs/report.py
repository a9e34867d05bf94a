"""`residua report`: the page of a run's latest evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from residua.evaluation.per_day import Day, with_day
from residua.evaluation.report import write_html
from residua.runs.judgement import current_judgement
from residua.runs.progress import Watcher


def report_run(
    runs: Path | Sequence[Path],
    out: str | Path,
    *,
    day: Day | None = None,
    watcher: Watcher | None = None,
) -> Path:
    """Write the report of one or several runs to `out`, from their stored evaluations at the
    threshold that they have now, or after evaluating them.

    A `day` has the costs told in parts. Two runs that were judged on the same images are compared
    image by image.
    """
    places = [Path(run) for run in ([runs] if isinstance(runs, Path) else runs)]
    judged = [current_judgement(place, watcher) for place in places]
    names = run_names(places)
    jobs = [(with_day(one.evaluation, day, "report"), one.evidence) for one in judged]
    return write_html(
        out, f"residua: {' and '.join(names)}", jobs, names=names if len(names) > 1 else None
    )


def run_names(folders: Sequence[Path]) -> list[str]:
    """The runs' folder names, with as much of the path before them as it takes to tell them apart.

    >>> (
    ...     run_names([Path("runs/a"), Path("runs/b")]),
    ...     run_names([Path("/x/one/run"), Path("/x/two/run")]),
    ... )
    (['a', 'b'], ['one/run', 'two/run'])
    """
    parts = [folder.resolve().parts for folder in folders]
    longest = max(len(part) for part in parts)
    for depth in range(1, longest + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{folder.name} ({place + 1})" for place, folder in enumerate(folders)]
