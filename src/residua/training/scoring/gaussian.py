"""The Mahalanobis distance to the mean of what was seen.

Its covariance bears many features and few images.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from residua.training.scoring.scorer import in_float32


class Gaussian(nn.Module):
    """Squared Mahalanobis distance of codes to the mean of training codes.

    Covariance shrunk by Ledoit and Wolf (2004).
    """

    centre: Tensor
    whitening: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("whitening", torch.eye(n_features))

    def fit(self, codes: Tensor) -> None:
        """Learn from codes of normal images, (n, n_features)."""
        self.centre, self.whitening = centre_and_whitening(codes)

    @in_float32
    def forward(self, codes: Tensor) -> Tensor:
        """Codes (batch, n_features) to squared distances, (batch,)."""
        return ((codes - self.centre) @ self.whitening.T).square().sum(1)


def centre_and_whitening(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and a matrix W (d, d) such that ``|W (x - mean)|`` is the Mahalanobis distance.

    Ledoit-Wolf covariance.
    """
    from sklearn.covariance import LedoitWolf

    values = codes.double().numpy()
    if len(values) == 1:
        values = values.repeat(2, axis=0)  # one code has no spread; scikit-learn warns
    shrunk = LedoitWolf().fit(values)
    # Dead units leave the covariance singular.
    floor = 1e-6 * max(float(values.var(axis=0).mean()), 1e-12)
    covariance = torch.tensor(shrunk.covariance_) + floor * torch.eye(
        values.shape[1], dtype=torch.float64
    )
    inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
    return torch.tensor(shrunk.location_, dtype=torch.float32), inverse.float()
