"""A score that has learnt is in the graph: exported files, saved bundles and memory agree on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from exporting import shaken, verification
from test_export_parity import assert_same, assorted

from residua.engines import KINDS, load_engine
from residua.images import ImageSet
from residua.thresholds import choose_threshold
from residua.training.bundle import load_bundle, save_bundle
from residua.training.export import build_engine
from residua.training.scoring.engine import score_images, see_images
from residua.training.scoring.graph import InferenceGraph, lay_out
from residua.training.scoring.learned_score import LearnedScorer
from training_wing import blobs


def learnt(name: str, **options):
    """A bundle of random weights whose head and corrected images all matter."""
    bundle = shaken(name, 1, **options)

    def seen(n, seed):
        images = ImageSet.from_arrays(blobs(n, bundle.config.size, 1, seed=seed))
        return see_images(bundle.graph, images, batch_size=4)

    scorer = LearnedScorer(bundle.graph.scorer)
    normals = seen(20, 1)
    with torch.inference_mode():
        scorer.learn(normals, torch.arange(20) < 10, good=seen(4, 2), defects=seen(5, 3))
        scorer.weight = torch.tensor(0.5)
        scorer.alike = torch.tensor([-0.5, 0.9])
    lay_out(scorer)
    graph = InferenceGraph(bundle.graph.prepare, scorer).eval()
    images = ImageSet.from_arrays(blobs(10, bundle.config.size, 1, seed=5))
    scores = score_images(graph, images, batch_size=4).score
    config = bundle.config.model_copy(update={"learnt": True})
    made = replace(bundle, graph=graph, config=config, calibration_scores=scores)
    return made.with_operating_point(choose_threshold("quantile:0.8", scores))


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("plain", "onnx"),
        ("feature", "onnx"),
        ("memory", "openvino"),
        pytest.param("inspect", "onnx", marks=pytest.mark.slow),
    ],
)
def test_an_exported_file_scores_as_the_model_that_has_learnt(name, engine, tmp_path):
    bundle = learnt(name, **({"aspect": "area"} if name == "inspect" else {}))
    card = build_engine(
        bundle, KINDS[engine], tmp_path / "export", verification(bundle), weights_sha256="0"
    )
    assert card.deviation.different_decisions == 0
    images = assorted(bundle) if name == "inspect" else verification(bundle).images
    assert_same(bundle, load_engine(tmp_path / "export", engine), images)


@pytest.mark.slow
def test_a_sum_of_two_scores_learns_by_the_features_of_its_memory():
    bundle = shaken("inspect", 1, backbone="random-conv")
    images = verification(bundle).images
    seen = see_images(bundle.graph, images, batch_size=4)
    scorer = bundle.graph.scorer
    assert seen.marked.shape[1] == scorer.memory.network.n_features
    assert np.array_equal(seen.score, score_images(bundle.graph, images, batch_size=4).score)


@pytest.mark.parametrize("name", ["plain", "memory", "neighbours"])
def test_a_saved_bundle_scores_bit_for_bit_as_it_did(name, tmp_path):
    bundle = learnt(name)
    again = load_bundle(save_bundle(bundle, tmp_path / "bundle"))
    images = verification(bundle).images
    first, second = (score_images(one.graph, images, batch_size=4) for one in (bundle, again))
    assert np.array_equal(first.score, second.score)
    assert again.config.learnt
