"""`Autoencoder`: learns to reproduce images through a small code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from residua.errors import ShapeError
from residua.training.estimators.base import ImageEstimator
from residua.training.estimators.watching import Watching
from residua.training.loop.settings import EpochReport


class Autoencoder(ImageEstimator):
    """Image autoencoder: `transform` to codes, `inverse_transform` back, `reconstruct` both.

    There is no accuracy of it, because it does not classify; see `residua.evaluate_reconstruction`
    for what can be said.

    Parameters
    ----------
    recipe, latent, size, aspect, epochs, minutes, batch_size, learning_rate, patience, precision,
    augment, trim, threads, device, seed
        See `ImageEstimator`.

    Examples
    --------
    >>> import residua
    >>> digits = residua.load_images("digits")
    >>> autoencoder = residua.Autoencoder(latent=8, epochs=2, seed=0).fit(digits.train)
    >>> autoencoder.transform(digits.test).shape[1]
    8
    """

    _job: ClassVar[Literal["reconstruct"]] = "reconstruct"

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        verbose: bool = False,
        callbacks: Sequence[EpochReport] = (),
        logger: Any = None,
    ) -> Self:
        """Train on all of `X`; `y` is not used.

        Parameters
        ----------
        X : ImageSet or array, (n_images, height, width[, channels])
        verbose, callbacks, logger
            See `ImageEstimator`.
        """
        self._fit(self._images(X), None, Watching(verbose, callbacks, logger))
        return self

    def inverse_transform(self, codes: NDArray[Any]) -> NDArray[np.float32]:
        """Images of codes (n_images, latent), float32 (n_images, height, width, channels) in [0,
        1].
        """
        bundle = self._fitted()
        network: Any = bundle.graph.scorer.network
        values = torch.as_tensor(np.asarray(codes), dtype=torch.float32)
        if values.ndim != 2 or values.shape[1] != network.latent:
            raise ShapeError(
                "Autoencoder.inverse_transform: codes must have shape (n_images,"
                f" {network.latent}). Got {tuple(values.shape)}. Pass what transform returned."
            )
        with torch.inference_mode():
            images = bundle.graph.scorer.decode(values)
        return images.permute(0, 2, 3, 1).numpy()

    def reconstruction_errors(self, X: Any) -> dict[str, NDArray[np.float32]]:
        """``mse``, ``mae`` (lower is better) and ``ssim`` (higher is better) of each image, float32
        (n_images,).
        """
        return self._scored(X).columns

    def score(self, X: Any, y: Any = None) -> float:
        """Negative mean squared error over images and pixels: higher is better, 0 is perfect. Not
        an accuracy.
        """
        return -float(self.reconstruction_errors(X)["mse"].mean(dtype=np.float64))
