"""The score of a trained network and that of a memory, as one."""

import numpy as np
import pytest
import torch

from residua.errors import InputError
from residua.training.bundle import build_graph
from residua.training.fitting.images import keep_best
from residua.training.fitting.options import make_options
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.scoring import inspect_score
from residua.training.scoring.image_list import ImageList
from training_wing import blobs


def prepared(n, seed, size=(64, 72)):
    return torch.from_numpy(blobs(n, size, 1, seed=seed)).permute(0, 3, 1, 2) / 255


@pytest.fixture(scope="module", autouse=True)
def few_made_defects():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect_score, "_FEWEST_SYNTHETIC", 9)
        yield


@pytest.fixture(scope="module")
def scorer():
    torch.manual_seed(0)
    recipe = make_recipe("inspect", width=2, backbone="random-conv")
    network = recipe.build_network(ImageShape(64, 72, 1))
    graph = build_graph(recipe, network, (64, 72), "stretch")
    with torch.inference_mode():
        graph.fit_score(prepared(12, 0), prepared(9, 1))
    return graph.scorer


def test_the_mean_of_few_normals_is_zero_in_both_parts(scorer):
    with torch.inference_mode():
        images = prepared(9, 1)
        parts = torch.stack([scorer.inner(images).score, scorer.memory(images).score], 1)
        assert torch.allclose(parts.mean(0), scorer.score_centre, atol=1e-2)
        units = (parts - scorer.score_centre) / scorer.score_spread
        assert torch.allclose(scorer(images).score, units.asinh().sum(1), atol=1e-2)


def test_what_either_part_sees_raises_the_score(scorer):
    with torch.inference_mode():
        usual = scorer(prepared(9, 2)).score
        spoilt = prepared(9, 2)
        spoilt[:, :, 20:40, 20:40] = torch.rand(9, 1, 20, 20, generator=torch.Generator())
        assert (scorer(spoilt).score > usual).all()


def test_images_of_several_sizes_are_scored_one_by_one():
    torch.manual_seed(0)
    recipe = make_recipe("inspect", width=2, backbone="random-conv")
    graph = build_graph(recipe, recipe.build_network(ImageShape(64, 64, 1)), (64, 64), "area")
    sizes = [(64, 80), (80, 64), (64, 64), (72, 64)]
    images = ImageList([prepared(1, seed, size)[0] for seed, size in enumerate(sizes * 2)])
    with torch.inference_mode():
        graph.fit_score(images, images)
        for image in images.split(1):
            output = graph.scorer(image)
            assert np.isfinite(float(output.score))
            assert output.error_map.shape[1:] == image.shape[2:]


def test_what_is_trimmed_is_chosen_by_the_part_that_holds_no_training_image(scorer):
    assert make_recipe("inspect").keeps_images
    assert not make_recipe("inspect", backbone="none").keeps_images
    assert make_options("detect", recipe="inspect", backbone="random-conv", trim=0.1).trim == 0.1
    with pytest.raises(InputError, match="trim"):
        make_options("detect", recipe="feature", backbone="random-conv", trim=0.1)
    images = prepared(10, 3)
    with torch.inference_mode():
        trained = scorer.inner(images).score.numpy()
    assert set(keep_best(scorer.without_memory, images, 0.2)) == set(np.argsort(trained)[:8])


def test_learning_looks_at_what_was_learnt_and_not_at_plain_filters():
    recipe = make_recipe("inspect", width=2)
    network = recipe.build_network(ImageShape(64, 72, 1))
    scorer = build_graph(recipe, network, (64, 72), "stretch").scorer
    with torch.inference_mode():
        features = scorer.view(prepared(1, 0)).features
    assert features.shape[1] == scorer.inner.network.n_features
