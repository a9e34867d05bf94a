"""The two losses and their weighted mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.recipes.base import is_labelled

Distance = Literal["squared", "euclidean"]

_SMALLEST = 1e-12  # under a root: the gradient of a perfect reconstruction stays finite


def classification_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    multilabel: bool,
    smoothing: float = 0.0,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Cross-entropy over the labelled images, in nats.

    Softmax, one sigmoid for two classes, or a sigmoid a label.

    Parameters
    ----------
    logits : float (batch, n_classes), or (batch, 1) of the second of two classes
    targets : int (batch,), -1 without a label; or float (batch, n_classes), NaN without one
    weights : one a class, optional
        Of an image of that class; of several labels, of those that hold. The mean is over the
        weights.

    Returns
    -------
    scalar
        0 where no image is labelled.
    """
    known = is_labelled(targets)
    if not known.any():
        return logits.sum() * 0
    logits, targets = logits[known].float(), targets[known]
    scale = None if weights is None else torch.tensor(weights, device=logits.device)
    if multilabel or logits.shape[1] == 1:
        truth = targets.float() if multilabel else targets[:, None].float()
        each = F.binary_cross_entropy_with_logits(
            logits, truth * (1 - smoothing) + smoothing / 2, reduction="none"
        )
        if scale is None:
            return each.mean()
        of_each = (
            torch.where(truth > 0.5, scale, torch.ones_like(scale))
            if multilabel
            else scale[targets][:, None]
        )
        return (each * of_each).sum() / of_each.sum()
    return F.cross_entropy(logits, targets, weight=scale, label_smoothing=smoothing)


def distance(kind: Distance, reconstructions: Tensor, images: Tensor) -> Tensor:
    """Mean squared distance over pixels and images, or the mean Euclidean one over images."""
    if kind == "squared":
        return F.mse_loss(reconstructions.float(), images)
    return (
        (reconstructions.float() - images)
        .square()
        .flatten(1)
        .sum(1)
        .clamp(min=_SMALLEST)
        .sqrt()
        .mean()
    )


def weighted_mean(
    classes: Tensor, image: Tensor, weight: float | Literal["learn"], balance: Tensor | None
) -> Tensor:
    """``(1 - weight) x classes + weight x image``, or learnt by variances e^balance."""
    if weight == "learn" and balance is not None:
        return (
            (-balance[0]).exp() * classes + 0.5 * (-balance[1]).exp() * image + 0.5 * balance.sum()
        )
    share = float(weight)
    return (1 - share) * classes + share * image
