"""Two or more models on the same test images: paired differences, and whether any can be shown."""

from residua.evaluation.comparison.at_thresholds import Contestant
from residua.evaluation.comparison.compare import common_rows, compare_models
from residua.evaluation.comparison.records import ComparedModel, Comparison, PairedDifference

__all__ = [
    "ComparedModel",
    "Comparison",
    "Contestant",
    "PairedDifference",
    "common_rows",
    "compare_models",
]
