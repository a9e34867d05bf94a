"""Which optimiser a recipe is trained with, and Muon beside torch's own two."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from residua.training.loop.optimisers import Muon, is_inner, make_optimiser, orthogonal
from residua.training.recipes.base import Schedule


def network(seed=0):
    torch.manual_seed(seed)
    layers = (
        nn.Conv2d(1, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 12, 3),
        nn.Flatten(),
        nn.LazyLinear(4),
    )
    made = nn.Sequential(*layers)
    made(torch.rand(2, 1, 8, 8))
    return made


def taught(network, optimiser, steps):
    images, classes = (
        torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(1)),
        torch.arange(32) % 4,
    )
    for _ in range(steps):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(images), classes)
        loss.backward()
        optimiser.step()
    return float(loss.detach())


@pytest.mark.parametrize("shape", [(8, 8), (16, 40), (64, 9), (30, 500)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    made = orthogonal(matrix)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    along = left.T @ made @ right.T
    assert along.diagonal().min() > 0.3 and along.diagonal().max() < 1.3
    assert (along - along.diagonal().diag()).abs().max() < 1e-3


def test_no_gradient_is_no_direction():
    assert orthogonal(torch.zeros(8, 9)).abs().max() == 0


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has a Muon from 2.9")
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_kernels_go_where_torchs_muon_takes_the_matrix_of_their_outputs(memory_format):
    start = torch.randn(16, 10, 2, 2, generator=torch.Generator().manual_seed(0))
    kernel, matrix = (
        nn.Parameter(start.clone(memory_format=memory_format)),
        nn.Parameter(start.flatten(1).clone()),
    )
    options = {"lr": 0.01, "weight_decay": 0.1}
    optimisers = (
        Muon([kernel], **options),
        torch.optim.Muon([matrix], **options, adjust_lr_fn="match_rms_adamw"),
    )
    for step in range(5):
        gradient = torch.randn(16, 10, 2, 2, generator=torch.Generator().manual_seed(step))
        kernel.grad, matrix.grad = (
            gradient.clone(memory_format=memory_format),
            gradient.flatten(1).clone(),
        )
        for one in optimisers:
            one.step()
    assert (kernel.flatten(1) - matrix).norm() < 0.05 * (
        matrix - start.flatten(1)
    ).norm()  # torch computes in bfloat16


def test_what_is_not_inner_goes_where_adamw_takes_it():
    ours, theirs = network(), network()
    schedule = Schedule(optimiser="muon", decay_norms=False)
    for one in (ours, theirs):
        one[3].requires_grad_(False)
    optimisers = (
        make_optimiser(one, s, learning_rate=0.01, weight_decay=0.1)
        for one, s in ((ours, schedule), (theirs, Schedule(decay_norms=False)))
    )
    losses = [
        taught(one, optimiser, 20)
        for one, optimiser in zip((ours, theirs), optimisers, strict=True)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert not any(is_inner(one) for one in ours.parameters() if one.requires_grad)


def test_muon_learns_and_can_be_stopped_and_gone_on_with():
    whole, halves, fresh = network(), network(), network()
    before = taught(fresh, Muon(fresh.parameters(), lr=0.01, weight_decay=0.0), 1)
    assert taught(whole, Muon(whole.parameters(), lr=0.01, weight_decay=0.0), 40) < 0.5 * before
    first = Muon(halves.parameters(), lr=0.01, weight_decay=0.0)
    taught(halves, first, 20)
    second = Muon(halves.parameters(), lr=1.0, weight_decay=0.5)
    second.load_state_dict(first.state_dict())
    taught(halves, second, 20)
    assert all(
        torch.equal(one, other)
        for one, other in zip(whole.parameters(), halves.parameters(), strict=True)
    )
