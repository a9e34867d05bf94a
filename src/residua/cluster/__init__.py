"""Scoring and evaluation on several machines, on Ray Data: a pool of workers that each hold the one
graph.

What a worker runs is what one machine runs (`residua.runs.tables`), so a score cannot depend on the
number of machines.
"""

from residua.cluster.evaluate import evaluate_on_cluster, score_on_cluster
from residua.cluster.session import ClusterOptions

__all__ = ["ClusterOptions", "evaluate_on_cluster", "score_on_cluster"]
