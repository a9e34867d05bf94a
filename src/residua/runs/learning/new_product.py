"""A new product for a run that judges several: its good images alone, and nothing is trained."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua._text import count
from residua.errors import InputError
from residua.images import ImageSet
from residua.images.products import nearly_alike
from residua.runs.learning.learn import (
    COPIED,
    check_place,
    keep_parent,
    new_of_sample,
    with_fingerprints,
)
from residua.runs.progress import Watcher
from residua.runs.run_folder import image_rows
from residua.runs.trained_run import TrainedRun
from residua.thresholds.product_choice import choose_again
from residua.thresholds.products import Product, common_point
from residua.training.bundle import Bundle, load_bundle, save_bundle, score_set
from residua.training.fitting.splits import hold_out
from residua.training.loop.batches import all_to_unit
from residua.training.scoring.engine import prepare_each

_SHARE = 0.5  # of the good images that choose the threshold


def learn_product(
    run: str | Path, source: str, out: str | Path, name: str, *, watcher: Watcher | None = None
) -> Product:
    """Write a new version of `run` that knows the product `name`, by the good images of `source`.

    Where the recipe keeps training images or their features, half of the images join them; the
    others choose the threshold of the product, by what was asked of the others. All other products
    keep their thresholds. Their scores stay as they are, or fall where the memory has grown.

    Raises
    ------
    InputError
        If the run has no products, or knows this one.
    """
    watcher, folder, fresh = watcher or Watcher(), TrainedRun(Path(run)), TrainedRun(Path(out))
    check_place(fresh, folder)
    state, bundle = folder.read_finished(), load_bundle(folder.bundle)
    products, recorded = bundle.config.products, folder.read_images()
    name = name.strip()
    if products is None or name in products.names or not name:
        known = f"the product {name!r} already" if name else "no product without a name"
        got = "one threshold for all" if products is None else known
        raise InputError(
            f"learn: --product must name a new product of a run with products. {folder.path} has"
            f" {got}. Fit with --product, or name another one."
        )
    for told in nearly_alike([*products.names, name]):
        watcher.note(told)
    images = state.origin().of_products(f"={name}").load_other(source, watcher)
    images = new_of_sample(images, recorded, (), normal=bundle.config.normal, watcher=watcher)
    made, parts = add_product(bundle, images, name, watcher)
    own = zip(*recorded.values(), strict=True)
    rows = [*own, *image_rows(parts)]
    with fresh.locked():
        for copied in COPIED:
            if (folder.path / copied).exists():
                shutil.copyfile(folder.path / copied, fresh.path / copied)
        keep_parent(folder, fresh)
        save_bundle(with_fingerprints(made, rows), fresh.bundle)
        fresh.write_rows(rows)
        note = f"learnt the product {name} from {count(len(images), 'good image')}"
        fresh.write_state(state.model_copy(update={"notes": (*state.notes, note)}))
    assert made.config.products is not None
    return next(one for one in made.config.products.each if one.name == name)


def add_product(
    bundle: Bundle, images: ImageSet, name: str, watcher: Watcher
) -> tuple[Bundle, dict[str, ImageSet]]:
    """The model with one more product, and which of its good images did what."""
    before, config = bundle.config.products, bundle.config
    assert before is not None and bundle.calibration_products is not None
    if not len(images):
        raise InputError("learn: there must be good images of the new product. Got none.")
    parts = {"calibration": images}
    remember: Any = getattr(bundle.graph.scorer, "remember", None)
    if remember is not None and config.tiling is None and len(images) > 1:
        taught, held = hold_out(images, _SHARE, seed=config.training.settings.get("seed", 0))
        parts = {"train": taught, "calibration": held}
        cut = config.framing.cut_all(taught)
        with torch.inference_mode():
            remember(all_to_unit(prepare_each(bundle.graph.prepare, cut, keep_float=True)))
        watcher.note(f"{count(len(taught), 'image')} of {name} joined what the model remembers")
    else:
        keeps = "keeps no training images" if remember is None else "takes no more images as fitted"
        watcher.note(
            f"the recipe {config.recipe} {keeps}: it learns nothing of {name} but a threshold"
        )
    held = parts["calibration"]
    scores = np.concatenate([bundle.calibration_scores, score_set(bundle, held).score])
    flags = np.concatenate([bundle.calibration_is_anomalous, np.zeros(len(held), np.bool_)])
    names = np.concatenate([before.at(bundle.calibration_products), np.repeat(name, len(held))])
    groups = _joined(bundle.calibration_groups, held, len(bundle.calibration_scores))
    chosen = choose_again(before, scores, flags, names.astype(object), groups)
    own = next(one for one in chosen.each if one.name == name)
    each = sorted((*before.each, own), key=lambda one: one.name)
    products = before.model_copy(update={"each": tuple(each)})
    grown = replace(
        bundle,
        calibration_scores=scores,
        calibration_is_anomalous=flags,
        calibration_groups=groups,
        calibration_products=products.places(names),
    )
    point = common_point(products, scores, flags, names, groups)
    return grown.with_operating_point(point, products), parts


def _joined(known: NDArray[np.int64] | None, held: ImageSet, n: int) -> NDArray[np.int64] | None:
    """Groups of all calibration images; those of the new product come after the others."""
    codes = held.group_codes
    if known is None and codes is None:
        return None
    before = np.arange(n) if known is None else known
    more = np.arange(len(held)) if codes is None else codes
    return np.concatenate([before, more + 1 + int(before.max(initial=-1))])
