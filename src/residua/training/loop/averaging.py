"""The exponential average of the weights over the steps of training.

Less noise than the last step's own weights.
"""

from __future__ import annotations

from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

_WARM = 10  # the decay of step n is at most (1 + n) / (10 + n)


def averaging(decay: float) -> WeightAveraging:
    """Lightning's averaging of weights and batch norm's statistics.

    The decay is ``decay`` once as many steps are past.

    Validation and what is kept after it see the averages, training goes on from the weights
    themselves; checkpoints hold both. Before, the decay of step n is (1 + n) / (10 + n): where
    training began is soon forgotten, however short it is.
    """

    def average(averaged: Tensor, current: Tensor, n_averaged: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():  # batch norm's count of batches
            return current
        n = int(n_averaged)
        return averaged.lerp(current, 1 - min(decay, (1 + n) / (_WARM + n)))

    return WeightAveraging(avg_fn=average)
