"""`OneClassDetector`: learns what is normal from normal images alone, and scores how far others are
from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OutlierMixin
from torch import nn

from residua.errors import InputError, LabelError
from residua.images import ImageSet
from residua.metrics import roc_auc
from residua.records import OperatingPoint
from residua.runs.bundle_model import model_of_bundle
from residua.runs.learning.copies import Copies, copies_among
from residua.runs.learning.corrections import Corrections, corrections_of_arrays
from residua.runs.learning.features import StoredFeatures
from residua.runs.learning.learn import corrected_record, new_of_sample, pixels_of, record_of
from residua.runs.learning.model import check_learns, learn_model
from residua.runs.learning.record import LearningRecord, keep_record, read_record
from residua.runs.model import JudgedModel
from residua.runs.progress import Watcher
from residua.runs.trained_run import TrainedRun
from residua.thresholds.defaults import choose_operating_point
from residua.training.bundle import Bundle, with_policy
from residua.training.estimators.anomaly_labels import read_anomalies
from residua.training.estimators.base import ImageEstimator, check_told
from residua.training.estimators.scorers import warn_of_scorer
from residua.training.estimators.watching import Watching
from residua.training.fitting.options import AUTO
from residua.training.fitting.splits import normals_of
from residua.training.loop.settings import EpochReport, Precision
from residua.training.recipes import Recipe
from residua.training.scoring.prepare import Aspect


class OneClassDetector(OutlierMixin, ImageEstimator):  # type: ignore[misc]
    """One-class (anomaly) detector by an autoencoder.

    Parameters
    ----------
    recipe : str or Recipe
        As for the other estimators, but ``"auto"`` by default, as in `residua fit`; name
        ``"plain"`` where it has to be quick.
    policy : str, optional
        How the threshold comes from the calibration scores: ``"false-alarms<=0.01"``,
        ``"quantile:0.99"``, ...; see `residua.thresholds`. None: at most 5% false alarms, as a
        bound where there are 59 calibration normals, else as a quantile (below 19 normals: the
        strictest that they allow).
    contamination : float, optional
        Share of the calibration images that may be hidden anomalies; the threshold allows for them.
    backbone : str or nn.Module, optional
        A pretrained network for the recipes ``"memory"`` (the default with a backbone) and
        ``"feature"``, by name or as a module; a bundle holds its name and weights, so register a
        module of the same architecture under that name before loading (`register_backbone`).
        ``"none"`` keeps ``"auto"`` from using any.
    tiles : int or "auto", optional
        Look at images in so many overlapping tiles along the shorter side, not whole.
    region : path, array (height, width) or Region, optional
        Where to look: a mask (not zero counts) or a JSON file with polygons.
    latent, size, aspect, epochs, minutes, batch_size, learning_rate, patience, precision,
    augment, trim, threads, device, seed
        See `ImageEstimator`.

    Attributes
    ----------
    operating_point_ : OperatingPoint
        Threshold, the rates on the calibration set, and the words of how.
    history_ : dict of arrays
        ``epoch``, ``train_loss``, ``validation_loss``, ``seconds``.
    notes_ : tuple of str
        What was picked: sizes, network, parts held out.

    Examples
    --------
    >>> import residua
    >>> digits = residua.load_images("digits", normal=["0"])
    >>> detector = residua.OneClassDetector("plain", epochs=2, seed=0).fit(digits.train)
    >>> detector.anomaly_scores(digits.test).shape == (len(digits.test),)
    True
    >>> sorted(set(detector.predict(digits.test).tolist())) in ([-1], [1], [-1, 1])
    True
    """

    _job: ClassVar[Literal["detect"]] = "detect"
    _features: StoredFeatures | None = None
    _learning: LearningRecord | None = None
    contamination: float | None

    _seen_labels: frozenset[Any] = frozenset()  # of `fit`

    def __init__(
        self,
        recipe: str | Recipe = AUTO,
        *,
        policy: str | None = None,
        contamination: float | None = None,
        backbone: str | nn.Module | None = None,
        tiles: int | Literal["auto"] | None = None,
        region: Any = None,
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
        """Train on normal images.

        Parameters
        ----------
        X : ImageSet or array, (n_images, height, width[, channels])
            Normal images, or any object that `load_images` takes; of an ImageSet whose normal
            labels are named, the others are left out and counted in `notes_`.
        y : labels, (n_images,), optional
            0 and 1 (1 = anomalous), scikit-learn's +1 and -1 (-1 = anomalous), or names such as
            ``good``; anomalous images are left out and counted in `notes_`. Calibration images may
            stand here too: ``fit(train, calibration)``.
        calibration : ImageSet or array, optional
            Where the threshold comes from; None holds a fifth out of `X`.
        verbose, callbacks, logger
            See `ImageEstimator`.

        Raises
        ------
        LabelError
            If labels do not say what is anomalous.
        InputError
            If too few normal images are left.
        """
        if calibration is None and (isinstance(y, ImageSet) or np.ndim(y) >= 3):
            y, calibration = None, y
        self._features = self._learning = None
        self._seen_labels = frozenset()
        train, words, n_left = self._images(X), "", 0
        has_own = train is not X and train.normal is None
        labels = train.labels if y is None and has_own else y
        if labels is not None:
            read = read_anomalies(labels, len(train), "OneClassDetector.fit")
            words, self._seen_labels = read.words, read.seen
            check_told(y, train, "OneClassDetector.fit")
            train, n_left = train[np.flatnonzero(~read.flags)], int(read.flags.sum())
        normals, left_out = normals_of(train)
        left_out += n_left
        held = None if calibration is None else self._images(calibration, reading=train.reading)
        self._fit(normals, held, Watching(verbose, callbacks, logger))
        told = []
        if left_out or "without a label" in words:
            told = [f"{left_out} images with other labels were left out of train"]
            told[0] += f" ({words})" * bool(words)
        elif labels is None and train.labels is not None and train.normal is None:
            told = ["no label was named as normal, so images of all labels count as normal"]
        if told:
            self._keep_notes(*told, *self.notes_)
        return self

    def anomaly_scores(self, X: Any) -> NDArray[np.float32]:
        """Scores, float32 (n_images,): higher = more anomalous."""
        return self._scored(X).score

    def error_maps(self, X: Any) -> list[NDArray[np.float32]]:
        """A map an image, float32 (height, width) at the image's own resolution: higher = more
        anomalous.
        """
        maps = self._scored(X, maps=True).maps
        assert maps is not None
        return maps

    def score_samples(self, X: Any) -> NDArray[np.float32]:
        """Opposite sign of `anomaly_scores`, as scikit-learn has it: higher = more normal. float32
        (n_images,).
        """
        return -self.anomaly_scores(X)

    def decision_function(self, X: Any) -> NDArray[np.float32]:
        """Threshold minus anomaly score, as scikit-learn has it: negative = anomalous. float32
        (n_images,).
        """
        warn_of_scorer(self._seen_labels, "decision_function")
        scores = self._on_one_scale(X)  # says so where there is no fit yet
        return np.float32(self.operating_point_.threshold) - scores

    def predict(self, X: Any) -> NDArray[np.int64]:
        """+1 for normal and -1 for anomalous images (score > threshold, strictly), int
        (n_images,).

        Raises
        ------
        InputError
            If the detector has a threshold for each product, and none for that of an image.
        """
        warn_of_scorer(self._seen_labels, "predict")
        scores = self._on_one_scale(X)
        return np.where(scores > np.float32(self.operating_point_.threshold), -1, 1)

    def fit_predict(self, X: Any, y: Any = None, **fit: Any) -> NDArray[np.int64]:
        """`fit`, and then `predict` of the same images, int (n_images,).

        scikit-learn's own would leave `y` out, and train on the anomalous images.
        """
        return self.fit(X, y, **fit).predict(X)

    def p_values(self, X: Any) -> NDArray[np.float64]:
        """How often a normal image scores at least so high, (n_images,) in (0, 1]; small =
        anomalous. See `residua.thresholds.conformal_p_values`.
        """
        scores, model = self.anomaly_scores(X), model_of_bundle(self._fitted())
        return model.p_of(scores, None if model.facts.products is None else self._products_of(X))

    def score(self, X: Any, y: Any = None) -> float:
        """ROC AUC of the anomaly scores over the labelled images, in [0, 1]: higher is better.

        Labels are read as in `fit`; all images count. ``nan`` where one kind alone is there.
        scikit-learn's own scorers, such as ``scoring="roc_auc"``, need labels of +1 and -1: they
        take the larger one for normal, as `decision_function` does. `residua.scorer` takes all.
        """
        images = self._labelled(X, y)
        if images.labels is None or images.normal is None:
            raise LabelError(
                "OneClassDetector.score: labels must say what is anomalous. Got none. Pass y, or an"
                " ImageSet whose normal labels are named."
            )
        known = images.labelled
        return roc_auc(images.is_anomalous[known], self._on_one_scale(images)[known])

    def choose_threshold(self, policy: str, *, confidence: float = 0.95) -> OperatingPoint:
        """Choose another operating point from the calibration scores of `fit`; the detector uses it
        from here on.
        """
        bundle = self._fitted()
        if bundle.config.products is not None:
            self._take(with_policy(bundle, policy, confidence, self.contamination))
            return self.operating_point_
        point = choose_operating_point(
            bundle.calibration_scores,
            bundle.calibration_is_anomalous,
            policy,
            confidence=confidence,
            groups=bundle.calibration_groups,
            contamination=self.contamination,
        )
        self._take(bundle.with_operating_point(point))
        return point

    def learn(self, good: Any = None, defects: Any = None, *, sample: Any = None) -> Self:
        """A new detector that has learnt from corrections; this one stays as it is.

        Nothing is trained again. The threshold is chosen anew, by the policy that it had, on the
        calibration images; corrected ones count as if they had taught nothing. See the page
        *Learning from corrections*.

        Parameters
        ----------
        good : ImageSet or array, optional
            Good images. Those that this detector flags teach it to score their likes lower.
        defects : ImageSet or array, optional
            Defects. How much they count is decided by leaving each out in turn.
        sample : ImageSet or array, optional
            Good images that were drawn without looking at scores; they join the calibration set.

        Raises
        ------
        InputError
            If no image is given, or the features of the calibration images are not known: they are
            as long as the object is that of `fit`, and in a RUN.

        Examples
        --------
        >>> import residua
        >>> digits = residua.load_images("digits", normal=["0"])
        >>> detector = residua.OneClassDetector("plain", epochs=2, seed=0).fit(digits.train)
        >>> ones = digits.test[digits.test.labels == 1]
        >>> better = detector.learn(defects=ones[:12])
        >>> better.operating_point_.policy == detector.operating_point_.policy
        True
        """
        given = {"good": good, "defect": defects}
        named = {label: self._read(images) for label, images in given.items() if images is not None}
        if not any(map(len, named.values())):
            raise InputError(
                "OneClassDetector.learn: good= or defects= must hold images. Got none."
            )
        corrections = corrections_of_arrays(named)
        check_learns(self._fitted().config)
        self._keep_features()
        if self._features is None:
            raise InputError(
                "OneClassDetector.learn: the features of the calibration images must be known."
                " They are not. Learn with the object that was fitted, or load a RUN."
            )
        notes: list[str] = []
        copies, record = self._copies_of(corrections), self._record_of_run()
        watcher = Watcher(on_note=notes.append)
        if sample is not None:
            sample = new_of_sample(
                self._read(sample),
                record.images,
                pixels_of(corrections, self._learning),
                normal=self._fitted().config.normal,
                watcher=watcher,
            )
        learnt = learn_model(
            self._fitted(),
            self._features,
            corrections,
            copies=copies,
            sample=sample,
            watcher=watcher,
        )
        better = copy(self)
        better._take(learnt.bundle)
        better._features, better._parts = learnt.features, None
        learnt_from = f"learnt from {len(corrections.said)} corrected images"
        better.notes_ = (*self.notes_, learnt_from, *notes)
        better._learning = record_of(
            learnt,
            corrections,
            self._fitted(),
            recorded=record.images,
            copies=copies,
            earlier=self._learning,
            parent="in Python",
            parent_weights="",
            sampled=0 if sample is None else len(sample),
        )
        better._record = corrected_record(record, better._learning, learnt, sample)
        return better

    def save(self, folder: str | Path) -> Path:
        """Write a RUN that every command takes, `residua learn` included; `load` reads it back."""
        path = super().save(folder)
        self._keep_features()
        if self._features is not None:
            self._features.save(TrainedRun(path))
        keep_record(TrainedRun(path), self._learning)
        return path

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The detector of a RUN or of a bundle; nothing in the folder is executed."""
        detector = super().load(folder)
        run = TrainedRun(Path(folder))
        if run.exists():
            detector._features, detector._learning = StoredFeatures.load(run), read_record(run)
        return detector

    def _judged_model(self, command: str) -> JudgedModel:
        """The model, which knows the corrections that it has learnt from."""
        model = super()._judged_model(command)
        if self._learning is None:
            return model
        used = np.array(self._learning.pixels, object)
        return replace(model, calibration=replace(model.calibration, elsewhere=used))

    def _products_of(self, X: Any) -> Any:
        """The product of each image; None where nobody names any."""
        products = self._read(X).products
        return [None] * len(X) if products is None else products

    def _on_one_scale(self, X: Any) -> NDArray[np.float32]:
        """Scores beside the one threshold of the operating point."""
        scores, products = self.anomaly_scores(X), self._fitted().config.products
        if products is None:
            return scores
        names = self._products_of(X)
        for row, name in enumerate(names):
            if (why := products.why_not(name)) is not None:
                raise InputError(
                    f"OneClassDetector: each image must show a product that has a threshold. Got"
                    f" image {row}: {why}. Pass an ImageSet with products, as"
                    " load_images(..., product=...) gives it, or ask for anomaly_scores."
                )
        return products.aligned(scores, names)

    def _keep_features(self) -> None:
        """What learning needs of the images of `fit`, as long as they are known."""
        bundle = self._fitted()
        if self._features is None and self._parts is not None:
            self._features = StoredFeatures.of_fit(bundle, self._parts)

    def _copies_of(self, corrections: Corrections) -> Copies:
        """Which calibration images of `fit`, if still known, are near-copies of corrections."""
        earlier = self._learning.copies if self._learning else {}
        named = ("fitted", "validation", "calibration")
        parts = [(self._parts or {}).get(name) for name in named]
        known = [part for part in parts if part is not None and len(part)]
        if not known or parts[-1] is None:
            return Copies().and_of(earlier)
        wanted = set(parts[-1].pixel_hashes.tolist()) - {one.pixels for one in corrections.said}
        return copies_among(known, corrections, wanted).and_of(earlier)

    def _labelled(self, X: Any, y: Any) -> ImageSet:
        """Labels mean what they mean in `fit`, unless they are those that fit called normal."""
        images = super()._labelled(X, y)
        if isinstance(X, ImageSet) or images.labels is None or images.normal is not None:
            return images
        read = read_anomalies(images.labels, len(images), "OneClassDetector", self._seen_labels)
        normal = dict.fromkeys(images.labels[read.labelled & ~read.flags].tolist())
        if normal:
            return images.with_normal(list(normal))
        return ImageSet(images._table, images._rows, ())  # all are anomalous

    def _take(self, bundle: Bundle) -> None:
        super()._take(bundle)
        if bundle.config.operating_point is not None:
            self.operating_point_ = bundle.config.operating_point
            self.offset_ = -self.operating_point_.threshold
