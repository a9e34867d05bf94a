"""Augmentations of the user's own: functions and transforms of other libraries."""

from __future__ import annotations

import random
import sys
import types

import numpy as np
import pytest
import torch
from sklearn.base import clone

from residua import Autoencoder, AutoencoderClassifier, OneClassDetector
from residua.errors import InputError
from residua.training.loop.augmentation import augment
from residua.training.loop.own_augmentations import known, named
from training_wing import blobs

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def dim(images, generator):
    return images * torch.rand(len(images), 1, 1, 1, generator=generator)


def applied(given, images=IMAGES, seed=3):
    names, own = named(given)
    with known(own):
        return augment(images, names, torch.Generator().manual_seed(seed))


def of_library(name, call, monkeypatch):
    """An object whose class says that it is of a library, which is not there."""
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    kind = type("Transform", (), {"__call__": call, "__module__": name})
    return kind()


def test_a_function_gets_the_batch_and_the_generator_and_is_known_by_name():
    names, _ = named(("flip", dim))
    assert names == ("flip", f"own:{__name__}.dim")
    assert named("flip") == ("flip", {})
    first = applied(dim)
    assert torch.equal(first, applied(dim))
    assert not torch.equal(first, applied(dim, seed=4))
    assert torch.equal(first, dim(IMAGES, torch.Generator().manual_seed(3)))


def test_one_that_draws_from_the_generators_of_the_process_is_seeded_and_leaves_them():
    def jitter(images):
        return images * random.random() * torch.rand(1) * float(np.random.rand())  # noqa: NPY002

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = applied(jitter)
    torch.rand(3)
    assert torch.equal(first, applied(jitter))
    torch.set_rng_state(before[0])
    applied(jitter)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002


def test_transforms_of_torchvision_draw_for_each_image(monkeypatch):
    made = of_library("torchvision", lambda self, image: image * torch.rand(()), monkeypatch)
    factors = (applied(made) / IMAGES).flatten(1).mean(1)
    assert len(set(factors.tolist())) == len(IMAGES)


def test_transforms_of_kornia_get_the_batch(monkeypatch):
    seen = []
    made = of_library(
        "kornia.augmentation", lambda self, batch: seen.append(batch) or batch, monkeypatch
    )
    assert torch.equal(applied(made), IMAGES)
    assert seen[0].shape == IMAGES.shape


def test_transforms_of_albumentations_get_arrays_with_channels_last(monkeypatch):
    def call(self, image):
        assert image.shape == (8, 8, 3)
        return {"image": image[:, ::-1] * np.float32(np.random.rand())}  # noqa: NPY002

    made = of_library("albumentations.core", call, monkeypatch)
    changed = applied(made)
    assert torch.equal(changed, applied(made))
    ratio = changed.flip(-1) / IMAGES
    assert ratio[0].std() < 1e-5 < (ratio[0] - ratio[1]).abs().mean()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: images * 2, r"must give values in \[0, 1\].*\.clamp\(0, 1\)"),
        (
            lambda images: images[..., :4],
            r"must give images of shape \(6, 3, 8, 8\).*\(6, 3, 8, 4\)",
        ),
        (lambda images: None, "Got NoneType"),
        (lambda images: images / 0, "must give values"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        applied(change)


@pytest.mark.parametrize(
    ("estimator", "recipe"),
    [(Autoencoder, {}), (OneClassDetector, {"recipe": "plain"}), (AutoencoderClassifier, {})],
)
def test_estimators_take_them_keep_the_name_and_ask_for_them_again(estimator, recipe, tmp_path):
    images = blobs(24, (8, 8))
    labels = np.arange(24) % 2 if estimator is AutoencoderClassifier else None
    calls = []

    def watched(images, generator):
        calls.append(images.shape)
        return dim(images, generator)

    made = estimator(**recipe, augment=("shift", watched), epochs=1, latent=2)
    clone(made).fit(images, labels)
    n_calls = len(calls)
    made.fit(images, labels)
    assert n_calls
    assert len(calls) == 2 * n_calls
    assert any("watched" in note for note in made.notes_)
    loaded = estimator.load(made.save(tmp_path / "run"))
    scores = {"transform": loaded.transform(images)}
    assert np.array_equal(scores["transform"], made.transform(images))
    assert loaded.augment[1].endswith("watched")
    with pytest.raises(InputError, match=r"watched must be passed again. Got its name alone"):
        loaded.fit(images, labels)
