"""Classifier networks.

A residual encoder to a dense code D, from which classes are named and the image is rebuilt.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import InputError
from residua.training.networks.base import AutoencoderNetwork, ImageShape
from residua.training.networks.residual import ResidualBlock

_LARGEST_GRID = 5
_SMALLEST_DETAILED, _LARGEST_WHOLE = 24, 40  # of the shorter side, in pixels
_WIDEST = 8  # of `width`
_DECODER_WIDTH = 32
_HIDDEN = 256


class ClassifierOutput(NamedTuple):
    """Logits (batch, n_logits) and reconstructions like the images, both float32.

    Reconstructions are not clipped, and None without a decoder.
    """

    logits: Tensor
    reconstructions: Tensor | None


class ClassifierNetwork(AutoencoderNetwork):
    """One encoder, one dense code, two heads: classes and reconstruction.

    The encoder halves the image down to three to five pixels a side in residual stages of width w,
    2w, 4w, behind one of w/2 that sees every detail of images from 24 pixels on. The code is a
    linear function of the last feature maps, averaged over the image and place by place.
    ``decoder=False`` leaves the second head out. With ``learns_balance`` the network has a
    parameter more, `balance`: the logarithms of the variances of the two losses (classes,
    reconstruction), for a loss that weighs them by what they are.
    """

    def __init__(
        self,
        shape: ImageShape,
        latent: int,
        n_logits: int,
        *,
        width: int = 32,
        decoder: bool = True,
        learns_balance: bool = False,
    ) -> None:
        super().__init__()
        self.shape, self.latent, self.width, self.n_logits = shape, latent, width, n_logits
        self.reconstructs = decoder
        self.is_frozen = False
        self.encoder, n_maps, grid = _encoder(shape, width)
        self.to_code = nn.Linear(n_maps * (1 + grid[0] * grid[1]), latent)
        self.head = self.build_head()
        self.balance = nn.Parameter(torch.zeros(2)) if learns_balance else None
        if decoder:
            self.build_decoder()

    def build_head(self) -> nn.Module:
        """From the code to the logits: one hidden layer."""
        return _through_one_layer(self.latent, self.n_logits)

    def build_decoder(self) -> None:
        """From the code back to the image, cheaply: mostly at a quarter of the size."""
        self.start = (-(-self.shape.height // 4), -(-self.shape.width // 4))
        self.from_code = nn.Linear(self.latent, _DECODER_WIDTH * self.start[0] * self.start[1])
        self.decoder = nn.Sequential(
            nn.Conv2d(_DECODER_WIDTH, 2 * _DECODER_WIDTH, 3, 1, 1, bias=False),
            nn.BatchNorm2d(2 * _DECODER_WIDTH),
            nn.ReLU(),
            nn.Conv2d(2 * _DECODER_WIDTH, 4 * _DECODER_WIDTH, 1),
            nn.PixelShuffle(2),
            nn.ReLU(),
            nn.Conv2d(_DECODER_WIDTH, 4 * self.shape.channels, 3, 1, 1),
            nn.PixelShuffle(2),
        )

    def heads(self, images: Tensor) -> ClassifierOutput:
        """Both heads at once."""
        codes = self.encode(images)
        return ClassifierOutput(
            self.classify(codes), self.decode(codes).float() if self.reconstructs else None
        )

    def features(self, images: Tensor) -> Tensor:
        """The last feature maps, averaged over the image and place by place, flattened."""
        maps = self.encoder(images)
        return torch.cat([maps.mean((2, 3)), maps.flatten(1)], dim=1)

    def classify(self, codes: Tensor) -> Tensor:
        """Codes to logits, (batch, n_logits), float32."""
        return self.head(codes).float()  # type: ignore[no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to reconstructions, (batch, channels, height, width)."""
        if not self.reconstructs:
            raise InputError(
                "reconstruct: the model must have a decoder. This one was trained with the strategy"
                " plain, which has none. Train with another --strategy."
            )
        start = F.relu(self.from_code(codes)).unflatten(1, (_DECODER_WIDTH, *self.start))
        return self.decoder(start)[:, :, : self.shape.height, : self.shape.width]  # type: ignore[no-any-return]

    def freeze_encoder(self, frozen: bool = True) -> None:
        """Keep the encoder and its statistics as they are while heads learn; or release it."""
        self.is_frozen = frozen
        for part in (self.encoder, self.to_code):
            part.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As `torch.nn.Module.train`; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.is_frozen:
            self.encoder.eval()
        return self

    def describe(self) -> str:
        """Depth, widths, code and heads in a few words."""
        n_stages = sum(isinstance(part, ResidualBlock) for part in self.encoder)
        widths = "-".join(
            str(part.conv1.out_channels) for part in self.encoder if isinstance(part, ResidualBlock)
        )
        heads = f"{self.n_logits} logit{'s' * (self.n_logits > 1)}" + (
            " and a decoder" if self.reconstructs else ", no decoder"
        )
        return (
            f"residual classifier, {n_stages} stages ({widths} wide), code {self.latent}, {heads}"
        )


class FlatNetwork(ClassifierNetwork):
    """One dense output K of |X| + n_logits numbers: the reconstruction, then the logits."""

    def build_head(self) -> nn.Module:
        """From the code to K, through one hidden layer."""
        return _through_one_layer(self.latent, self.shape.n_values + self.n_logits)

    def build_decoder(self) -> None:
        """Nothing of its own: K holds the reconstruction."""

    def outputs(self, images: Tensor) -> Tensor:
        """K, (batch, |X| + n_logits), float32; |X| = channels x height x width."""
        return self.head(self.encode(images)).float()  # type: ignore[no-any-return]

    def heads(self, images: Tensor) -> ClassifierOutput:
        """K cut in two."""
        return self._cut(self.outputs(images))

    def classify(self, codes: Tensor) -> Tensor:
        """Codes to logits, (batch, n_logits), float32."""
        return self._cut(self.head(codes).float()).logits

    def decode(self, codes: Tensor) -> Tensor:
        """Codes to reconstructions, (batch, channels, height, width)."""
        reconstructions = self._cut(self.head(codes).float()).reconstructions
        assert reconstructions is not None
        return reconstructions

    def _cut(self, outputs: Tensor) -> ClassifierOutput:
        n = self.shape.n_values
        return ClassifierOutput(
            outputs[:, n:],
            outputs[:, :n].unflatten(1, (self.shape.channels, self.shape.height, self.shape.width)),
        )


def _encoder(shape: ImageShape, width: int) -> tuple[nn.Sequential, int, tuple[int, int]]:
    """The stem and the residual stages, with the number of maps at the end and their size.

    From 24 pixels on the first stage is half as wide and as large as the stem leaves the image:
    details of a few pixels are worth what it costs. Above 40 pixels the stem halves, by a 5x5
    kernel.
    """
    side = min(shape.height, shape.width)
    halves = side > _LARGEST_WHOLE
    first = width // 2 if side >= _SMALLEST_DETAILED else width
    stem = (
        nn.Conv2d(shape.channels, first, 5, 2, 2, bias=False)
        if halves
        else nn.Conv2d(shape.channels, first, 3, 1, 1, bias=False)
    )
    rows, columns = (
        -(-length // 2) if halves else length for length in (shape.height, shape.width)
    )
    layers: list[nn.Module] = [
        stem,
        nn.BatchNorm2d(first),
        nn.ReLU(),
        ResidualBlock(first, first, 1),
    ]
    n_maps, stage = first, 0 if first < width else 1
    while min(rows, columns) > _LARGEST_GRID:
        n_out = width * min(2**stage, _WIDEST)
        layers.append(ResidualBlock(n_maps, n_out, 2))
        n_maps, stage = n_out, stage + 1
        rows, columns = -(-rows // 2), -(-columns // 2)
    return nn.Sequential(*layers), n_maps, (rows, columns)


def _through_one_layer(n_in: int, n_out: int) -> nn.Sequential:
    hidden = (
        nn.BatchNorm1d(n_in),
        nn.ReLU(),
        nn.Linear(n_in, _HIDDEN),
        nn.BatchNorm1d(_HIDDEN),
        nn.ReLU(),
    )
    return nn.Sequential(*hidden, nn.Linear(_HIDDEN, n_out))
