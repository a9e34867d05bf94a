"""Defects made on the fly, and changes that are none.

What a detector learns from when it has seen only good images.

Everything works on standardised images: float tensors (n, channels, height, width) in units of
their own mean and spread.
"""

from __future__ import annotations

from residua.training.synthesis.anomalies import make_anomalies
from residua.training.synthesis.crops import random_crops
from residua.training.synthesis.defects import (
    FAMILIES,
    CorruptedBatch,
    Family,
    add_defects,
    add_one_defect,
)
from residua.training.synthesis.draws import Draws
from residua.training.synthesis.exposure import change_exposure
from residua.training.synthesis.smoothing import smooth, standardise

__all__ = [
    "FAMILIES",
    "CorruptedBatch",
    "Draws",
    "Family",
    "add_defects",
    "add_one_defect",
    "change_exposure",
    "make_anomalies",
    "random_crops",
    "smooth",
    "standardise",
]
