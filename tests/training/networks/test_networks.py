"""Networks of every family take any image from 8x8 up, any number of channels and any code."""

from __future__ import annotations

import pytest
import torch

from residua.errors import InputError
from residua.training.networks import (
    FAMILIES,
    DenseAutoencoder,
    ImageShape,
    build_network,
    default_latent,
    n_parameters,
)
from residua.training.networks.base import why_no_code
from residua.training.networks.skip import SkipNetwork

SIZES = [(8, 8), (9, 13), (17, 31), (64, 40)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("latent", [1, 7])
def test_reconstruction_has_the_size_of_the_image_and_the_code_the_size_asked_for(
    family, size, channels, latent
):
    network = build_network(family, ImageShape(*size, channels), latent).eval()
    images = torch.rand(2, channels, *size)
    codes = network.encode(images)
    assert codes.shape == (2, latent)
    assert network.decode(codes).shape == images.shape
    assert torch.equal(network(images), network.decode(codes))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_code_as_large_as_the_image_is_possible(family):
    network = build_network(family, ImageShape(8, 8, 1), 64)
    assert network.encode(torch.rand(1, 1, 8, 8)).shape == (1, 64)


@pytest.mark.parametrize("family", FAMILIES)
def test_description_names_the_latent_size(family):
    network = build_network(family, ImageShape(28, 28, 1), 5)
    assert "latent 5" in network.describe()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_gets_a_gradient(family):
    network = build_network(family, ImageShape(9, 13, 3), 3)
    network(torch.rand(4, 3, 9, 13)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_one_image_passes_through_in_evaluation(family):
    network = build_network(family, ImageShape(8, 8, 1), 2).eval()
    assert torch.isfinite(network(torch.zeros(1, 1, 8, 8))).all()


def test_tied_decoder_holds_biases_only():
    shape = ImageShape(8, 8, 1)
    free, tied = (
        DenseAutoencoder(shape, 4, hidden=(32, 16)),
        DenseAutoencoder(shape, 4, hidden=(32, 16), tied=True),
    )
    matrices = 64 * 32 + 32 * 16 + 16 * 4
    assert n_parameters(free) - n_parameters(tied) == matrices


def test_tied_decoder_multiplies_by_the_transposes_and_sends_gradients_through_them():
    network = DenseAutoencoder(ImageShape(8, 8, 1), 4, hidden=(), tied=True)
    codes = torch.rand(3, 4)
    assert torch.allclose(network.decode(codes).flatten(1), codes @ network.to_code.weight)
    network.decode(codes).sum().backward()
    assert network.to_code.weight.grad.abs().sum() > 0


def test_dense_network_without_hidden_layers_is_linear():
    network = DenseAutoencoder(ImageShape(8, 8, 1), 4, hidden=())
    x, y = torch.rand(2, 1, 1, 8, 8)
    zero = network(torch.zeros_like(x))
    assert torch.allclose(network(x + y) - zero, network(x) - zero + network(y) - zero, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "latent"),
    [((8, 8, 1), 4), ((28, 28, 1), 31), ((32, 32, 3), 122), ((256, 256, 3), 128)],
)
def test_default_latent_compresses(values, latent):
    assert default_latent(ImageShape(*values)) == latent


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(InputError) as caught:
        build_network("transformer", ImageShape(7, 30, 1), 0)
    message = str(caught.value)
    assert "'transformer'" in message
    assert "7x30" in message
    assert "--latent" in message


def test_only_networks_that_decode_a_code_alone_have_one_to_measure():
    shape = ImageShape(64, 64, 1)
    assert why_no_code(build_network("dense", shape, 8)) is None
    assert "skip connections" in why_no_code(SkipNetwork(shape))
    assert "no code" in why_no_code(torch.nn.Identity())
