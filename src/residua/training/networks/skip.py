"""Skip network: a narrow U-Net that restores an image from a degraded view of it.

It also says where the image was spoilt.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import InputError
from residua.training.networks.base import ImageShape
from residua.training.synthesis.smoothing import smooth

STRIDE = 16  # pixels per place of the lowest level; sides are multiples of it
_SMALLEST_SIDE = 64  # pixels
_RARE = -3.0  # the logit from which the segmentation starts: few pixels are defects


class SkipOutput(NamedTuple):
    """What the network says of a batch, all float32.

    Restoration (batch, channels, height, width), defect logits (batch, 1, height, width), features.

    Features are the encoder's maps at a quarter and an eighth of the size, (batch, n_features,
    height / 8, width / 8).
    """

    restoration: Tensor
    logits: Tensor
    features: Tensor


class SkipNetwork(nn.Module):
    """Four levels of two 3x3 convolutions, with skips between them.

    They work at a half to a sixteenth of the size.

    It takes standardised images whose sides are multiples of 16, and sees them beside their locally
    normalised detail. Pixels are folded into channels first, so that full resolution costs no more
    than the last layer. ``latent`` is the number of maps at the lowest level; their averages are
    the code.
    """

    no_code = "its skip connections carry maps of images past the code"

    def __init__(self, shape: ImageShape, *, width: int = 16, latent: int | None = None) -> None:
        super().__init__()
        if min(shape.height, shape.width) < _SMALLEST_SIDE:
            raise InputError(
                f"network: a skip network needs images of at least {_SMALLEST_SIDE} px a side. Got"
                f" {shape.height}x{shape.width}. Choose another recipe, or enlarge the images with"
                " --size."
            )
        self.shape, self.width, self.latent = shape, width, latent or 6 * width
        widths = (width, 2 * width, 4 * width, self.latent)
        self.encoder = nn.ModuleList()
        n_in = 4 * 2 * shape.channels
        for level, n_out in enumerate(widths):
            deepest = [_convolution(n_out, n_out, dilation=2)] if level == len(widths) - 1 else []
            self.encoder.append(
                nn.Sequential(_convolution(n_in, n_out), _convolution(n_out, n_out), *deepest)
            )
            n_in = n_out
        self.decoder = nn.ModuleList()
        for n_out, n_below in zip(widths[-2::-1], widths[:0:-1], strict=True):
            self.decoder.append(
                nn.Sequential(_convolution(n_out + n_below, n_out), _convolution(n_out, n_out))
            )
        self.output = nn.Conv2d(width, 4 * (shape.channels + 1), 3, padding=1)
        nn.init.zeros_(self.output.weight)
        nn.init.constant_(self.output.bias[: 4 * shape.channels], 0.0)  # type: ignore[index]
        nn.init.constant_(self.output.bias[4 * shape.channels :], _RARE)  # type: ignore[index]
        self.n_features = widths[1] + widths[2]

    def forward(self, images: Tensor, kept: Tensor | None = None) -> SkipOutput:
        """Restore standardised `images`, seen times `kept`, (batch, 1, h, w), 0 in a hole."""
        *skips, maps = self._encode(images, kept)
        features = _features(skips)
        for level in self.decoder:
            maps = level(
                torch.cat(
                    [skips.pop(), F.interpolate(maps, scale_factor=2.0, mode="nearest")], dim=1
                )
            )
        output = F.pixel_shuffle(self.output(maps), 2).float()
        n_channels = self.shape.channels
        return SkipOutput(output[:, :n_channels], output[:, n_channels:], features)

    def features(self, images: Tensor) -> Tensor:
        """The features that `forward` gives of standardised images, without the rest."""
        return _features(self._encode(images, None))

    def encode(self, images: Tensor) -> Tensor:
        """Averages of the lowest level's maps, (batch, latent), of standardised images."""
        return self._encode(images, None)[-1].mean((2, 3)).float()

    def describe(self) -> str:
        """Depth and widths in a few words."""
        return (
            f"skip, four levels ({self.width}-{2 * self.width}-{4 * self.width}-{self.latent} wide)"
        )

    def _encode(self, images: Tensor, kept: Tensor | None) -> list[Tensor]:
        view = degraded_view(images)
        view = view if kept is None else view * kept
        maps = F.pixel_unshuffle(view, 2).contiguous(memory_format=torch.channels_last)
        levels: list[Tensor] = []
        for level in self.encoder:
            maps = level(F.max_pool2d(maps, 2) if levels else maps)
            levels.append(maps)
        return levels


def _features(levels: list[Tensor]) -> Tensor:
    return torch.cat([F.avg_pool2d(levels[1].float(), 2), levels[2].float()], dim=1)


def degraded_view(images: Tensor) -> Tensor:
    """Detail over its local strength beside the images, (batch, 2 * channels, h, w)."""
    with torch.autocast(images.device.type, enabled=False):
        images = images.float().contiguous()
        detail = images - smooth(images, 6.0)
        energy = detail.square().mean(1, keepdim=True)
        local = smooth(energy, 12.0).clamp(min=0).sqrt()
        overall = energy.mean((2, 3), keepdim=True).sqrt()
        return torch.cat(
            [(detail / (0.7 * local + 0.3 * overall + 0.02)).clamp(-6, 6), images], dim=1
        )


def _convolution(n_in: int, n_out: int, *, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())
