"""Small bundles of every recipe that were not trained, but whose weights all matter; exported once
a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch

from residua.engines import KINDS, Card
from residua.images import ImageSet
from residua.thresholds import choose_threshold
from residua.training.bundle import Bundle, BundleConfig, build_graph
from residua.training.export import Verification, build_engine
from residua.training.networks import ImageShape
from residua.training.recipes import RECIPES, make_recipe
from residua.training.scoring.engine import score_images
from training_wing import blobs

SMALL = {
    "inspect": {"width": 2},
    "restore": {"width": 4, "latent": 4},
    "joint-one-class": {"width": 4, "latent": 4},
    "neighbours": {},
    "memory": {"backbone": "random-conv", "size": 50},
}


SHAKE = {
    "inspect": 0.3
}  # its last layer starts at zero, and a score without spread would be all rounding


def size_of(name: str) -> tuple[int, int]:
    """Odd sides, that differ."""
    side = max(12, RECIPES[name].sides.smallest)
    return side + 1, side + 3


def shaken(
    name: str, channels: int, *, aspect: str = "stretch", bits: str = "8", **options
) -> Bundle:
    recipe, size = make_recipe(name, **{**SMALL.get(name, {"latent": 4}), **options}), size_of(name)
    torch.manual_seed(0)
    network = recipe.build_network(ImageShape(*size, channels))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(SHAKE.get(name, 0.05) * torch.randn_like(parameter))
    graph = build_graph(recipe, network, size, aspect)
    prepared = torch.from_numpy(blobs(24, size, channels)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        graph.fit_score(prepared, prepared[:12] * 0.9)
    config = BundleConfig(
        job="detect",
        recipe=name,
        recipe_options=recipe.model_dump(mode="json"),
        size=size,
        channels=channels,
        bits=bits,
        aspect=aspect,
        batch_size=4,
    )
    scores = score_images(
        graph, ImageSet.from_arrays(blobs(10, size, channels, seed=5)), batch_size=4
    ).score
    bundle = Bundle(config, graph, scores, np.zeros(10, np.bool_))
    return bundle.with_operating_point(choose_threshold("quantile:0.8", scores))


def verification(bundle: Bundle) -> Verification:
    size, channels = bundle.config.size, bundle.config.channels
    images, training = (
        ImageSet.from_arrays(blobs(10, size, channels, seed=seed)) for seed in (5, 6)
    )
    return Verification(images, np.zeros(10, np.bool_), training)


@cache
def exported(name: str, channels: int, engine: str, **options) -> tuple[Bundle, Path, Card]:
    bundle = shaken(name, channels, **dict(options))
    folder = Path(mkdtemp()) / "export"
    card = build_engine(bundle, KINDS[engine], folder, verification(bundle), weights_sha256="0")
    return bundle, folder, card
