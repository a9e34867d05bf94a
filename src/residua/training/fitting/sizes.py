"""How large the network sees the images: picked from the set, or from `--size`, and put into
words.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from residua.errors import InputError
from residua.images import ImageSet
from residua.images.resize import Sides, network_size
from residua.training.recipes import Recipe
from residua.training.scoring.prepare import Aspect, Prepare

_SMALLEST, _LARGEST = 8, 4096
_HOW: dict[Aspect, str] = {
    "stretch": "{0}x{1}, height and width fitted separately",
    "keep": "{0}x{1}, proportions kept, edges repeated",
    "area": "about the area of {0}x{1}, each at its own proportions",
}


def choose_prepare(
    images: ImageSet,
    recipe: Recipe,
    size: int | None,
    aspect: Aspect | None,
    *,
    is_trial: bool = False,
) -> tuple[Prepare, str]:
    """How `images` are prepared for a recipe, and the sentence that says so.

    A trial sees large images no finer than small ones.
    """
    chosen = choose_aspect(images, aspect, recipe)
    network_size, words = choose_size(
        images,
        size,
        chosen,
        recipe.sides._replace(largest=None) if is_trial else recipe.sides,
    )
    return Prepare(network_size, chosen), words


def choose_aspect(images: ImageSet, asked: Aspect | None, recipe: Recipe) -> Aspect:
    """As asked; else mixed sizes keep proportions if the recipe can, and are stretched if not."""
    check_aspect(asked, recipe)
    return asked or ("area" if recipe.any_size and images.uniform_size is None else "stretch")


def check_aspect(asked: Aspect | None, recipe: Recipe) -> None:
    """Refuse images at their own sizes for a recipe that needs them all alike."""
    if asked == "area" and not recipe.any_size:
        raise InputError(
            f"aspect: area needs a recipe that takes images of any size. Got {recipe.name}. Choose"
            " stretch or keep, or detect by --recipe inspect."
        )


def _range(sides: NDArray[Any]) -> str:
    low, high = int(sides.min()), int(sides.max())
    return str(low) if low == high else f"{low}-{high}"


def choose_size(
    images: ImageSet,
    longer_side: int | None,
    aspect: Aspect,
    sides: Sides = Sides(),  # noqa: B008 - frozen
) -> tuple[tuple[int, int], str]:
    """(height, width) that the network sees, and the sentence that says so.

    The size is that of `residua.images.resize.network_size`: resizing distorts as little as one
    size for all allows.
    """
    if longer_side is not None and not _SMALLEST <= longer_side <= _LARGEST:
        raise InputError(
            f"size: must lie between {_SMALLEST} and {_LARGEST} pixels. Got {longer_side}. Choose"
            " another --size."
        )
    heights, widths = images.sizes[:, 0], images.sizes[:, 1]
    uniform = images.uniform_size
    size = network_size(images.sizes, sides, longer_side)
    seen = size if uniform is None else Prepare(size, aspect).target(*uniform)
    if uniform == seen:
        return size, f"images are {seen[0]}x{seen[1]} (height x width) and stay so"
    came = f"{uniform[0]}x{uniform[1]}" if uniform else f"{_range(heights)} x {_range(widths)}"
    how = "{0}x{1}" if uniform and aspect == "area" else _HOW[aspect]
    return size, f"images of {came} (height x width) are resized to {how.format(*seen)}"


def scoring_batch(prepare: Prepare) -> int:
    """Images that fit a processor's cache in one go: 64 small ones, fewer large ones; one where
    each has its own size. From 256 pixels on one alone is as fast, and needs no company.

    >>> [scoring_batch(Prepare((side, side), "stretch")) for side in (28, 128, 256, 512)]
    [64, 4, 1, 1]
    """
    if prepare.aspect == "area":
        return 1
    return int(min(64, max(1, 2**16 // (prepare.size[0] * prepare.size[1]))))
