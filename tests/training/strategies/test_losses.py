"""The losses against the definitions, and `joint-flat` against the document's description."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from residua.training.networks import ImageShape
from residua.training.recipes.base import LabelledBatch
from residua.training.strategies import make_strategy
from residua.training.strategies.base import erase
from residua.training.strategies.losses import classification_loss, distance, weighted_mean


def flat(n_classes: int, **options):
    strategy = make_strategy(
        "joint-flat", n_classes=n_classes, width=4, latent=6, label_smoothing=0, **options
    )
    torch.manual_seed(0)
    return strategy, strategy.build_network(ImageShape(8, 10, 1)).eval()


@pytest.mark.parametrize("kind", ["squared", "euclidean"])
def test_joint_flat_is_the_documents_function_with_one_class_output(kind):
    """K has |X| + 1 numbers: the last is the logit, the first |X| the reconstruction; L is a
    weighted mean of two losses."""
    strategy, network = flat(2, weight=0.3, distance=kind)
    images, labels = torch.rand(5, 1, 8, 10), torch.tensor([0, 1, 1, 0, 1])
    K = network.outputs(images)
    assert K.shape == (5, 8 * 10 + 1)
    y_star = torch.sigmoid(K[:, -1])
    x_star = K[:, :-1]
    cross_entropy = -(labels * y_star.log() + (1 - labels) * (1 - y_star).log()).mean()
    gap = (x_star - images.flatten(1)) ** 2
    by_hand = 0.7 * cross_entropy + 0.3 * (
        gap.mean() if kind == "squared" else gap.sum(1).sqrt().mean()
    )
    ours = strategy.loss(network, LabelledBatch(images, labels), torch.Generator())
    assert ours.item() == pytest.approx(by_hand.item(), rel=1e-5)
    parameters = list(network.parameters())
    for one, other in zip(
        torch.autograd.grad(ours, parameters), torch.autograd.grad(by_hand, parameters), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_joint_flat_has_as_many_logits_as_classes_at_the_end_of_its_output():
    strategy, network = flat(4)
    images = torch.rand(3, 1, 8, 10)
    K = network.outputs(images)
    assert K.shape == (3, 8 * 10 + 4)
    scored = strategy.build_scorer(network)(images)
    torch.testing.assert_close(scored.probabilities, K[:, -4:].softmax(1))
    torch.testing.assert_close(scored.reconstruction, K[:, :-4].view(3, 1, 8, 10).clamp(0, 1))


def test_two_classes_are_one_sigmoid_output_with_two_columns():
    strategy = make_strategy("joint", n_classes=2, width=4)
    network = strategy.build_network(ImageShape(8, 8, 1)).eval()
    images = torch.rand(3, 1, 8, 8)
    logit = network.heads(images).logits
    assert logit.shape == (3, 1)
    probabilities = strategy.build_scorer(network)(images).probabilities
    torch.testing.assert_close(probabilities, torch.cat([1 - logit.sigmoid(), logit.sigmoid()], 1))


@pytest.mark.parametrize("name", ["joint", "joint-flat", "plain"])
def test_mirrored_probabilities_are_the_same_for_an_image_and_its_mirror_image_and_the_reconstruction_is_not(
    name,
):
    strategy = make_strategy(name, n_classes=3, width=4, mirrored=True)
    network = strategy.build_network(ImageShape(8, 10, 1)).eval()
    images = torch.rand(4, 1, 8, 10)
    scorer = strategy.build_scorer(network)
    scored = scorer(images)
    both = [network.heads(one).logits for one in (images, images.flip(-1))]
    torch.testing.assert_close(scored.probabilities, (sum(both) / 2).softmax(1))
    torch.testing.assert_close(scored.probabilities, scorer(images.flip(-1)).probabilities)
    torch.testing.assert_close(scorer.logits(images), sum(both) / 2)
    if scorer.reconstructs:
        torch.testing.assert_close(
            scored.reconstruction, network.heads(images).reconstructions.clamp(0, 1)
        )


def test_one_sigmoid_and_a_softmax_over_two_are_the_same_loss():
    logit, targets = torch.randn(7, 1), torch.tensor([0, 1, 1, 0, -1, 1, 0])
    both = torch.cat([torch.zeros(7, 1), logit], 1)
    one = classification_loss(logit, targets, multilabel=False, smoothing=0.1, weights=(1.0, 3.0))
    two = classification_loss(both, targets, multilabel=False, smoothing=0.0, weights=(1.0, 3.0))
    assert classification_loss(logit, targets, multilabel=False).item() == pytest.approx(
        classification_loss(both, targets, multilabel=False).item(), rel=1e-5
    )
    assert one.item() != two.item()


def test_class_weights_are_a_weighted_mean_over_images():
    logits, targets = torch.randn(4, 3), torch.tensor([0, 2, 2, 1])
    weights = torch.tensor([1.0, 5.0, 0.5])
    each = F.cross_entropy(logits, targets, reduction="none")
    expected = (each * weights[targets]).sum() / weights[targets].sum()
    ours = classification_loss(logits, targets, multilabel=False, weights=weights.tolist())
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_batch_without_labels_has_no_cross_entropy_and_no_nan():
    for targets, multilabel in (
        (torch.full((3,), -1), False),
        (torch.full((3, 2), math.nan), True),
    ):
        logits = torch.randn(3, 2, requires_grad=True)
        loss = classification_loss(logits, targets, multilabel=multilabel)
        loss.backward()
        assert loss.item() == 0
        assert torch.equal(logits.grad, torch.zeros(3, 2))


def test_the_weight_mixes_the_losses_and_learnt_scales_settle_at_the_losses_own_size():
    classes, image = torch.tensor(2.0), torch.tensor(0.5)
    assert weighted_mean(classes, image, 0.25, None).item() == pytest.approx(0.75 * 2 + 0.25 * 0.5)
    balance = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.Adam([balance], lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        weighted_mean(classes, image, "learn", balance).backward()
        optimiser.step()
    assert balance.exp().tolist() == pytest.approx(
        [4.0, 0.5], rel=0.05
    )  # where e^-b L + b / 2 and e^-b L / 2 + b / 2 are least


def test_a_perfect_reconstruction_has_a_finite_gradient_under_the_euclidean_distance():
    images = torch.rand(2, 1, 8, 8)
    rebuilt = images.clone().requires_grad_()
    distance("euclidean", rebuilt, images).backward()
    assert torch.isfinite(rebuilt.grad).all()


def test_erasing_cuts_a_box_out_of_its_share_of_the_images_and_repeats_by_its_generator():
    images = torch.rand(200, 2, 16, 16)
    spoilt = erase(images, 0.5, torch.Generator().manual_seed(1))
    touched = (spoilt != images).flatten(1).any(1)
    assert 70 < int(touched.sum()) < 130
    assert torch.equal(spoilt, erase(images, 0.5, torch.Generator().manual_seed(1)))
    assert torch.equal(erase(images, 0.0, torch.Generator()), images)
