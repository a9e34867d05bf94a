"""A page on which people look at scored images and say what is good and what is a defect.

Their answers become `corrections.csv`, from which `residua learn` learns.
"""

from residua.server.review.opening import open_review
from residua.server.review.review import Review

__all__ = ["Review", "open_review"]
