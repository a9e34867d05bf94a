"""The arrays behind an evaluation: what the report draws and what `residua report RUN` reads
back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._files import atomic_write, read_arrays
from residua.errors import BundleError
from residua.evaluation.thumbnails import Thumbnails
from residua.findings.figures import Figure
from residua.findings.kind import ChangedScores

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks

MASK_PIXELS = "mask_pixels"
"""The column of `Evidence.per_image` that holds the defective pixels of each mask, NaN without."""
ThresholdFrom = Literal["calibration", "judged", "elsewhere"]
_TOLD = ("seed", "prevalence", "threshold_from")  # kept as JSON
_NAMES = ("labels", "groups", "calibration_groups")
_LEAKS, _CHANGED = "leaks", "changed"
_DICTS = ("per_image", "history", "baselines")


@dataclass(frozen=True)
class Gallery:
    """A few images with what the model made of them, small enough to show.

    ``index`` says which image of the evidence each one is; pictures are uint8 (k, height, width,
    channels), error maps float32 (k, height, width) with errors >= 0, masks bool (k, height,
    width). ``nearest`` are the training images that are nearest to each, pixel by pixel, and
    ``nearest_paths`` their names.
    """

    index: NDArray[np.int64]
    images: NDArray[np.uint8]
    reconstructions: NDArray[np.uint8] | None = None
    error_maps: NDArray[np.float32] | None = None
    masks: NDArray[np.bool_] | None = None
    nearest: NDArray[np.uint8] | None = None
    nearest_paths: NDArray[Any] | None = None


@dataclass(frozen=True)
class Evidence:
    """Per-image arrays of one evaluation, all of length n_images and in the same order.

    ``scores`` are higher = more anomalous. ``per_image`` holds error columns by name (``mse``,
    ``mae``, ``psnr``, ``ssim``). ``is_anomalous`` means nothing where ``labelled`` is False.
    ``history`` holds columns by name, a row an epoch (``epoch``, ``train_loss``,
    ``validation_loss``, ``seconds``). ``probabilities`` is (n_images, n_classes) in the order of
    ``classes``; a classifier that gave classes alone has ``predicted`` instead, (n_images,), their
    places in ``classes``. ``figures`` holds, by the code of a finding, the pictures that show it.
    ``baselines`` holds what the baselines' figures are made of: for a detector the scores of each,
    else a column a metric (``pca/mse``).

    ``pixel_hashes`` are those of the decoded images: by them two runs are compared on the same
    images, whatever their paths. ``groups`` names what each image was sampled in, None where it is
    its own group, and ``calibration_groups`` that of each calibration score; both are None where
    nobody named groups. ``seed`` is that of resampled intervals, ``prevalence`` the one
    that was stated to the policy, and ``threshold_from`` says which scores the threshold comes
    from: ``calibration``, those carried here; ``judged``, the judged ones themselves;
    ``elsewhere``, others. With these an evaluation can be made again from its evidence.

    Four more let a detector be judged at another threshold without its images: ``leaks``, which of
    the images are copies of training images; ``changed``, scores of normal images that were changed
    on purpose; ``again``, those of the first images when the model was asked once more; and
    ``calibration_paths``, the names of the normal calibration images.
    """

    paths: NDArray[Any]
    scores: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    is_anomalous: NDArray[np.bool_] | None = None
    labelled: NDArray[np.bool_] | None = None
    probabilities: NDArray[Any] | None = None
    predicted: NDArray[np.int64] | None = None
    classes: NDArray[Any] | None = None
    calibration_scores: NDArray[Any] | None = None
    calibration_is_anomalous: NDArray[np.bool_] | None = None
    train_scores: NDArray[Any] | None = None
    pixel_hashes: NDArray[Any] | None = None
    groups: NDArray[Any] | None = None
    calibration_groups: NDArray[Any] | None = None
    calibration_paths: NDArray[Any] | None = None
    again: NDArray[Any] | None = None
    changed: ChangedScores | None = None
    leaks: Leaks | None = None
    per_image: dict[str, NDArray[Any]] = field(default_factory=dict)
    history: dict[str, NDArray[Any]] = field(default_factory=dict)
    baselines: dict[str, NDArray[Any]] = field(default_factory=dict)
    gallery: Gallery | None = None
    thumbnails: Thumbnails | None = None
    figures: dict[str, Figure] = field(default_factory=dict)
    quarantined: tuple[tuple[str, str], ...] = ()
    seed: int = 0
    prevalence: float | None = None
    threshold_from: ThresholdFrom = "calibration"

    @property
    def said(self) -> NDArray[np.int64] | None:
        """The place in `classes` of what a classifier says of each image; None where it is none.

        Examples
        --------
        >>> Evidence(np.array(["a", "b"]), probabilities=np.array([[0.9, 0.1], [0.2, 0.8]])).said
        array([0, 1])
        """
        if self.predicted is not None or self.probabilities is None:
            return self.predicted
        places: NDArray[np.int64] = np.argmax(np.asarray(self.probabilities), axis=1)
        return places

    @property
    def normal_calibration(self) -> tuple[NDArray[np.float64], NDArray[Any] | None] | None:
        """Scores of the normal calibration images, and the group of each; None without scores."""
        if self.calibration_scores is None:
            return None
        scores, groups = np.asarray(self.calibration_scores, np.float64), self.calibration_groups
        if self.calibration_is_anomalous is None:
            return scores, groups
        normal = ~np.asarray(self.calibration_is_anomalous, np.bool_)
        return scores[normal], None if groups is None else groups[normal]

    def save(self, path: str | Path) -> None:
        """Write everything into one ``.npz`` without pickle, atomically."""
        told = {name: getattr(self, name) for name in ("quarantined", *_TOLD)}
        flat: dict[str, NDArray[Any]] = {"told": np.array(json.dumps(told))}
        for spec in fields(self):
            if spec.name not in told:
                flat |= _flat(spec.name, getattr(self, spec.name))
        with atomic_write(path) as file:
            np.savez_compressed(file, **flat)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> Evidence:
        """Read what `save` wrote; executes nothing."""
        flat = read_arrays(path)
        try:
            told = json.loads(str(flat.pop("told")))
            told["quarantined"] = tuple(
                (str(where), str(why)) for where, why in told["quarantined"]
            )
            return cls._from(flat, told)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise BundleError(
                f"{path}: the evidence must be a whole .npz that this version of residua wrote."
                f" Got: {error}. Run evaluate again."
            ) from error

    @classmethod
    def _from(cls, flat: dict[str, NDArray[Any]], told: dict[str, Any]) -> Evidence:
        several = (*_DICTS, "gallery", "thumbnails", "figures", _LEAKS, _CHANGED)
        parts: dict[str, Any] = {name: {} for name in several}
        for name, array in flat.items():
            group, _, column = name.partition("/")
            group = "figures" if group == "exhibits" else group  # as earlier versions wrote it
            if column and group in parts:
                parts[group][column] = array
            else:
                parts[name] = _with_missing(array) if name in _NAMES else array
        parts["gallery"] = Gallery(**parts["gallery"]) if parts["gallery"] else None
        parts["thumbnails"] = Thumbnails(**parts["thumbnails"]) if parts["thumbnails"] else None
        parts["figures"] = _figures(parts["figures"])
        parts[_LEAKS] = _leaks(parts[_LEAKS], parts["paths"])
        parts[_CHANGED] = _changed(parts[_CHANGED])
        return cls(**parts, **told)


def _flat(name: str, value: Any) -> dict[str, NDArray[Any]]:
    """A value as arrays, those of its parts under names with slashes; none where it is None."""
    if value is None:
        return {}
    parts = _parts(value)
    if parts is None:
        return {name: _without_objects(value)}
    return {
        path: array
        for part, one in parts.items()
        for path, array in _flat(f"{name}/{part}", one).items()
    }


def _parts(value: Any) -> Mapping[str, Any] | None:
    """What a value is made of; None for an array."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Figure):
        return value.to_arrays()
    if isinstance(value, ChangedScores):  # its pictures stand in the finding's figure
        return {"unchanged": value.unchanged, "of": value.scores}
    if isinstance(value, Gallery | Thumbnails):
        return vars(value)
    if isinstance(value, np.ndarray):
        return None
    rows = np.flatnonzero(value.leaked)  # the rest of what evidence holds: `Leaks`
    copies = {"rows": rows, "kinds": value.kinds[rows], "of": value.of[rows]}
    return {**copies, "is_thorough": np.array(value.is_thorough)}


def _leaks(arrays: dict[str, NDArray[Any]], paths: NDArray[Any]) -> Leaks | None:
    if not arrays:
        return None
    from residua.images.duplicates import Leaks  # slow to load, and arrays are judged without it

    kinds, of = np.full(len(paths), None, object), np.full(len(paths), "", object)
    kinds[arrays["rows"]], of[arrays["rows"]] = arrays["kinds"], arrays["of"]
    return Leaks(kinds, paths, of, bool(arrays["is_thorough"]))


def _changed(arrays: dict[str, NDArray[Any]]) -> ChangedScores | None:
    if not arrays:
        return None
    scores = {name.partition("/")[2]: one for name, one in arrays.items() if "/" in name}
    return ChangedScores(arrays["unchanged"], scores)


def _figures(arrays: dict[str, NDArray[Any]]) -> dict[str, Figure]:
    by_code: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        code, _, part = name.partition("/")
        by_code.setdefault(code, {})[part] = array
    return {code: Figure.from_arrays(parts) for code, parts in by_code.items()}


_MISSING = "\x00missing"


def _without_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Object arrays as fixed-width strings: npz without pickle holds nothing else."""
    array = np.asarray(array)
    if array.dtype != object:
        return array
    return np.array(
        [_MISSING if value is None else str(value) for value in array.tolist()], dtype=np.str_
    )


def _with_missing(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "U" or not (array == _MISSING).any():
        return array
    values = array.astype(object)
    values[array == _MISSING] = None
    return values
