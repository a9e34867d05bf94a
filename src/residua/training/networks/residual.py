"""Residual autoencoder.

An encoder whose feature maps are worth pooling, beside a dense code that the decoder restores from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.training.networks.base import AutoencoderNetwork, ImageShape

_STRIDE = 8  # pixels per place of the last stage
_DECODER_WIDTH = 64
_CELLS = 4  # a side, of the grid that the latent is a linear function of


class ResidualAutoencoder(AutoencoderNetwork):
    """A strided 5x5 stem, three residual stages, a dense latent and a pixel-shuffling decoder.

    The stages have width w, 2w, 4w.

    `maps` gives the last stage's feature maps, (batch, 4w, height / 8, width / 8) rounded up: heads
    and densities read those, and `stages` those of all three for densities that look at strokes as
    well as at objects.
    """

    grid_pooling: Tensor
    quarter_pooling: Tensor

    def __init__(self, shape: ImageShape, latent: int, *, width: int = 32) -> None:
        super().__init__()
        self.shape, self.latent, self.width = shape, latent, width
        self.encoder = nn.Sequential(
            nn.Conv2d(shape.channels, width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            ResidualBlock(width, width, 1),
            ResidualBlock(width, 2 * width, 2),
            ResidualBlock(2 * width, 4 * width, 2),
        )
        rows, columns = -(-shape.height // _STRIDE), -(-shape.width // _STRIDE)
        cells = min(_CELLS, rows, columns)
        self.register_buffer("grid_pooling", pooling(rows, columns, cells), persistent=False)
        self.register_buffer(
            "quarter_pooling", pooling(rows, columns, min(2, rows, columns)), persistent=False
        )
        self.n_maps, self.n_stage_maps = 4 * width, 7 * width
        self.to_code = nn.Linear(self.n_maps * cells * cells, latent)
        self.start = (-(-shape.height // 4), -(-shape.width // 4))
        self.from_code = nn.Linear(latent, _DECODER_WIDTH * self.start[0] * self.start[1])
        self.decoder = nn.Sequential(
            nn.Conv2d(_DECODER_WIDTH, _DECODER_WIDTH, 3, 1, 1, bias=False),
            nn.BatchNorm2d(_DECODER_WIDTH),
            nn.ReLU(),
            nn.Conv2d(_DECODER_WIDTH, 2 * _DECODER_WIDTH, 1),
            nn.PixelShuffle(2),
            nn.ReLU(),
            nn.Conv2d(_DECODER_WIDTH // 2, _DECODER_WIDTH // 2, 3, 1, 1, bias=False),
            nn.BatchNorm2d(_DECODER_WIDTH // 2),
            nn.ReLU(),
            nn.Conv2d(_DECODER_WIDTH // 2, 4 * shape.channels, 3, 1, 1),
            nn.PixelShuffle(2),
        )

    def maps(self, images: Tensor) -> Tensor:
        """Feature maps of the last stage."""
        return self.encoder(images)

    def stages(self, images: Tensor) -> list[Tensor]:
        """Feature maps of the three stages, finest first; the last is what `maps` gives."""
        features, stages = images, []
        for layer in self.encoder:
            features = layer(features)
            if isinstance(layer, ResidualBlock):
                stages.append(features)
        return stages

    def features(self, images: Tensor) -> Tensor:
        """Feature maps averaged over a grid of cells, flattened."""
        return self.grid_features(self.maps(images))

    def grid_features(self, maps: Tensor) -> Tensor:
        """What the code is a linear function of, from feature maps."""
        return (maps.flatten(2) @ self.grid_pooling).flatten(1)

    def quarter_features(self, maps: Tensor) -> Tensor:
        """Feature maps averaged over the four quarters of the image, flattened."""
        return (maps.flatten(2) @ self.quarter_pooling).flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to reconstructions, (batch, channels, height, width)."""
        start = F.relu(self.from_code(codes)).unflatten(1, (_DECODER_WIDTH, *self.start))
        return self.decoder(start)[:, :, : self.shape.height, : self.shape.width]

    def describe(self) -> str:
        """Depth, widths and latent size in a few words."""
        return (
            f"residual, three stages ({self.width}-{2 * self.width}-{4 * self.width} wide), latent"
            f" {self.latent}"
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., 2016)."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = (
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.conv2, self.norm2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False), nn.BatchNorm2d(n_out)
        same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(n_in, n_out, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps to feature maps, smaller by `stride`."""
        inner = F.relu(self.norm1(self.conv1(features)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(features))


def pooling(rows: int, columns: int, cells: int) -> Tensor:
    """Means of cells x cells regions as a matrix, (rows * columns, cells * cells)."""
    return torch.einsum("ra,cb->rcab", _axis(rows, cells), _axis(columns, cells)).reshape(
        rows * columns, cells * cells
    )


def _axis(length: int, cells: int) -> Tensor:
    weights = torch.zeros(length, cells)
    for cell in range(cells):
        low, high = cell * length // cells, -(-(cell + 1) * length // cells)
        weights[low:high, cell] = 1 / (high - low)
    return weights
