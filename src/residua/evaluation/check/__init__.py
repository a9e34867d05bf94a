"""What is wrong with images before anything is trained on them: `residua check`."""

from residua.evaluation.check.check import Survey, survey
from residua.evaluation.check.masks import mask_findings
from residua.evaluation.check.statistics import SCALES, image_statistics

__all__ = ["SCALES", "Survey", "image_statistics", "mask_findings", "survey"]
