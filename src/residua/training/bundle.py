"""The saved model: a folder with `bundle.json` and `model.safetensors`.

Data, never code; written whole or not at all.

The JSON names its format and version, carries the SHA-256 of the weights and a checksum over
itself. What does not fit is refused. A checksum guards against damage and careless edits, not
against somebody who computes a new one: nothing in a bundle is executed either way.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from residua._files import (
    checksum,
    has_sha256,
    in_a_line,
    make_readable,
    read_json,
    sha256,
    sync_folder,
    write_json,
)
from residua._text import few
from residua._version import __version__
from residua.engines.interface import Engine, ModelFacts, check_channels, score_with
from residua.engines.tiled import TiledEngine, whole
from residua.errors import BundleError, InputError, OutputError
from residua.images import ImageSet
from residua.records import OperatingPoint
from residua.thresholds.product_choice import choose_again
from residua.thresholds.products import Products, common_point
from residua.training.networks import ImageShape
from residua.training.networks.backbones import register_stored
from residua.training.recipes import Recipe, make_recipe
from residua.training.scoring.engine import GraphEngine, Scores
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.learned_score import LearnedScorer
from residua.training.scoring.prepare import Aspect, Prepare
from residua.training.strategies import make_strategy

FORMAT, FORMAT_VERSION = "residua-bundle", 1
_JSON_NAME, _WEIGHTS_NAME = "bundle.json", "model.safetensors"
_MOST_JSON_BYTES = 16 * 2**20
_MOST_WEIGHT_BYTES = 8 * 2**30
_LARGEST_SIDE = 8192  # pixels


class TrainingRecord(BaseModel):
    """How a model was trained, and what with; a job may add facts of its own.

    Bundles of earlier versions lack some of it, so each field has a default. ``settings`` and
    ``options`` are those that the user asked for, ``backbone_sha256`` is that of the file a
    backbone's weights were read from, ``calibration_images`` the ranges of size and
    brightness that a later image is compared with.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    network: str = ""
    parameters: int = 0
    images: int = 0
    validation_images: int = 0
    epochs: int = 0
    epochs_planned: int | None = None
    best_epoch: int = 0
    seconds: float = 0.0
    device: str = ""
    threads: int | None = None
    precision: str = "float32"
    backbone_sha256: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] | None = None
    calibration_images: dict[str, Any] = Field(default_factory=dict)


class BundleConfig(ModelFacts):
    """Everything of a bundle that is not an array; stored as `bundle.json`.

    `recipe` is the strategy's name where the job is to classify; `classes` are then those of the
    columns of the probabilities. `learnt` tells that the score has learnt from corrections.
    """

    recipe_options: dict[str, Any] = Field(default_factory=dict)
    channels: int = Field(ge=1, le=64)
    bits: Literal["8", "more"] = "8"
    aspect: Aspect = "stretch"
    batch_size: int = Field(ge=1, le=65536)
    learnt: bool = False
    training: TrainingRecord = TrainingRecord()
    fingerprints: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _classes_of_a_classifier(self) -> Self:
        n = self.recipe_options.get("n_classes")
        if self.job == "classify" and (self.classes is None or len(self.classes) != n):
            raise ValueError(f"a classifier must name its {n} classes")
        return self


@dataclass(frozen=True)
class Bundle:
    """A trained model with its preprocessing, its threshold and its calibration scores.

    ``calibration_groups`` are numbers, one an image; None where nobody named groups.
    ``calibration_products`` are the products' places among those of the config, -1 where an image
    has none of them.
    """

    config: BundleConfig
    graph: InferenceGraph
    calibration_scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    calibration_is_anomalous: NDArray[np.bool_] = field(
        default_factory=lambda: np.zeros(0, np.bool_)
    )
    calibration_groups: NDArray[np.int64] | None = None
    calibration_products: NDArray[np.int64] | None = None

    def noting(self, **facts: Any) -> Bundle:
        """The same model with `facts` in the record of its training."""
        training = self.config.training.model_copy(update=facts)
        return replace(self, config=self.config.model_copy(update={"training": training}))

    def with_operating_point(
        self, point: OperatingPoint, products: Products | None = None
    ) -> Bundle:
        """The same model under another threshold, or another one for each of its products."""
        config = self.config.model_copy(update={"operating_point": point, "products": products})
        _set_threshold(self.graph, config)
        return replace(self, config=config)


def with_policy(
    bundle: Bundle, policy: str | None, confidence: float, contamination: float | None
) -> Bundle:
    """A bundle with products under another policy, on its own calibration scores."""
    products, places = bundle.config.products, bundle.calibration_products
    assert products is not None and places is not None
    asked = {"policy": policy, "confidence": confidence, "contamination": contamination}
    known = (bundle.calibration_scores, bundle.calibration_is_anomalous, products.at(places))
    made = choose_again(products.model_copy(update=asked), *known, bundle.calibration_groups)
    point = common_point(made, *known, bundle.calibration_groups)
    return bundle.with_operating_point(point, made)


def build_recipe(config: BundleConfig) -> Recipe:
    """The recipe, or a classifier's strategy, that a bundle's JSON names."""
    make = make_strategy if config.job == "classify" else make_recipe
    return make(config.recipe, **config.recipe_options)


def build_graph(
    recipe: Recipe,
    network: torch.nn.Module,
    size: tuple[int, int],
    aspect: Aspect,
    *,
    learnt: bool = False,
    has_kinds: bool = False,
) -> InferenceGraph:
    """Preprocessing, the recipe's scorer around `network`, and no threshold yet.

    Weights lie channels-last, just trained or just loaded: another layout means other kernels and
    other last digits.
    """
    scorer = recipe.build_scorer(network)
    scorer = LearnedScorer(scorer, has_kinds=has_kinds) if learnt else scorer
    graph = InferenceGraph(Prepare(size, aspect), scorer).eval()
    return graph.to(memory_format=torch.channels_last)  # type: ignore[no-any-return,call-overload]


def save_bundle(bundle: Bundle, folder: str | Path) -> Path:
    """Write `bundle` as a folder.

    A bundle that was there is replaced, and is whole until the new one is. Raises OutputError if
    the folder cannot be written, or holds anything but a bundle: replacing it would delete that.
    """
    folder = Path(folder)
    _check_place(folder)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        tensors = {
            name: value.contiguous()
            for name, value in bundle.graph.state_dict().items()
            if name != "threshold"
        }
        tensors["calibration.scores"] = torch.from_numpy(
            bundle.calibration_scores.astype(np.float32)
        )
        tensors["calibration.is_anomalous"] = torch.from_numpy(bundle.calibration_is_anomalous)
        for name in ("groups", "products"):
            if (numbers := getattr(bundle, f"calibration_{name}")) is not None:
                tensors[f"calibration.{name}"] = torch.from_numpy(numbers)
        save_file(tensors, fresh / _WEIGHTS_NAME)
        make_readable(fresh / _WEIGHTS_NAME)  # safetensors writes for the owner alone
        with open(fresh / _WEIGHTS_NAME, "rb") as file:
            os.fsync(file.fileno())
        _write_config(bundle.config, fresh, fresh / _WEIGHTS_NAME)
        _swap(fresh, folder)
    except (OSError, SafetensorError) as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{folder}: the bundle must be writable. Got: {error}. Name another place, or free some"
            " space."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def save_operating_point(bundle: Bundle, folder: str | Path) -> None:
    """Write only the JSON again: weights stay, the threshold changes, atomically."""
    _write_config(bundle.config, Path(folder), Path(folder) / _WEIGHTS_NAME)


def load_bundle(folder: str | Path) -> Bundle:
    """Read what `save_bundle` wrote, refusing anything damaged, edited or of another version.

    Raises BundleError with what is wrong and how to mend it.
    """
    folder = _whole(Path(folder))
    config, weights = _read_config(folder)
    _check_weights(folder / _WEIGHTS_NAME, weights)
    try:
        tensors = load_file(folder / _WEIGHTS_NAME)
        scores = tensors.pop("calibration.scores").numpy()
        is_anomalous = tensors.pop("calibration.is_anomalous").numpy()
        groups, products = (
            None if (numbers := tensors.pop(name, None)) is None else numbers.numpy()
            for name in ("calibration.groups", "calibration.products")
        )
        register_stored(config.recipe_options.get("backbone"), tensors)
        recipe = _recipe_of(config, folder)
        shape = ImageShape(config.size[0], config.size[1], config.channels)
        _check_extent(recipe, shape, sum(tensor.numel() for tensor in tensors.values()))
        # Fresh weights are drawn and thrown away; the caller's generator stays.
        with torch.random.fork_rng(devices=[]):
            network = recipe.build_network(shape)
            graph = build_graph(
                recipe,
                network,
                config.size,
                config.aspect,
                learnt=config.learnt,
                has_kinds=config.kinds is not None,
            )
        _take_shapes(graph, tensors)
        graph.load_state_dict({**tensors, "threshold": graph.threshold})
    except BundleError:
        raise
    except (SafetensorError, KeyError, RuntimeError, TypeError, OSError, InputError) as error:
        raise BundleError(
            f"{folder}: the weights must fit the recipe. Got: {error}. Train again, or restore a"
            " copy."
        ) from error
    _set_threshold(graph, config)
    return Bundle(config, graph.eval(), scores, is_anomalous, groups, products)


def score_set(bundle: Bundle, images: ImageSet, **wanted: Any) -> Scores:
    """Score `images` with the bundle's graph, after checking that they are of its kind."""
    check_fits(bundle.config, images)
    return score_with(graph_engine(bundle), images, **wanted)


def graph_engine(bundle: Bundle, graph: InferenceGraph | None = None) -> Engine:
    """The reference engine: the bundle's graph, or another, in batches of the bundle's size."""
    config = bundle.config
    return whole(
        GraphEngine(bundle.graph if graph is None else graph, config.channels, config.batch_size),
        config,
    )


def with_tile_statistics(bundle: Bundle, images: ImageSet) -> Bundle:
    """The bundle with the statistics of the tiles of normal `images`, which it did not learn from.

    As it is where it sees images whole.
    """
    config = bundle.config
    if config.tiling is None:
        return bundle
    engine = graph_engine(bundle)
    assert isinstance(engine, TiledEngine)
    tiling = config.tiling.standardised(engine.tile_scores(images))
    return replace(bundle, config=config.model_copy(update={"tiling": tiling}))


def check_fits(config: BundleConfig, images: ImageSet) -> None:
    """Refuse images of another channel count than the model's."""
    check_channels([images.channels], config.channels)


def _whole(folder: Path) -> Path:
    """`folder`, or the bundle that had stepped aside for a new one.

    A process killed between the two renames leaves the bundle there.
    """
    if folder.exists():
        return folder
    aside = sorted(
        folder.parent.glob(f".{folder.name}.*.old"), key=lambda path: path.stat().st_mtime
    )
    return aside[-1] if aside else folder


def clear_leftovers(folder: Path) -> None:
    """Remove what writers of the bundle `folder` that were killed have left beside it.

    For who knows that none is at work.
    """
    for kind in ("part", "old") if folder.exists() else ("part",):
        for path in folder.parent.glob(f".{folder.name}.*.{kind}"):
            shutil.rmtree(path, ignore_errors=True)


def _recipe_of(config: BundleConfig, folder: Path) -> Recipe:
    """The recipe, whose own sentence says what is missing.

    An option it does not know, a backbone that is not registered.
    """
    try:
        return build_recipe(config)
    except InputError as error:
        raise BundleError(f"{folder}: {error}") from error


def _check_extent(recipe: Recipe, shape: ImageShape, n_stored: int) -> None:
    """Refuse a network larger than the stored weights before any memory is asked for it."""
    with torch.device("meta"):
        n_numbers = sum(
            value.numel() for value in recipe.build_network(shape).state_dict().values()
        )
    if n_numbers > n_stored:
        raise InputError(f"a network of {n_numbers:,} numbers, of which {n_stored:,} are stored")


def _set_threshold(graph: InferenceGraph, config: BundleConfig) -> None:
    graph.threshold.fill_(config.threshold)


def _take_shapes(graph: InferenceGraph, tensors: dict[str, torch.Tensor]) -> None:
    """Give buffers the shapes they have in the file.

    How many neighbours a score keeps, say, depends on the data.

    Parameters keep theirs, so that weights of another architecture are refused.
    """
    for module_name, module in graph.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            saved = tensors.get(f"{module_name}.{name}" if module_name else name)
            if saved is not None and saved.shape != buffer.shape and saved.ndim == buffer.ndim:
                setattr(module, name, torch.zeros_like(saved, dtype=buffer.dtype))


def _write_config(config: BundleConfig, folder: Path, weights: Path) -> None:
    body: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "residua_version": __version__,
        "config": config.model_dump(mode="json"),
        "files": {_WEIGHTS_NAME: {"bytes": weights.stat().st_size, "sha256": sha256(weights)}},
    }
    write_json(folder / _JSON_NAME, {**body, "checksum": checksum(body)})


def _read_config(folder: Path) -> tuple[BundleConfig, dict[str, Any]]:
    path = folder / _JSON_NAME
    if not path.is_file():
        raise BundleError(
            f"{folder}: a bundle must hold {_JSON_NAME}. Got a place without it. Name the folder"
            " that fit wrote."
        )
    try:
        body = read_json(path, _MOST_JSON_BYTES)
        told = body.pop("checksum")
        if body["format"] != FORMAT:
            raise BundleError(
                f"{path}: must be a {FORMAT}. Got {body['format']!r}. Name the folder that fit"
                " wrote."
            )
        if body["format_version"] != FORMAT_VERSION:
            raise BundleError(
                f"{path}: the format version must be {FORMAT_VERSION}. Got"
                f" {body['format_version']}, written by residua {body['residua_version']}. Install"
                " that version, or train again."
            )
        if told != checksum(body):
            raise BundleError(
                f"{path}: the checksum must match the content. It does not: the file was edited or"
                " damaged. Restore a copy, or change thresholds with `residua threshold`."
            )
        config = BundleConfig(**body["config"])
        listed = body["files"][_WEIGHTS_NAME]
        weights = {"bytes": int(listed["bytes"]), "sha256": str(listed["sha256"])}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        if isinstance(error, BundleError):
            raise
        what = "fields that do not fit" if isinstance(error, ValidationError) else in_a_line(error)
        raise BundleError(
            f"{path}: must be the JSON that residua wrote. Got: {what}. Restore a copy, or train"
            " again."
        ) from error
    if max(config.size) > _LARGEST_SIDE:
        raise BundleError(
            f"{path}: image sides must be at most {_LARGEST_SIDE}. Got {config.size}. Train again."
        )
    return config, weights


def _check_weights(path: Path, expected: dict[str, Any]) -> None:
    if not path.is_file():
        raise BundleError(
            f"{path}: the weights must be there. They are not. Restore a copy, or train again."
        )
    size = path.stat().st_size
    if size != expected["bytes"] or size > _MOST_WEIGHT_BYTES:
        raise BundleError(
            f"{path}: must have {expected['bytes']:,} bytes. Got {size:,}: the file is truncated or"
            " not the one saved. Restore a copy, or train again."
        )
    if not has_sha256(path, expected["sha256"]):
        raise BundleError(
            f"{path}: the SHA-256 must match. It does not: the file is damaged. Restore a copy, or"
            " train again."
        )


def _check_place(folder: Path) -> None:
    if folder.is_dir():
        strangers = sorted({path.name for path in folder.iterdir()} - {_JSON_NAME, _WEIGHTS_NAME})
    else:
        strangers = [folder.name] if folder.exists() else []
    if strangers:
        raise OutputError(
            f"{folder}: must be a new folder, an empty one or a bundle. Got one that holds"
            f" {few(strangers)}. Name another place."
        )


def _swap(fresh: Path, folder: Path) -> None:
    """Rename `fresh` to `folder`.

    A folder cannot be renamed over a full one, so the old one steps aside first.
    """
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    fresh.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


__all__ = [
    "Bundle",
    "BundleConfig",
    "TrainingRecord",
    "build_graph",
    "build_recipe",
    "check_fits",
    "clear_leftovers",
    "graph_engine",
    "load_bundle",
    "save_bundle",
    "save_operating_point",
    "score_set",
    "with_tile_statistics",
]
