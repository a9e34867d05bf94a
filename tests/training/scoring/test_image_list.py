"""Images of several sizes: indexed and split as a stack, and mirrored where one is made of them."""

from __future__ import annotations

import torch

from residua.training.scoring.image_list import ImageList, n_pixels

SIZES = [(16, 32), (32, 16), (16, 16)]


def images() -> ImageList:
    return ImageList([torch.rand(1, *size) for size in SIZES])


def test_it_is_indexed_as_a_stack_of_images_would_be():
    given = images()
    assert [tuple(image.shape[1:]) for image in given[torch.tensor([2, 0])]] == [SIZES[2], SIZES[0]]
    assert [tuple(image.shape[1:]) for image in given[1:]] == SIZES[1:]
    assert len(given) == 3 and len(given[:0]) == 0


def test_each_image_is_a_batch_of_its_own():
    assert [tuple(batch.shape) for batch in images().split(2)] == [(1, 1, *size) for size in SIZES]


def test_a_stack_holds_every_image_and_its_mirror_image_beyond_the_edge():
    given = images()
    stacked = given.stacked()
    assert stacked.shape == (3, 1, 32, 32)
    for image, whole in zip(given, stacked, strict=True):
        height, width = image.shape[1:]
        assert torch.equal(whole[:, :height, :width], image)
        if height < 32:
            assert torch.equal(whole[:, height : 2 * height - 2, :width], image[:, 1:-1].flip(1))


def test_the_pixels_of_several_sizes_are_their_mean():
    assert n_pixels(images()) == round((512 + 512 + 256) / 3)
    assert n_pixels(torch.zeros(3, 1, 16, 20)) == 320
