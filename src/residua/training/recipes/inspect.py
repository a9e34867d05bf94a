"""`inspect`: defects in images of 64 pixels and above.

A narrow skip network learns them from synthetic ones.

Spoil the image, restore it, say where it was spoilt: after CutPaste (Li et al., 2021), DRAEM and
RIAD (Zavrtanik et al., both 2021) and NSA (Schlüter et al., 2022).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import AfterValidator, BeforeValidator, Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from residua.images.resize import Sides
from residua.training.networks import ImageShape
from residua.training.networks.backbones import (
    build_backbone,
    check_backbone,
    fetch_weights,
    values_of,
)
from residua.training.networks.feature import FeatureMaps, WithBackbone
from residua.training.networks.skip import STRIDE, SkipNetwork
from residua.training.recipes.base import Recipe, Schedule
from residua.training.scoring.inspect_score import PARTS, PLACED_PARTS, InspectScorer, Part
from residua.training.scoring.memory_score import MemoryScorer
from residua.training.scoring.places import check_parts
from residua.training.scoring.scorer import Scorer
from residua.training.scoring.summed_score import SummedScorer
from residua.training.synthesis import (
    FAMILIES,
    CorruptedBatch,
    Draws,
    Family,
    add_defects,
    change_exposure,
    random_crops,
    standardise,
)

_HOLES = 10  # cells a side
_CHECK = partial(check_parts, placed=PLACED_PARTS)
_HOLE_SHARE, _IMAGES_WITH_HOLES = 0.12, 0.4  # of the cells, of the images
_FOCUS = 1.0  # exponent of the focal loss
_HEAVIEST = 100.0  # weight of a defect's pixel, at most


class Task(NamedTuple):
    """What one step asks: `clean` crops, what was made of them, which pixels are shown."""

    clean: Tensor
    spoilt: CorruptedBatch
    kept: Tensor


class Inspect(Recipe):
    """Restore crops into which defects were put and holes were cut, and mark the defects.

    ``restoration``, ``segmentation`` and ``overlap`` weigh the losses: absolute error of values and
    gradients, focal cross-entropy in which small defects weigh more a pixel, and one minus Dice's
    coefficient. ``defects`` is the share of the crops that get any, ``families`` the kinds;
    ``crop`` is their side at most. ``latent`` is the number of maps at the lowest level, six times
    ``width`` unless said. The score is the sum of this and of what the recipe `memory` says with
    ``backbone``: filters for which nothing was learnt unless said; None leaves it out.
    """

    name: ClassVar[str] = "inspect"
    summary: ClassVar[str] = (
        "restores crops with synthetic defects and marks them; scored by marks, edges, features and"
        " surface"
    )
    cost: ClassVar[str] = "five minutes on one core; about 50 ms per image"
    good_for: ClassVar[str] = "defects of surfaces and parts from 64 px up, with useful error maps"
    sides: ClassVar[Sides] = Sides(256, smallest=64)
    any_size: ClassVar[bool] = True
    schedule: ClassVar[Schedule] = Schedule(
        steps=2000,
        epochs=(1, 100_000),
        batch_size=8,
        learning_rate=3e-3,
        weight_decay=0.02,
        keep="last",
    )

    latent: int | None = Field(default=None, ge=1)
    width: int = Field(default=16, ge=1, le=512)
    crop: int = Field(default=144, ge=64, le=4096)
    defects: float = Field(default=0.7, ge=0, le=1)
    families: tuple[Family, ...] = Field(default=tuple(FAMILIES), min_length=1)
    restoration: float = Field(default=1.0, ge=0)
    segmentation: float = Field(default=3.0, ge=0)
    overlap: float = Field(default=0.5, ge=0)
    parts: Annotated[tuple[Part, ...], AfterValidator(_CHECK)] = PARTS
    backbone: Annotated[
        Annotated[str, AfterValidator(check_backbone)] | None,
        BeforeValidator(lambda name: None if name == "none" else name),
    ] = "filters"

    @property
    def keeps_images(self) -> bool:
        """A memory beside the network keeps their features."""
        return self.backbone is not None

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh skip network, and the backbone's architecture beside it."""
        network = SkipNetwork(shape, width=self.width, latent=self.latent)
        if self.backbone is None:
            return network
        backbone = build_backbone(self.backbone, pretrained=False)
        values = values_of(self.backbone, backbone)
        return WithBackbone(network, FeatureMaps(backbone, shape, values=values, any_size=True))

    def load_pretrained(self, network: nn.Module) -> None:
        """Fetch the backbone's published weights."""
        if isinstance(network, WithBackbone) and self.backbone is not None:
            fetch_weights(network.maps.backbone, self.backbone)

    def loss(self, network: Any, images: Tensor, generator: Generator) -> Tensor:
        """Weighted sum of the three losses on one crop of each image."""
        task = self.make_task(images, generator)
        output = network(task.spoilt.images, task.kept)
        judged = (1 - task.spoilt.ignored) * task.kept
        loss = self.restoration * restoration_loss(output.restoration, task.clean)
        loss = loss + self.segmentation * focal_loss(output.logits, task.spoilt.target, judged)
        return loss + self.overlap * overlap_loss(output.logits, task.spoilt.target, judged)

    @torch.no_grad()
    def make_task(self, images: Tensor, generator: Generator) -> Task:
        """Crop, light, spoil and cut holes, in float32 whatever the network computes in."""
        with torch.autocast(images.device.type, enabled=False):
            draws = Draws(generator, images.device)
            side = min(self.crop, images.shape[-2], images.shape[-1]) // STRIDE * STRIDE
            clean = change_exposure(draws, random_crops(draws, standardise(images).values, side))
            spoilt = add_defects(draws, clean, self.defects, self.families)
            return Task(clean, spoilt, _holes(draws, len(clean), side))

    def build_scorer(self, network: Any) -> Scorer:
        """The parts on held-out normals, weighted by synthetic defects; a backbone's memory."""
        if not isinstance(network, WithBackbone):
            return InspectScorer(network, self.parts, self.families)
        trained: Any = network.trained
        return SummedScorer(
            InspectScorer(trained, self.parts, self.families),
            MemoryScorer(network.maps, pictures=False),
        )

    def describe(self, network: nn.Module) -> str:
        """The network, and the backbone of the memory beside it."""
        beside = "" if self.backbone is None else f", and a memory of what {self.backbone} sees"
        return f"{super().describe(network)}{beside}"


def restoration_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute error of values, and of differences between neighbours along either axis."""
    error = restored - clean
    return error.abs().mean() + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def focal_loss(logits: Tensor, target: Tensor, judged: Tensor) -> Tensor:
    """Cross-entropy times the probability of being wrong, over the judged pixels.

    After Lin et al. (2017).

    A defect's pixels weigh the -0.8th power of its share of the crop, at most 100: else large
    defects are learnt in twenty steps and small ones never.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = target.mean((1, 2, 3), keepdim=True).clamp(min=1e-4)
    weight = torch.where(target > 0.5, share.pow(-0.8).clamp(max=_HEAVIEST), 1.0)
    return ((1 - torch.exp(-entropy)).pow(_FOCUS) * entropy * judged * weight).mean()


def overlap_loss(logits: Tensor, target: Tensor, judged: Tensor) -> Tensor:
    """One minus Dice's coefficient, mean over the crops that hold a defect; 0 if none does."""
    marked = logits.sigmoid() * judged
    common, both = (marked * target).sum((1, 2, 3)), (marked + target).sum((1, 2, 3))
    has_defect = (target.sum((1, 2, 3)) > 0).to(marked)
    return ((1 - (2 * common + 1) / (both + 1)) * has_defect).sum() / has_defect.sum().clamp(min=1)


def _holes(draws: Draws, n: int, side: int) -> Tensor:
    cells = (draws.uniform(n * _HOLES * _HOLES) < _HOLE_SHARE).view(n, 1, _HOLES, _HOLES)
    is_cut = F.interpolate((cells & draws.chance(n, _IMAGES_WITH_HOLES)).float(), size=(side, side))
    return 1 - is_cut
