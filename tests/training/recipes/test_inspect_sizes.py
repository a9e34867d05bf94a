"""`inspect` on images of mixed sizes: each is seen at its own proportions, and alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from residua import OneClassDetector
from residua.findings import find_dead_latent
from residua.images import ImageSet
from residua.runs.bundle_model import model_of_bundle
from residua.training.recipes import make_recipe

SIZES = [(70, 100), (100, 64), (64, 150), (90, 90)]


def mixed(n: int, seed: int = 0) -> ImageSet:
    """Stripes of one pitch, whatever the proportions."""
    rng, made = np.random.default_rng([seed, n]), []
    for row in range(n):
        height, width = SIZES[row % len(SIZES)]
        stripes = 128 + 60 * np.sin(
            np.arange(width)[None] * 2 * np.pi / 8 + rng.uniform(0, 2 * np.pi)
        )
        made.append(
            np.clip(stripes + rng.normal(0, 6, (height, width)), 0, 255).astype(np.uint8)[..., None]
        )
    return ImageSet.from_arrays(made)


@pytest.fixture(scope="module")
def trained() -> OneClassDetector:
    return OneClassDetector(make_recipe("inspect", width=3), epochs=2, batch_size=8, seed=0).fit(
        mixed(24), calibration=mixed(20, 1)
    )


def test_maps_have_their_images_resolution_and_restorations_one_size(trained):
    images = mixed(5, 2)
    assert trained.bundle_.config.aspect == "area"
    assert [error_map.shape for error_map in trained.error_maps(images)] == [*SIZES, SIZES[0]]
    assert trained.reconstruct(images).shape == (5, *trained.bundle_.config.size, 1)
    assert len(trained.transform(images)) == 5


def test_a_score_does_not_depend_on_the_other_images_and_survives_saving(trained, tmp_path):
    images = mixed(8, 3)
    scores = trained.anomaly_scores(images)
    assert np.array_equal(trained.anomaly_scores(images[[6, 1]]), scores[[6, 1]])
    loaded = OneClassDetector.load(trained.save(tmp_path / "bundle"))
    assert np.array_equal(loaded.anomaly_scores(images), scores)


def test_extreme_proportions_are_scored(trained):
    thin = ImageSet.from_arrays(
        [np.full((4, 900, 1), 90, np.uint8), np.full((900, 3, 1), 90, np.uint8)]
    )
    assert np.isfinite(trained.anomaly_scores(thin)).all()


@pytest.mark.filterwarnings("ignore")
def test_a_traced_graph_takes_images_of_any_size(trained):
    """What an export is made from: nothing that depends on the size may be frozen in it."""

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.graph = trained.bundle_.graph

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            scored = self.graph(images)
            return scored.score, scored.error_map

    given = [torch.from_numpy(image)[None] for image in mixed(3, 5)]
    with torch.no_grad():
        graph = trained.bundle_.graph
        traced = torch.jit.trace(Traced().eval(), given[0], check_trace=False)
        for images in given:
            score, error_map = traced(images)
            assert torch.allclose(score, graph(images).score, atol=1e-4)
            assert torch.allclose(error_map, graph(images).error_map, atol=1e-3)


def test_the_worst_of_several_sizes_are_trimmed():
    detector = OneClassDetector(make_recipe("inspect", width=2), epochs=1, batch_size=8, trim=0.1)
    notes = detector.fit(mixed(12), calibration=mixed(20, 1)).notes_
    assert any("the 1 of 12 images that scored worst were dropped" in note for note in notes)


def test_evaluating_looks_at_codes_of_images_with_odd_sides():
    rng = np.random.default_rng(0)
    images = ImageSet.from_arrays(rng.integers(90, 160, (16, 65, 71, 1)).astype(np.uint8))
    recipe = make_recipe("inspect", width=3)
    bundle = (
        OneClassDetector(recipe, epochs=1, batch_size=8, seed=0)
        .fit(images, calibration=images)
        .bundle_
    )
    assert bundle.config.size == (65, 71)
    latents = model_of_bundle(bundle).network.latents(images)
    found = None if latents is None else find_dead_latent(latents)
    assert found is None or found.code == "dead-latent"
