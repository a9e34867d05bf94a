"""Defects made on the fly, and changes that are none: what a detector learns from when it has seen only good images.

Everything works on standardised images: float tensors (n, channels, height, width) in units of their own mean and spread.
"""

from __future__ import annotations

from residua.synthesis.anomalies import make_anomalies
from residua.synthesis.crops import random_crops
from residua.synthesis.defects import FAMILIES, Family, Spoilt, add_defects, add_one_defect
from residua.synthesis.draws import Draws
from residua.synthesis.exposure import change_exposure
from residua.synthesis.smoothing import smooth, standardise

__all__ = [
    "FAMILIES",
    "Draws",
    "Family",
    "Spoilt",
    "add_defects",
    "add_one_defect",
    "change_exposure",
    "make_anomalies",
    "random_crops",
    "smooth",
    "standardise",
]
