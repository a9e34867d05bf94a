"""A model that somebody else trained, behind the interface of our own.

A grey ramp is sent through when it is wrapped, so that what does not fit is said at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Scores, score_with
from residua.engines.file_engines import error_columns
from residua.engines.interface import check_channels
from residua.errors import InputError, RangeError
from residua.images import ImageSet
from residua.images.loading import as_image_set
from residua.images.resize import fit_to
from residua.images.summary import looks_of
from residua.records import Assumption, OperatingPoint
from residua.runs.wrapped.contract import Contract, Known, ramp
from residua.runs.wrapped.errors_in_numpy import error_maps, restore_map, scores_of
from residua.runs.wrapped.outputs import Picked, as_probabilities, pick, several
from residua.runs.wrapped.readings import explained, far_better
from residua.runs.wrapped.scales import SCALES, Scale
from residua.thresholds import pixel_threshold_of
from residua.thresholds.defaults import choose_operating_point
from residua.thresholds.pixels import MapPeaks


class WrappedEngine:
    """A model from outside with a threshold: it reconstructs, scores and decides.

    ``contract`` says how images go in and out; ``operating_point_`` is there after
    `choose_threshold`; ``n_classes`` is the number of probabilities that it gives beside the
    reconstruction, 0 where it gives none; ``assumptions`` what was read off it, and ``is_random``
    whether two calls on one image differ. Images are resized to the model's size by the inference
    graph's filter, the model sees batches of one fixed, padded size, and scores follow the graph's
    formulas.
    """

    name = "wrapped"

    def __init__(
        self,
        known: Known,
        contract: Contract,
        model: Any = None,
        *,
        assumptions: tuple[Assumption, ...] = (),
        targets: Any = None,
    ) -> None:
        self._known, self.model, self.targets = known, model, targets
        tried = try_out(known, contract, may_resize=targets is not None)
        self.contract, self.picked, self.is_random = tried.contract, tried.picked, tried.is_random
        self.n_classes = self.picked.n_classes
        self.assumptions = tuple(dict.fromkeys((*assumptions, *self.picked.assumed)))
        self.operating_point_: OperatingPoint | None = None
        self.calibration_scores_: NDArray[np.float32] = np.zeros(0, np.float32)
        self.calibration_is_anomalous_: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.calibration_images_: dict[str, Any] = {}
        self.calibration_pixels_: tuple[str, ...] = ()
        self.calibration_groups_: NDArray[np.int64] | None = None

    @property
    def batch_size(self) -> int:
        """How many images the model sees at once."""
        return self.contract.batch_size

    def score(
        self,
        images: Sequence[NDArray[Any]],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        """Scores of decoded images, in order; see `residua.engines.Engine`."""
        contract = self.contract
        check_channels((image.shape[-1] for image in images), contract.channels)
        prepared = self._prepare(images)
        made, probabilities = self._call(prepared)
        rebuilt = self.as_images(made)
        expected = fit_to(prepared, contract.output_size)
        small = error_maps(contract.error, expected, rebuilt)
        score = scores_of(contract.error, small, expected[0].size if len(expected) else 1)
        threshold = (
            float("inf") if self.operating_point_ is None else self.operating_point_.threshold
        )
        return Scores(
            score,
            score > np.float32(threshold),
            error_columns(expected, rebuilt) if columns else {},
            (
                [
                    restore_map(one, *image.shape[:2])
                    for one, image in zip(small, images, strict=True)
                ]
                if maps
                else None
            ),
            rebuilt if reconstructions else None,
            probabilities,
        )

    def reconstruct(self, images: Any) -> NDArray[np.float32]:
        """Reconstructions at the size the model gives, float32 (n, h, w, c) in [0, 1]."""
        found = score_with(self, as_image_set(images), reconstructions=True).reconstructions
        assert found is not None
        return found

    def probabilities(self, images: Any) -> NDArray[np.float32]:
        """What a model with a second output says of classes, float32 (n_images, n_classes).

        Raises InputError if the model gives reconstructions alone.
        """
        found = score_with(self, as_image_set(images)).probabilities
        if found is None:
            raise InputError(
                "wrap: the model must give (x_hat, probabilities). It gives x_hat alone. Wrap one"
                " with two outputs."
            )
        return found

    def anomaly_scores(self, images: Any) -> NDArray[np.float32]:
        """Scores, float32 (n_images,): higher = more anomalous."""
        return score_with(self, as_image_set(images)).score

    def error_maps(self, images: Any) -> list[NDArray[np.float32]]:
        """A map an image, float32 (height, width) at its own size: higher = more anomalous."""
        return score_with(self, as_image_set(images), maps=True).maps or []

    def predict(self, images: Any) -> NDArray[np.int64]:
        """+1 for normal and -1 for anomalous images, int (n_images,); +1 without a threshold."""
        return np.where(score_with(self, as_image_set(images)).anomalous, -1, 1)

    def choose_threshold(
        self, policy: str | None, calibration: Any, *, confidence: float = 0.95
    ) -> OperatingPoint:
        """Choose and use the operating point of images kept aside. None: the default policy."""
        images = as_image_set(calibration)
        peaks, flags = MapPeaks(len(images)), images.presumed_anomalous
        scores = score_with(self, images, on_map=peaks).score
        self.operating_point_ = choose_operating_point(
            scores, flags, policy, confidence=confidence, groups=images.group_codes
        )
        self.calibration_scores_, self.calibration_is_anomalous_ = scores, flags
        self.calibration_images_ = {
            **looks_of(images[np.flatnonzero(~flags)]),
            "pixel_threshold": pixel_threshold_of(peaks.of[~flags]),
        }
        self.calibration_pixels_ = tuple(map(str, images.pixel_hashes))
        self.calibration_groups_ = images.group_codes
        return self.operating_point_

    def prepare(self, images: ImageSet) -> NDArray[np.float32]:
        """Images as the model sees them, in [0, 1]: float32 (n_images, height, width, channels)."""
        parts = [self._prepare(batch) for batch in images.chunks()]
        return np.concatenate(parts) if parts else self._prepare([])

    def as_images(self, made: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `raw` gives as images, clipped to [0, 1] as in the inference graph."""
        return np.clip(self.contract.outputs.from_model(made), 0, 1)

    def _prepare(self, images: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        size = self.contract.size
        if not len(images):
            return np.zeros((0, *size, self.contract.channels), np.float32)
        return np.concatenate([fit_to(image[np.newaxis], size) for image in images])

    def raw(
        self, prepared: NDArray[np.float32], inputs: Scale | None = None
    ) -> NDArray[np.float32]:
        """What comes out for images as the model sees them, unclipped, (n, h, w, c)."""
        return self._call(prepared, inputs)[0]

    def _call(
        self, prepared: NDArray[np.float32], inputs: Scale | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Reconstructions on the model's scale, and probabilities; means of `samples` calls."""
        contract, picked, rebuilt, classes = self.contract, self.picked, [], []
        for start in range(0, len(prepared), contract.batch_size):
            part = prepared[start : start + contract.batch_size]
            missing = contract.batch_size - len(part)
            full = (
                np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.float32)])
                if missing
                else part
            )
            given = contract.to_model(full, inputs)
            made = [several(self._known.call(given)) for _ in range(contract.samples)]
            rebuilt.append(
                _mean([contract.arrange(one[picked.image]) for one in made])[: len(part)]
            )
            if picked.probabilities is not None:
                classes.append(
                    _mean([as_probabilities(one[picked.probabilities]) for one in made])[
                        : len(part)
                    ]
                )
        empty = np.zeros((0, *contract.output_size, contract.channels), np.float32)
        return np.concatenate([empty, *rebuilt]), np.concatenate(classes) if classes else None


def _mean(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return parts[0] if len(parts) == 1 else np.mean(parts, axis=0, dtype=np.float32)


_FARTHEST = 1.0  # widths of its range that a reconstruction may lie outside of it
_SURELY = 10  # times less error of a ramp, which few models were trained on
_ALONE = 0.02  # of the range: int8 models scale a batch as a whole
_SAME = 1e-4  # of the range: what two calls may differ by on a machine that adds in another order


@dataclass(frozen=True)
class Tried:
    """The contract with the output's size; which output is what; whether two calls differ."""

    contract: Contract
    picked: Picked
    is_random: bool


def try_out(known: Known, contract: Contract, *, may_resize: bool) -> Tried:
    """Call the model twice on a grey ramp, and once with black images beside it.

    Raises ShapeError if what comes out has another shape than what goes in. Raises RangeError if it
    lies far outside of its scale, or is a ramp on another. Raises InputError if the ramp comes out
    otherwise beside other images.
    """
    shown = ramp(contract.size, contract.channels, contract.batch_size)
    given, once_more = contract.to_model(shown), contract.to_model(shown)
    outputs, again = several(known.call(given)), several(known.call(once_more))
    picked = pick(
        outputs, given.shape, contract, may_resize=may_resize or contract.rebuilt is not None
    )
    contract = contract.model_copy(update={"rebuilt": picked.rebuilt})
    made, other = (contract.arrange(one[picked.image]) for one in (outputs, again))
    low, high = contract.outputs.range
    reach = _FARTHEST * (high - low)
    if not (np.isfinite(made).all() and made.min() >= low - reach and made.max() <= high + reach):
        raise RangeError(
            f"wrap: reconstructions must lie about [{low:.4g}, {high:.4g}], as"
            f" outputs={contract.outputs.words} says. Got {float(made.min()):.3g} to"
            f" {float(made.max()):.3g} for a grey ramp. State another with outputs= or values=."
        )
    if contract.rebuilt is None:
        told = explained(contract.outputs.from_model(made), shown)
        for scale in SCALES.values():
            if told < 0.5 and far_better(explained(scale.from_model(made), shown), told, _SURELY):
                raise RangeError(
                    f"wrap: reconstructions must be on the scale outputs={contract.outputs.words}."
                    f" A grey ramp came back on the scale {scale.words}. State it with outputs= or"
                    " values=."
                )
    is_random = bool(np.abs(made - other).max(initial=0) > _SAME * (high - low))
    if not is_random and contract.batch_size > 1:
        _check_alone(known, contract, picked, made[0])
    return Tried(contract, picked, is_random)


def _check_alone(
    known: Known, contract: Contract, picked: Picked, among_alike: NDArray[np.float32]
) -> None:
    """That the first image comes out alike whatever else is in its batch."""
    shown = ramp(contract.size, contract.channels, contract.batch_size).copy()
    shown[1:] = 0
    made = contract.arrange(several(known.call(contract.to_model(shown)))[picked.image])
    low, high = contract.outputs.range
    off = float(np.abs(made[0] - among_alike).max()) / (high - low)
    if off > _ALONE:
        raise InputError(
            "wrap: an image must come out alike whatever else is in its batch. Got values"
            f" {off:.3g} of the range apart. Use batch normalisation as in testing (model.eval(),"
            " training=False), or pass batch_size=1."
        )
