"""What the estimators share: options, fitting, scoring, saving. scikit-learn's conventions: learnt
things end in `_`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import exceptions as sklearn_exceptions
from sklearn.base import BaseEstimator

from residua.errors import InputError, ResiduaError
from residua.images import ImageSet
from residua.images.reading import Reading
from residua.records import Job
from residua.training.bundle import Bundle, check_fits, load_bundle, save_bundle, score_set
from residua.training.fitting.fit import fit
from residua.training.fitting.options import AUTO, FitOptions, make_options, options_of
from residua.training.fitting.session import FitSession, Fitted
from residua.training.loop.settings import Precision
from residua.training.recipes import Recipe, make_recipe
from residua.training.scoring.engine import Scores, encode_images
from residua.training.scoring.prepare import Aspect


class NotFittedError(ResiduaError, sklearn_exceptions.NotFittedError):
    """An estimator was asked for something it learns in `fit`, before `fit`."""


class NoProbabilitiesError(InputError, AttributeError):
    """Probabilities were asked of a model that does not classify."""


class ImageEstimator(BaseEstimator):  # type: ignore[misc]
    """Common options of the estimators.

    Parameters
    ----------
    recipe : str or Recipe
        A recipe's name (``residua recipes`` lists them), a recipe with options of its own, or
        ``"auto"``: chosen by size and by how well each candidate tells made anomalies from held-out
        normal images.
    latent : int, optional
        Size of the code; None lets the recipe choose by the image size. With ``"auto"``, which
        chooses the network itself, a size speaks of the recipe ``"plain"``.
    size : int, optional
        Longer side, in pixels, that the network sees; None keeps images of one size up to 128
        pixels as they are.
    aspect : {"stretch", "keep", "area"}, optional
        Whether resizing fits height and width separately, or keeps the proportions and repeats the
        edge.
    epochs, minutes : optional
        How long to train: one or the other; None chooses by the size of the set.
    trim : float
        Share of the training images, at most a half, that is dropped as the worst after a short
        first training.
    batch_size, learning_rate, patience, precision, augment, threads
        See `residua.training.loop.settings.TrainingSettings`.
    seed : int
        The same seed, data and machine give the same scores.
    """

    _job: ClassVar[Job]
    augment: Any

    def __init__(
        self,
        recipe: str | Recipe = "plain",
        *,
        latent: int | None = None,
        size: int | None = None,
        aspect: Aspect | None = None,
        epochs: int | None = None,
        minutes: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        precision: Precision = "auto",
        augment: tuple[str, ...] = (),
        trim: float = 0.0,
        threads: int | None = None,
        seed: int = 0,
    ) -> None:
        self.recipe = recipe
        self.latent = latent
        self.size = size
        self.aspect = aspect
        self.epochs = epochs
        self.minutes = minutes
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.precision = precision
        self.augment = augment
        self.trim = trim
        self.threads = threads
        self.seed = seed

    def reconstruct(self, X: Any) -> NDArray[np.float32]:
        """Reconstructions at the network's resolution, float32 (n_images, height, width, channels)
        in [0, 1].
        """
        reconstructions = self._scored(X, reconstructions=True).reconstructions
        assert reconstructions is not None
        return reconstructions

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Codes, float32 (n_images, latent)."""
        bundle, images = self._fitted(), self._read(X)
        check_fits(bundle.config, images)
        return encode_images(bundle.graph, images, batch_size=bundle.config.batch_size)

    @property
    def predict_proba(self) -> Any:
        """Only classifiers have probabilities. Other models raise AttributeError here, so that
        `hasattr` returns False.
        """
        raise NoProbabilitiesError(
            f"{type(self).__name__}.predict_proba: the model must classify to have probabilities."
            " It does not classify. Train an AutoencoderClassifier on labelled images."
        )

    def save(self, folder: str | Path) -> Path:
        """Write the bundle: safetensors and JSON, atomically; `load` reads it back."""
        return save_bundle(self._fitted(), folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """An estimator around a saved bundle; nothing in the folder is executed."""
        bundle = load_bundle(folder)
        if bundle.config.job != cls._job:
            raise InputError(
                f"{cls.__name__}.load: the bundle must be of the job {cls._job}. Got"
                f" {bundle.config.job}. Use the estimator of that job."
            )
        estimator = cls(**cls._parameters(options_of(bundle.config)))
        estimator._take(bundle)
        return estimator

    @classmethod
    def _parameters(cls, options: FitOptions) -> dict[str, Any]:
        """The constructor's parameters that ask for `options`."""
        network = dict(options.recipe_options)
        values = {**dict(options.settings), **dict(options), **network}
        names = cls._get_param_names()
        others = {name: value for name, value in network.items() if name not in names}
        if others and "recipe" in names:  # of the recipe alone, which is then made here
            values["recipe"] = make_recipe(values["recipe"], **others)
        return {name: values[name] for name in names if name in values}

    def _options(self) -> FitOptions:
        """What the constructor asked for, in the declaration that the command has too."""
        given = self.get_params(deep=False)
        recipe = given.get("recipe")
        if isinstance(recipe, Recipe):
            chosen = recipe.model_dump(mode="json", exclude_defaults=True)
            given |= {"recipe": recipe.name, "recipe_options": chosen}
        elif recipe == AUTO and given["latent"] is not None:
            given["recipe"] = None  # left out: the size of a code speaks of the plain autoencoder
        return make_options(self._job, **given)

    def _fit(self, train: Any, calibration: Any) -> Fitted:
        recipe = getattr(self, "recipe", None)
        if isinstance(recipe, Recipe):
            latent = {} if self.latent is None else {"latent": self.latent}
            session = FitSession(recipe=recipe.model_copy(update=latent))
        else:
            session = FitSession()
        fitted = fit(self._options(), train, calibration, session)
        self._take(fitted.bundle)
        self.history_ = fitted.trained.history
        self.notes_ = fitted.notes
        return fitted

    def _take(self, bundle: Bundle) -> None:
        self.bundle_ = bundle

    def _read(self, X: Any) -> ImageSet:
        """Images, their values read like those of training."""
        return as_image_set(X, like=self._fitted().config.reading)

    def _scored(self, X: Any, **wanted: bool) -> Scores:
        return score_set(self._fitted(), self._read(X), **wanted)

    def _fitted(self) -> Bundle:
        bundle: Bundle | None = getattr(self, "bundle_", None)
        if bundle is None:
            raise NotFittedError(
                f"{type(self).__name__}: must be fitted first. It is not. Call fit, or load a"
                " bundle."
            )
        return bundle


def as_image_set(images: Any, labels: Any = None, like: Reading | None = None) -> ImageSet:
    """An `ImageSet` as it is; arrays (n_images, height, width[, channels]) as one, read `like`
    others.
    """
    return ImageSet.from_arrays(images, labels, reading=like)
