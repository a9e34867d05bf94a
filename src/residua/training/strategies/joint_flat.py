"""`joint-flat`: one dense output K of |X| + n numbers.

The first |X| are the reconstruction, the last the logits.
"""

from __future__ import annotations

from typing import ClassVar

from residua.training.networks import ClassifierNetwork, FlatNetwork
from residua.training.strategies.base import TwoLosses


class JointFlat(TwoLosses):
    """The loss of `joint` on the parts of a vector K, fully connected to the code."""

    name: ClassVar[str] = "joint-flat"
    summary: ClassVar[str] = (
        "one dense output: the first numbers are the image, the last the logits"
    )
    cost: ClassVar[str] = "the classifier's, and little more; its last layer grows with the image"
    good_for: ClassVar[str] = "small images; to see that the shape of the output hardly matters"
    network_class: ClassVar[type[ClassifierNetwork]] = FlatNetwork
