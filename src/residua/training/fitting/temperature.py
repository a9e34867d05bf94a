"""Temperature scaling (Guo et al., 2017): one number that makes probabilities mean what they say,
found on images kept aside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

from residua.images import ImageSet
from residua.training.fitting.targets import Targets
from residua.training.scoring.engine import logits_of
from residua.training.scoring.graph import InferenceGraph

FEWEST = 100

_RANGE = (-2.5, 2.5)  # of the logarithm: between a twelfth and twelve


def fit_temperature(
    graph: InferenceGraph, images: ImageSet, targets: Targets, *, batch_size: int, n_classes: int
) -> str:
    """Set the scorer's temperature to what minimises the log loss on the labelled `images`; returns
    what was done in a sentence.

    The order of the probabilities, and so every decision, stays as it is. Fewer than 100 labelled
    images leave it at 1. Of the truth a share of 1 / (n + 2) is given to all classes alike, so that
    n images without a mistake lead to no certainty.
    """
    rows = np.flatnonzero(targets.labelled)
    if len(rows) < FEWEST:
        return (
            f"probabilities are not calibrated: {len(rows)} labelled images are kept aside, and it"
            f" takes {FEWEST}; read them as an order, not as chances"
        )
    scorer: Any = graph.scorer
    logits = torch.from_numpy(logits_of(graph, images[rows], batch_size=batch_size)).double()
    truth = torch.from_numpy(targets.values[rows])

    sure = 1 / (
        len(rows) + 2
    )  # Platt (1999): n images, all right, do not show that none will ever be wrong

    def loss(logarithm: float, smoothing: float = 0.0) -> float:
        scaled = logits / float(np.exp(logarithm))
        if targets.multilabel or scaled.shape[1] == 1:
            wanted = truth.double().reshape(scaled.shape) * (1 - smoothing) + smoothing / 2
            return float(F.binary_cross_entropy_with_logits(scaled, wanted))
        return float(F.cross_entropy(scaled, truth, label_smoothing=smoothing))

    best = minimize_scalar(
        lambda at: loss(at, sure), bounds=_RANGE, method="bounded", options={"xatol": 1e-3}
    )
    scorer.temperature.fill_(float(np.exp(best.x)))
    words = (
        f"temperature {float(scorer.temperature):.3f} on {len(rows):,} labelled images kept aside: "
        f"log loss there {loss(0.0):.4f} before, {loss(float(best.x)):.4f} after"
    )
    absent = [
        str(name)
        for name, count in zip(targets.classes, targets.take(rows).counts(), strict=True)
        if not count
    ]
    if absent:
        shown = ", ".join(absent[:8]) + (", ..." if len(absent) > 8 else "")
        words += (
            f"; no image there is of {shown}, whose probabilities lean on the other"
            f" {n_classes - len(absent)} classes"
        )
    return words
