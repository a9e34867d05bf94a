"""One image, one score: whatever stands beside it, before it or after it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from residua import metrics
from residua.engines import score_with
from residua.errors import ShapeError
from residua.images import ImageSet
from residua.training.bundle import build_graph
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.scoring.engine import GraphEngine, encode_images, prepare_images, score_images
from residua.training.scoring.prepare import Prepare

FIELDS = ("score", "anomalous", "mse", "mae", "ssim")


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    recipe = make_recipe("plain", latent=3)
    made = build_graph(recipe, recipe.build_network(ImageShape(12, 10, 1)), (12, 10), "stretch")
    made.threshold.fill_(0.2)
    return made


@pytest.fixture(scope="module")
def mixed():
    """Images of one size and of others, none alike."""
    rng = np.random.default_rng(0)
    sizes = [(12, 10)] * 6 + [(9, 13), (30, 30), (12, 10), (8, 8), (17, 31), (30, 30), (12, 10)]
    return ImageSet.from_arrays(
        [rng.integers(0, 256, (*size, 1)).astype(np.uint8) for size in sizes]
    )


def columns(scores):
    return {"score": scores.score, "anomalous": scores.anomalous, **scores.columns}


def test_scores_do_not_depend_on_how_many_images_are_scored(graph, mixed):
    whole = columns(score_images(graph, mixed, batch_size=4))
    for n in (1, 2, 3, 4, 5, 7, 13):
        part = columns(score_images(graph, mixed[:n], batch_size=4))
        for name in FIELDS:
            assert np.array_equal(part[name], whole[name][:n]), (name, n)


@pytest.mark.parametrize("seed", range(5))
def test_scores_do_not_depend_on_the_order(graph, mixed, seed):
    order = np.random.default_rng(seed).permutation(len(mixed))
    whole, shuffled = (
        columns(score_images(graph, images, batch_size=4)) for images in (mixed, mixed[order])
    )
    for name in FIELDS:
        assert np.array_equal(shuffled[name], whole[name][order]), name


def test_each_image_alone_scores_as_among_others(graph, mixed):
    whole = score_images(graph, mixed, batch_size=4, maps=True, reconstructions=True)
    for index in range(len(mixed)):
        alone = score_images(graph, mixed[[index]], batch_size=4, maps=True, reconstructions=True)
        assert alone.score[0] == whole.score[index]
        assert np.array_equal(alone.maps[0], whole.maps[index])
        assert np.array_equal(alone.reconstructions[0], whole.reconstructions[index])


def test_maps_come_back_at_each_images_own_resolution(graph, mixed):
    maps = score_images(graph, mixed, batch_size=4, maps=True).maps
    assert [error_map.shape for error_map in maps] == [tuple(size) for size in mixed.sizes.tolist()]


def test_the_score_is_the_mean_of_the_map_where_nothing_was_resized(graph, mixed):
    scores = score_images(graph, mixed[:6], batch_size=4, maps=True)
    assert np.allclose([error_map.mean() for error_map in scores.maps], scores.score, atol=1e-6)


def test_columns_are_those_of_the_judging_wing(graph, mixed):
    scores = score_images(graph, mixed, batch_size=4, reconstructions=True)
    prepared = prepare_images(graph.prepare, mixed, keep_float=True).permute(0, 2, 3, 1).numpy()
    for name in ("mse", "mae", "ssim"):
        assert np.allclose(
            scores.columns[name],
            getattr(metrics, name)(prepared, scores.reconstructions),
            atol=1e-5,
        ), name


def test_reconstructions_lie_between_0_and_1(graph, mixed):
    reconstructions = score_images(graph, mixed, batch_size=4, reconstructions=True).reconstructions
    assert reconstructions.min() >= 0
    assert reconstructions.max() <= 1


def test_the_decision_is_strict(graph, mixed):
    score = score_images(graph, mixed, batch_size=4).score
    threshold = graph.threshold.clone()
    try:
        graph.threshold.fill_(float(score[3]))
        scored = score_images(graph, mixed, batch_size=4)
    finally:
        graph.threshold.copy_(threshold)
    assert np.array_equal(scored.anomalous, score > score[3])
    assert not scored.anomalous[3]


def test_no_image_gives_empty_results_of_the_right_shapes(graph, mixed):
    none = score_images(graph, mixed[:0], batch_size=4, maps=True, reconstructions=True)
    assert {name: column.shape for name, column in columns(none).items()} == dict.fromkeys(
        FIELDS, (0,)
    )
    assert none.maps == []
    assert none.reconstructions.shape == (0, 12, 10, 1)
    assert encode_images(graph, mixed[:0], batch_size=4).shape == (0, 3)
    assert prepare_images(graph.prepare, mixed[:0]).shape == (0, 1, 12, 10)


def test_codes_do_not_depend_on_the_neighbours_either(graph, mixed):
    codes = encode_images(graph, mixed, batch_size=4)
    assert codes.shape == (13, 3)
    assert np.array_equal(encode_images(graph, mixed[5:9], batch_size=4), codes[5:9])


def test_scoring_leaves_the_mode_of_the_graph_and_says_how_far_it_is(graph, mixed):
    told = []
    graph.train()
    try:
        before = {name: value.clone() for name, value in graph.state_dict().items()}
        score_images(
            graph, mixed, batch_size=4, progress=lambda done, total: told.append((done, total))
        )
        assert graph.training
    finally:
        graph.eval()
    assert told == [(4, 13), (8, 13), (12, 13), (13, 13)]
    assert all(torch.equal(before[name], value) for name, value in graph.state_dict().items())


def test_float_images_are_scored_as_they_are_and_8_bit_ones_divided(graph):
    images = np.random.default_rng(1).integers(0, 256, (3, 12, 10, 1)).astype(np.uint8)
    as_float = images.astype(np.float32) / np.float32(255)
    ours, theirs = (
        score_images(graph, ImageSet.from_arrays(one), batch_size=4).score
        for one in (images, as_float)
    )
    assert np.array_equal(ours, theirs)


def test_images_for_training_are_rounded_to_8_bits_only_where_the_source_has_8(graph, mixed):
    assert prepare_images(graph.prepare, mixed).dtype == torch.uint8
    assert prepare_images(graph.prepare, mixed, keep_float=True).dtype == torch.float32
    fine = ImageSet.from_arrays(np.full((1, 9, 9, 1), 0.1234567, np.float32))
    assert prepare_images(graph.prepare, fine).unique().item() == pytest.approx(0.1234567, abs=1e-6)


def test_the_forward_pass_of_the_graph_agrees_with_the_engine(graph, mixed):
    image = mixed[7]
    with torch.inference_mode():
        scored = graph(torch.tensor(image)[None])
    one = score_images(graph, mixed[[7]], batch_size=4, maps=True)
    assert scored.error_map.shape == (1, *image.shape[:2])
    assert np.allclose(scored.error_map[0].numpy(), one.maps[0], atol=1e-6)
    assert scored.score.item() == pytest.approx(float(one.score[0]), rel=1e-5)


@pytest.mark.parametrize("error", ["squared", "absolute", "euclidean", "ssim"])
def test_every_error_kind_is_what_its_name_says(error, mixed):
    torch.manual_seed(0)
    recipe = make_recipe("plain", latent=3, error=error)
    graph = build_graph(recipe, recipe.build_network(ImageShape(12, 10, 1)), (12, 10), "stretch")
    images = mixed[:6]
    scores = score_images(graph, images, batch_size=4, reconstructions=True)
    prepared = images.array().astype(np.float32) / np.float32(255)
    expected = {
        "squared": lambda: metrics.mse(prepared, scores.reconstructions),
        "absolute": lambda: metrics.mae(prepared, scores.reconstructions),
        "euclidean": lambda: np.sqrt(metrics.mse(prepared, scores.reconstructions) * 120),
    }
    if error == "ssim":
        assert ((scores.score >= 0) & (scores.score <= 1)).all()
    else:
        assert np.allclose(scores.score, expected[error](), rtol=1e-4)


def test_the_graph_as_an_engine_gives_the_same_scores_maps_and_reconstructions(graph, mixed):
    whole = score_images(graph, mixed, batch_size=4, maps=True, reconstructions=True)
    again = score_with(GraphEngine(graph, 1, 4), mixed, maps=True, reconstructions=True)
    assert all(np.array_equal(columns(whole)[name], columns(again)[name]) for name in FIELDS)
    assert np.array_equal(whole.reconstructions, again.reconstructions)
    assert all(
        np.array_equal(one, other) for one, other in zip(whole.maps, again.maps, strict=True)
    )


def test_an_engine_that_gets_no_images_gives_no_scores(graph, mixed):
    none = score_with(GraphEngine(graph, 1, 4), mixed[:0], maps=True, reconstructions=True)
    assert (len(none.score), none.maps, len(none.reconstructions)) == (0, [], 0)


def test_bytes_and_floats_among_each_other_are_scored_as_alone(graph):
    images = np.random.default_rng(1).integers(0, 256, (4, 12, 10, 1)).astype(np.uint8)
    mixed_types = [
        image if row % 2 else image / np.float32(255) for row, image in enumerate(images)
    ]
    engine = GraphEngine(graph, 1, 4)
    assert np.array_equal(engine.score(mixed_types).score, engine.score(list(images)).score)


def test_an_engine_refuses_images_of_another_number_of_channels(graph):
    with pytest.raises(ShapeError, match=r"must be grey.*Got colour"):
        GraphEngine(graph, 1, 4).score([np.zeros((9, 9, 3), np.uint8)])


def test_large_images_are_prepared_a_few_at_a_time_and_small_ones_many(monkeypatch):
    sizes: list[int] = []
    forward = Prepare.forward
    monkeypatch.setattr(
        Prepare,
        "forward",
        lambda self, images: (sizes.append(len(images)), forward(self, images))[1],
    )
    prepare_images(Prepare((64, 64)), ImageSet.from_arrays(np.zeros((12, 1024, 1024, 3), np.uint8)))
    assert max(sizes) == 5  # sixteen million values at most
    sizes.clear()
    prepare_images(Prepare((8, 8)), ImageSet.from_arrays(np.zeros((300, 9, 9, 1), np.uint8)))
    assert sizes == [256, 44]


def test_maps_can_be_taken_one_by_one_instead_of_kept(graph, mixed):
    taken = {}
    engine = GraphEngine(graph, 1, 4)
    scores = score_with(engine, mixed, on_map=taken.__setitem__)
    assert scores.maps is None
    kept = score_with(engine, mixed, maps=True).maps
    assert list(taken) == list(range(len(mixed)))
    assert all(np.array_equal(taken[row], one) for row, one in enumerate(kept))
