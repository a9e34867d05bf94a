"""Feature autoencoder.

Reproduces the feature maps of a frozen backbone through a narrow, noisy bottleneck.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua._files import NUMPY_FAULTS, in_a_line
from residua.errors import InputError
from residua.training.networks.backbones import IMAGENET, PLAIN, Values
from residua.training.networks.base import AutoencoderNetwork, ImageShape
from residua.training.networks.maps import maps_of, take_size
from residua.training.networks.residual import pooling

_LARGEST_GRID = 64
_CELLS = 4
_LONGEST_CODE = 1024
_HIDDEN = 128
_PICTURE = 32
_PIXELS_AT_ONCE = 2**16


class FeatureMaps(nn.Module):
    """A frozen backbone, and the maps that it gives of images.

    The maps of the chosen ``levels`` are brought to one grid of at most 64 x 64 places, ``grid``;
    ``channels`` are how many each level has. Images are stretched to ``side`` x ``side``, or to
    `shape` where they come in `any_size`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        shape: ImageShape,
        *,
        levels: Sequence[int] | None = None,
        side: int | None = None,
        values: Values = IMAGENET,
        any_size: bool = False,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.backbone = backbone.eval()
        self.seen = take_size(backbone, side or shape.height, side or shape.width)
        self.is_stretched = any_size or (shape.height, shape.width) != self.seen
        backbone.requires_grad_(False)
        for name, channels in values._asdict().items():
            self.register_buffer(name, torch.tensor(channels).view(1, 3, 1, 1))
        maps = self._probe()
        own = getattr(backbone, "levels", None)
        self.levels = _choose_levels(own if levels is None else levels, len(maps))
        maps = [maps[level] for level in self.levels]
        self.channels = [one.shape[1] for one in maps]
        self.grid = (
            min(_LARGEST_GRID, max(m.shape[2] for m in maps)),
            min(_LARGEST_GRID, max(m.shape[3] for m in maps)),
        )

    @property
    def n_features(self) -> int:
        """Numbers at each place."""
        return sum(self.channels)

    def n_cells(self, most: int) -> int:
        """Cells a side, at most so many, over which maps are averaged to under 1,024 numbers."""
        sides = range(1, min(most, *self.grid) + 1)
        return max(n for n in sides if n == 1 or n * n * self.n_features <= _LONGEST_CODE)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Weights that were saved before the values of a backbone were."""
        for name in Values._fields:
            state_dict.setdefault(f"{prefix}{name}", getattr(self, name))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def train(self, mode: bool = True) -> Self:
        """Everything but the backbone, whose batch statistics must not drift."""
        super().train(mode)
        self.backbone.eval()
        return self

    @torch.no_grad()
    def targets(self, images: Tensor) -> Tensor:
        """The backbone's maps on the common grid, levels one after the other.

        float32 (batch, channels, rows, columns). On a processor a few images go at a time, whose
        maps stay in its cache.
        """
        n_images, n_pixels = images.shape[0], self.seen[0] * self.seen[1]
        at_once = max(1, _PIXELS_AT_ONCE // n_pixels)
        # A graph that is traced has no loop over them.
        if type(n_images) is not int or n_images <= at_once or images.device.type != "cpu":
            return self._targets(images)
        return torch.cat([self._targets(some) for some in images.split(at_once)])

    def _targets(self, images: Tensor) -> Tensor:
        colour = (
            images if images.shape[1] == 3 else images.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        )
        if self.is_stretched:
            colour = F.interpolate(colour, size=self.seen, mode="bilinear", align_corners=False)
        maps = maps_of(self.backbone, (colour - self.mean) / self.deviation)
        return torch.cat([_to_grid(maps[level], self.grid) for level in self.levels], 1)

    def describe(self) -> str:
        """How many features there are where, and of what."""
        n_frozen = sum(parameter.numel() for parameter in self.backbone.parameters())
        rows, columns = self.grid
        only: Any = getattr(self.backbone, "only_size", None)
        sees = "" if only is None else f" sees all images at {only[0]}x{only[1]} and"
        return (
            f"{self.n_features} features in {rows}x{columns} places, of a frozen backbone of"
            f" {n_frozen:,} parameters that{sees} is given {self._values()}"
        )

    def _values(self) -> str:
        """What images are brought to, in words."""
        known = {PLAIN: "values in [0, 1]", IMAGENET: "ImageNet's values"}
        rounded: Any = tuple(
            tuple(round(one, 6) for one in ends.flatten().tolist())
            for ends in (self.mean, self.deviation)
        )
        mean, deviation = (", ".join(f"{one:.3g}" for one in ends) for ends in rounded)
        return known.get(rounded, f"values less {mean}, divided by {deviation}")

    def _probe(self) -> list[Tensor]:
        """The maps of a black image, wherever the backbone lies: bundles may have no memory."""
        first = next(iter(self.backbone.parameters()), torch.zeros(0, device="cpu"))
        with torch.no_grad(), torch.device(first.device):
            image = torch.zeros(1, 3, *self.seen, dtype=first.dtype)
            try:
                return maps_of(self.backbone, image)
            except (AssertionError, *NUMPY_FAULTS) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(
                    f"backbone: it must take images of {self.seen[0]}x{self.seen[1]} pixels. Got:"
                    f" {in_a_line(error)}. Set the option side to the size that it was made for."
                ) from error


class WithBackbone(nn.Module):
    """A network that is trained, and the maps of a frozen backbone beside it.

    The backbone has no part in training: what scores looks through it.
    """

    def __init__(self, trained: nn.Module, maps: FeatureMaps) -> None:
        super().__init__()
        self.trained, self.maps = trained, maps

    def forward(self, *inputs: Tensor) -> Any:
        """What the trained network gives."""
        return self.trained(*inputs)

    def describe(self) -> str:
        """The trained network in a few words."""
        return self.trained.describe()  # type: ignore[operator,no-any-return]


class FeatureAutoencoder(FeatureMaps, AutoencoderNetwork):
    """An autoencoder on the feature maps of a frozen backbone, with which it shares nothing.

    The maps are squeezed to ``width`` numbers a place, and rebuilt by convolutions. The code is the
    maps averaged over cells, at most 4 x 4 and as many as keep it under 1,024 numbers. A small head
    draws a picture of the code, for people; it learns beside the rest and has no part in the score.
    """

    cells: Tensor

    def __init__(self, backbone: nn.Module, shape: ImageShape, width: int, **options: Any) -> None:
        super().__init__(backbone, shape, **options)
        self.width = width
        n_features, n_cells = self.n_features, self.n_cells(_CELLS)
        self.register_buffer("cells", pooling(*self.grid, n_cells), persistent=False)
        self.latent = n_features * n_cells * n_cells
        self.squeeze = nn.Sequential(*_layer(n_features, _HIDDEN, 1), nn.Conv2d(_HIDDEN, width, 1))
        self.rebuild = nn.Sequential(
            *_layer(width, _HIDDEN, 1),
            *_layer(_HIDDEN, _HIDDEN, 3),
            nn.Conv2d(_HIDDEN, n_features, 1),
        )
        self.start = (-(-shape.height // 4), -(-shape.width // 4))
        self.from_code = nn.Sequential(
            nn.BatchNorm1d(self.latent), nn.Linear(self.latent, _PICTURE * _CELLS * _CELLS)
        )
        self.draw = nn.Sequential(
            *_layer(_PICTURE, _PICTURE, 3), nn.Conv2d(_PICTURE, 16 * shape.channels, 3, padding=1)
        )

    def distances(self, rebuilt: Tensor, targets: Tensor) -> Tensor:
        """Cosine distance in [0, 2] of each place, mean of levels, (batch, rows, columns)."""
        pairs = zip(
            rebuilt.float().split(self.channels, 1), targets.split(self.channels, 1), strict=True
        )
        return torch.stack(
            [1 - F.cosine_similarity(one, other, dim=1) for one, other in pairs]
        ).mean(0)

    def pool(self, targets: Tensor) -> Tensor:
        """Maps averaged over the cells, flattened: (batch, latent)."""
        return (targets.flatten(2) @ self.cells).flatten(1)

    def features(self, images: Tensor) -> Tensor:
        """The code itself."""
        return self.encode(images)

    def encode(self, images: Tensor) -> Tensor:
        """Images to codes, (batch, latent)."""
        return self.pool(self.targets(images))

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures of codes, (batch, channels, height, width)."""
        cells = F.relu(self.from_code(codes)).unflatten(1, (_PICTURE, _CELLS, _CELLS))
        drawn = self.draw(
            F.interpolate(cells, size=self.start, mode="bilinear", align_corners=False)
        )
        return F.pixel_shuffle(drawn, 4)[:, :, : self.shape.height, : self.shape.width]

    def describe(self) -> str:
        """What is reproduced, and how narrow the bottleneck is."""
        return f"autoencoder of {super().describe()}, bottleneck {self.width} a place"


def _layer(n_in: int, n_out: int, size: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


def _to_grid(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Averaged down where the grid is coarser, interpolated where it is finer."""
    if maps.shape[2:] == grid:
        return maps
    if maps.shape[2] >= grid[0] and maps.shape[3] >= grid[1]:
        return F.interpolate(maps, size=grid, mode="area")
    return F.interpolate(maps, size=grid, mode="bilinear", align_corners=False)


def _choose_levels(asked: Sequence[int] | None, n_levels: int) -> list[int]:
    """As asked, else the two before the last, fine enough to point, deep enough to know."""
    if asked is None:
        return [n_levels - 3, n_levels - 2] if n_levels >= 3 else list(range(n_levels))
    wrong = [level for level in asked if not -n_levels <= level < n_levels]
    if wrong or not asked:
        raise InputError(
            f"backbone: levels must lie between {-n_levels} and {n_levels - 1}, at least one."
            f" Got {list(asked)}. The backbone gives {n_levels}."
        )
    return [level % n_levels for level in asked]
