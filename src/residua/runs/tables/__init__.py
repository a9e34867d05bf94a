"""Scoring a source however large it is, by any engine: piece by piece into parts of a table that
are joined; maps. No torch.
"""

from residua.runs.tables.chunks import Task
from residua.runs.tables.job import ScoreJob, Workers, do_job, read_scores, sample_scores
from residua.runs.tables.maps import write_maps
from residua.runs.tables.score_parts import ScoreParts, ScoreSummary

__all__ = [
    "ScoreJob",
    "ScoreParts",
    "ScoreSummary",
    "Task",
    "Workers",
    "do_job",
    "read_scores",
    "sample_scores",
    "write_maps",
]
