"""The part of the graph between preprocessing and threshold.

Prepared images to scores and error maps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from residua.training.scoring import error_maps

Error = Literal["squared", "absolute", "euclidean", "ssim"]


class ScorerOutput(NamedTuple):
    """What a scorer makes of prepared images.

    Score (batch,), map (batch, height, width), reconstruction like images.

    ``probabilities`` (batch, n_classes) are those of a classifier, None of everything else.
    """

    score: Tensor
    error_map: Tensor
    reconstruction: Tensor
    probabilities: Tensor | None = None


class View(NamedTuple):
    """A scorer's output and the features that it saw the images by.

    ``features`` are float32 (batch, n_features, rows, columns), a code (batch, n_features, 1, 1),
    or None where the scorer has neither.
    """

    output: ScorerOutput
    features: Tensor | None


def in_float32(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Compute a scorer's method in float32: small differences of distances are the score."""

    @wraps(method)
    def exactly(*arguments: Any) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return method(*(one.float() if isinstance(one, Tensor) else one for one in arguments))

    return exactly


def add_buffers(module: nn.Module, **buffers: Tensor) -> None:
    """Numbers that `module` learns without gradients; they are saved with it, under these names."""
    for name, values in buffers.items():
        module.register_buffer(name, values)


class Scorer(nn.Module, ABC):
    """Prepared images to scores: the part of the graph between preprocessing and threshold.

    Everything it needs is in parameters and buffers, so that one state dictionary saves it. `fit`
    sees held-out normals (the validation slice of train, never calibration or test) and may set
    buffers: means, spreads, neighbours.
    """

    @property
    def reconstructs(self) -> bool:
        """Whether there is a reconstruction; where not, it and its errors are NaN."""
        return True

    @property
    def decided(self) -> str:
        """What `fit` decided by the images, in words; empty where it decides nothing."""
        return ""

    @property
    def without_memory(self) -> Scorer:
        """What scores training images as it does others, where the rest holds parts of them."""
        return self

    @abstractmethod
    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images, float32 (batch, channels, height, width) in [0, 1]."""

    def view(self, images: Tensor) -> View:
        """Score prepared images and say what they were seen by; what `LearnedScorer` learns from.

        A scorer that looks at feature maps gives them. Others give the code, if there is one.
        """
        has_code = hasattr(self.network, "encode")
        features = self.encode(images).flatten(1)[..., None, None] if has_code else None
        return View(self(images), features)

    def encode(self, images: Tensor) -> Tensor:
        """Codes of prepared images, (batch, latent)."""
        return self.network.encode(images)  # type: ignore[operator,union-attr,no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """Images of codes, (batch, channels, height, width), in [0, 1]."""
        return self.network.decode(codes).clamp(0, 1)  # type: ignore[operator,union-attr,no-any-return]

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Learn what the score needs beyond the network, from prepared normal images.

        Both may lie in a file: take slices of them or `chunks_of` them, never all at once.
        """


class ScorerAround(Scorer):
    """A scorer that changes what another, `inner`, makes of an image; the network is that one's."""

    def __init__(self, inner: Scorer) -> None:
        super().__init__()
        self.inner = inner

    @property
    def network(self) -> nn.Module:
        """The inner scorer's network; not registered twice."""
        return self.inner.network  # type: ignore[return-value]

    def encode(self, images: Tensor) -> Tensor:
        """Latents, as the inner scorer has them."""
        return self.inner.encode(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Images of latents, as the inner scorer has them."""
        return self.inner.decode(codes)


class ErrorScorer(Scorer):
    """Score = mean of the error map; the reconstruction is clipped to [0, 1] first."""

    def __init__(self, network: nn.Module, error: Error, *, logits: bool) -> None:
        super().__init__()
        self.network, self.error, self.logits = network, error, logits

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images by their reconstruction error."""
        reconstruction = self._to_unit(self.network(images))
        if self.error == "ssim":
            error_map = error_maps.dissimilarity(images, reconstruction)
        elif self.error == "absolute":
            error_map = error_maps.absolute(images, reconstruction)
        else:
            error_map = error_maps.squared(images, reconstruction)
        score = error_map.mean((1, 2))
        if self.error == "euclidean":
            score = (score * images[0].numel()).sqrt()
        return ScorerOutput(score, error_map, reconstruction)

    def decode(self, codes: Tensor) -> Tensor:
        """Images of codes, (batch, channels, height, width), in [0, 1]."""
        return self._to_unit(self.network.decode(codes))  # type: ignore[operator,union-attr]

    def _to_unit(self, output: Tensor) -> Tensor:
        return output.sigmoid() if self.logits else output.clamp(0, 1)
