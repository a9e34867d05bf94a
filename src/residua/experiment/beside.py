"""What a model is put beside: its images as arrays for the baselines, and the same network untrained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.bundle import Bundle, build_graph, build_recipe
from residua.images import ImageSet
from residua.models import ImageShape
from residua.scoring.engine import prepare_each, prepare_images
from residua.training.batches import all_to_unit

MOST_BASELINE_IMAGES = 20_000
_MOST_UNTRAINED_IMAGES = 1000


def baseline_arrays(bundle: Bundle, fitted_on: ImageSet, images: ImageSet) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Training images (a seeded sample of very many) and judged images, as the network sees them."""
    fitted_on = sampled(fitted_on, seed_of(bundle))
    prepare = bundle.graph.prepare
    train, judged = (prepare_images(prepare, part, keep_float=True) for part in (fitted_on, images))
    return train.permute(0, 2, 3, 1).numpy(), judged.permute(0, 2, 3, 1).numpy()


def sampled(fitted_on: ImageSet, seed: int) -> ImageSet:
    """At most 20,000 of the training images, drawn by the seed."""
    if len(fitted_on) <= MOST_BASELINE_IMAGES:
        return fitted_on
    rows = np.random.default_rng(seed).choice(len(fitted_on), MOST_BASELINE_IMAGES, replace=False)
    return fitted_on[np.sort(rows)]


def untrained_graph(bundle: Bundle, fitted_on: ImageSet) -> Any:
    """The same architecture with fresh weights, its score fitted to the same normal images."""
    config, recipe = bundle.config, build_recipe(bundle.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(bundle) + 1)
        network = recipe.build_network(ImageShape(*config.size, config.channels))
        graph = build_graph(recipe, network, config.size, config.aspect)
        prepared = prepare_each(graph.prepare, fitted_on[:_MOST_UNTRAINED_IMAGES], keep_float=True)
        with torch.inference_mode():
            half = max(1, len(prepared) // 2)
            graph.fit_score(all_to_unit(prepared[:half]), prepared[half:])
    return graph.eval()


def seed_of(bundle: Bundle) -> int:
    """The seed that the bundle was trained with."""
    return int(bundle.config.training["settings"]["seed"])


def latent_of(bundle: Bundle) -> int:
    """The size of the network's code: how many dimensions PCA gets beside it."""
    return int(getattr(bundle.graph.scorer.network, "latent", 32))
