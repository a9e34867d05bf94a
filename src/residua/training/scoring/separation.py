"""How well each part of a score tells made anomalies from the images they were made of."""

from __future__ import annotations

import torch
from torch import Tensor


def separations(normal: Tensor, made: Tensor) -> Tensor:
    """ROC AUC of each column of made anomalies against normal images, (n_parts,).

    Anomalies are (m, n_parts), normal images (n, n_parts).

    The share of pairs in which the anomaly scores higher, ties counting half: 1 is perfect, 0.5 is
    chance.

    >>> normal, made = (
    ...     torch.tensor([[0.0, 5.0], [1.0, 5.0]]),
    ...     torch.tensor([[2.0, 5.0], [0.5, 5.0]]),
    ... )
    >>> separations(normal, made)
    tensor([0.7500, 0.5000])
    """
    ranked, asked = normal.T.contiguous().sort(dim=1).values, made.T.contiguous()
    twice_below = torch.searchsorted(ranked, asked) + torch.searchsorted(ranked, asked, right=True)
    return (twice_below.double().mean(1) / (2 * len(normal))).to(normal)
