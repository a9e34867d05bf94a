"""What a recipe is: corruption -> network -> loss -> score, under one name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pydantic import BaseModel, ConfigDict
from torch import Generator, Tensor, nn

from residua.models import ImageShape
from residua.scoring.scorer import Scorer


class Recipe(BaseModel, ABC):
    """A named composition with its options; frozen, and written into the bundle as JSON.

    Subclasses declare options as fields. `blind_to` names what a baseline recipe cannot see by construction, so that the
    tests of meaning leave it out and the documentation says so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    summary: ClassVar[str]
    cost: ClassVar[str]
    good_for: ClassVar[str]
    blind_to: ClassVar[tuple[str, ...]] = ()

    latent: int | None = None

    @abstractmethod
    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh network with weights drawn from torch's global generator."""

    @abstractmethod
    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """The scalar to minimise on a batch of prepared images; all randomness comes from `generator`."""

    @abstractmethod
    def build_scorer(self, network: nn.Module) -> Scorer:
        """The scorer around `network`, not fitted yet."""

    def describe(self, network: nn.Module) -> str:
        """The network in words."""
        return network.describe()  # type: ignore[operator,no-any-return]
