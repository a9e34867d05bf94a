"""Networks, a family a file: they encode and decode, and know nothing of training or scoring.

`FAMILIES` is the registry: a new family is one file, one line here and one page in the
documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from residua._check import Problems
from residua.training.networks.base import (
    AutoencoderNetwork,
    ImageShape,
    default_latent,
    n_parameters,
)
from residua.training.networks.classifier import ClassifierNetwork, ClassifierOutput, FlatNetwork
from residua.training.networks.conv import ConvAutoencoder
from residua.training.networks.dense import DenseAutoencoder
from residua.training.networks.joint import JointNetwork, JointOutput
from residua.training.networks.residual import ResidualAutoencoder
from residua.training.networks.variational import VariationalAutoencoder

__all__ = [
    "FAMILIES",
    "AutoencoderNetwork",
    "ClassifierNetwork",
    "ClassifierOutput",
    "ConvAutoencoder",
    "DenseAutoencoder",
    "FlatNetwork",
    "ImageShape",
    "JointNetwork",
    "JointOutput",
    "ResidualAutoencoder",
    "VariationalAutoencoder",
    "build_network",
    "default_latent",
    "n_parameters",
]

FAMILIES: dict[str, Callable[..., AutoencoderNetwork]] = {
    "conv": ConvAutoencoder,
    "dense": DenseAutoencoder,
}

_SMALLEST_SIDE = 8


def build_network(
    family: str, shape: ImageShape, latent: int | None = None, **options: Any
) -> AutoencoderNetwork:
    """Build a network of `family` for images of `shape`.

    Depth, width and latent size are picked where not given. Raises InputError if the family is
    unknown, an image side is under 8 pixels, or the latent size is not positive.
    """
    problems = Problems("network")
    if family not in FAMILIES:
        problems.add(
            f"the family must be one of {', '.join(FAMILIES)}", repr(family), "Name one of them"
        )
    if min(shape.height, shape.width) < _SMALLEST_SIDE:
        problems.add(
            "images must be at least 8x8 pixels",
            f"{shape.height}x{shape.width}",
            "Choose a larger size with --size",
        )
    if latent is not None and latent < 1:
        problems.add(
            "the latent size must be at least 1", str(latent), "Choose a positive --latent"
        )
    problems.raise_any()
    return FAMILIES[family](
        shape, latent if latent is not None else default_latent(shape), **options
    )
