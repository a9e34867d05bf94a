"""`AutoencoderClassifier`: names the class of an image from the code that also rebuilds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from residua._check import array_of
from residua.errors import InputError, ShapeError
from residua.images import ImageSet
from residua.training.bundle import Bundle
from residua.training.estimators.base import ImageEstimator, check_told
from residua.training.estimators.watching import Watching
from residua.training.fitting.options import AUTO, FitOptions
from residua.training.fitting.targets import (
    LabelledSet,
    Targets,
    calibration_set,
    class_array,
    index_targets,
    read_targets,
)
from residua.training.loop.settings import EpochReport, Precision
from residua.training.scoring.prepare import Aspect
from residua.training.strategies.losses import Distance


class AutoencoderClassifier(ClassifierMixin, ImageEstimator):  # type: ignore[misc]
    """Classifier on the code of an autoencoder; images without a label help where the strategy
    reconstructs.

    Parameters
    ----------
    strategy : {"joint", "joint-flat", "sequential", "fine-tune", "plain"}
        How classifier and autoencoder share the network: both heads together; one dense output for
        both; the autoencoder first and the classifier on its frozen or released encoder; or no
        autoencoder at all, the control.
    latent, width : int, optional
        Size of the dense code, and width of the first stage that halves the image.
    weight : float in [0, 1] or "learn", optional
        Of the reconstruction's distance in the weighted mean of both losses (`joint`,
        `joint-flat`).
    distance : {"squared", "euclidean"}, optional
        The mean squared distance over pixels, or the root of an image's sum of squares.
    label_smoothing, erase : float, optional
        Share of the truth given to all classes alike; share of training images from which a box is
        cut.
    class_weight : "balanced" or mapping of class to float, optional
        Weights in the cross-entropy, as scikit-learn has them.
    multilabel : bool, optional
        Whether a 0/1 matrix of labels names several at once; None: it does unless every row has
        exactly one 1.
    augment : "auto", or names and callables as for the other estimators
        "auto": shifts by up to a tenth, and mirroring where the labels show that it helps.
    mirrored : bool, optional
        Whether probabilities are means over the image and its mirror image, at the cost of a second
        pass through the encoder; None: where mirroring augments.
    size, aspect, epochs, minutes, batch_size, learning_rate, patience, precision, threads, device,
    seed
        See `ImageEstimator`. By default all steps are taken and the last weights kept.

    Attributes
    ----------
    classes_ : array, (n_classes,)
        In the order of the columns of `predict_proba`.
    history_, notes_
        As for the other estimators; `notes_` say how labels were read, what augments and the
        temperature.

    Examples
    --------
    >>> import residua
    >>> digits = residua.load_images("digits")
    >>> classifier = residua.AutoencoderClassifier("joint", epochs=8, seed=0).fit(digits.train)
    >>> classifier.predict_proba(digits.test).shape[1], classifier.score(digits.test) > 0.5
    (10, True)
    """

    _job: ClassVar[Literal["classify"]] = "classify"
    _separator: ClassVar[str] = "\x1f"  # between names of labels that hold at once; no name has it
    multilabel: bool | None

    def __init__(
        self,
        strategy: str = "joint",
        *,
        latent: int | None = None,
        width: int | None = None,
        weight: float | Literal["learn"] | None = None,
        distance: Distance | None = None,
        label_smoothing: float | None = None,
        erase: float | None = None,
        mirrored: bool | None = None,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        multilabel: bool | None = None,
        size: int | None = None,
        aspect: Aspect | None = None,
        epochs: int | None = None,
        minutes: float | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        patience: int | None = None,
        precision: Precision = "auto",
        augment: Any = "auto",
        threads: int | None = None,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self._keep(locals())

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        calibration: Any = None,
        verbose: bool = False,
        callbacks: Sequence[EpochReport] = (),
        logger: Any = None,
    ) -> Self:
        """Train on labelled and unlabelled images.

        Parameters
        ----------
        X : ImageSet or array, (n_images, height, width[, channels])
        y : labels, (n_images,), or a 0/1 matrix, (n_images, n_classes); optional
            Integers or strings, None or NaN where an image has none; one-hot rows; or several
            labels at once. Left out: those of the ImageSet.
        calibration : ImageSet or pair of images and labels, optional
            Where the temperature of the probabilities comes from; None: the validation slice of
            `X`.
        verbose, callbacks, logger
            See `ImageEstimator`.

        Raises
        ------
        LabelError, ShapeError, InputError
            If labels are for another number of images, of a single class, all missing, or the
            calibration names other classes.
        """
        train = self._images(X)
        check_told(y, train, "AutoencoderClassifier.fit")
        targets = read_targets(_labels(train, y), len(train), multilabel=self.multilabel)
        held = None if calibration is None else self._held(calibration, train, targets)
        self._fit(LabelledSet(train, targets), held, Watching(verbose, callbacks, logger))
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # type: ignore[override]
        """Probabilities, float32 (n_images, n_classes); rows sum to 1, except where several labels
        may hold at once.
        """
        probabilities = self._scored(X).probabilities
        assert probabilities is not None
        return probabilities

    def reconstruct(self, X: Any) -> NDArray[np.float32]:
        """As the other estimators; refused by the strategy `plain`, which has no decoder."""
        if not self._fitted().graph.scorer.reconstructs:
            raise InputError(
                "AutoencoderClassifier.reconstruct: the model must have a decoder. One of the"
                " strategy plain has none. Train with another strategy."
            )
        return super().reconstruct(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each image, (n_images,); multi-label 0/1, int64 (n_images,
        n_classes), 1 above 0.5.
        """
        probabilities = self.predict_proba(X)
        if self._fitted().config.multilabel:
            return (probabilities > 0.5).astype(np.int64)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy over the labelled images; multi-label: the share of images with every label
        right.
        """
        images, config = self._read(X), self._fitted().config
        check_told(y, images, "AutoencoderClassifier.score")
        labels = _labels(images, y)
        if config.multilabel:
            right = (self.predict(images) == np.asarray(labels)).all(axis=1)
            known = np.ones(len(right), np.bool_)
        else:
            where, classes = "AutoencoderClassifier.score", config.classes or ()
            truth = index_targets(labels, classes, where=where, n_images=len(images))
            right, known = self.predict_proba(images).argmax(axis=1) == truth, truth >= 0
        if sample_weight is not None and np.shape(sample_weight) != (len(images),):
            must, got = "sample_weight must have one entry per image", np.shape(sample_weight)
            where, mend = "AutoencoderClassifier.score", "Pass one each"
            raise ShapeError(f"{where}: {must}. Got shape {got}. {mend}.")
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(np.average(right[known], weights=weights)) if known.any() else float("nan")

    def _held(self, calibration: Any, train: ImageSet, targets: Targets) -> LabelledSet:
        images, labels = calibration if isinstance(calibration, tuple) else (calibration, None)
        return calibration_set(self._images(images, reading=train.reading), targets, labels)

    def _labelled(self, X: Any, y: Any) -> ImageSet:
        """A 0/1 matrix of labels as the names that hold, which an ImageSet can have."""
        if y is None or not self._fitted().config.multilabel:
            return super()._labelled(X, y)
        rows = np.asarray(y).astype(bool)
        names = [str(name) for name in self.classes_]
        joined = [
            self._separator + self._separator.join(np.array(names)[row].tolist()) for row in rows
        ]
        return super()._labelled(X, joined)

    def _take(self, bundle: Bundle) -> None:
        super()._take(bundle)
        self.classes_ = class_array(bundle.config.classes or ())

    @classmethod
    def _parameters(cls, options: FitOptions, bundle: Bundle) -> dict[str, Any]:
        given = super()._parameters(options, bundle)
        if given["augment"] == (AUTO,):
            given["augment"] = AUTO
        weights = given["class_weight"]
        if isinstance(weights, Mapping):  # JSON has texts where classes may be numbers
            classes = {str(name): name for name in bundle.config.classes or ()}
            given["class_weight"] = {classes[name]: one for name, one in weights.items()}
        return given


def _labels(images: ImageSet, labels: Any) -> Any:
    if labels is None:
        return images.labels
    if np.ma.isMaskedArray(labels):
        return labels if labels.ndim == 2 else labels.tolist()  # masked: without a label
    return array_of(labels) if hasattr(labels, "__array__") else labels
