"""Convolutional autoencoder.

Strided convolutions down to a small grid, a dense code, and back up.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from residua.training.networks.base import AutoencoderNetwork, ImageShape

_SMALLEST_GRID = 4  # pixels of the shorter side
_WIDEST = 256  # channels


class ConvAutoencoder(AutoencoderNetwork):
    """Halve the image until its shorter side is about four pixels, then a dense code.

    The width doubles with each halving.

    Works for any image from 8x8 up: odd sizes are rounded up on the way down, and the decoder
    returns to the very sizes the encoder saw.
    """

    def __init__(
        self, shape: ImageShape, latent: int, *, width: int | None = None, depth: int | None = None
    ) -> None:
        super().__init__()
        self.shape, self.latent = shape, latent
        depth = depth if depth is not None else _pick_depth(shape)
        width = width if width is not None else _pick_width(shape)
        self.widths = [min(width * 2**level, _WIDEST) for level in range(depth)]
        self.grids = [(shape.height, shape.width)]
        for _ in range(depth):
            height, breadth = self.grids[-1]
            self.grids.append(((height + 1) // 2, (breadth + 1) // 2))
        ins = [shape.channels, *self.widths[:-1]]
        self.down = nn.ModuleList(
            _block(n_in, n_out, stride=2) for n_in, n_out in zip(ins, self.widths, strict=True)
        )
        rows, columns = self.grids[-1]
        n_features = self.widths[-1] * rows * columns
        self.to_code = nn.Linear(n_features, latent)
        self.from_code = nn.Linear(latent, n_features)
        outs = [*self.widths[:-1][::-1], self.widths[0]]
        self.up = nn.ModuleList(
            _block(n_in, n_out, stride=1)
            for n_in, n_out in zip(self.widths[::-1], outs, strict=True)
        )
        self.to_image = nn.Conv2d(self.widths[0], shape.channels, 3, padding=1)

    def features(self, images: Tensor) -> Tensor:
        """The smallest grid, flattened: (batch, width x rows x columns)."""
        features = images
        for block in self.down:
            features = block(features)
        return features.flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to reconstructions, (batch, channels, height, width)."""
        features = F.relu(self.from_code(codes)).unflatten(1, (self.widths[-1], *self.grids[-1]))
        for block, grid in zip(self.up, self.grids[-2::-1], strict=True):
            features = block(F.interpolate(features, size=grid, mode="nearest"))
        return self.to_image(features)  # type: ignore[no-any-return]

    def describe(self) -> str:
        """Depth, widths and latent size in a few words."""
        widths = "-".join(map(str, self.widths))
        rows, columns = self.grids[-1]
        halvings = "1 halving" if len(self.widths) == 1 else f"{len(self.widths)} halvings"
        return (
            f"convolutional, {halvings} ({widths} wide, down to {rows}x{columns}), latent"
            f" {self.latent}"
        )


def _block(n_in: int, n_out: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(n_out),
        nn.ReLU(),
    )


def _pick_depth(shape: ImageShape) -> int:
    depth, side = 1, (min(shape.height, shape.width) + 1) // 2
    while side > _SMALLEST_GRID:
        depth, side = depth + 1, (side + 1) // 2
    return depth


def _pick_width(shape: ImageShape) -> int:
    """32 for small images, narrower for large ones, as the cost grows with pixels."""
    side = max(shape.height, shape.width)
    return 32 if side <= 64 else 16 if side <= 256 else 8
