"""The options of `plain`: families, losses, error kinds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from residua import Autoencoder, OneClassDetector
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.recipes.plain import reconstruction_loss
from training_wing import blobs

OPTIONS = [
    {"family": "dense"},
    {"family": "dense", "tied": True},
    {"loss_name": "absolute"},
    {"loss_name": "binary-cross-entropy"},
    {"family": "dense", "loss_name": "binary-cross-entropy", "error": "ssim"},
    {"error": "absolute"},
    {"error": "euclidean"},
    {"error": "ssim"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_trains_scores_noise_higher_and_survives_saving(options, tmp_path):
    detector = OneClassDetector(
        make_recipe("plain", latent=3, **options), epochs=6, batch_size=8
    ).fit(blobs(60, (8, 8)))
    normal, noise = (
        blobs(20, (8, 8), seed=5),
        np.random.default_rng(0).integers(0, 256, (20, 8, 8)).astype(np.uint8),
    )
    assert np.median(detector.anomaly_scores(noise)) > np.median(detector.anomaly_scores(normal))
    assert detector.history_["train_loss"][-1] < detector.history_["train_loss"][0]
    loaded = OneClassDetector.load(detector.save(tmp_path / "bundle"))
    assert np.array_equal(loaded.anomaly_scores(noise), detector.anomaly_scores(noise))
    assert np.array_equal(loaded.reconstruct(noise), detector.reconstruct(noise))


def test_tied_weights_make_a_smaller_network_with_tied_weights_in_its_name():
    free, tied = (
        Autoencoder(make_recipe("plain", family="dense", latent=3, tied=tied), epochs=1).fit(
            blobs(12, (8, 8))
        )
        for tied in (False, True)
    )
    assert tied.bundle_.config.training.parameters < free.bundle_.config.training.parameters
    assert "tied" in tied.bundle_.config.training.network


def test_losses_are_those_of_torch_and_zero_for_a_perfect_reconstruction():
    images = torch.rand(3, 1, 8, 8)
    output = torch.randn(3, 1, 8, 8)
    assert torch.equal(reconstruction_loss("squared", output, images), F.mse_loss(output, images))
    assert torch.equal(reconstruction_loss("absolute", output, images), F.l1_loss(output, images))
    expected = F.binary_cross_entropy(output.sigmoid(), images)
    assert torch.allclose(
        reconstruction_loss("binary-cross-entropy", output, images), expected, atol=1e-6
    )
    assert reconstruction_loss("squared", images, images) == 0
    assert reconstruction_loss("absolute", images, images) == 0


def test_cross_entropy_reconstructions_are_logits_brought_to_the_unit_interval():
    recipe = make_recipe("plain", latent=2, loss_name="binary-cross-entropy")
    network = recipe.build_network(ImageShape(8, 8, 1)).eval()
    scorer, images = recipe.build_scorer(network), torch.rand(2, 1, 8, 8)
    with torch.inference_mode():
        assert torch.allclose(scorer(images).reconstruction, network(images).sigmoid())
        assert torch.allclose(scorer.decode(network.encode(images)), network(images).sigmoid())
