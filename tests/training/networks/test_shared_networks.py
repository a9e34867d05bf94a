"""Networks that share an encoder: heads on one latent, a distribution over it, a frozen half."""

from __future__ import annotations

import pytest
import torch

from residua.errors import InputError
from residua.training.networks import (
    ClassifierNetwork,
    ConvAutoencoder,
    FlatNetwork,
    ImageShape,
    JointNetwork,
    ResidualAutoencoder,
    VariationalAutoencoder,
)
from residua.training.networks.residual import pooling
from residua.training.networks.skip import SkipNetwork, degraded_view

SHAPE = ImageShape(12, 17, 3)


def images(n: int = 2, shape: ImageShape = SHAPE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, shape.channels, shape.height, shape.width, generator=generator)


def residual(latent: int = 6) -> ResidualAutoencoder:
    return ResidualAutoencoder(SHAPE, latent, width=8).eval()


def test_a_network_around_another_encodes_and_decodes_as_it_does():
    base = ConvAutoencoder(SHAPE, 5).eval()
    around, x = VariationalAutoencoder(base).eval(), images()
    assert torch.equal(around.encode(x), base.encode(x))
    assert torch.equal(around(x), base(x))
    assert (around.shape, around.latent) == (base.shape, base.latent)


def test_the_mean_of_the_posterior_is_the_latent_and_its_variance_is_bounded():
    around, x = VariationalAutoencoder(ConvAutoencoder(SHAPE, 5)).eval(), images() * 1e4
    mean, log_variance = around.posterior(x)
    assert torch.equal(mean, around.encode(x))
    assert log_variance.abs().max() <= 10


def test_the_heads_of_a_joint_network_read_one_encoder():
    joint, x = JointNetwork(residual(), n_classes=4).eval(), images(3)
    output = joint.heads(x)
    assert output.logits.shape == (3, 4)
    assert output.projections.shape == (3, 64)
    assert torch.allclose(output.reconstructions, joint(x), atol=1e-6)
    output.logits.sum().backward()
    assert all(p.grad is not None for p in joint.base.encoder.parameters())
    assert all(p.grad is None for p in joint.base.decoder.parameters())


def test_a_joint_network_and_its_base_share_their_weights_in_one_state():
    joint = JointNetwork(residual(), n_classes=4)
    names = set(joint.state_dict())
    assert {f"base.{name}" for name in joint.base.state_dict()} <= names
    assert {name.split(".")[0] for name in names} == {"base", "classifier", "project"}


def test_the_stages_of_a_residual_network_end_with_its_maps():
    network, x = residual(), images()
    *_, last = network.stages(x)
    assert torch.equal(last, network.maps(x))
    assert sum(stage.shape[1] for stage in network.stages(x)) == network.n_stage_maps
    assert last.shape[1:] == (network.n_maps, 2, 3)


@pytest.mark.parametrize(("rows", "columns", "cells"), [(4, 4, 4), (5, 7, 4), (3, 3, 2), (1, 6, 1)])
def test_pooling_is_a_mean_over_cells_that_cover_all(rows, columns, cells):
    matrix = pooling(rows, columns, cells)
    assert matrix.shape == (rows * columns, cells * cells)
    assert torch.allclose(matrix.sum(0), torch.ones(cells * cells))
    assert torch.allclose(torch.full((rows * columns,), 3.0) @ matrix, torch.tensor(3.0))
    assert (matrix.sum(1) > 0).all()


@pytest.mark.parametrize("kind", [ClassifierNetwork, FlatNetwork])
def test_a_classifier_names_classes_and_reconstructs_from_one_latent(kind):
    network, x = kind(SHAPE, 10, 3, width=8).eval(), images(4)
    logits, reconstructions = network.heads(x)
    assert logits.shape == (4, 3)
    assert reconstructions.shape == x.shape
    assert torch.allclose(network.classify(network.encode(x)), logits, atol=1e-5)
    assert torch.allclose(network.decode(network.encode(x)), reconstructions, atol=1e-5)


def test_a_classifier_without_a_decoder_says_so():
    network = ClassifierNetwork(SHAPE, 10, 3, width=8, decoder=False).eval()
    logits, reconstructions = network.heads(images())
    assert logits.shape == (2, 3)
    assert reconstructions is None
    assert not network.reconstructs
    with pytest.raises(InputError, match="must have a decoder"):
        network.decode(torch.zeros(1, 10))


def test_a_frozen_encoder_stays_as_it_is_while_the_head_learns():
    network = ClassifierNetwork(SHAPE, 10, 3, width=8)
    network.freeze_encoder()
    network.train()
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0)
    head = [value.detach().clone() for value in network.head.parameters()]
    network.heads(images(8))[0].square().sum().backward()
    optimiser.step()
    after = network.encoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    moved = zip(head, network.head.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in moved)
    network.freeze_encoder(frozen=False)
    assert all(p.requires_grad for p in network.encoder.parameters())


def test_a_skip_network_restores_at_the_size_it_sees_and_marks_pixels():
    network = SkipNetwork(ImageShape(64, 80, 1), width=4).eval()
    output = network(torch.randn(2, 1, 64, 80))
    assert output.restoration.shape == (2, 1, 64, 80)
    assert output.logits.shape == (2, 1, 64, 80)
    assert output.features.shape == (2, network.n_features, 8, 10)
    assert network.encode(torch.randn(2, 1, 64, 80)).shape == (2, network.latent)


def test_a_fresh_skip_network_takes_defects_for_rare():
    network = SkipNetwork(ImageShape(64, 64, 1), width=4).eval()
    logits = network(torch.randn(1, 1, 64, 64)).logits
    assert logits.sigmoid().max() < 0.1


def test_a_skip_network_refuses_images_that_are_too_small():
    with pytest.raises(InputError, match="at least 64 px"):
        SkipNetwork(ImageShape(48, 64, 1))


def test_the_degraded_view_does_not_change_with_exposure():
    x = torch.randn(1, 1, 64, 64)
    detail = degraded_view(x)[:, :1]
    brighter = degraded_view(x + 3)[:, :1]
    assert torch.allclose(detail, brighter, atol=1e-3)
