"""What is wrong with images before anything is trained on them: `residua check`."""

from residua.survey.masks import mask_findings
from residua.survey.statistics import SCALES, image_statistics
from residua.survey.surveying import Survey, survey

__all__ = ["SCALES", "Survey", "image_statistics", "mask_findings", "survey"]
