"""The error to expect of an image by its contrast and detail alone.

The rest of the error can then be judged.

Plain images are restored well whatever they show, and busy ones badly. The likelihoods of
generative models have the same fault (Serrà et al., *Input complexity and out-of-distribution
detection with likelihood-based generative models*, 2020).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from residua.training.scoring.scorer import add_buffers

_LEAST = 1e-3  # a quarter of a grey level: keeps the logarithm of a black image's contrast finite
_RIDGE_IMAGES = 5.0  # images that the ridge weighs as much as


def complexity(images: Tensor) -> Tensor:
    """Logarithms of each image's contrast and detail, (batch, 2).

    Contrast is the standard deviation of its values, detail the mean squared step.
    """
    contrast = (images - images.mean((1, 2, 3), keepdim=True)).square().mean((1, 2, 3)).sqrt()
    down = (images[:, :, 1:] - images[:, :, :-1]).square().mean((1, 2, 3))
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().mean((1, 2, 3))
    return torch.stack([(contrast + _LEAST).log(), (down + across + _LEAST**2).log()], dim=1)


class ExpectedError(nn.Module):
    """A line through normal images: the errors to expect of an image with such contrast and detail.

    Least squares with a ridge that weighs as much as five images do: few images give the mean, many
    a line. Outside the contrast and detail of the images that it went through the line is level:
    nothing is known there.
    """

    slopes: Tensor
    level: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, n_errors: int) -> None:
        super().__init__()
        add_buffers(
            self,
            slopes=torch.zeros(2, n_errors),
            level=torch.zeros(n_errors),
            low=torch.zeros(2),
            high=torch.zeros(2),
        )

    def forward(self, variables: Tensor) -> Tensor:
        """The errors (batch, n_errors) to expect of images whose `complexity` is (batch, 2)."""
        return variables.clamp(self.low, self.high) @ self.slopes + self.level

    def fit(self, variables: Tensor, errors: Tensor) -> None:
        """Lay the line through images with `complexity` (n, 2) and errors (n, n_errors)."""
        x, y = variables.double(), errors.double()
        centre = x.mean(0)
        ridge = (_RIDGE_IMAGES * float((x - centre).square().mean()) + 1e-6) * torch.eye(
            2, dtype=x.dtype
        )
        slopes = torch.linalg.solve(
            (x - centre).T @ (x - centre) + ridge, (x - centre).T @ (y - y.mean(0))
        )
        self.slopes, self.level = slopes.float(), (y.mean(0) - centre @ slopes).float()
        self.low, self.high = variables.amin(0), variables.amax(0)
