"""A model that somebody else trained, behind the interface of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Scores, score_with
from residua.engines.exported import error_columns
from residua.engines.interface import Progress, check_channels
from residua.errors import InputError, RangeError, ShapeError
from residua.evaluation import Evidence
from residua.images import ImageSet
from residua.images.looks import looks_of
from residua.images.resize import fit_to
from residua.records import Evaluation, Job, OperatingPoint
from residua.report import write_html
from residua.thresholds import choose_threshold
from residua.wrapping.contract import Contract, Error, Known, Layout, Values, agree
from residua.wrapping.errors_in_numpy import error_maps, restore_map, scores_of
from residua.wrapping.judging import is_anomalous_of, judge
from residua.wrapping.origins import look_at

_FARTHEST = 1.0  # widths of its range that a reconstruction may lie outside of it


class WrappedModel:
    """A model from outside with a threshold: it reconstructs, scores, decides, and is judged like our own.

    Made by `wrap`. ``contract`` says how images go in and out; ``operating_point_`` is there after `choose_threshold`;
    ``n_classes`` is the number of probabilities that it gives beside the reconstruction, 0 where it gives none.
    Images are resized to the model's size by the inference graph's filter, the model sees batches of one fixed, padded
    size, and scores follow the graph's formulas.
    """

    name = "wrapped"

    def __init__(self, known: Known, contract: Contract, model: Any = None) -> None:
        self._known, self.contract, self.model = known, contract, model
        self.n_classes = 0
        self.operating_point_: OperatingPoint | None = None
        self.calibration_scores_: NDArray[np.float32] = np.zeros(0, np.float32)
        self.calibration_is_anomalous_: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.calibration_images_: dict[str, Any] = {}
        self.calibration_pixels_: tuple[str, ...] = ()

    @property
    def batch_size(self) -> int:
        """How many images the model sees at once."""
        return self.contract.batch_size

    def score(
        self, images: Sequence[NDArray[Any]], *, maps: bool = False, reconstructions: bool = False, columns: bool = True
    ) -> Scores:
        """Scores of decoded images, in order; see `residua.engines.Engine`."""
        contract = self.contract
        check_channels((image.shape[-1] for image in images), contract.channels)
        prepared = self._prepare(images)
        rebuilt, probabilities = self._call(prepared)
        small = error_maps(contract.error, prepared, rebuilt)
        score = scores_of(contract.error, small, prepared[0].size if len(prepared) else 1)
        threshold = float("inf") if self.operating_point_ is None else self.operating_point_.threshold
        return Scores(
            score,
            score > np.float32(threshold),
            error_columns(prepared, rebuilt) if columns else {},
            [restore_map(one, *image.shape[:2]) for one, image in zip(small, images, strict=True)] if maps else None,
            rebuilt if reconstructions else None,
            probabilities,
        )

    def reconstruct(self, images: Any) -> NDArray[np.float32]:
        """Reconstructions at the model's size, float32 (n_images, height, width, channels) in [0, 1]."""
        found = score_with(self, ImageSet.from_arrays(images), reconstructions=True).reconstructions
        assert found is not None
        return found

    def probabilities(self, images: Any) -> NDArray[np.float32]:
        """What a model with a second output says of classes, float32 (n_images, n_classes).

        Raises
        ------
        InputError
            If the model gives reconstructions alone.
        """
        found = score_with(self, ImageSet.from_arrays(images)).probabilities
        if found is None:
            raise InputError("wrap: the model must give (x_hat, probabilities). It gives x_hat alone. Wrap one with two outputs.")
        return found

    def anomaly_scores(self, images: Any) -> NDArray[np.float32]:
        """Scores, float32 (n_images,): higher = more anomalous."""
        return score_with(self, ImageSet.from_arrays(images)).score

    def error_maps(self, images: Any) -> list[NDArray[np.float32]]:
        """A map an image, float32 (height, width) at the image's own size: higher = more anomalous."""
        return score_with(self, ImageSet.from_arrays(images), maps=True).maps or []

    def predict(self, images: Any) -> NDArray[np.int64]:
        """+1 for normal and -1 for anomalous images, int (n_images,); all are normal without a threshold."""
        return np.where(score_with(self, ImageSet.from_arrays(images)).anomalous, -1, 1)

    def choose_threshold(self, policy: str, calibration: Any, *, confidence: float = 0.95) -> OperatingPoint:
        """Choose the operating point from images kept aside for that; the model uses it from here on."""
        images = ImageSet.from_arrays(calibration)
        scores, flags = self.anomaly_scores(images), is_anomalous_of(images)
        self.operating_point_ = choose_threshold(policy, scores, flags, confidence=confidence)
        self.calibration_scores_, self.calibration_is_anomalous_ = scores, flags
        self.calibration_images_ = looks_of(images[np.flatnonzero(~flags)])
        self.calibration_pixels_ = tuple(map(str, images.pixel_hashes))
        return self.operating_point_

    def evaluate(self, images: Any, *, job: Job | None = None, train: Any = None, seed: int = 0) -> Evaluation:
        """Judge the model on images it has not seen; see `judge`."""
        return self.judge(images, job=job, train=train, seed=seed)[0]

    def judge(
        self,
        images: Any,
        *,
        job: Job | None = None,
        train: Any = None,
        seed: int = 0,
        split: str = "test",
        progress: Progress | None = None,
    ) -> tuple[Evaluation, Evidence]:
        """The evaluation and the arrays behind it.

        Parameters
        ----------
        job : str, optional
            ``detect`` where the images say what is normal, else ``reconstruct``; ``classify`` judges the probabilities.
        train : ImageSet or array, optional
            What the model was trained on: baselines learn from it, it shows whether the model overfits, and copies of it among
            the judged images are found.
        """
        fitted_on = None if train is None else ImageSet.from_arrays(train)
        return judge(self, ImageSet.from_arrays(images), job, fitted_on, seed, split, progress)

    def report(self, path: str | Path, images: Any, *, job: Job | None = None, train: Any = None) -> Path:
        """Judge the model, and write the report as one HTML file."""
        return write_html(path, "residua: a wrapped model", [self.judge(images, job=job, train=train)])

    def save(self, run: str | Path, *, source: str, normal: Any = None, policy: str | None = None, seed: int = 0) -> Path:
        """Write a RUN that `evaluate`, `threshold`, `score` and `report` take, judged on `source`; see `residua.wrapping.runs`.

        Raises
        ------
        InputError
            If the model cannot be stored as data: functions and PyTorch modules are code.
        """
        from residua.wrapping.runs import save_wrapped

        return save_wrapped(self, run, source=source, normal=normal, policy=policy, seed=seed)

    def prepare(self, images: ImageSet) -> NDArray[np.float32]:
        """Images as the model sees them, in [0, 1]: float32 (n_images, height, width, channels)."""
        parts = [self._prepare(batch) for batch in images.batches(256)]
        return np.concatenate(parts) if parts else self._prepare([])

    def _prepare(self, images: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        size = self.contract.size
        if not len(images):
            return np.zeros((0, *size, self.contract.channels), np.float32)
        return np.concatenate([fit_to(image[np.newaxis], size) for image in images])

    def _call(self, prepared: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        contract, rebuilt, classes = self.contract, [], []
        for start in range(0, len(prepared), contract.batch_size):
            part = prepared[start : start + contract.batch_size]
            missing = contract.batch_size - len(part)
            full = np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.float32)]) if missing else part
            given = contract.to_model(full)
            images, probabilities = _outputs(self._known.call(given), given.shape)
            rebuilt.append(contract.from_model(images)[: len(part)])
            if probabilities is not None:
                classes.append(probabilities[: len(part)])
        whole = np.concatenate(rebuilt) if rebuilt else np.zeros_like(prepared)
        return whole, np.concatenate(classes) if classes else None


def wrap(
    model: Any,
    *,
    layout: Layout | None = None,
    values: Values | None = None,
    size: Sequence[int] | None = None,
    channels: int | None = None,
    error: Error = "squared",
    batch_size: int | None = None,
) -> WrappedModel:
    """Take a model that somebody else trained, to be judged like our own, without training it again.

    Parameters
    ----------
    model : Keras model, torch.nn.Module, path of an ONNX file, or function
        Gives ``x_hat``, or ``(x_hat, probabilities)``. A function gets float32 arrays (batch, height, width, channels)
        unless `layout` says otherwise; a module gets channels first.
    layout, values, size, channels
        How images go in and come out; see `residua.wrapping.contract.Contract`. Read off the model where it says so, and
        asked for where it does not: nothing is guessed.
    error : str
        What the score is the mean of: ``squared``, ``absolute``, ``ssim`` (its dissimilarity), or ``euclidean``.
    batch_size : int, optional
        How many images the model always sees at once, black ones filling up; its own where it has a fixed one, else 64.
        With 1 a single image, as a server gets it, does not pay for 64.

    Raises
    ------
    ShapeError, RangeError, InputError
        If the layout, the range or the size is open, or what comes out is not like what goes in.

    Examples
    --------
    >>> model = wrap(lambda x: x * 0.9, values="unit", size=(8, 8), channels=1)
    >>> model.anomaly_scores(np.full((1, 8, 8, 1), 255, np.uint8)).round(3)
    array([0.01], dtype=float32)
    """
    known = look_at(model)
    contract = agree(known, layout=layout, values=values, size=size, channels=channels, error=error, batch_size=batch_size)
    wrapped = WrappedModel(known, contract, model)
    _try(wrapped)
    return wrapped


def _try(model: WrappedModel) -> None:
    """Send a grey ramp through, so that what does not fit is said now."""
    contract = model.contract
    height, width = contract.size
    ramp = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32)[None, None, :, None], (1, height, width, contract.channels))
    given = contract.to_model(np.repeat(ramp, contract.batch_size, axis=0))
    images, probabilities = _outputs(model._known.call(given), given.shape)
    model.n_classes = 0 if probabilities is None else probabilities.shape[1]
    low, high = {"unit": (0, 1), "symmetric": (-1, 1), "bytes": (0, 255)}[contract.values]
    reach = _FARTHEST * (high - low)
    if not (np.isfinite(images).all() and images.min() >= low - reach and images.max() <= high + reach):
        raise RangeError(
            f"wrap: reconstructions must lie about [{low}, {high}], as values={contract.values!r} says. "
            f"Got {float(images.min()):.3g} to {float(images.max()):.3g} for a grey ramp. Pass another values."
        )


def _outputs(output: Any, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """The reconstruction, which has the input's shape, and the probabilities, which do not."""
    several = [np.asarray(one) for one in (output if isinstance(output, list | tuple) else (output,))]
    alike = [one for one in several if one.shape == shape or (one.size == np.prod(shape) and len(one) == shape[0])]
    others = [one for one in several if one.ndim == 2 and not any(one is same for same in alike)]
    if len(alike) != 1 or len(several) > 2 or len(others) != len(several) - 1:
        got = ", ".join(str(one.shape) for one in several)
        raise ShapeError(
            f"wrap: the model must give x_hat of the input's shape {shape}, or that and probabilities (batch, classes). "
            f"Got {got}. Pass layout=, or wrap it in a function."
        )
    return alike[0].reshape(shape), np.asarray(others[0], np.float32) if others else None
