"""Scoring a source however large it is, by any engine.

Chunk by chunk into a table, with maps of images. No torch.
"""

from residua.runs.tables.chunk_files import ChunkFiles, ScoreSummary
from residua.runs.tables.chunks import ScoringTask, score_rows
from residua.runs.tables.job import ScoringJob, Workers, do_job, read_scores, sample_scores
from residua.runs.tables.maps import write_maps

__all__ = [
    "ChunkFiles",
    "ScoreSummary",
    "ScoringJob",
    "ScoringTask",
    "Workers",
    "do_job",
    "read_scores",
    "sample_scores",
    "score_rows",
    "write_maps",
]
