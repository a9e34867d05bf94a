"""What a strategy is.

How one network learns to name classes and to reconstruct, in one phase or in two.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor, nn

from residua.images.resize import Sides
from residua.training.networks import ClassifierNetwork, ImageShape
from residua.training.recipes.base import LabelledBatch, Recipe, Schedule
from residua.training.scoring.classifier_score import ClassifierScorer
from residua.training.scoring.scorer import Scorer
from residua.training.strategies.losses import (
    Distance,
    classification_loss,
    distance,
    weighted_mean,
)

_LATENT = 128
_SCHEDULE = Schedule(
    steps=4000,
    epochs=(10, 4000),
    batch_size=128,
    learning_rate=4e-3,
    weight_decay=0.05,
    decay_norms=False,
    keep="last",
)
_SMALLEST, _LARGEST = 0.1, 0.35  # of the image's side


def _nothing(network: nn.Module) -> None:
    """A phase that begins with the network as it is."""


@dataclass(frozen=True)
class Phase:
    """A part of a strategy's training: its share of steps, images, loss, and beginning."""

    name: str
    share: float
    loss: Callable[[nn.Module, Any, Generator], Tensor]
    uses: Literal["all", "labelled"] = "all"
    begin: Callable[[nn.Module], None] = _nothing
    schedule: Schedule = field(default=_SCHEDULE)


class Strategy(Recipe, ABC):
    """Options that strategies share; frozen, and written into the bundle as JSON.

    ``n_classes`` and ``multilabel`` follow from the labels. Two classes are one sigmoid output,
    more are a softmax; with ``multilabel`` each is a sigmoid of its own. ``label_smoothing`` moves
    that share of the truth to all classes alike, ``erase`` is the share of the training images from
    which a box is cut (the reconstruction has to fill it in). ``class_weights`` weigh the images of
    a class in the cross-entropy. ``width`` is that of the encoder's first stage that halves the
    image, ``latent`` the size of the code D. ``mirrored`` averages the logits over an image and its
    mirror image when classifying.
    """

    schedule: ClassVar[Schedule] = _SCHEDULE
    sides: ClassVar[Sides] = Sides(64)
    uses_unlabelled: ClassVar[bool] = True

    n_classes: int = Field(ge=2)
    multilabel: bool = False
    width: int = Field(default=32, ge=4, le=512)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    erase: float = Field(default=0.5, ge=0, le=1)
    class_weights: tuple[float, ...] | None = None
    mirrored: bool = False

    @model_validator(mode="after")
    def _one_weight_a_class(self) -> Self:
        weights = self.class_weights
        if weights is not None and (len(weights) != self.n_classes or min(weights) <= 0):
            raise ValueError(f"class weights must be {self.n_classes} positive numbers")
        return self

    @property
    def n_logits(self) -> int:
        """One for two classes that exclude each other, else one a class."""
        return 1 if self.n_classes == 2 and not self.multilabel else self.n_classes

    @property
    def code_size(self) -> int:
        """Numbers in the code D: as asked, else 128, whatever the image."""
        return self.latent or _LATENT

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The parts of training, in order; shares sum to 1."""

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh network with two heads."""
        return ClassifierNetwork(shape, self.code_size, self.n_logits, width=self.width)

    def build_scorer(self, network: nn.Module) -> Scorer:
        """Probabilities, and the reconstruction where there is one."""
        return ClassifierScorer(network, multilabel=self.multilabel, mirrored=self.mirrored)

    def spoilt(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """What the network sees of `images`: in training some have a box cut out."""
        return erase(images, self.erase, generator) if network.training and self.erase else images

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Of the labelled images; 0 where there is none."""
        return classification_loss(
            logits,
            targets,
            multilabel=self.multilabel,
            smoothing=self.label_smoothing,
            weights=self.class_weights,
        )


class TwoLosses(Strategy, ABC):
    """A strategy that also reconstructs.

    The loss is ``(1 - weight) x cross-entropy + weight x distance``, the weighted mean of the two.
    ``distance`` is the mean squared distance over pixels, or ``euclidean``: the root of the sum of
    squares of an image. ``weight="learn"`` lets the network learn the two losses' scales (Kendall,
    Gal, Cipolla, 2018). Images without a label take part in the distance alone.
    """

    network_class: ClassVar[type[ClassifierNetwork]] = ClassifierNetwork

    weight: float | Literal["learn"] = 0.8
    distance: Distance = "squared"

    @model_validator(mode="after")
    def _weight_is_a_share(self) -> Self:
        if self.weight != "learn" and not 0 <= self.weight <= 1:
            raise ValueError("the weight must lie in [0, 1], or be learn")
        return self

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh network with two heads, and the two scales where they are learnt."""
        return self.network_class(
            shape,
            self.code_size,
            self.n_logits,
            width=self.width,
            learns_balance=self.weight == "learn",
        )

    def loss(
        self, network: nn.Module, images: Tensor | LabelledBatch, generator: Generator
    ) -> Tensor:
        """The weighted mean of both losses; a bare tensor is a batch without labels."""
        batch = as_labelled(images)
        logits, reconstructions = network.heads(self.spoilt(network, batch.images, generator))  # type: ignore[operator]
        return weighted_mean(
            self.cross_entropy(logits, batch.targets),
            distance(self.distance, reconstructions, batch.images),
            self.weight,
            network.balance,  # type: ignore[arg-type]
        )

    def phases(self) -> tuple[Phase, ...]:
        """One."""
        return (Phase("joint", 1.0, self.loss),)


def as_labelled(images: Tensor | LabelledBatch) -> LabelledBatch:
    """A bare tensor is a batch without labels."""
    if isinstance(images, LabelledBatch):
        return images
    return LabelledBatch(images, torch.full((len(images),), -1, device=images.device))


def erase(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Set a box of sides 10% to 35% to the image's mean in a `share` of the images."""
    n, _, height, width = images.shape
    box = _span(n, height, generator)[:, :, None] & _span(n, width, generator)[:, None, :]
    box = box & (torch.rand(n, 1, 1, generator=generator) < share)
    return torch.where(box[:, None].to(images.device), images.mean((2, 3), keepdim=True), images)


def _span(n: int, length: int, generator: Generator) -> Tensor:
    """Which of `length` places lie in a stretch of the image's side, bool (n, length)."""
    reach = (torch.rand(n, 1, generator=generator) * (_LARGEST - _SMALLEST) + _SMALLEST) * length
    centre = torch.rand(n, 1, generator=generator) * length
    return (torch.arange(length) + 0.5 - centre).abs() <= reach / 2
