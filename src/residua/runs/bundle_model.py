"""A model that was trained here, as judging sees it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.engines import Engine
from residua.images import ImageSet
from residua.runs.model import Calibration, Floats, JudgedModel
from residua.training.bundle import (
    Bundle,
    build_graph,
    build_recipe,
    graph_engine,
    with_tile_statistics,
)
from residua.training.loop.batches import all_to_unit
from residua.training.networks import ImageShape, default_latent
from residua.training.networks.base import why_no_code
from residua.training.scoring.engine import prepare_each, prepared_chunks
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.image_list import at_once

# Images, and values of them as floats, that the untrained network's score is fitted to.
_MOST_UNTRAINED_IMAGES, _MOST_UNTRAINED_VALUES = 1000, 2**26
_LATENTS_AT_ONCE = 256
_MOST_OF_TILES = 50  # images that the untrained network's tiles are standardised on


@dataclass(frozen=True)
class BundleNetwork:
    """The network of a bundle, for what no engine answers; see `residua.runs.model.Network`."""

    bundle: Bundle

    def untrained(self, fitted_on: ImageSet) -> Engine | None:
        """The same architecture with fresh weights and a fitted score; None where none trained."""
        if build_recipe(self.bundle.config).is_closed_form:
            return None
        framing = self.bundle.config.framing
        fresh = untrained_graph(self.bundle, framing.cut_all(fitted_on[:_MOST_UNTRAINED_IMAGES]))
        config = self.bundle.config
        if config.tiling is None:
            return graph_engine(self.bundle, fresh)
        bundle = replace(self.bundle, graph=fresh)
        return graph_engine(with_tile_statistics(bundle, fitted_on[-_MOST_OF_TILES:]))

    def latents(self, images: ImageSet) -> Floats | None:
        """The latent vector of each image; None where the network has none of whole images."""
        scorer, config = self.bundle.graph.scorer, self.bundle.config
        if config.is_framed or not hasattr(scorer.network, "encode"):
            return None
        prepare = self.bundle.graph.prepare.at_one_size()
        chunks = prepared_chunks(prepare, images, keep_float=True)
        with torch.inference_mode():
            batches = (
                batch for chunk in chunks for batch in chunk.split(at_once(chunk, _LATENTS_AT_ONCE))
            )
            latents = torch.cat([scorer.encode(batch) for batch in batches]).flatten(1)
        return np.asarray(latents.float().cpu().numpy())


def model_of_bundle(
    bundle: Bundle,
    *,
    engine: Engine | None = None,
    provenance: Mapping[str, Any] | None = None,
    training: Mapping[str, NDArray[Any]] | None = None,
    calibration_hashes: NDArray[Any] | None = None,
) -> JudgedModel:
    """The model of a bundle, scored by its own graph or by another `engine`."""
    config = bundle.config
    scores, flags = bundle.calibration_scores, bundle.calibration_is_anomalous
    hashes = np.zeros(0, object) if calibration_hashes is None else calibration_hashes
    looks = config.training.calibration_images
    shape = ImageShape(*config.size, config.channels)
    return JudgedModel(
        facts=config,
        engine=engine or graph_engine(bundle),
        calibration=Calibration(
            scores,
            flags,
            hashes,
            looks,
            bundle.calibration_groups,
            None
            if config.products is None or bundle.calibration_products is None
            else config.products.at(bundle.calibration_products),
        ),
        seed=seed_of(bundle),
        # Beside a network without a latent vector, PCA has the dimensions of its own recipe.
        latent=int(getattr(bundle.graph.scorer.network, "latent", default_latent(shape))),
        no_code=why_no_code(bundle.graph.scorer.network),
        provenance=dict(provenance or {}),
        keep_aspect=config.aspect == "keep",
        reconstructs=bundle.graph.scorer.reconstructs,
        training=dict(training or {}),
        network=BundleNetwork(bundle),
    )


def untrained_graph(bundle: Bundle, fitted_on: ImageSet) -> InferenceGraph:
    """The same architecture with fresh weights, its score fitted to the same normal images."""
    config, recipe = bundle.config, build_recipe(bundle.config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(bundle) + 1)
        network = recipe.build_network(ImageShape(*config.size, config.channels))
        graph = build_graph(recipe, network, config.size, config.aspect)
        values = config.channels * math.prod(config.size)
        most = min(_MOST_UNTRAINED_IMAGES, max(2, _MOST_UNTRAINED_VALUES // values))
        prepared = prepare_each(graph.prepare, fitted_on[:most], keep_float=True)
        with torch.inference_mode():
            half = max(1, len(prepared) // 2)
            graph.fit_score(all_to_unit(prepared[:half]), prepared[half:])
    return graph.eval()


def seed_of(bundle: Bundle) -> int:
    """The seed that the bundle was trained with."""
    return int(bundle.config.training.settings["seed"])
