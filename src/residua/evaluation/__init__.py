"""Metrics, operating point and findings of one model on one part of the data, as a frozen record."""

from residua.evaluation.classification import evaluate_classification
from residua.evaluation.detection import evaluate_detection
from residua.evaluation.evidence import Evidence, Gallery
from residua.evaluation.reconstruction import evaluate_reconstruction
from residua.evaluation.table import per_image_table

__all__ = [
    "Evidence",
    "Gallery",
    "evaluate_classification",
    "evaluate_detection",
    "evaluate_reconstruction",
    "per_image_table",
]
