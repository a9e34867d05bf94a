"""From a bundle to a verified engine: write, compare with the reference, refuse or keep."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua._files import ensure_folder, sha256
from residua._version import __version__
from residua.engines import Card, Engine, Kind
from residua.engines.card import write_card
from residua.engines.file_engines import open_file
from residua.engines.tiled import whole
from residua.errors import InputError
from residua.images import ImageSet
from residua.images.listing import Progress
from residua.records import OperatingPoint
from residua.thresholds.defaults import choose_again
from residua.thresholds.product_choice import choose_again as choose_products_again
from residua.thresholds.products import common_point
from residua.training.bundle import Bundle, graph_engine
from residua.training.export.onnx_file import (
    Entry,
    describe_outputs,
    finish_onnx,
    finish_openvino,
    write_onnx,
    write_openvino,
)
from residua.training.export.quantise import quantise_onnx
from residua.training.export.verify import (
    ScorePair,
    compare,
    measure_deviation,
    measure_price,
    refuse_if_dear,
    refuse_if_different,
)
from residua.training.scoring.engine_variants import VARIANTS


@dataclass(frozen=True)
class Verification:
    """The images that an engine is verified on, and those that int8 takes its ranges from.

    `is_anomalous` says which of the former are anomalous.
    """

    images: ImageSet
    is_anomalous: NDArray[np.bool_]
    training: ImageSet
    progress: Progress | None = None


def build_engine(
    bundle: Bundle,
    kind: Kind,
    folder: Path,
    verification: Verification,
    *,
    weights_sha256: str,
    entry: Entry | None = None,
) -> Card:
    """Write the engine `kind` of `bundle` into `folder` with its card.

    An older one of that kind is replaced.

    Everything is written and verified in a folder beside it first: what is refused leaves nothing
    behind.

    Raises GateError if it does not reproduce the reference (float32), or ranks images otherwise
    (reduced precision); with the numbers. Raises InputError if there are no images to verify it on.
    """
    if len(verification.images) == 0:
        raise InputError("export: there must be images to verify on. Got none. Name a SOURCE.")
    entry = entry or ("uint8" if bundle.config.bits == "8" else "float32")
    fresh = folder.with_name(f".{folder.name}.{kind.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    ensure_folder(fresh, where="export")
    try:
        card = _draft(bundle, kind, weights_sha256, entry)
        _write(bundle, kind, fresh, verification, entry)
        reference = graph_engine(bundle)
        engine = _open(bundle, card, fresh)
        card = _judged(
            card,
            compare(reference, engine, verification.images, progress=verification.progress),
            verification,
            bundle,
        )
        del engine
        _finish(card, fresh)
        card = card.model_copy(
            update={"files": {name: sha256(fresh / name) for name in kind.files}}
        )
        write_card(card, fresh)
        _move(kind, fresh, ensure_folder(folder, where="export"))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return card


def _draft(bundle: Bundle, kind: Kind, weights_sha256: str, entry: Entry) -> Card:
    config = bundle.config
    nothing = {"n_images": 0, "score": 0, "score_spread": 0, "error_map": 0, "error_map_peak": 0}
    return Card.model_validate(
        {
            "residua_version": __version__,
            "engine": kind.name,
            "runtime": kind.runtime,
            "precision": kind.precision,
            "job": config.job,
            "recipe": config.recipe,
            "normal": config.normal,
            "size": config.size,
            "channels": config.channels,
            "aspect": config.aspect,
            "classes": config.classes,
            "multilabel": config.multilabel,
            "kinds": config.kinds,
            "calibration_images": config.training.calibration_images,
            "reading": config.reading,
            "tiling": config.tiling,
            "region": config.region,
            "entry": entry,
            "batch_size": config.batch_size,
            "outputs": describe_outputs(bundle),
            "operating_point": config.operating_point,
            "products": config.products,
            "reference_threshold": (
                None if config.operating_point is None else config.operating_point.threshold
            ),
            "weights_sha256": weights_sha256,
            "fingerprints": config.fingerprints,
            "deviation": {**nothing, "different_decisions": 0, "near_threshold": 0},
        }
    )


def _write(
    bundle: Bundle, kind: Kind, folder: Path, verification: Verification, entry: Entry
) -> None:
    if not kind.files:
        return
    plain = folder / "float32.onnx"
    write_onnx(bundle, plain, entry)
    if kind.precision == "int8":
        quantised = folder / "int8.onnx"
        training = bundle.config.framing.cut_all(verification.training)
        quantise_onnx(plain, quantised, training, as_float=entry == "float32")
        plain.unlink()
        plain = quantised
    if kind.runtime == "onnx":
        plain.rename(folder / kind.files[0])
    else:
        write_openvino(plain, folder / kind.files[0])
        plain.unlink()


def _open(bundle: Bundle, card: Card, folder: Path) -> Engine:
    if not card.kind.files:
        config = bundle.config
        variant = VARIANTS[card.engine](bundle.graph, config.channels, config.batch_size)
        return whole(variant, config)
    return open_file(card, folder / card.kind.files[0])


def _judged(card: Card, compared: ScorePair, verification: Verification, bundle: Bundle) -> Card:
    """The card with the engine's own threshold, its deviation and its price.

    Refused where they are too large.
    """
    point = card.operating_point
    scores, is_anomalous = compared.engine, verification.is_anomalous
    if bundle.config.learnt and len(bundle.calibration_scores) == len(scores):
        # Corrected images count in calibration as if they had taught nothing.
        scores = scores + (bundle.calibration_scores - compared.reference)
        is_anomalous = bundle.calibration_is_anomalous
    products, names = card.products, None
    if products is not None and len(bundle.calibration_scores) == len(scores):
        assert bundle.calibration_products is not None
        names = products.at(bundle.calibration_products)
    if point is not None and card.precision != "float32":
        if products is None:
            point = _own_point(point, scores, is_anomalous, bundle)
        elif names is not None:
            groups = bundle.calibration_groups
            products = choose_products_again(products, scores, is_anomalous, names, groups)
            point = common_point(products, scores, is_anomalous, names, groups)
    infinite = float("inf")
    one = point is not None and products is None
    deviation = measure_deviation(
        compared,
        infinite if card.reference_threshold is None or not one else card.reference_threshold,
        point.threshold if point is not None and one else infinite,
    )
    if names is not None and products is not None and card.products is not None:
        before = card.products.flags(compared.reference, names)
        after = products.flags(compared.engine, names)
        n_other = sum(was != now for was, now in zip(before, after, strict=True))
        deviation = deviation.model_copy(update={"different_decisions": n_other})
    price = None
    if card.precision == "float32":
        refuse_if_different(card.engine, compared, deviation)
    else:
        price = measure_price(compared, deviation, verification.is_anomalous)
        refuse_if_dear(card.engine, price)
    return card.model_copy(
        update={
            "operating_point": point,
            "products": products,
            "deviation": deviation,
            "price": price,
            "calibration_scores": tuple(scores.tolist()),
            "calibration_is_anomalous": tuple(is_anomalous.tolist()),
            "calibration_groups": _numbers(verification.images.group_codes),
            "calibration_products": None
            if names is None
            else _numbers(bundle.calibration_products),
        }
    )


def _numbers(codes: NDArray[np.int64] | None) -> tuple[int, ...] | None:
    return None if codes is None else tuple(codes.tolist())


def _own_point(
    point: OperatingPoint,
    scores: NDArray[np.float32],
    is_anomalous: NDArray[np.bool_],
    bundle: Bundle,
) -> OperatingPoint:
    """The run's policy applied to the engine's own scores.

    A threshold that came from elsewhere stays as it is.
    """
    if len(bundle.calibration_scores) != len(scores):
        return point
    groups = bundle.calibration_groups
    own = choose_again(
        point, bundle.calibration_scores, bundle.calibration_is_anomalous, groups=groups
    )
    if own.threshold != point.threshold:
        return point
    return choose_again(point, scores, is_anomalous, groups=groups)


def _finish(card: Card, folder: Path) -> None:
    if card.runtime == "onnx":
        finish_onnx(folder / card.kind.files[0], card)
    elif card.runtime == "openvino":
        finish_openvino(folder / card.kind.files[0], card)


def _move(kind: Kind, fresh: Path, folder: Path) -> None:
    """The card goes last: where it does not fit the files, they are refused."""
    (folder / kind.card).unlink(missing_ok=True)
    for name in (*kind.files, kind.card):
        (fresh / name).replace(folder / name)
