"""A memory that decides on its light."""

import torch

from residua.training.bundle import build_graph
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from training_wing import blobs


def fitted(images, **options):
    recipe = make_recipe("memory", backbone="random-conv", size=20, **options)
    graph = build_graph(recipe, recipe.build_network(ImageShape(32, 32, 1)), (32, 32), "stretch")
    with torch.inference_mode():
        graph.fit_score(images, images[:8])
    return graph.scorer


def exposed(images):
    return images * torch.linspace(0.1, 1.0, len(images)).view(-1, 1, 1, 1)


def test_exposure_is_no_anomaly_where_it_varies_among_normal_images():
    images = torch.from_numpy(blobs(20, (32, 32), 1)).permute(0, 3, 1, 2) / 255
    bright = (images[:8] * 0.5 + 0.5).clamp(0, 1)
    with torch.inference_mode():
        steady, varied = (
            fitted(images),
            fitted(exposed(images) + torch.linspace(0, 0.6, 20).view(-1, 1, 1, 1) * 0.6),
        )
        assert (bool(steady.is_even), bool(varied.is_even)) == (False, True)
        assert "left as it is" in steady.decided
        assert "evened out" in varied.decided
        assert (steady(bright).score > steady(images[:8]).score).all()
        assert torch.allclose(varied(bright).score, varied(images[:8]).score, atol=0.2)


def test_what_is_said_is_not_decided_anew():
    images = torch.from_numpy(blobs(20, (32, 32), 1)).permute(0, 3, 1, 2) / 255
    assert bool(fitted(images, even=True).is_even)
    assert not fitted(images, even=True).decided
    assert not bool(fitted(exposed(images), even=False).is_even)
