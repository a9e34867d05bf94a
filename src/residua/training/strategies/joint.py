"""`joint`: one code, a head for the classes and a head that reconstructs.

They are trained together.
"""

from __future__ import annotations

from typing import ClassVar

from residua.training.strategies.base import TwoLosses


class Joint(TwoLosses):
    """Both heads from the first step, by a weighted mean of cross-entropy and distance."""

    name: ClassVar[str] = "joint"
    summary: ClassVar[str] = (
        "two heads on one latent vector, classes and reconstruction, trained together"
    )
    cost: ClassVar[str] = "the classifier's, and a seventh more for the decoder"
    good_for: ClassVar[str] = (
        "one network that names classes, reconstructs, and uses unlabelled images"
    )
