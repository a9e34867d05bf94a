"""What holds for every recipe in the registry, found by the registry: contract and meaning."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from sklearn.base import clone

from residua import OneClassDetector
from residua.errors import InputError
from residua.images import ImageSet
from residua.training.bundle import BundleConfig, build_recipe
from residua.training.networks import ImageShape
from residua.training.recipes import RECIPES, Recipe, make_recipe
from training_wing import blobs

SIZES = [(8, 8), (9, 13), (17, 31), (64, 40)]


def fitting(name: str, height: int = 12, width: int = 12) -> tuple[int, int]:
    """The size, enlarged in proportion for a recipe that takes no image so small."""
    factor = max(1.0, RECIPES[name].sides.smallest / min(height, width))
    return round(height * factor), round(width * factor)


every_recipe = pytest.mark.parametrize("name", RECIPES)
every_trained_recipe = pytest.mark.parametrize(
    "name", [name for name, recipe in RECIPES.items() if not recipe.is_closed_form]
)


def latent(name: str, size: int) -> dict[str, int]:
    """The size of the latent vector as an option, where the recipe has one."""
    takes_none = RECIPES[name].model_fields["latent"].annotation is type(None)
    return {} if takes_none else {"latent": size}


@pytest.fixture(scope="module")
def trained():
    """``trained(name)``: a detector of that recipe, trained on blobs once."""
    made: dict[str, OneClassDetector] = {}

    def make(name: str) -> OneClassDetector:
        if name not in made:
            detector = OneClassDetector(
                make_recipe(name, **latent(name, 4)),
                epochs=10,
                batch_size=16,
                seed=0,
                precision="fp32",
            )
            made[name] = detector.fit(blobs(120, fitting(name)))
        return made[name]

    return make


@every_recipe
def test_a_recipe_says_what_it_is(name):
    recipe = RECIPES[name]
    assert issubclass(recipe, Recipe)
    assert recipe.name == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert all(len(text) > 3 for text in (recipe.summary, recipe.cost, recipe.good_for))
    assert recipe.__doc__


@every_recipe
def test_options_survive_json(name):
    recipe = make_recipe(name, **latent(name, 5))
    again = make_recipe(name, **json.loads(json.dumps(recipe.model_dump(mode="json"))))
    assert again == recipe


@every_recipe
def test_the_bundles_json_gives_back_recipe_and_configuration(name, trained):
    config = trained(name).bundle_.config
    again = BundleConfig(**json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config
    assert build_recipe(again) == build_recipe(config)


@every_recipe
def test_an_unknown_option_is_named_with_those_there_are(name):
    with pytest.raises(InputError, match=r"latnet.*latent"):
        make_recipe(name, latnet=5)


@every_recipe
def test_a_recipe_is_frozen(name):
    with pytest.raises(ValueError, match="frozen"):
        make_recipe(name).latent = 3


@every_trained_recipe
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_loss_is_a_finite_scalar_with_a_gradient_for_any_size(name, size, channels):
    recipe, size = make_recipe(name, **latent(name, 2)), fitting(name, *size)
    network = recipe.build_network(ImageShape(*size, channels))
    loss = recipe.loss(network, torch.rand(4, channels, *size), torch.Generator().manual_seed(0))
    assert loss.shape == ()
    assert torch.isfinite(loss)
    loss.backward()
    assert any(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for parameter in network.parameters()
    )


@every_trained_recipe
def test_randomness_comes_from_torchs_generator_for_weights_and_from_the_given_one_for_the_loss(
    name,
):
    recipe = make_recipe(name, **latent(name, 2))
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(recipe.build_network(ImageShape(*fitting(name), 1)))
    first, same, other = (
        torch.cat([parameter.flatten() for parameter in network.parameters()])
        for network in networks
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    images = torch.rand(8, 1, *fitting(name))
    losses = []
    for global_seed in (3, 4):
        torch.manual_seed(global_seed)
        losses.append(
            recipe.loss(networks[0].eval(), images, torch.Generator().manual_seed(7)).item()
        )
    assert losses[0] == losses[1]


@every_recipe
def test_untrained_scorer_gives_one_score_a_map_and_a_reconstruction_for_each_image(name):
    recipe, size = make_recipe(name, **latent(name, 3)), fitting(name, 9, 13)
    scorer = recipe.build_scorer(recipe.build_network(ImageShape(*size, 3))).eval()
    with torch.inference_mode():
        scorer.fit(torch.rand(12, 3, *size), torch.rand(6, 3, *size))
        score, error_map, reconstruction = scorer(torch.rand(5, 3, *size))[:3]
        if not make_recipe(name).keeps_images:
            assert scorer.encode(torch.rand(5, 3, *size)).shape[0] == 5
    assert score.shape == (5,)
    assert error_map.shape == (5, *size)
    assert reconstruction.shape == (5, 3, *size)
    assert reconstruction.min() >= 0
    assert reconstruction.max() <= 1


@every_recipe
def test_the_detector_can_be_cloned_and_keeps_its_parameters(name):
    detector = OneClassDetector(make_recipe(name, **latent(name, 3)), epochs=1, seed=5)
    copied = clone(detector)
    assert copied.get_params() == detector.get_params()
    assert not hasattr(copied, "bundle_")


@every_recipe
def test_the_same_seed_gives_the_same_scores_and_another_does_not(name):
    size = fitting(name, 8, 8)
    images, test = blobs(24, size), blobs(6, size, seed=1)
    scores = [
        OneClassDetector(make_recipe(name, **latent(name, 2)), epochs=2, batch_size=8, seed=seed)
        .fit(images)
        .anomaly_scores(test)
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@every_recipe
def test_noise_scores_higher_than_what_was_learnt_and_more_noise_higher_still(name, trained):
    normal = blobs(60, fitting(name), seed=9)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, normal.shape).astype(np.float32)
    medians = [
        np.median(
            trained(name).anomaly_scores(
                np.rint((1 - share) * normal + share * noise).astype(np.uint8)
            )
        )
        for share in (0.0, 0.3, 0.6, 1.0)
    ]
    assert medians == sorted(medians)
    assert medians[0] < medians[-1]


@every_recipe
def test_a_bright_patch_scores_higher_than_the_image_without_it(name, trained):
    normal = blobs(40, fitting(name), seed=9)
    broken, side = normal.copy(), normal.shape[1] // 3
    broken[:, :side, :side] = 255
    detector = trained(name)
    assert np.mean(detector.anomaly_scores(broken) > detector.anomaly_scores(normal)) > 0.9


@every_recipe
def test_black_images_are_anomalous_unless_the_recipe_says_that_it_cannot_see_them(name, trained):
    if "black" in RECIPES[name].blind_to:
        pytest.skip(f"{name} is blind to black images and says so")
    detector = trained(name)
    normal = detector.anomaly_scores(blobs(60, fitting(name), seed=9))
    assert detector.anomaly_scores(np.zeros((1, 12, 12), np.uint8))[0] > np.median(normal)


@every_recipe
def test_dimmed_images_are_anomalous_unless_the_recipe_says_that_it_cannot_see_them(name, trained):
    if "dimmed" in RECIPES[name].blind_to:
        pytest.skip(f"{name} is blind to dimmed images and says so")
    detector, normal = trained(name), blobs(60, fitting(name), seed=9)
    assert np.median(detector.anomaly_scores(normal // 4)) > np.median(
        detector.anomaly_scores(normal)
    )


@every_recipe
def test_dimming_a_defect_does_not_make_it_normal_unless_the_recipe_says_that_it_cannot_see_dimmed_images(
    name, trained
):
    if "dimmed" in RECIPES[name].blind_to:
        pytest.skip(f"{name} is blind to dimmed images and says so")
    detector, broken = trained(name), blobs(40, fitting(name), seed=9)
    normal = np.median(detector.anomaly_scores(broken))
    side = broken.shape[1] // 3
    broken[:, :side, :side] = 255
    assert np.mean(detector.anomaly_scores(broken // 2) > normal) > 0.8


@every_recipe
@pytest.mark.parametrize("level", [0, 128, 255])
def test_constant_images_have_finite_scores(name, trained, level):
    scores = trained(name).anomaly_scores(np.full((3, 12, 12), level, np.uint8))
    assert np.isfinite(scores).all()
    assert len(set(scores.tolist())) == 1


@every_recipe
def test_training_on_constant_images_ends_with_finite_scores(name):
    detector = OneClassDetector(make_recipe(name, **latent(name, 2)), epochs=1).fit(
        np.full((12, *fitting(name, 8, 8)), 100, np.uint8)
    )
    assert np.isfinite(detector.anomaly_scores(blobs(3, (8, 8)))).all()


@every_recipe
def test_one_image_scores_as_among_many_and_no_image_gives_none(name, trained):
    detector, images = trained(name), blobs(70, fitting(name), seed=3)
    scores = detector.anomaly_scores(images)
    assert detector.anomaly_scores(images[69:]) == scores[69:]
    assert detector.anomaly_scores(images[:0]).shape == (0,)
    assert detector.error_maps(images[:0]) == []
    assert detector.predict(images[:0]).shape == (0,)
    if not make_recipe(name).keeps_images:
        assert detector.transform(images[:0]).shape == (0, detector.transform(images[:1]).shape[1])


@every_recipe
def test_a_permutation_of_the_images_permutes_the_scores_bit_for_bit(name, trained):
    detector, images = trained(name), blobs(70, fitting(name), seed=3)
    order = np.random.default_rng(0).permutation(len(images))
    assert np.array_equal(
        detector.anomaly_scores(images[order]), detector.anomaly_scores(images)[order]
    )


@every_recipe
def test_images_of_other_sizes_are_scored_with_maps_of_their_own_resolution(name, trained):
    mixed = ImageSet.from_arrays([blobs(1, size)[0] for size in SIZES])
    detector = trained(name)
    assert np.isfinite(detector.anomaly_scores(mixed)).all()
    assert [error_map.shape for error_map in detector.error_maps(mixed)] == SIZES


@every_recipe
def test_a_saved_and_loaded_bundle_gives_identical_scores_maps_codes_and_decisions(
    name, trained, tmp_path
):
    detector, images = trained(name), blobs(70, fitting(name), seed=3)
    loaded = OneClassDetector.load(detector.save(tmp_path / "bundle"))
    assert np.array_equal(loaded.anomaly_scores(images), detector.anomaly_scores(images))
    assert np.array_equal(loaded.predict(images), detector.predict(images))
    if not make_recipe(name).keeps_images:
        assert np.array_equal(loaded.transform(images), detector.transform(images))
    assert np.array_equal(loaded.error_maps(images), detector.error_maps(images))
    assert loaded.operating_point_ == detector.operating_point_


def test_an_unknown_recipe_is_refused_with_what_was_meant():
    with pytest.raises(InputError, match="Did you mean plain"):
        make_recipe("plian")
    with pytest.raises(InputError, match="Choose one of"):
        make_recipe("zzzzzz")
