"""Training sets that hold a few bad images.

Train briefly, drop the worst share, train again from the start.

Iterative trimming in one round (Rousseeuw and Van Driessen's concentration step, 1999). It looks at
scores alone, so that it works for every recipe, and nothing in it is random, so that a resumed run
drops the same images.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from residua._text import few
from residua.training.loop.batches import MemoryBatches, to_unit
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import TrainingPlan, batch_size_of
from residua.training.recipes import Recipe
from residua.training.scoring.image_list import Images, at_once

_CHUNK = 64
_FIRST = 4  # the first training takes one epoch of so many
SHARE_OF_MINUTES = 1 / (1 + 1 / _FIRST)
"""Of a time budget, for the second training: the first takes a quarter of its length."""


def keep_best(scorer: nn.Module, images: Images, trim: float) -> NDArray[np.int64]:
    """Which of the prepared `images` stay, in order.

    All but the share `trim` (rounded) that `scorer` finds most anomalous.
    """
    with torch.inference_mode():
        scores = torch.cat(
            [scorer(to_unit(chunk)).score for chunk in images.split(at_once(images, _CHUNK))]
        ).numpy()
    n_kept = len(scores) - round(trim * len(scores))
    return np.sort(np.argsort(scores, kind="stable")[:n_kept])


def plan_first(plan: TrainingPlan) -> TrainingPlan:
    """A quarter of the epochs.

    What is rare is learnt last, and a network that has learnt an anomaly does not point at it.
    """
    return replace(plan, epochs=max(1, plan.epochs // _FIRST))


def plan_again(
    plan: TrainingPlan, recipe: Recipe, kept: Images, settings: TrainingSettings
) -> TrainingPlan:
    """The plan for what is left: as many epochs, of no more steps than there are batches."""
    n_batches = len(
        MemoryBatches(
            kept, batch_size=batch_size_of(recipe, settings), seed=settings.seed, shuffle=True
        )
    )
    return replace(plan, steps_per_epoch=min(plan.steps_per_epoch, n_batches))


def say_dropped(paths: NDArray[np.object_], n_images: int, *, most: int = 5) -> str:
    """What was dropped, in a sentence that names the first few.

    Examples
    --------
    >>> say_dropped(np.array(["a.png", "b.png"], dtype=object), 20)
    'trim: the 2 of 20 images that scored worst were dropped, and training began again: a.png,
    b.png'
    """
    which = (
        f"the {len(paths)} of {n_images} images that scored worst were dropped, and training began"
        " again"
    )
    return (
        f"trim: {which}: {few(paths, most)}"
        if len(paths)
        else f"trim: {n_images} images are too few for that share; none was dropped"
    )
