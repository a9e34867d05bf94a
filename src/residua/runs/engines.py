"""The engines of a run: exporting one, opening one, and a table of what each does on this
machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.engines import KINDS, Card, Engine, Kind, Speed, load_engine, parse_engine
from residua.engines.card import check_fresh, read_card, write_card
from residua.engines.file_engines import free_threads
from residua.engines.kinds import REFERENCE
from residua.engines.speed import images_a_second
from residua.engines.tiled import whole
from residua.errors import BundleError, GateError, InputError, MissingExtraError, SourceError
from residua.images import ImageSet
from residua.runs.bundle_model import model_of_bundle
from residua.runs.command import fit_command
from residua.runs.machine import describe_machine
from residua.runs.model import JudgedModel
from residua.runs.progress import Watcher
from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import Bundle, check_fits, load_bundle
from residua.training.export import Verification, build_engine
from residua.training.export.onnx_file import Entry
from residua.training.fitting.splits import normals_of
from residua.training.loop.devices import find_device
from residua.training.scoring.engine_variants import VARIANTS

_BATCHES = (1, 256)


@dataclass(frozen=True)
class EngineRow:
    """An engine's speed at batches of 1 and 256 beside its cost; None where it is not there."""

    kind: Kind
    card: Card | None
    images_a_second: dict[int, float]
    megabytes: float | None
    why_not: str | None = None


def engine_on(device: str | None, engine: str, where: str) -> str:
    """The engine that scores on a device: the reference on the processor, ``torch-gpu`` on a GPU.

    Raises InputError if the device is not there, or the engine does not run on it.
    """
    if device in (None, "auto"):
        return engine
    gpu = "torch-gpu"
    found = find_device(str(device), where)
    runs_there = engine in (REFERENCE, gpu) if found.type == "cuda" else engine != gpu
    if found.type == "mps" or not runs_there:
        raise InputError(
            f"{where}: --device and --engine must go together. Got {device} and {engine}. On cuda"
            f" there is {gpu}; every other engine runs on cpu, and none on mps."
        )
    if found.type == "cpu":
        return engine
    torch.cuda.set_device(found.index or 0)
    return gpu


def export_run(
    run: str | Path,
    kind: Kind,
    source: str | None = None,
    *,
    entry: Entry | None = None,
    watcher: Watcher | None = None,
    verification: Verification | None = None,
) -> Card:
    """Export the model of `run` as `kind` into ``RUN/export``, verified on its calibration images,
    on another source, or on the images of a `verification`.

    Raises GateError if the exported model does not do what the run's does; nothing of it is left
    behind.
    """
    watcher = watcher or Watcher()
    folder = TrainedRun(Path(run))
    state, bundle = folder.read_finished(), load_bundle(folder.bundle)
    with folder.locked():
        verification = verification or _verification(folder, state, bundle, source, watcher)
        check_fits(bundle.config, verification.images)
        sha256 = folder.weights_sha256()
        return build_engine(
            bundle, kind, folder.export, verification, weights_sha256=sha256, entry=entry
        )


def open_trained(folder: TrainedRun, name: str, watcher: Watcher) -> JudgedModel:
    """The model of a run that `fit` wrote, scored by the engine called `name`; one that is not
    there yet, or out of date, is exported first.
    """
    state, kind = folder.read_finished(), parse_engine(name)
    bundle = load_bundle(folder.bundle)
    card = None
    if not kind.is_reference:
        try:
            card = _fresh_card(folder, kind)
        except BundleError:
            watcher.note(f"engine {name}: exporting it, and verifying it on the calibration images")
            card = export_run(folder.path, kind, watcher=watcher)
    recorded = folder.read_images("part", "pixels")
    deviation = None if card is None else card.deviation.model_dump(mode="json")
    return model_of_bundle(
        bundle if card is None else _as_seen(bundle, card),
        engine=None if card is None else _engine_of(folder, bundle, card),
        provenance=provenance_of(state, bundle, recorded["part"], fit_command(folder, state))
        | {"engine_deviation": deviation},
        training=folder.read_training(),
        calibration_hashes=recorded["pixels"][recorded["part"] == "calibration"],
    )


def provenance_of(
    state: RunState, bundle: Bundle, recorded: NDArray[Any], command: str
) -> dict[str, Any]:
    """Where a run's model comes from, for a record; `recorded` are the parts of its images."""
    config, training = bundle.config, bundle.config.training
    parts = {
        part: int((recorded == part).sum())
        for part in ("train", "validation", "calibration", "test", "corrected", "left out")
    }
    told = {"parameters", "epochs", "best_epoch", "seconds", "device", "precision", "settings"}
    return {
        "source": state.options.source,
        "normal": ", ".join(config.normal) if config.normal else None,
        "architecture": training.network,
        **training.model_dump(include=told),
        "splits": {part: n for part, n in parts.items() if n},
        "resize": next((note for note in state.notes if note.startswith("images ")), None),
        "fingerprints": dict(config.fingerprints),
        "notes": list(state.notes),
        "recipe_options": config.recipe_options,
        "command": command,
    }


def measure_engines(
    run: str | Path, *, everything: bool = False, watcher: Watcher | None = None
) -> list[EngineRow]:
    """Speed and price of the run's engines on this machine, on its calibration images; with
    `everything` all are made first.

    The images are repeated to fill a batch of 256. Every engine is warmed up, then all take turns:
    medians of five.
    """
    watcher = watcher or Watcher()
    folder = TrainedRun(Path(run))
    state, bundle = folder.read_finished(), load_bundle(folder.bundle)
    images = _verification(folder, state, bundle, None, watcher).images[:256]
    opened: dict[str, JudgedModel] = {}
    cards: dict[str, Card] = {}
    missing: dict[str, str] = {}
    for kind in KINDS.values():
        try:
            if not everything and not kind.is_reference:
                _fresh_card(folder, kind)
            opened[kind.name] = open_trained(folder, kind.name, watcher)
            if not kind.is_reference:
                cards[kind.name] = _fresh_card(folder, kind)
        except (InputError, MissingExtraError, GateError) as error:
            missing[kind.name] = str(error)
    speeds = images_a_second(
        {name: one.engine for name, one in opened.items()},
        images,
        _BATCHES,
        on_turn=watcher.on_read,
        tiles=bundle.config.framing.tiling.n_places,
    )
    for name, card in cards.items():
        write_card(card.model_copy(update={"speed": _speed(speeds, name)}), folder.export)
    return [
        EngineRow(
            kind,
            cards.get(name),
            speeds.get(name, {}),
            _megabytes(folder, kind) if name in opened else None,
            missing.get(name),
        )
        for name, kind in KINDS.items()
    ]


def _verification(
    folder: TrainedRun, state: RunState, bundle: Bundle, source: str | None, watcher: Watcher
) -> Verification:
    """Calibration images (of a run without any its validation images) and training images, as `fit`
    recorded them; of a run that has no source of its own, those of another.
    """
    origin = state.origin()
    named = None if source is None else origin.load_other(source, watcher)
    if named is not None and named.labels is not None and bundle.config.normal is not None:
        named = named.with_normal(bundle.config.normal)
    if named is not None and not origin.source:
        normals, _ = normals_of(named)
        return Verification(named, named.presumed_anomalous, normals, watcher.on_read)
    try:
        own, recorded = origin.load(watcher), folder.read_images()
    except SourceError as error:
        raise SourceError(
            "export: the run's source must be there, as models are verified on its calibration"
            f" images. Got: {error}"
        ) from error
    parts = {
        part: _part(own, recorded["path"][recorded["part"] == part])
        for part in ("calibration", "validation", "train")
    }
    images = parts["calibration"] if len(parts["calibration"]) else parts["validation"]
    images = images if named is None else named
    return Verification(images, images.presumed_anomalous, parts["train"], watcher.on_read)


def _part(images: ImageSet, paths: NDArray[Any]) -> ImageSet:
    wanted = {str(path) for path in paths}
    return images[
        np.array([row for row, path in enumerate(images.paths) if str(path) in wanted], np.int64)
    ]


def _fresh_card(folder: TrainedRun, kind: Kind) -> Card:
    card = read_card(folder.export, kind)
    check_fresh(card, folder.bundle)
    return card


def _engine_of(folder: TrainedRun, bundle: Bundle, card: Card) -> Engine:
    if card.kind.files:
        return load_engine(folder.export, card.engine, bundle=folder.bundle)
    config = bundle.config
    variant = VARIANTS[card.engine](
        bundle.graph, config.channels, config.batch_size, threshold=card.threshold
    )
    return whole(variant, card)


def _as_seen(bundle: Bundle, card: Card) -> Bundle:
    own = {"operating_point": card.operating_point, "products": card.products}
    config = bundle.config.model_copy(update=own)
    scores, flags = (
        np.array(card.calibration_scores, np.float32),
        np.array(card.calibration_is_anomalous, np.bool_),
    )
    return replace(
        bundle,
        config=config,
        calibration_scores=scores,
        calibration_is_anomalous=flags,
        calibration_groups=card.group_numbers,
        calibration_products=(
            None
            if card.calibration_products is None
            else np.array(card.calibration_products, np.int64)
        ),
    )


def _speed(speeds: dict[str, dict[int, float]], name: str) -> Speed:
    own, reference = speeds[name], speeds[REFERENCE]
    return Speed(
        batch_1=own[1],
        batch_256=own[256],
        reference_batch_1=reference[1],
        reference_batch_256=reference[256],
        threads=free_threads(),
        cpu=str(describe_machine()["cpu"]),
    )


def _megabytes(folder: TrainedRun, kind: Kind) -> float:
    files = [folder.export / name for name in kind.files] or [folder.bundle / "model.safetensors"]
    return sum(path.stat().st_size for path in files) / 2**20
