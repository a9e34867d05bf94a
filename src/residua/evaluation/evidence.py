"""The arrays behind an evaluation: what the report draws and what `residua report RUN` reads back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import BundleError
from residua.exhibits import Exhibit
from residua.files import atomic_write


@dataclass(frozen=True)
class Gallery:
    """A few images with what the model made of them, small enough to show.

    ``index`` says which image of the evidence each one is; pictures are uint8 (k, height, width, channels), error maps
    float32 (k, height, width) with errors >= 0, masks bool (k, height, width).
    """

    index: NDArray[np.int64]
    images: NDArray[np.uint8]
    reconstructions: NDArray[np.uint8] | None = None
    error_maps: NDArray[np.float32] | None = None
    masks: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Evidence:
    """Per-image arrays of one evaluation, all of length n_images and in the same order.

    ``scores`` are higher = more anomalous. ``per_image`` holds error columns by name (``mse``, ``mae``, ``psnr``, ``ssim``).
    ``is_anomalous`` means nothing where ``labelled`` is False. ``history`` holds columns by name, a row an epoch
    (``epoch``, ``train_loss``, ``validation_loss``, ``seconds``). ``probabilities`` is (n_images, n_classes) in the order
    of ``classes``. ``exhibits`` holds, by the code of a finding, the pictures that show it.
    """

    paths: NDArray[Any]
    scores: NDArray[Any] | None = None
    labels: NDArray[Any] | None = None
    is_anomalous: NDArray[np.bool_] | None = None
    labelled: NDArray[np.bool_] | None = None
    probabilities: NDArray[Any] | None = None
    classes: NDArray[Any] | None = None
    calibration_scores: NDArray[Any] | None = None
    calibration_is_anomalous: NDArray[np.bool_] | None = None
    train_scores: NDArray[Any] | None = None
    per_image: dict[str, NDArray[Any]] = field(default_factory=dict)
    history: dict[str, NDArray[Any]] = field(default_factory=dict)
    gallery: Gallery | None = None
    exhibits: dict[str, Exhibit] = field(default_factory=dict)
    quarantined: tuple[tuple[str, str], ...] = ()

    def save(self, path: str | Path) -> None:
        """Write everything into one ``.npz`` without pickle, atomically."""
        flat: dict[str, NDArray[Any]] = {"quarantined": np.array(json.dumps(self.quarantined))}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if spec.name == "quarantined" or value is None:
                continue
            if spec.name == "exhibits":
                for code, exhibit in value.items():
                    flat.update({f"exhibits/{code}/{name}": array for name, array in exhibit.to_arrays().items()})
            elif isinstance(value, Gallery):
                for part in fields(value):
                    array = getattr(value, part.name)
                    if array is not None:
                        flat[f"gallery/{part.name}"] = array
            elif isinstance(value, dict):
                flat.update({f"{spec.name}/{name}": np.asarray(column) for name, column in value.items()})
            else:
                flat[spec.name] = _without_objects(value)
        with atomic_write(path) as file:
            np.savez_compressed(file, **flat)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> Evidence:
        """Read what `save` wrote; executes nothing."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                flat = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(
                f"{path}: the evidence must be a whole .npz that residua wrote. Got: {error}. Run evaluate again."
            ) from error
        groups: dict[str, dict[str, Any]] = {"per_image": {}, "history": {}, "gallery": {}, "exhibits": {}}
        plain: dict[str, Any] = {}
        for name, array in flat.items():
            group, _, column = name.partition("/")
            if column and group in groups:
                groups[group][column] = array
            elif name == "quarantined":
                plain[name] = tuple((str(where), str(why)) for where, why in json.loads(str(array)))
            else:
                plain[name] = _with_missing(array) if name == "labels" else array
        gallery = Gallery(**groups["gallery"]) if groups["gallery"] else None
        return cls(
            **plain,
            per_image=groups["per_image"],
            history=groups["history"],
            gallery=gallery,
            exhibits=_exhibits(groups["exhibits"]),
        )


def _exhibits(arrays: dict[str, NDArray[Any]]) -> dict[str, Exhibit]:
    by_code: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        code, _, part = name.partition("/")
        by_code.setdefault(code, {})[part] = array
    return {code: Exhibit.from_arrays(parts) for code, parts in by_code.items()}


_MISSING = "\x00missing"


def _without_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Object arrays (labels, paths) as fixed-width strings: npz without pickle holds nothing else."""
    array = np.asarray(array)
    if array.dtype != object:
        return array
    return np.array([_MISSING if value is None else str(value) for value in array.tolist()], dtype=np.str_)


def _with_missing(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "U" or not (array == _MISSING).any():
        return array
    values = array.astype(object)
    values[array == _MISSING] = None
    return values
