"""What is wrong with images before anything is trained on them: `residua check`."""

from residua.evaluation.check.masks import measure_masks
from residua.evaluation.check.sources import SourceCheck, check_sources
from residua.evaluation.check.statistics import SCALES, image_statistics, look_of, neighbour_votes

__all__ = [
    "SCALES",
    "SourceCheck",
    "check_sources",
    "image_statistics",
    "look_of",
    "measure_masks",
    "neighbour_votes",
]
