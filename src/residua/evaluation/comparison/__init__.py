"""Two or more models on the same test images: paired differences, and whether any can be shown."""

from residua.evaluation.comparison.compare import Contestant, compare_models
from residua.evaluation.comparison.records import Comparison, PairedDifference, Standing

__all__ = ["Comparison", "Contestant", "PairedDifference", "Standing", "compare_models"]
