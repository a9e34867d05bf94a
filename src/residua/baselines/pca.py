"""Principal components with as many dimensions as the autoencoder's code.

The best linear autoencoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.baselines.base import Images, sample, squared_error


def pca_reconstructions(train: Images, images: Images, *, latent: int, seed: int = 0) -> Images:
    """`images` projected on the first `latent` principal components of `train`, and back.

    At most 10,000 of `train` are used.

    Examples
    --------
    >>> line = np.linspace(0, 1, 5, dtype=np.float32)[:, None, None, None] * np.ones(
    ...     (1, 2, 2, 1), np.float32
    ... )
    >>> bool(np.allclose(pca_reconstructions(line, line, latent=1), line, atol=1e-6))
    True
    """
    from sklearn.decomposition import PCA

    flat = sample(train, seed).reshape(-1, train[0].size)
    n_components = max(1, min(latent, len(flat) - 1, flat.shape[1]))
    solver = "randomized" if n_components < 0.5 * min(flat.shape) else "full"
    # Shares of no variance, where all train images are alike.
    with np.errstate(invalid="ignore", divide="ignore"):
        pca = PCA(n_components, svd_solver=solver, random_state=seed).fit(flat)
    reconstructed = (
        pca.inverse_transform(pca.transform(images.reshape(len(images), -1)))
        if len(images)
        else images
    )
    return np.asarray(reconstructed, np.float32).reshape(images.shape)


def pca_scores(train: Images, images: Images, *, latent: int, seed: int = 0) -> NDArray[np.float32]:
    """Squared error of the PCA reconstruction, a mean over pixels."""
    return squared_error(images, pca_reconstructions(train, images, latent=latent, seed=seed))
