"""`residua threshold`: another operating point for a run, from calibration scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from residua._text import few
from residua.errors import InputError, LabelError, ResiduaError
from residua.images import ImageSet
from residua.records import OperatingPoint
from residua.runs.chosen_on import keep_chosen_on
from residua.runs.judgement import judge_stored_again
from residua.runs.learning.record import read_record
from residua.runs.open_run import open_run
from residua.runs.parts import RunImages
from residua.runs.progress import Watcher
from residua.runs.run_folder import Run
from residua.thresholds.calibration import Promised
from residua.thresholds.defaults import choose_operating_point
from residua.thresholds.product_choice import choose_products
from residua.thresholds.products import common_point


def change_threshold(
    run: str | Path,
    policy: str,
    source: str | None = None,
    *,
    confidence: float = 0.95,
    bits: int | None = None,
    groups: str | None = None,
    product: str | None = None,
    promise: Promised | None = None,
    contamination: float | None = None,
    watcher: Watcher | None = None,
) -> OperatingPoint:
    """Choose a threshold by `policy` and store it in the run.

    It comes from the calibration scores that the run stores, or from another `source`: its
    calibration part if it is divided into parts, else all of it; `groups` say which of its images
    belong together, as in `load_images`, and `product` which product each shows: products without
    an image there keep their threshold. Images of another source that the model was fitted on are
    left out, near-duplicates of them too. A `contamination` of None is that of the threshold
    before. Nothing else of the model changes. The stored evaluation is judged again at the new
    threshold, from its scores; where it cannot be, `watcher` is told.
    """
    folder, watcher = open_run(run), watcher or Watcher()
    model = folder.model()
    origin = folder.origin().grouped_by(groups).of_products(product).for_model(model.facts)
    if model.facts.job != "detect":
        raise InputError(
            f"threshold: the run must be a detector. Got the job {model.facts.job}. Fit with --job"
            " detect, or save a wrapped model with normal=."
        )
    known = model.calibration
    if source is not None and origin.is_own(source) and read_record(folder) is not None:
        # What was corrected there has taught the model: the run stores scores as if it had not.
        source = None
    scores, is_anomalous, numbers = known.scores, known.is_anomalous, known.groups
    names = known.products
    if source is not None:
        images = RunImages(folder, origin, model, watcher)
        chosen = images.calibration(source, bits)
        if not origin.is_own(source):
            chosen = images.unseen(chosen)
            _tell_assumed(folder, chosen, watcher)
        scores, is_anomalous = model.own_scores(chosen), chosen.presumed_anomalous
        numbers, names = chosen.group_codes, chosen.products
    elif not len(scores):
        raise LabelError(
            f"{run}: the run must hold calibration scores. It holds none. Name a SOURCE of"
            " calibration images."
        )
    if promise is not None and numbers is None:
        raise InputError(
            "threshold: a promise for known groups needs images in groups. Got images without."
            " Leave out --known-groups, or name the groups of SOURCE with --groups."
        )
    hashes = None if source is None or origin.is_own(source) else chosen.pixel_hashes
    before = model.facts.operating_point
    if contamination is None and before is not None:
        contamination = before.contamination
    asked: dict[str, Any] = {
        "confidence": confidence,
        "groups": numbers,
        "promise": promise,
        "contamination": contamination,
    }
    before_by_product, products = model.facts.products, None
    if before_by_product is None:
        point = choose_operating_point(scores, is_anomalous, policy, **asked)
    elif names is None:
        raise InputError(
            "threshold: images of a run with products must name theirs. Got images without. Name"
            " the column or folder of products with --product."
        )
    else:
        products = choose_products(
            scores,
            is_anomalous,
            names,
            policy,
            rule=before_by_product.rule,
            before=before_by_product,
            **asked,
        )
        point = common_point(products, scores, is_anomalous, names, numbers)
        if fresh := [one for one in products.names if one not in before_by_product.names]:
            watcher.note(
                f"products that the run did not know have a place in it from now on: {few(fresh)}."
                f" It knew {few(before_by_product.names, 8)}"
            )
    with folder.locked():
        folder.store(point, *([] if products is None else [products]))
        keep_chosen_on(folder, point, hashes)
        _judge_again(folder, point, watcher)
    return point


def _tell_assumed(folder: Run, chosen: ImageSet, watcher: Watcher) -> None:
    """Images without a label are taken for normal; those of the test part show too much."""
    n, labels = len(chosen), chosen.labels
    n_bare = n if labels is None else sum(one is None for one in labels.tolist())
    if n_bare:
        watcher.note(
            f"{n_bare:,} of {n:,} images have no label and are taken for normal. A hidden anomaly"
            " raises the threshold; --contamination allows for some"
        )
    if not folder.images.exists():
        return
    recorded = folder.read_images("pixels", "part")
    tested = set(recorded["pixels"][recorded["part"] == "test"].tolist())
    n_tested = sum(one in tested for one in chosen.pixel_hashes.tolist())
    if n_tested:
        watcher.note(
            f"{n_tested:,} of the {n:,} images that choose the threshold are of the run's test"
            " part. There it looks better than it is: evaluate on other images"
        )


def _judge_again(folder: Run, point: OperatingPoint, watcher: Watcher) -> None:
    """The threshold stands whatever becomes of the evaluation, whose readers look again."""
    try:
        again = judge_stored_again(folder, point)
    except ResiduaError as error:
        watcher.note(f"the stored evaluation was not judged again: {error}")
        return
    if again is None and folder.evaluation.exists():
        watcher.note(
            "the stored evaluation is one of another engine or model: run residua evaluate again"
        )
