"""What the estimators share: options, fitting, scoring, saving. scikit-learn's conventions: learnt
things end in `_`.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import exceptions as sklearn_exceptions
from sklearn.base import BaseEstimator, TransformerMixin

from residua._check import Problems
from residua.engines.kinds import find_kind
from residua.errors import InputError, ResiduaError
from residua.evaluation.report import write_html
from residua.images import ImageSet
from residua.images.arrays import as_labels
from residua.images.loading import as_image_set
from residua.images.normal_labels import told_beside
from residua.images.reading import Reading
from residua.records import Evaluation, Job
from residua.runs.engines import export_run
from residua.runs.evaluate import evaluate_model
from residua.runs.judgement import Judgement
from residua.runs.loggers import RunLogger
from residua.runs.model import JudgedModel
from residua.runs.parts import compared
from residua.runs.run_record import RunRecord
from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import Bundle, check_fits, load_bundle, score_set
from residua.training.estimators.watching import Watching
from residua.training.export import Verification
from residua.training.fitting.fit import fit
from residua.training.fitting.options import AUTO, FitOptions, make_options, options_of
from residua.training.fitting.session import Fitted
from residua.training.fitting.splits import normals_of
from residua.training.fitting.targets import images_of
from residua.training.loop.own_augmentations import OWN, known, named
from residua.training.loop.settings import Precision
from residua.training.recipes import Recipe, make_recipe
from residua.training.scoring.engine import Scores, encode_images
from residua.training.scoring.prepare import Aspect

_NO_EPOCHS = "callbacks were not called: this model is computed at once, and has no epochs"


class NotFittedError(ResiduaError, sklearn_exceptions.NotFittedError):
    """An estimator was asked for something it learns in `fit`, before `fit`."""


class NoProbabilitiesError(InputError, AttributeError):
    """Probabilities were asked of a model that does not classify."""


def check_told(y: Any, images: ImageSet, where: str) -> None:
    """Refuse labels that contradict those that the images have; see `told_beside`."""
    if y is not None and images.labels is not None:
        problems = Problems(where)
        told = as_labels(y, len(images), name="labels", problems=problems)
        if told is not None:
            told_beside(told, images.labels, where)


class ImageEstimator(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Common options of the estimators.

    Wherever they take images, these are an `ImageSet`, an array (n_images, height, width[,
    channels]), or any other object that `load_images` takes; of an object all images count.

    `fit` takes three options that watch it. ``verbose`` draws a bar, on the terminal or in a
    notebook, and tells what is decided. Each of ``callbacks`` is called after each epoch with a
    `residua.training.loop.settings.Epoch`; where one returns True, the training stops. ``logger``
    is ``csv``, ``tensorboard``, ``mlflow``, ``wandb`` or a logger of Lightning; `evaluate` tells it
    too. See the page *Progress of a fit*.

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
        Share of the training images, at most a half, that is dropped as the worst: after a short
        first training, or by what a memory of the others makes of each third.
    batch_size, learning_rate, patience, precision, threads, device
        See `residua.training.loop.settings.TrainingSettings`.
    augment : tuple of names and callables, or one of them
        ``flip``, ``shift``, ``crop``, ``brightness``; a function of your own that gets a batch
        (n, channels, height, width) in [0, 1] and a ``torch.Generator``, and gives the same; or a
        transform of torchvision, kornia or albumentations. A model keeps their names alone.
    seed : int
        The same seed, data and machine give the same scores.
    """

    _job: ClassVar[Job]
    _parts: dict[str, ImageSet] | None = None
    _logger: RunLogger | None = None
    _separator: ClassVar[str | None] = None
    augment: Any
    latent: int | None

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
        augment: Any = (),
        trim: float = 0.0,
        threads: int | None = None,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self._keep(locals())

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
        if bundle.config.is_framed:
            raise InputError(
                f"{type(self).__name__}.transform: the model must see whole images. This one sees"
                " tiles, or a region. Fit without them, or ask for scores and maps."
            )
        return encode_images(bundle.graph, images, batch_size=bundle.config.batch_size)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the numbers of a code, ``code0`` ...; for ``set_output(transform="pandas")``."""
        network: Any = self._fitted().graph.scorer.network
        return np.array([f"code{number}" for number in range(network.latent)], object)

    def __sklearn_tags__(self) -> Any:
        """Images are arrays of three or four axes; labels may come with them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = []  # codes are float32
        return tags

    @property
    def predict_proba(self) -> Any:
        """Only classifiers have probabilities. Other models raise AttributeError here, so that
        `hasattr` returns False.
        """
        raise NoProbabilitiesError(
            f"{type(self).__name__}.predict_proba: the model must classify to have probabilities."
            " It does not classify. Train an AutoencoderClassifier on labelled images."
        )

    def evaluate(self, X: Any, y: Any = None, *, train: Any = None) -> Evaluation:
        """What the model is worth on images it has not seen, as `residua evaluate` judges it.

        Parameters
        ----------
        X : ImageSet or array, (n_images, height, width[, channels])
        y : sequence, (n_images,), optional
            The labels of arrays; an ImageSet has its own.
        train : ImageSet or array, optional
            What baselines learn from, and where copies of judged images are looked for; None: the
            training images of `fit`, as long as this object is not pickled or loaded.

        A logger of `fit` is told of the metrics, the findings and the report.
        """
        evaluation = self._judge(X, y, train).evaluation
        if self._logger is not None:
            self._logger.evaluated(evaluation)
        return evaluation

    def report(self, path: str | Path, X: Any, y: Any = None, *, train: Any = None) -> Path:
        """Evaluate, and write the report as one HTML file; see `evaluate`."""
        judgement = self._judge(X, y, train)
        return write_html(
            path, f"residua: {type(self).__name__}", [(judgement.evaluation, judgement.evidence)]
        )

    def export(
        self,
        folder: str | Path,
        X: Any = None,
        *,
        format: str = "onnx",  # noqa: A002  the command's word
        precision: str = "float32",
    ) -> Path:
        """Save a RUN, and its model as a file in ``folder/export``; see `residua export`.

        The file is verified on the calibration images of `fit`, or on the images `X`, which a
        loaded model needs.

        Raises
        ------
        GateError
            If the file does not do what the model does; nothing of it is left behind.
        """
        if X is None and self._parts is None:
            raise InputError(
                f"{type(self).__name__}.export: the file must be verified on images. Got none, and"
                " those of fit are no longer known. Pass some."
            )
        parts = self._parts or {}
        held = parts.get("calibration", parts.get("validation"))
        images = held if X is None else self._read(X)
        assert images is not None
        normals, _ = normals_of(parts.get("fitted", images))
        kind = find_kind(format, precision)
        run = self.save(folder)
        export_run(run, kind, verification=Verification(images, images.presumed_anomalous, normals))
        return run / "export" / (kind.files or (kind.card,))[0]

    def save(self, folder: str | Path) -> Path:
        """Write a RUN that every command takes; `load` reads it back.

        Its images came from Python, so that commands which need some are told a SOURCE.
        """
        return self._record_of_run().write(self._fitted(), folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The estimator of a RUN or of a bundle, with its parameters; nothing in the folder is
        executed.
        """
        run = TrainedRun(Path(folder))
        record = RunRecord.read(run) if run.exists() else None
        bundle = load_bundle(run.path if record is None else run.bundle)
        if bundle.config.job != cls._job:
            raise InputError(
                f"{cls.__name__}.load: the bundle must be of the job {cls._job}. Got"
                f" {bundle.config.job}. Use the estimator of that job."
            )
        options = options_of(bundle.config) if record is None else record.state.options
        estimator = cls(**cls._parameters(options, bundle))
        estimator._take(bundle)
        if record is not None:
            estimator._record = record
            estimator.notes_ = record.state.notes
            estimator.history_ = {
                name.removeprefix("history/"): column
                for name, column in record.training.items()
                if name.startswith("history/")
            }
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Without the images and the logger of `fit`, which are not part of the model."""
        state: dict[str, Any] = super().__getstate__()
        return {name: one for name, one in state.items() if name not in ("_parts", "_logger")}

    def _judge(self, X: Any, y: Any, train: Any) -> Judgement:
        images = self._labelled(X, y)
        if train is not None:
            fitted_on: ImageSet | None = self._read(train)
        else:
            fitted_on = None if self._parts is None else self._parts["learnt"]
        command = f"residua.{' '.join(repr(self).split())}.fit(images)"
        return evaluate_model(
            self._judged_model(command),
            compared(images, "test", fitted_on),
            separator=self._separator,
        )

    def _judged_model(self, command: str) -> JudgedModel:
        """The model as judging sees it."""
        return self._record_of_run().model(self._fitted(), command)

    def _labelled(self, X: Any, y: Any) -> ImageSet:
        """Images to judge with their labels; normal is what it was in `fit`."""
        if isinstance(X, ImageSet) and y is not None:
            raise InputError(
                f"{type(self).__name__}.evaluate: an ImageSet has its own labels. Got others beside"
                " it. Leave them out, or pass arrays and labels."
            )
        config = self._fitted().config
        images = self._images(X, y, reading=config.reading)
        there = set() if images.labels is None else {str(label) for label in images.labels}
        normal = config.normal or ()
        return images.with_normal(normal) if there & set(normal) else images

    def _record_of_run(self) -> RunRecord:
        bundle = self._fitted()
        record: RunRecord | None = getattr(self, "_record", None)
        if record is None:  # of a bundle alone
            state = RunState(options=options_of(bundle.config), finished=True)
            return RunRecord(state.model_copy(update={"reading": bundle.config.reading}))
        return record

    @classmethod
    def _parameters(cls, options: FitOptions, bundle: Bundle) -> dict[str, Any]:
        """The constructor's parameters that ask for `options`."""
        network = dict(options.recipe_options)
        values = {**dict(options.settings), **dict(options), **network}
        names = cls._get_param_names()
        others = {name: value for name, value in network.items() if name not in names}
        if others and "recipe" in names:  # of the recipe alone, which is then made here
            values["recipe"] = make_recipe(values["recipe"], **others)
        elif getattr(bundle.config.training, "left_to_auto", False):
            values["recipe"] = AUTO
        return {name: values[name] for name in names if name in values}

    def _keep(self, given: dict[str, Any]) -> None:
        """Keep the parameters of the constructor unchanged, as scikit-learn wants them."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    def _options(self) -> FitOptions:
        """What the constructor asked for, in the declaration that the command has too."""
        given = self.get_params(deep=False)
        given["augment"], _ = named(given["augment"])
        recipe = given.get("recipe")
        if isinstance(recipe, Recipe):
            given |= {
                "recipe": recipe.name,
                "recipe_options": recipe.model_dump(mode="json", exclude_defaults=True),
            }
        elif recipe == AUTO and (given["latent"], given.get("backbone")) != (None, None):
            given["recipe"] = None  # left out: these options speak of a recipe of their own
        return make_options(self._job, **given)

    def _fit(self, train: Any, calibration: Any, watching: Watching) -> Fitted:
        options = self._options()
        _, own = named(self.augment)
        with watching.session() as (watched, self._logger), known(own):
            session = replace(watched, recipe=self._recipe_by_hand(options))
            fitted = fit(options, train, calibration, session)
        recipe = getattr(self, "recipe", None)
        if recipe == AUTO:  # `options` say plain where a latent size was given with it
            fitted = replace(fitted, bundle=fitted.bundle.noting(left_to_auto=True))
        self._take(fitted.bundle)
        images, parts = images_of(train), fitted.parts
        aside = images.without(parts["fitted"], parts["validation"])
        held_out = [parts["calibration"]] if calibration is None and "calibration" in parts else []
        self._parts = {**parts, "learnt": images.without(aside)}
        self._record = RunRecord.of_fit(options, fitted, aside.without(*held_out))
        if images.uniform_size is not None:  # of mixed sizes there is no such number
            self.n_features_in_ = images.channels * int(np.prod(images.uniform_size))
        elif hasattr(self, "n_features_in_"):
            del self.n_features_in_
        self.history_ = fitted.trained.history
        uncalled = [_NO_EPOCHS] if watching.callbacks and not len(self.history_["epoch"]) else []
        for note in uncalled:
            warnings.warn(f"{type(self).__name__}.fit: {note}", UserWarning, stacklevel=3)
        self._keep_notes(
            *fitted.notes,
            *uncalled,
            *(
                f"augmentation {name.removeprefix(OWN)}: its name alone is kept with the model"
                for name in own
            ),
        )
        if self._logger is not None:
            self._logger.fitted(fitted.bundle.config)
        return fitted

    def _keep_notes(self, *notes: str) -> None:
        """What is told of the fit, here and in a saved RUN."""
        self.notes_, record = notes, self._record_of_run()
        self._record = replace(record, state=record.state.model_copy(update={"notes": notes}))

    def _recipe_by_hand(self, options: FitOptions) -> Recipe | None:
        """A recipe that was made before it was passed, with the size that was asked for."""
        recipe = getattr(self, "recipe", None)
        if not isinstance(recipe, Recipe):
            return None
        if getattr(self, "backbone", None) is not None:
            return make_recipe(recipe.name, **options.recipe_options)
        latent = {} if self.latent is None else {"latent": self.latent}
        return recipe.model_copy(update=latent)

    def _take(self, bundle: Bundle) -> None:
        self.bundle_ = bundle

    def _read(self, X: Any) -> ImageSet:
        """Images, their values read like those of training."""
        return self._images(X, reading=self._fitted().config.reading)

    @staticmethod
    def _images(X: Any, y: Any = None, *, reading: Reading | None = None) -> ImageSet:
        """What a user hands over, as images; the one place where it is read."""
        return as_image_set(X, y, reading=reading)

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
