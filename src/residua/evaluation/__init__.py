"""Metrics, operating point and findings of one model on one part of the data, as a frozen
record.
"""

from residua.evaluation.classification import evaluate_classification
from residua.evaluation.detection import evaluate_detection
from residua.evaluation.evidence import Evidence, Gallery
from residua.evaluation.reconstruction import evaluate_reconstruction
from residua.evaluation.table import per_image_table
from residua.evaluation.thumbnails import Thumbnails, choose_thumbnails, thumbnail_size

__all__ = [
    "Evidence",
    "Gallery",
    "Thumbnails",
    "choose_thumbnails",
    "evaluate_classification",
    "evaluate_detection",
    "evaluate_reconstruction",
    "per_image_table",
    "thumbnail_size",
]
