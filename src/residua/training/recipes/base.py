"""What a recipe is: corruption -> network -> loss -> score, under one name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from residua.images.resize import Sides
from residua.records import Job, Record
from residua.training.networks import ImageShape
from residua.training.scoring.scorer import Scorer


class LabelledBatch(NamedTuple):
    """A batch of images (batch, channels, height, width) with targets.

    Targets are class numbers, int64 (batch,), -1 where an image has no label; or, where several
    labels may hold at once, 0 and 1 as float32 (batch, n_classes), NaN where an image has none.
    """

    images: Tensor
    targets: Tensor


def is_labelled(targets: Tensor) -> Tensor:
    """Which images have a label, bool (batch,)."""
    return ~torch.isnan(targets).any(dim=1) if targets.ndim == 2 else targets >= 0


@dataclass(frozen=True)
class Schedule:
    """How a recipe is trained unless the user says otherwise.

    ``keep="best"`` stops early and keeps the weights with the lowest validation loss; ``"last"``
    runs all `steps` and keeps the last ones: nothing is selected. Without `decay_norms` the weights
    of matrices and kernels alone decay, and not those of norms, nor biases. `epochs` bounds what
    `steps` comes to on very small and very large sets. With ``average`` (a decay below 1; 0 for
    none) the exponential average of the weights over the steps is what is validated and kept.
    ``optimiser="muon"`` moves kernels along orthogonalised momentum
    (`residua.training.loop.optimisers`).
    """

    steps: int = 3000
    epochs: tuple[int, int] = (10, 200)
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    decay_norms: bool = True
    keep: Literal["best", "last"] = "best"
    average: float = 0.0
    optimiser: Literal["adamw", "muon"] = "adamw"

    def n_epochs(self, steps_per_epoch: int) -> int:
        """Epochs that come nearest to `steps`, within the bounds."""
        fewest, most = self.epochs
        return min(most, max(fewest, -(-self.steps // steps_per_epoch)))


class Trainable(Protocol):
    """What the training loop needs: a recipe, or one phase of a strategy that has several."""

    @property
    def schedule(self) -> Schedule:
        """How to train unless the user says otherwise."""

    def loss(self, network: nn.Module, images: Any, generator: Generator) -> Tensor:
        """The scalar to minimise on a batch, images or `LabelledBatch` ones."""


class Recipe(Record, ABC):
    """A named composition with its options; frozen, and written into the bundle as JSON.

    Subclasses declare options as fields. `blind_to` names what a baseline recipe cannot see by
    construction, so that the tests of meaning leave it out and the documentation says so.
    `sides` says how large it sees images. A recipe that takes `any_size` can be given each image
    at its own proportions; its scorer is then fitted to an `ImageList`. What `is_closed_form` takes
    no steps: `ClosedFormRecipe`. `jobs` are those that it can do.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    cost: ClassVar[str]
    good_for: ClassVar[str]
    blind_to: ClassVar[tuple[str, ...]] = ()
    schedule: ClassVar[Schedule] = Schedule()
    sides: ClassVar[Sides] = Sides()
    any_size: ClassVar[bool] = False
    is_closed_form: ClassVar[bool] = False
    jobs: ClassVar[tuple[Job, ...]] = ("reconstruct", "detect")

    latent: int | None = None

    @abstractmethod
    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh network with weights drawn from torch's global generator."""

    @abstractmethod
    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """The scalar to minimise on prepared images; randomness comes from `generator`."""

    @abstractmethod
    def build_scorer(self, network: nn.Module) -> Scorer:
        """The scorer around `network`, not fitted yet."""

    @property
    def keeps_images(self) -> bool:
        """Whether the model holds parts of its training images, so that they score lower."""
        return False

    def load_pretrained(self, network: nn.Module) -> None:
        """Fetch others' weights, where a recipe starts from any; a loaded bundle has them."""

    def describe(self, network: nn.Module) -> str:
        """The network in words."""
        return network.describe()  # type: ignore[operator,no-any-return]
