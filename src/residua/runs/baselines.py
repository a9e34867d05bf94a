"""What a model is put beside: its images as arrays for the baselines, and the same network
untrained.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.baselines import DETECTORS
from residua.images import ImageSet
from residua.training.bundle import Bundle, build_graph, build_recipe
from residua.training.loop.batches import all_to_unit
from residua.training.networks import ImageShape
from residua.training.scoring.engine import prepare_each, prepare_images
from residua.training.scoring.prepare import Prepare

_Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]

MOST_BASELINE_IMAGES = 20_000
_BASELINE_SIDE = 128  # a larger one changes no ranking that was looked at, and fills memory
_MOST_BASELINE_VALUES = 2**27  # of images as floats, half a gigabyte
_MOST_UNTRAINED_IMAGES, _MOST_UNTRAINED_VALUES = 1000, 2**26


def as_seen(bundle: Bundle, images: ImageSet) -> NDArray[np.float32]:
    """Images as the network sees them, float32 (n, height, width, channels)."""
    return _as_arrays(bundle.graph.prepare, images)


def training_arrays(bundle: Bundle, fitted_on: ImageSet) -> NDArray[np.float32]:
    """Training images, a seeded sample of very many, as the network sees them, float32 (n, height,
    width, channels).
    """
    pixels = math.prod(bundle.config.size) * bundle.config.channels
    return as_seen(
        bundle,
        sampled(
            fitted_on,
            seed_of(bundle),
            most=min(MOST_BASELINE_IMAGES, _MOST_BASELINE_VALUES // pixels),
        ),
    )


def baseline_arrays(bundle: Bundle, fitted_on: ImageSet, images: ImageSet) -> Iterator[_Arrays]:
    """For detecting baselines: training images, a seeded sample of very many, beside a piece of
    `images` after the other.

    As the network sees them, but at 128 pixels a side at most, and half a gigabyte of each at a
    time.
    """
    prepare = bundle.graph.prepare
    share = min(1.0, _BASELINE_SIDE / max(prepare.size))
    height, width = (max(1, round(length * share)) for length in prepare.size)
    small = Prepare((height, width), prepare.aspect)
    most = min(
        MOST_BASELINE_IMAGES,
        max(1, _MOST_BASELINE_VALUES // (height * width * bundle.config.channels)),
    )
    train = _as_arrays(small, sampled(fitted_on, seed_of(bundle), most=most))
    for start in range(0, max(1, len(images)), most):
        yield train, _as_arrays(small, images[start : start + most])


def baseline_scores(
    bundle: Bundle, fitted_on: ImageSet, images: ImageSet
) -> dict[str, NDArray[Any]]:
    """Every detecting baseline's scores of `images`."""
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in DETECTORS}
    for train, seen in baseline_arrays(bundle, fitted_on, images):
        for name, detect in DETECTORS.items():
            parts[name].append(detect(train, seen, latent=latent_of(bundle), seed=seed_of(bundle)))
    return {name: np.concatenate(own) for name, own in parts.items()}


def sampled(fitted_on: ImageSet, seed: int, *, most: int = MOST_BASELINE_IMAGES) -> ImageSet:
    """At most 20,000 of the training images, or `most`, drawn by the seed."""
    if len(fitted_on) <= most:
        return fitted_on
    rows = np.random.default_rng(seed).choice(len(fitted_on), most, replace=False)
    return fitted_on[np.sort(rows)]


def untrained_graph(bundle: Bundle, fitted_on: ImageSet) -> Any:
    """The same architecture with fresh weights, its score fitted to the same normal images."""
    config, recipe = bundle.config, build_recipe(bundle.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(bundle) + 1)
        network = recipe.build_network(ImageShape(*config.size, config.channels))
        graph = build_graph(recipe, network, config.size, config.aspect)
        most = min(
            _MOST_UNTRAINED_IMAGES,
            max(2, _MOST_UNTRAINED_VALUES // (config.channels * math.prod(config.size))),
        )
        prepared = prepare_each(graph.prepare, fitted_on[:most], keep_float=True)
        with torch.inference_mode():
            half = max(1, len(prepared) // 2)
            graph.fit_score(all_to_unit(prepared[:half]), prepared[half:])
    return graph.eval()


def seed_of(bundle: Bundle) -> int:
    """The seed that the bundle was trained with."""
    return int(bundle.config.training.settings["seed"])


def _as_arrays(prepare: Prepare, images: ImageSet) -> NDArray[np.float32]:
    return prepare_images(prepare, images, keep_float=True).permute(0, 2, 3, 1).numpy()


def latent_of(bundle: Bundle) -> int:
    """The size of the network's code: how many dimensions PCA gets beside it."""
    return int(getattr(bundle.graph.scorer.network, "latent", 32))
