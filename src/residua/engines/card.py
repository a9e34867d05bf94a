"""What is known of an exported model, as JSON beside its file.

Names, units, threshold, how far it was verified, its price.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from residua._files import has_sha256, in_a_line, read_json, read_record, write_json
from residua.engines.interface import ModelFacts
from residua.engines.kinds import KINDS, Kind, Precision, Runtime
from residua.errors import BundleError
from residua.records import Record

UNITS = {
    "images": (
        "(batch, height, width, channels), any size: uint8, or float32 in [0, 1] if the entry is"
        " float32"
    ),
    "score": "(batch,) float32, higher = more anomalous",
    "error_map": "(batch, height, width) float32 at the image's own size, higher = more anomalous",
    "anomalous": "(batch,) bool, score > threshold",
    "reconstruction": "(batch, *size, channels) float32 in [0, 1], at the size the network sees",
    "mse": "(batch,) float32, mean squared error at the image's own proportions",
    "mae": "(batch,) float32, mean absolute error at the image's own proportions",
    "ssim": "(batch,) float32, structural similarity at the image's own proportions, 1 = the same",
    "probabilities": "(batch, n_classes) float32, of classes, or of kinds and none of these",
}
_MOST_BYTES = 64 * 2**20


class Deviation(Record):
    """How far an engine is from the reference on real images, one at a time and in batches.

    ``score`` and ``error_map`` are the largest absolute differences, ``score_spread`` the distance
    between the reference's 5% and 95% quantiles and ``error_map_peak`` its largest map value, to
    weigh them by. ``different_decisions`` counts images decided otherwise; ``near_threshold`` those
    whose score lies within the deviation of the threshold, whose decision nothing short of equal
    arithmetic could promise. ``probabilities`` is the largest difference of a classifier's, whose
    decision is the class as well.
    """

    n_images: int
    score: float
    score_spread: float
    error_map: float
    error_map_peak: float
    probabilities: float = 0.0
    different_decisions: int
    near_threshold: int


class Price(Record):
    """What a reduced precision costs: ROC AUC where both labels exist, rank correlation always."""

    roc_auc: float | None = None
    roc_auc_reference: float | None = None
    rank_correlation: float
    changed_decisions: int
    n_images: int


class Speed(Record):
    """Images a second, medians, beside the reference, on a machine with ``cpu``, ``threads``."""

    batch_1: float
    batch_256: float
    reference_batch_1: float
    reference_batch_256: float
    threads: int
    cpu: str


class Card(ModelFacts):
    """Everything of an exported model but its arithmetic; the operating point is its own."""

    model_config = ConfigDict(allow_inf_nan=False)

    format: Literal["residua-export"] = "residua-export"
    format_version: Literal[1] = 1
    residua_version: str
    engine: str
    runtime: Runtime
    precision: Precision
    aspect: Literal["stretch", "keep", "area"]
    entry: Literal["uint8", "float32"]
    batch_size: int
    calibration_images: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, str]
    reference_threshold: float | None = None
    weights_sha256: str
    fingerprints: dict[str, str] = Field(default_factory=dict)
    deviation: Deviation
    price: Price | None = None
    speed: Speed | None = None
    files: dict[str, str] = Field(default_factory=dict)
    calibration_scores: tuple[float, ...] = ()
    calibration_is_anomalous: tuple[bool, ...] = ()
    calibration_groups: tuple[int, ...] | None = None
    calibration_products: tuple[int, ...] | None = None

    @property
    def product_names(self) -> NDArray[Any] | None:
        """The product of each calibration image, (n,); None where there are no products."""
        if self.products is None or self.calibration_products is None:
            return None
        return self.products.at(np.array(self.calibration_products, np.int64))

    @property
    def group_numbers(self) -> NDArray[np.int64] | None:
        """The group of each calibration image, (n,); None where nobody named groups."""
        groups = self.calibration_groups
        return None if groups is None else np.array(groups, np.int64)

    @property
    def kind(self) -> Kind:
        """The engine's entry in the registry."""
        return KINDS[self.engine]

    def public(self) -> dict[str, Any]:
        """What goes into the model file: all but its own hashes and the calibration scores."""
        return self.model_dump(
            mode="json",
            exclude={
                "files",
                "calibration_scores",
                "calibration_is_anomalous",
                "calibration_groups",
                "calibration_products",
            },
        )


def write_card(card: Card, folder: Path) -> None:
    """Write the JSON beside the files it describes."""
    write_json(folder / card.kind.card, card.model_dump(mode="json"))


def read_card(folder: Path, kind: Kind) -> Card:
    """The card of an exported engine, after checking that its files are those it was written for.

    Raises BundleError if there is none, or it or a file is damaged.
    """
    path = folder / kind.card
    if not path.is_file():
        raise BundleError(
            f"{folder}: the engine {kind.name} must be exported first. It is not. Run:"
            f" {export_command(kind)}"
        )
    card = read_record(path, Card, "`residua export`", "Export again.", _MOST_BYTES)
    for name in kind.files:
        if not has_sha256(folder / name, card.files.get(name)):
            raise BundleError(
                f"{folder / name}: must be the file that was verified. It is missing or another."
                " Export again."
            )
    return card


def check_fresh(card: Card, bundle: Path) -> None:
    """Refuse an export of a model that was trained again, or that got another threshold, since.

    Raises BundleError with what changed and the command that exports again.
    """
    try:
        body = read_json(bundle / "bundle.json")
        weights = body["files"]["model.safetensors"]["sha256"]
        point = body["config"]["operating_point"]
        threshold = None if point is None else float(point["threshold"])
    except FileNotFoundError:
        return  # the exported model was taken elsewhere by itself
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise BundleError(
            f"{bundle}: must be the bundle that was exported. Got: {in_a_line(error)}. Restore a"
            " copy."
        ) from None
    changed = (
        "weights"
        if weights != card.weights_sha256
        else "threshold"
        if threshold != card.reference_threshold
        else None
    )
    if changed:
        raise BundleError(
            f"{card.engine}: the exported model must have the run's {changed}. It has the one"
            f" before it changed. Run: {export_command(card.kind)}"
        )


def export_command(kind: Kind) -> str:
    """The command that makes an engine."""
    if not kind.files:
        return "residua engines RUN --all"
    precision = "" if kind.precision == "float32" else f" --precision {kind.precision}"
    return f"residua export RUN --format {kind.runtime}{precision}"
