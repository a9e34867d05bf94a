"""`residua score --cluster`: the parts come from workers, the file is that of one machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from residua.cluster.session import ClusterOptions, connected, through_workers
from residua.cluster.worker import TableWorker, read_model_files
from residua.runs.open_run import open_run
from residua.runs.score import score_run
from residua.runs.tables import ScoreSummary, ScoringJob


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
