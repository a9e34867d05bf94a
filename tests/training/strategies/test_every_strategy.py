"""What holds for every strategy in the registry, found by the registry: contract and meaning."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone

from residua import AutoencoderClassifier
from residua.errors import InputError
from residua.training.bundle import BundleConfig, build_recipe
from residua.training.networks import ImageShape
from residua.training.recipes.base import LabelledBatch
from residua.training.strategies import STRATEGIES, Strategy, make_strategy

every_strategy = pytest.mark.parametrize("name", STRATEGIES)
OPTIONS = {
    "width": 6,
    "epochs": 12,
    "batch_size": 32,
    "seed": 0,
    "precision": "fp32",
    "augment": (),
}


@pytest.fixture(scope="module")
def three(digits):
    """The digits 0, 1 and 2: 160 to train on, a third of them without a label, and 60 to test
    on."""
    rows = np.flatnonzero(np.isin(digits.labels, (0, 1, 2)))
    chosen = digits[rows]
    labels = np.array(chosen.labels, dtype=object)
    given = labels[:160].copy()
    given[::3] = None
    return chosen[:160], given, chosen[160:220], labels[160:220].astype(np.int64)


@pytest.fixture(scope="module")
def trained(three):
    """``trained(name)``: a classifier of that strategy, trained once."""
    made: dict[str, AutoencoderClassifier] = {}

    def make(name: str) -> AutoencoderClassifier:
        if name not in made:
            made[name] = AutoencoderClassifier(name, **OPTIONS).fit(three[0], three[1])
        return made[name]

    return make


@every_strategy
def test_a_strategy_says_what_it_is(name):
    strategy = STRATEGIES[name]
    assert issubclass(strategy, Strategy)
    assert strategy.name == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert all(len(text) > 3 for text in (strategy.summary, strategy.cost, strategy.good_for))
    assert sum(phase.share for phase in make_strategy(name, n_classes=3).phases()) == pytest.approx(
        1
    )


@every_strategy
def test_options_survive_json(name):
    strategy = make_strategy(name, n_classes=4, latent=5, class_weights=(1.0, 2.0, 1.0, 0.5))
    assert (
        make_strategy(name, **json.loads(json.dumps(strategy.model_dump(mode="json")))) == strategy
    )


@every_strategy
def test_an_unknown_option_is_named_with_those_there_are(name):
    with pytest.raises(InputError, match=r"strategy.*latnet.*latent"):
        make_strategy(name, n_classes=3, latnet=5)


def test_an_unknown_strategy_is_named_with_what_was_probably_meant():
    with pytest.raises(InputError, match="Did you mean joint-flat"):
        make_strategy("joint_flat", n_classes=3)


@every_strategy
@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28), (64, 40)], ids=str)
@pytest.mark.parametrize(("n_classes", "multilabel"), [(2, False), (5, False), (3, True)])
def test_loss_of_mixed_batches_is_a_finite_scalar_with_a_gradient(
    name, size, n_classes, multilabel
):
    strategy = make_strategy(name, n_classes=n_classes, multilabel=multilabel, width=4, latent=6)
    network = strategy.build_network(ImageShape(*size, 3))
    targets = torch.tensor([0, 1, -1, 1])
    if multilabel:
        targets = torch.tensor([[0.0, 1, 1], [1, 0, 0], [float("nan")] * 3, [0, 0, 0]])
    for phase in strategy.phases():
        phase.begin(network)
        loss = phase.loss(
            network,
            LabelledBatch(torch.rand(4, 3, *size), targets),
            torch.Generator().manual_seed(0),
        )
        assert loss.shape == ()
        assert torch.isfinite(loss)
        network.zero_grad()
        loss.backward()
        assert any(
            parameter.grad is not None and parameter.grad.abs().sum() > 0
            for parameter in network.parameters()
        )


@every_strategy
def test_unlabelled_images_change_no_cross_entropy(name):
    strategy = make_strategy(
        name,
        n_classes=3,
        width=4,
        **({"weight": 0.0} if "weight" in STRATEGIES[name].model_fields else {}),
    )
    network = strategy.build_network(ImageShape(8, 8, 1)).eval()
    images, generator = torch.rand(6, 1, 8, 8), torch.Generator()
    targets = torch.tensor([0, 1, 2, -1, -1, -1])
    alone = strategy.loss(network, LabelledBatch(images[:3], targets[:3]), generator)
    beside = strategy.loss(network, LabelledBatch(images, targets), generator)
    assert beside.item() == pytest.approx(alone.item(), rel=1e-5)


@every_strategy
def test_a_trained_classifier_beats_chance_by_far(name, trained, three):
    assert trained(name).score(three[2], three[3]) > 0.6


@every_strategy
def test_the_same_seed_gives_the_same_probabilities(name, trained, three):
    again = clone(trained(name)).fit(three[0], three[1])
    assert np.array_equal(again.predict_proba(three[2]), trained(name).predict_proba(three[2]))


@every_strategy
def test_a_probability_depends_on_its_image_alone(name, trained, three):
    whole = trained(name).predict_proba(three[2])
    assert np.array_equal(trained(name).predict_proba(three[2][17:18]), whole[17:18])
    assert np.array_equal(trained(name).predict_proba(three[2][::-1]), whole[::-1])


@every_strategy
def test_saved_and_loaded_it_classifies_the_same(name, trained, three, tmp_path):
    trained(name).save(tmp_path / "bundle")
    loaded = AutoencoderClassifier.load(tmp_path / "bundle")
    assert np.array_equal(loaded.predict_proba(three[2]), trained(name).predict_proba(three[2]))
    assert loaded.classes_.tolist() == [0, 1, 2]


@every_strategy
def test_the_bundles_json_gives_back_strategy_and_configuration(name, trained):
    config = trained(name).bundle_.config
    again = BundleConfig(**json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert build_recipe(again) == build_recipe(config)
    assert again.classes == (0, 1, 2)
    network = trained(name).bundle_.graph.scorer.network
    assert config.training.parameters == sum(
        one.numel() for one in network.parameters()
    )  # a frozen encoder counts too


@every_strategy
def test_reconstructions_come_from_those_that_have_a_decoder(name, trained, three):
    classifier = trained(name)
    errors = classifier.bundle_.graph
    if errors.scorer.reconstructs:
        assert classifier.reconstruct(three[2]).shape == (60, 8, 8, 1)
    else:
        with pytest.raises(InputError, match="decoder"):
            classifier.reconstruct(three[2])


@every_strategy
def test_unlabelled_images_are_counted_and_said(name, trained):
    told = " ".join(trained(name).notes_)
    assert "54 of 160 training images have no label" in told


def test_a_frozen_encoder_stays_as_it_is(three):
    strategy = make_strategy("sequential", n_classes=3, width=4)
    network = strategy.build_network(ImageShape(8, 8, 1)).train()
    strategy.phases()[1].begin(network)
    before = {name: value.clone() for name, value in network.encoder.state_dict().items()}
    loss = strategy.loss(
        network,
        LabelledBatch(torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])),
        torch.Generator(),
    )
    loss.backward()
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(
        torch.equal(value, before[name]) for name, value in network.encoder.state_dict().items()
    )
    assert network.head[0].training
    assert not network.encoder[1].training
