"""What a line is compared with: the calibration images of its run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import ResiduaError
from residua.evaluation.check import image_statistics
from residua.runs.model import JudgedModel
from residua.runs.origin import Origin
from residua.runs.parts import RunImages
from residua.runs.progress import Watcher
from residua.runs.run_folder import Run
from residua.runs.watching.drift import FIRST, LOOKS, DriftWatch
from residua.runs.watching.drift_of_products import DriftOfProducts, looks_by_product
from residua.runs.watching.store import WatchStore


def open_drift(
    folder: Run, origin: Origin, model: JudgedModel, store: WatchStore, watcher: Watcher
) -> DriftWatch | DriftOfProducts:
    """The tests as they were, or fresh ones where the model is another by now."""
    stored, before = store.get("drift"), store.get("model")
    if stored is not None and before == folder.identity():
        kind = DriftOfProducts if "each" in stored else DriftWatch
        return kind.from_state(stored)
    if stored is not None:
        watcher.note("the run has another model or threshold by now: drift is tested anew")
    groups = model.calibration.normal_groups
    scores = model.calibration.normals
    rows = np.arange(len(scores)) if groups is None else np.unique(groups, return_index=True)[1]
    largest = 1 if groups is None or not len(groups) else int(np.bincount(groups).max())
    if largest > 1:
        watcher.note(
            f"calibration images come in groups of up to {largest}: drift is tested on one image"
            f" in {largest}"
        )
    looks, names = _looks(folder, origin, model, watcher)
    products = model.calibration.products
    if products is not None:
        shown = products[~model.calibration.is_anomalous][rows]
        by_product = looks_by_product(looks, names)
        return DriftOfProducts.of(scores[rows], shown, by_product, every=largest)
    return DriftWatch.of(scores[rows], looks, every=largest)


def _looks(
    folder: Run, origin: Origin, model: JudgedModel, watcher: Watcher
) -> tuple[dict[str, NDArray[np.float64]] | None, NDArray[Any] | None]:
    """How normal calibration images look, one of each group, and which products they show; None
    where they are not at hand.
    """
    try:
        images = RunImages(folder, origin, model, watcher).calibration(origin.source)
        images = images[np.flatnonzero(~images.presumed_anomalous)]
        codes = images.group_codes
        if codes is not None:
            images = images[np.sort(np.unique(codes, return_index=True)[1])]
        if len(images):
            seen = image_statistics(images)
            return {name: seen[name] for name in LOOKS}, images.products
    except ResiduaError as error:
        watcher.note(str(error))
    watcher.note(
        "the calibration images are not there: brightness, contrast and sharpness are compared with"
        f" the first {FIRST} images of the line"
    )
    return None, None
