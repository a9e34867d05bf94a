"""`auto`: which recipe, by image size and by how well each candidate tells made anomalies from
held-out normal images.

No label of the data is asked, and neither calibration nor test is seen. Each candidate is trained
for a fraction of its schedule on the fitted images; the validation slice gives the normals, and
anomalies are made from the same slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.images import ImageSet
from residua.metrics import roc_auc
from residua.training.bundle import build_graph
from residua.training.fitting.sizes import choose_prepare, choose_size
from residua.training.loop.batches import all_to_unit, seeded
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import TrainingPlan, plan_training, train_network
from residua.training.networks import ImageShape
from residua.training.recipes import Recipe, make_recipe
from residua.training.scoring.engine import prepare_each, score_images
from residua.training.scoring.image_list import Images
from residua.training.scoring.prepare import Aspect, Prepare
from residua.training.synthesis import Draws, make_anomalies
from residua.training.synthesis.smoothing import resized

Hold = Callable[[Prepare, ImageSet], Any]
"""Prepares images and keeps them, in memory or in a file."""

_SHARE_OF_SCHEDULE = 0.15
_MOST_IMAGES = 200
_FEWEST_IMAGES = 4  # two that set the scale of the score, and two to be told from anomalies
_DEFECT_SIDE = 64
_MADE_SIDE = 256
_BATCH = 16


@dataclass(frozen=True)
class Choice:
    """The recipe chosen, the mean ROC AUC of every candidate over the kinds of made anomalies, and
    the sentence.
    """

    recipe: Recipe
    separation: dict[str, float]
    words: str


def candidates(images: ImageSet) -> dict[str, Recipe]:
    """Recipes worth trying at this size: objects below 64 pixels, defects on surfaces from there
    on.
    """
    density = make_recipe("plain", family="dense", density=("mahalanobis", "neighbours"))
    if int(np.median(images.sizes.min(axis=1))) < _DEFECT_SIDE:
        return {"plain with density": density, "joint-one-class": make_recipe("joint-one-class")}
    return {"plain with density": density, "inspect": make_recipe("inspect")}


def choose_recipe(
    fitted_on: ImageSet,
    validation: ImageSet,
    settings: TrainingSettings,
    *,
    size: int | None = None,
    aspect: Aspect | None = None,
    hold: Hold = prepare_each,
    on_note: Callable[[str], None],
) -> Choice:
    """Train each candidate briefly and keep the one that separates made anomalies from the
    validation slice best.
    """
    normals = validation[:_MOST_IMAGES]
    if len(normals) < _FEWEST_IMAGES:
        name, recipe = next(iter(candidates(fitted_on).items()))
        words = (
            f"auto takes {name}: {len(normals)} held-out normal images are too few to compare"
            f" recipes; that takes {_FEWEST_IMAGES}"
        )
        on_note(words)
        return Choice(recipe, {}, words)
    separation = {}
    for name, recipe in candidates(fitted_on).items():
        separation[name] = _separation(recipe, fitted_on, normals, settings, size, aspect, hold)
        on_note(
            f"auto: {name} tells artificial defects from {len(normals)} held-out normal images with"
            f" ROC AUC {separation[name]:.3f} (0.5 is chance)"
        )
    best = max(separation, key=lambda name: separation[name])
    others = ", ".join(f"{name} {value:.3f}" for name, value in separation.items() if name != best)
    words = (
        f"auto chose {best}: after {_SHARE_OF_SCHEDULE:.0%} of its schedule it told artificial"
        " defects from held-out normal images best, with ROC AUC"
        f" {separation[best]:.3f} ({others}); no label, no calibration image and no test image was"
        " used"
    )
    on_note(words)
    return Choice(candidates(fitted_on)[best], separation, words)


def _made_anomalies(normals: ImageSet, seed: int) -> Iterator[tuple[str, ImageSet]]:
    """A few of each kind at a time, the same for each candidate.

    Made at the images' own proportions, so that each candidate resizes them as it does real images.
    """
    longer = int(min(_MADE_SIDE, np.median(normals.sizes.max(axis=1))))
    made_size, _ = choose_size(normals, max(8, longer), "stretch")
    prepared = prepare_each(
        Prepare(made_size, "stretch" if normals.uniform_size else "area"), normals, keep_float=True
    )
    draws = Draws(seeded(seed, 5), torch.device("cpu"))
    for batch, other in _with_neighbours(prepared):
        for kind, made in make_anomalies(draws, batch, other).items():
            yield (
                kind,
                ImageSet.from_arrays(
                    [image.permute(1, 2, 0).contiguous().numpy() for image in made]
                ),
            )


def _with_neighbours(prepared: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches, and for each image of one the image before it, at the same size."""
    if isinstance(prepared, Tensor):
        yield from ((batch, batch.roll(1, 0)) for batch in prepared.split(_BATCH) if len(batch) > 1)
        return
    batches = list(prepared.split(1)) if len(prepared) > 1 else []
    yield from (
        (batch, resized(other, *batch.shape[-2:]))
        for batch, other in zip(batches, batches[-1:] + batches, strict=False)
    )


def _separation(  # noqa: PLR0917  a private step of one function, given what that function has
    recipe: Recipe,
    fitted_on: ImageSet,
    normals: ImageSet,
    settings: TrainingSettings,
    size: int | None,
    asked: Aspect | None,
    hold: Hold,
) -> float:
    prepare, _ = choose_prepare(fitted_on, recipe, size, asked)
    train, held_out = hold(prepare, fitted_on), prepare_each(prepare, normals, keep_float=True)
    torch.manual_seed(settings.seed)
    network = recipe.build_network(ImageShape(*prepare.size, fitted_on.channels))
    brief = settings.model_copy(update={"epochs": None, "minutes": None, "patience": None})
    train_network(
        recipe,
        network,
        train,
        held_out,
        brief,
        _brief_plan(plan_training(recipe, network, train, brief)),
    )
    graph = build_graph(recipe, network, prepare.size, prepare.aspect)
    half = max(1, len(held_out) // 2)
    with torch.inference_mode():
        graph.fit_score(all_to_unit(train), held_out[:half])
    # The half that set the scale of the score is not asked again.
    normal_scores = score_images(graph, normals[half:], batch_size=_BATCH).score
    scores: dict[str, list[NDArray[np.float32]]] = {}
    for kind, made in _made_anomalies(normals, settings.seed):
        scores.setdefault(kind, [normal_scores]).append(
            score_images(graph, made, batch_size=_BATCH).score
        )
    found = [np.concatenate(parts) for parts in scores.values()]
    return float(
        np.mean([roc_auc(np.arange(len(one)) >= len(normal_scores), one) for one in found])
    )


def _brief_plan(plan: TrainingPlan) -> TrainingPlan:
    n_steps = max(1, round(plan.n_steps * _SHARE_OF_SCHEDULE))
    steps_per_epoch = min(plan.steps_per_epoch, n_steps)
    return TrainingPlan(max(1, n_steps // steps_per_epoch), steps_per_epoch, plan.bfloat16)
