"""Scoring a source however large it is, by any engine: piece by piece into parts of a table that are joined; maps. No torch."""

from residua.piecewise.job import ScoreJob, Workers, do_job, read_scores, sample_scores
from residua.piecewise.maps import write_maps
from residua.piecewise.pieces import Task
from residua.piecewise.score_parts import ScoreParts, ScoreSummary

__all__ = ["ScoreJob", "ScoreParts", "ScoreSummary", "Task", "Workers", "do_job", "read_scores", "sample_scores", "write_maps"]
