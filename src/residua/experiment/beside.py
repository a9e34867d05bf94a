"""What a model is put beside: its images as arrays for the baselines, and the same network untrained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.baselines import DETECTORS
from residua.bundle import Bundle, build_graph, build_recipe
from residua.images import ImageSet
from residua.models import ImageShape
from residua.scoring.engine import prepare_each, prepare_images
from residua.training.batches import all_to_unit

MOST_BASELINE_IMAGES = 20_000
_MOST_UNTRAINED_IMAGES = 1000


def as_seen(bundle: Bundle, images: ImageSet) -> NDArray[np.float32]:
    """Images as the network sees them, float32 (n, height, width, channels)."""
    return prepare_images(bundle.graph.prepare, images, keep_float=True).permute(0, 2, 3, 1).numpy()


def training_arrays(bundle: Bundle, fitted_on: ImageSet) -> NDArray[np.float32]:
    """Training images, a seeded sample of very many, as the network sees them."""
    return as_seen(bundle, sampled(fitted_on, seed_of(bundle)))


def baseline_scores(bundle: Bundle, fitted_on: ImageSet, images: ImageSet) -> dict[str, NDArray[Any]]:
    """Every detecting baseline's scores of `images`, 20,000 images at a time: a million as floats would be 3 GB and more."""
    train, seed, latent = training_arrays(bundle, fitted_on), seed_of(bundle), latent_of(bundle)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in DETECTORS}
    for start in range(0, len(images), MOST_BASELINE_IMAGES):
        seen = as_seen(bundle, images[start : start + MOST_BASELINE_IMAGES])
        for name, detect in DETECTORS.items():
            parts[name].append(detect(train, seen, latent=latent, seed=seed))
    return {name: np.concatenate(own) for name, own in parts.items()}


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
