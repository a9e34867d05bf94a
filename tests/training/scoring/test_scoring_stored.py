"""Training beyond memory: prepared images in a file are those of memory, and so is the model
trained from them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from residua.errors import OutputError
from residua.images import ImageSet
from residua.training.fitting.fit import fit
from residua.training.fitting.options import make_options
from residua.training.fitting.session import FitSession
from residua.training.loop.batches import MemoryBatches, all_to_unit, to_unit
from residua.training.scoring import prepared_store
from residua.training.scoring.image_list import ImageList, chunks_of, taken
from residua.training.scoring.prepared_store import PreparedStore, StoredImages, StoredPieces
from training_wing import blobs


def some_images(dtype=torch.uint8, n: int = 23) -> torch.Tensor:
    drawn = torch.randint(0, 256, (n, 2, 5, 4), generator=torch.Generator().manual_seed(0))
    return drawn.to(torch.uint8) if dtype == torch.uint8 else drawn / 255


def in_a_file(images: torch.Tensor, folder) -> StoredImages:
    kept = PreparedStore(0, folder).keep(images.split(7), tuple(images.shape), images.dtype)
    assert isinstance(kept, StoredImages)
    return kept


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_file_gives_what_memory_gives(dtype, tmp_path):
    images = some_images(dtype)
    kept = in_a_file(images, tmp_path)
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    assert torch.equal(kept[rows[:9]], images[rows[:9]])
    assert torch.equal(kept[::4], images[::4])
    assert torch.equal(torch.cat(list(kept.split(6))), images)
    assert torch.equal(all_to_unit(kept)[2:5], to_unit(images)[2:5])
    subset = taken(kept, np.array([5, 3, 4]))
    assert torch.equal(subset[:], images[[5, 3, 4]])
    assert [len(chunk) for chunk in chunks_of(kept, 4, most=10)] == [4, 4]
    assert not list(tmp_path.iterdir())  # the file has no name, so a killed process leaves nothing


def test_batches_come_in_the_order_of_memory(tmp_path):
    images = some_images()
    options = {"batch_size": 4, "seed": 3, "shuffle": True}
    here, there = (
        MemoryBatches(images, **options),
        MemoryBatches(in_a_file(images, tmp_path), **options),
    )
    for epoch in (0, 1):
        here.epoch = there.epoch = epoch
        assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))


def test_what_fits_stays_in_memory_and_what_does_not_goes_to_a_file(tmp_path):
    images = some_images(n=4000)  # 156 KB
    store = PreparedStore(0.2, tmp_path)
    assert isinstance(store.keep([images], tuple(images.shape), images.dtype), torch.Tensor)
    assert isinstance(store.keep([images], tuple(images.shape), images.dtype), StoredImages)


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(
        prepared_store.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 10, 0)
    )
    with pytest.raises(OutputError, match="raise --memory, or lower --size"):
        in_a_file(some_images(), tmp_path)


@pytest.mark.parametrize("recipe", ["plain", "denoising"])
def test_a_model_trained_from_a_file_is_bit_for_bit_that_of_memory(recipe, tmp_path):
    images = ImageSet.from_arrays(blobs(60))
    options = make_options(
        "detect",
        recipe=recipe,
        latent=3,
        density=("mahalanobis", "neighbours"),
        trim=0.1,
        epochs=2,
        batch_size=8,
    )
    made = [
        fit(
            options,
            images,
            session=FitSession(
                memory_megabytes=megabytes, checkpoint=tmp_path / f"{megabytes}.ckpt"
            ),
        ).bundle
        for megabytes in (100, 0)
    ]
    in_memory, from_file = (one.graph.state_dict() for one in made)
    assert all(torch.equal(value, from_file[name]) for name, value in in_memory.items())
    assert np.array_equal(made[0].calibration_scores, made[1].calibration_scores)


def test_images_of_any_sizes_in_a_file_are_those_of_a_list(tmp_path):
    rng = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (3, 5 + n, 9 - n), dtype=torch.uint8, generator=rng) for n in range(6)
    ]
    shapes = [tuple(image.shape) for image in images]
    kept = PreparedStore(0, tmp_path).keep_each(iter(images), shapes, torch.uint8)
    assert isinstance(kept, StoredPieces)
    rows = torch.tensor([4, 1, 1])
    for here, there in (
        (ImageList(images), ImageList(kept)),
        (ImageList(images).as_unit(), ImageList(kept).as_unit()),
    ):
        chosen = taken(there, np.array([5, 0, 2]))[::2]
        assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))
        assert torch.equal(here[rows].stacked(), there[rows].stacked())
        assert [image.shape for image in chosen] == [images[5].shape, images[2].shape]
    assert isinstance(PreparedStore(1, tmp_path).keep_each(images, shapes, torch.uint8), list)
    assert list(tmp_path.iterdir()) == []


def test_mixed_sizes_train_bit_for_bit_from_a_file_too(tmp_path):
    rng = np.random.default_rng(0)
    images = ImageSet.from_arrays(
        [rng.integers(0, 256, (64 + n % 3, 70, 1)).astype(np.uint8) for n in range(16)]
    )
    made = [
        fit(
            make_options("detect", recipe="inspect", width=2, epochs=1, batch_size=4),
            images,
            session=FitSession(
                memory_megabytes=megabytes, checkpoint=tmp_path / f"{megabytes}.ckpt"
            ),
        )
        for megabytes in (100, 0)
    ]
    in_memory, from_file = (one.bundle.graph.state_dict() for one in made)
    assert all(torch.equal(value, from_file[name]) for name, value in in_memory.items())
    assert any("lie in a file" in note for note in made[1].notes)
