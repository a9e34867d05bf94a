"""What every autoencoder network offers, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class ImageShape:
    """Height, width (pixels) and channels of the images that a network sees."""

    height: int
    width: int
    channels: int

    @property
    def n_values(self) -> int:
        """Numbers an image: height x width x channels."""
        return self.height * self.width * self.channels


class AutoencoderNetwork(nn.Module, ABC):
    """An encoder and a decoder around a dense code.

    Images are float tensors (batch, channels, height, width) in [0, 1]; a code is (batch, latent).
    What `decode` returns is on the same scale but not clipped: the scoring graph clips it, the
    training loss does not.
    """

    shape: ImageShape
    latent: int
    to_code: nn.Linear

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Images to what the code is a linear function of, (batch, n_features)."""

    def encode(self, images: Tensor) -> Tensor:
        """Images to codes, (batch, latent)."""
        return self.to_code(self.features(images))  # type: ignore[no-any-return]

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Codes to reconstructions, (batch, channels, height, width)."""

    @abstractmethod
    def describe(self) -> str:
        """Depth, widths and latent size in a few words, for people."""

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct `images`."""
        return self.decode(self.encode(images))


class NetworkAround(AutoencoderNetwork):
    """A network whose encoder and decoder are those of another, `base`."""

    def __init__(self, base: AutoencoderNetwork) -> None:
        super().__init__()
        self.shape, self.latent, self.base = base.shape, base.latent, base

    def features(self, images: Tensor) -> Tensor:
        """The base network's features."""
        return self.base.features(images)

    def encode(self, images: Tensor) -> Tensor:
        """The base network's latents, (batch, latent)."""
        return self.base.encode(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Latents to reconstructions, (batch, channels, height, width)."""
        return self.base.decode(codes)


def why_no_code(network: object) -> str | None:
    """Why images are not rebuilt from a code alone; None where they are.

    A network without `decode` says why in its attribute ``no_code``.
    """
    if hasattr(network, "decode"):
        return None
    return str(getattr(network, "no_code", "the model has no code that images are rebuilt from"))


def n_parameters(network: nn.Module) -> int:
    """Count the trainable numbers of `network`; of one that is computed, its numbers."""
    parameters = list(network.parameters())
    if not parameters:
        return sum(buffer.numel() for buffer in network.buffers())
    return sum(parameter.numel() for parameter in parameters if parameter.requires_grad)


def default_latent(shape: ImageShape) -> int:
    """A latent size that compresses: about a twenty-fifth of the values, between 4 and 128.

    8x8 grey gets 4, 28x28 grey 31, 32x32 colour 122.
    """
    return int(min(128, max(4, shape.n_values // 25)))
