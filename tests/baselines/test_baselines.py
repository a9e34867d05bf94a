"""Baselines: what they have in common, and what each is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from residua import metrics
from residua.baselines import (
    DETECTORS,
    RECONSTRUCTORS,
    base,
    mean_image_reconstructions,
    pca_reconstructions,
    pixel_neighbour_scores,
)
from training_wing import blobs

every_detector = pytest.mark.parametrize("name", DETECTORS)
every_reconstructor = pytest.mark.parametrize("name", RECONSTRUCTORS)


@pytest.fixture(scope="module")
def train():
    return blobs(60).astype(np.float32) / 255


@pytest.fixture(scope="module")
def images():
    return blobs(20, seed=1).astype(np.float32) / 255


def detect(name, train, images, seed=0):
    return DETECTORS[name](train, images, latent=4, seed=seed)


@every_detector
def test_scores_are_float32_one_an_image_and_finite(name, train, images):
    scores = detect(name, train, images)
    assert scores.dtype == np.float32
    assert scores.shape == (20,)
    assert np.isfinite(scores).all()


@every_detector
def test_noise_scores_higher_than_normal_images(name, train, images):
    noise = np.random.default_rng(0).random(images.shape, np.float32)
    assert np.median(detect(name, train, noise)) > np.median(detect(name, train, images))


@every_detector
def test_white_images_score_higher_than_normal_ones(name, train, images):
    assert detect(name, train, np.ones_like(images[:1]))[0] > np.median(detect(name, train, images))


@every_detector
def test_a_permutation_permutes_the_scores(name, train, images):
    order = np.random.default_rng(0).permutation(len(images))
    assert np.allclose(
        detect(name, train, images[order]), detect(name, train, images)[order], rtol=1e-4, atol=1e-7
    )


@every_detector
def test_one_image_and_none(name, train, images):
    assert np.allclose(
        detect(name, train, images[:1]), detect(name, train, images)[:1], rtol=1e-4, atol=1e-7
    )
    assert detect(name, train, images[:0]).shape == (0,)


@every_detector
def test_constant_and_few_train_images_give_finite_scores(name, images):
    assert np.isfinite(detect(name, np.full_like(images, 0.5), images)).all()
    assert np.isfinite(detect(name, images[:2], images)).all()
    assert np.isfinite(detect(name, images[:1], images)).all()


@every_detector
def test_the_same_seed_gives_the_same_scores(name, train, images):
    assert np.array_equal(detect(name, train, images, seed=3), detect(name, train, images, seed=3))


@every_reconstructor
def test_reconstructions_have_the_shape_of_the_images(name, train, images):
    rebuilt = RECONSTRUCTORS[name](train, images, latent=4, seed=0)
    assert rebuilt.shape == images.shape
    assert rebuilt.dtype == np.float32
    assert RECONSTRUCTORS[name](train, images[:0], latent=4, seed=0).shape == (0, 12, 12, 1)


@pytest.mark.parametrize("latent", [1, 5, 20])
def test_pca_equals_scikit_learns(train, images, latent):
    pca = PCA(latent, svd_solver="full").fit(train.reshape(60, -1))
    expected = pca.inverse_transform(pca.transform(images.reshape(20, -1))).reshape(images.shape)
    ours = metrics.mse(images, np.clip(pca_reconstructions(train, images, latent=latent), 0, 1))
    assert np.allclose(
        ours, metrics.mse(images, np.clip(expected, 0, 1).astype(np.float32)), rtol=0.05, atol=1e-6
    )


def test_pca_gets_better_with_more_dimensions_and_beats_the_mean_image(train, images):
    errors = [
        float(np.square(images - pca_reconstructions(train, images, latent=k)).mean())
        for k in (1, 4, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < float(np.square(images - mean_image_reconstructions(train, images)).mean())


def test_pca_asked_for_more_dimensions_than_there_are_gives_what_there_is(images):
    few = images[:3]
    assert np.allclose(pca_reconstructions(few, few, latent=500), few, atol=1e-5)


def test_the_mean_image_is_the_mean(train, images):
    assert np.allclose(mean_image_reconstructions(train, images)[7], train.mean(axis=0), atol=1e-6)


def test_pixel_neighbours_are_the_mean_distance_to_five(train, images):
    search = NearestNeighbors(n_neighbors=5).fit(train.reshape(60, -1))
    expected = search.kneighbors(images.reshape(20, -1))[0].mean(axis=1)
    assert np.allclose(pixel_neighbour_scores(train, images), expected, atol=1e-3)


def test_large_images_are_reduced_before_neighbours_are_searched():
    large = blobs(8, (150, 90)).astype(np.float32) / 255
    noise = np.random.default_rng(0).random(large.shape, np.float32)
    assert pixel_neighbour_scores(large, noise).min() > pixel_neighbour_scores(large, large).max()


def test_very_many_train_images_are_sampled_by_the_seed(monkeypatch):
    monkeypatch.setattr(base, "MOST_TRAIN_IMAGES", 10)
    many = np.arange(50, dtype=np.float32).reshape(50, 1, 1, 1)
    first, again, other = (base.sample(many, seed) for seed in (0, 0, 1))
    assert len(first) == 10
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert base.sample(many[:10], 0) is not None
