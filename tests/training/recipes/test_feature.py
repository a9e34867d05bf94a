"""`feature`: backbones that users bring, kept frozen, named in bundles and never run as code from
them."""

from __future__ import annotations

import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from residua import Autoencoder, OneClassDetector
from residua.errors import BundleError, InputError, MissingExtraError
from residua.training.loop.lightning_parts import RecipeModule
from residua.training.loop.settings import TrainingSettings
from residua.training.networks import ImageShape, backbones
from residua.training.recipes import make_recipe
from residua.training.recipes.feature import register_backbone
from residua.training.scoring.memory_score import even_light
from residua.training.scoring.places import smooth_places
from training_wing import blobs


class Classifier(nn.Module):
    """What stands in for a pretrained network: trained on the spot to tell how large a blob is,
    with batch norm to drift."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(12, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, images):
        fine = self.first(images)
        return [fine, self.second(fine)]


@pytest.fixture(scope="module")
def pretrained():
    torch.manual_seed(0)
    network, head = Classifier(), nn.Linear(16, 2)
    images = torch.tensor(blobs(64)).permute(0, 3, 1, 2).float().div(255).expand(-1, 3, -1, -1)
    brightness = images.mean((1, 2, 3))
    labels = (brightness > brightness.median()).long()
    optimiser = torch.optim.Adam([*network.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(40):
        loss = F.cross_entropy(head(network(images)[-1].mean((2, 3))), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.3
    return network


@pytest.fixture
def registered(pretrained, monkeypatch):
    monkeypatch.setattr(backbones, "_REGISTERED", dict(backbones._REGISTERED))
    register_backbone("mine", lambda: pretrained)
    return pretrained


def detector(**options):
    recipe = make_recipe("feature", **{"backbone": "mine", "latent": 4, "size": 100, **options})
    return OneClassDetector(recipe, epochs=10, batch_size=16, seed=0, precision="fp32")


def test_a_network_trained_elsewhere_finds_noise_and_patches_and_stays_as_it_was(registered):
    before = {name: value.clone() for name, value in registered.state_dict().items()}
    fitted = detector().fit(blobs(120))
    normal, noise = (
        blobs(40, seed=9),
        np.random.default_rng(0).integers(0, 256, (40, 12, 12, 1)).astype(np.uint8),
    )
    patched = normal.copy()
    patched[:, :4, :4] = 255
    scores = fitted.anomaly_scores(normal)
    assert np.median(fitted.anomaly_scores(noise)) > scores.max()
    assert np.mean(fitted.anomaly_scores(patched) > scores) > 0.9
    after = fitted.bundle_.graph.scorer.network.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(before[name], value) for name, value in registered.state_dict().items())


def test_the_map_points_at_the_patch(registered):
    patched = blobs(20, (24, 24), seed=9)
    patched[:, 2:8, 14:20] = 255
    maps = np.stack(detector(even=False).fit(blobs(120, (24, 24))).error_maps(patched))
    inside = maps[:, 2:8, 14:20].mean((1, 2))
    assert np.mean(inside > 2 * maps.mean((1, 2))) > 0.9


def test_the_backbone_is_frozen_in_eval_mode_and_not_in_the_optimiser(registered):
    recipe = make_recipe("feature", backbone="mine")
    network = recipe.build_network(ImageShape(12, 12, 1)).train()
    assert network.training
    assert not any(module.training for module in network.backbone.modules())
    assert not any(parameter.requires_grad for parameter in network.backbone.parameters())
    assert not any(module.training for module in network.eval().train().backbone.modules())
    optimiser = RecipeModule(recipe, network, TrainingSettings(), 10).configure_optimizers()[
        "optimizer"
    ]
    learnt = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
    assert learnt == {
        id(parameter) for parameter in network.parameters() if parameter.requires_grad
    }
    assert registered.first[0].weight.requires_grad


def test_a_bundle_holds_the_backbones_weights_and_needs_its_name_registered(registered, tmp_path):
    fitted, images = detector().fit(blobs(60)), blobs(20, seed=3)
    fitted.save(tmp_path / "bundle")
    torch.manual_seed(7)
    register_backbone(
        "mine", Classifier
    )  # the architecture is enough: the weights come from the bundle
    loaded = OneClassDetector.load(tmp_path / "bundle")
    assert np.array_equal(loaded.anomaly_scores(images), fitted.anomaly_scores(images))
    register_backbone("mine", Classifier, values=None)  # what it takes comes from the bundle too
    again = OneClassDetector.load(tmp_path / "bundle")
    assert np.array_equal(again.anomaly_scores(images), fitted.anomaly_scores(images))
    del backbones._REGISTERED["mine"]
    with pytest.raises(BundleError, match=r"register_backbone\('mine', factory\) first"):
        OneClassDetector.load(tmp_path / "bundle")
    register_backbone("mine", lambda: nn.Conv2d(3, 4, 3))
    with pytest.raises(BundleError, match="weights must fit the recipe"):
        OneClassDetector.load(tmp_path / "bundle")


def test_an_unregistered_backbone_is_refused_before_anything_is_trained():
    with pytest.raises(
        InputError,
        match=r"'nothing'; there are .*random-conv.*timm:nothing.*register_backbone\('nothing'.*[^.]\. Got",
    ):
        make_recipe("feature", backbone="nothing")
    with pytest.raises(InputError, match="without a colon"):
        register_backbone("timm:mine", Classifier)


@pytest.mark.parametrize(
    ("name", "package"),
    [("timm:resnet18", "timm"), ("huggingface:microsoft/resnet-18", "transformers")],
)
def test_a_package_that_is_not_installed_is_named_with_the_line_that_mends_it(
    name, package, monkeypatch
):
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'residua\[backbones\]'"):
        make_recipe("feature", backbone=name)


def test_timm_is_asked_for_feature_maps_and_for_weights_only_where_training_begins(
    pretrained, monkeypatch
):
    asked = []

    def create_model(name, *, pretrained, features_only):
        asked.append((name, pretrained, features_only))
        network = Classifier()
        if pretrained:
            network.load_state_dict(trained)
        return network

    trained = pretrained.state_dict()
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    recipe = make_recipe("feature", backbone="timm:some-net")
    network = recipe.build_network(ImageShape(12, 12, 1))
    assert asked == [("some-net", False, True)]
    recipe.load_pretrained(network)
    assert asked[1:] == [("some-net", True, True)]
    assert torch.equal(network.backbone.first[0].weight, pretrained.first[0].weight)


def test_levels_are_chosen_or_refused(registered):
    shape = ImageShape(16, 16, 3)
    assert make_recipe("feature", backbone="mine").build_network(shape).channels == [12, 16]
    assert make_recipe("feature", backbone="mine", levels=(-1,)).build_network(shape).channels == [
        16
    ]
    assert make_recipe("feature").build_network(shape).channels == [32, 64]
    with pytest.raises(InputError, match="between -2 and 1"):
        make_recipe("feature", backbone="mine", levels=(2,)).build_network(shape)


def test_options_change_what_the_backbone_sees(registered):
    images = torch.rand(2, 1, 16, 24)
    seen = []

    class Watching(nn.Module):
        def forward(self, given):
            seen.append(given)
            return given

    register_backbone("watching", Watching)
    plain = make_recipe("feature", backbone="watching", normalise=False).build_network(
        ImageShape(16, 24, 1)
    )
    plain.targets(images)
    assert torch.equal(seen[-1], images.expand(-1, 3, -1, -1))
    register_backbone("watching", Watching, values=None)
    unchanged = make_recipe("feature", backbone="watching").build_network(ImageShape(16, 24, 1))
    unchanged.targets(images)
    assert torch.equal(seen[-1], images.expand(-1, 3, -1, -1))
    register_backbone("watching", Watching)
    normal = make_recipe("feature", backbone="watching", side=32).build_network(
        ImageShape(16, 24, 1)
    )
    normal.targets(torch.full((2, 1, 16, 24), 0.485))
    assert seen[-1].shape == (2, 3, 32, 32)
    assert torch.allclose(seen[-1][:, 0], torch.zeros(()), atol=1e-6)


def test_the_error_of_an_image_is_the_mean_of_its_worst_places(registered):
    for top, places in ((0.05, 3), (1e-9, 1), (1.0, 64)):
        recipe = make_recipe("feature", backbone="mine", parts=("error",), tops=(top,))
        network = recipe.build_network(ImageShape(16, 16, 1))
        scorer = recipe.build_scorer(network).eval()  # not fitted: nothing is standardised yet
        images = torch.rand(3, 1, 16, 16)
        with torch.inference_mode():
            targets = network.targets(even_light(images))
            distances = network.distances(network.rebuild(network.squeeze(targets)), targets)
            around = smooth_places(distances[:, None])[:, 0]
            worst = around.flatten(1).sort(descending=True).values[:, :places].mean(1)
            assert torch.allclose(scorer(images).score, worst.asinh(), atol=1e-5)


def test_without_its_error_it_scores_as_a_memory_does_and_keeps_no_image(registered):
    images, odd = blobs(60), blobs(10, seed=3)
    options = {"backbone": "mine", "size": 40}
    recipe = make_recipe("feature", **options)
    settings = {"epochs": 1, "batch_size": 16, "precision": "fp32"}
    side = images.shape[1]  # a memory would enlarge them
    feature = OneClassDetector(recipe, size=side, **settings).fit(images)
    memory = OneClassDetector(make_recipe("memory", even=True, **options), size=side).fit(images)
    expected = memory.anomaly_scores(odd)
    np.testing.assert_allclose(feature.anomaly_scores(odd), expected, rtol=1e-4, atol=1e-4)
    state = feature.bundle_.graph.state_dict()
    assert state["scorer.nearest.bank"].shape == (40, 28)
    assert state["scorer.pictures"].numel() == 0


def test_each_part_finds_what_was_never_seen_and_weighs_alike(registered):
    normal, patched = blobs(40, seed=9), blobs(40, seed=9)
    patched[:, :4, :4] = 255
    for parts in (("error",), ("neighbours",), ("error", "neighbours", "density")):
        fitted = detector(parts=parts).fit(blobs(120))
        scores = fitted.anomaly_scores(normal)
        assert np.mean(fitted.anomaly_scores(patched) > scores) > 0.8, parts
        assert abs(np.median(scores)) < 6 * len(parts)  # in units of a dozen held-out images


@pytest.mark.parametrize("parts", [("density",), ("error", "error"), ()])
def test_parts_without_a_map_or_named_twice_are_refused(parts):
    with pytest.raises(InputError, match="at least one of error, neighbours"):
        make_recipe("feature", parts=parts)


def test_noise_in_the_bottleneck_keeps_its_mean_and_comes_from_the_generator():
    recipe = make_recipe("feature", noise=0.4)
    ones = torch.ones(4, 64, 16, 16)
    dropped, same, other = (
        recipe.drop(ones, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(dropped, same)
    assert not torch.equal(dropped, other)
    assert dropped.mean() == pytest.approx(1, abs=0.02)
    assert (dropped == 0).float().mean() == pytest.approx(0.4, abs=0.02)
    assert torch.equal(make_recipe("feature", noise=0).drop(ones, torch.Generator()), ones)


def test_pictures_drawn_from_codes_resemble_the_images():
    images = blobs(120)
    drawing = Autoencoder("feature", epochs=12, batch_size=16, seed=0).fit(images)
    mean_image = ((images / 255 - images.mean(0) / 255) ** 2).mean()
    assert drawing.reconstruction_errors(images)["mse"].mean() < mean_image
    assert np.allclose(
        drawing.inverse_transform(drawing.transform(images)), drawing.reconstruct(images), atol=1e-4
    )


@pytest.mark.parametrize(
    "failure",
    [RuntimeError("Unknown model (some-net)"), OSError("no route to host\nmore"), ValueError("")],
)
def test_a_package_that_cannot_give_the_backbone_is_told_in_one_sentence(monkeypatch, failure):
    def create_model(*_, **__):
        raise failure

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    said = str(failure).split("\n")[0] or "ValueError"
    with pytest.raises(
        InputError, match=rf"timm must know 'some-net'.*Got: {re.escape(said)}\. Check the name"
    ):
        make_recipe("feature", backbone="timm:some-net").build_network(ImageShape(12, 12, 1))


def test_the_stand_in_says_that_it_is_one_and_is_the_same_each_time():
    recipe = make_recipe("feature")
    first, second = (recipe.build_network(ImageShape(8, 8, 1)) for _ in range(2))
    assert "stand-in" in recipe.describe(first)
    for one, other in zip(first.backbone.parameters(), second.backbone.parameters(), strict=True):
        assert torch.equal(one, other)
    assert "stand-in" not in json.dumps(recipe.model_dump(mode="json"))
