"""What is known of a detector whose images were seen by workers, and what is not, by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from residua.cluster.tally import UNKNOWN, Tally
from residua.evaluation.check import SCALES
from residua.evaluation.detection import detection_facts
from residua.evaluation.labels import DetectionLabels, kinds_of
from residua.findings import FINDINGS, OF_MODEL, JudgedFacts, find_source_changed, not_applicable
from residua.images.columns import strings
from residua.images.group_names import suspected_groups
from residua.images.hashing import fingerprint, in_hex
from residua.images.listing import Options
from residua.images.shards import Block, Shards
from residua.metrics.pixel_errors import PixelErrors
from residua.metrics.reported import METRICS
from residua.metrics.samples import ScoredImages
from residua.records import Evaluation, Finding, NotApplicable
from residua.runs.model import JudgedModel
from residua.runs.origin import Origin
from residua.runs.parts import leaks_by_hash
from residua.runs.run_folder import Run
from residua.runs.tables import ScoringTask
from residua.runs.tables.part_lookup import PartLookup

_IN_ONE_PLACE = "Needs the images in one place, and workers have them. Leave --cluster out."
_EVERY_SCORE = "Needs every score, and a sketch is a summary. Take --ranking exact."
_OF_IMAGES = ("images", "score_of", "changed")


def exact_facts(
    folder: Run, model: JudgedModel, tally: Tally, task: ScoringTask
) -> tuple[JudgedFacts, list[NotApplicable]]:
    """What `evaluate` knows of a detector, as far as workers can tell; and what they cannot."""
    known, calibration = tally.truth != UNKNOWN, model.calibration
    hashes, paths = in_hex(tally.hashes), np.array(tally.paths, object)
    leaks = leaks_by_hash(folder, hashes, paths) if folder.images.exists() else None
    lacking: list[NotApplicable] = []
    pixels = tally.pixels if tally.mask_conventions else None
    if len({one for one in tally.mask_conventions if not one.endswith("top=0)")}) > 1:
        pixels = None
        reason = "The masks of some images are drawn in other colours than those of others."
        lacking += [NotApplicable(what=name, reason=reason) for name in _of_pixels()]
    groups = groups_of(tally)
    if groups is None and task.grouping is None and _are_twins(folder):
        reason = "Groups by twins need all images in one place: intervals take each for its own."
        lacking.append(NotApplicable(what="groups", reason=reason))
    facts = detection_facts(
        DetectionLabels(tally.truth == 1, known, kinds=kinds_of(tally.labels, tally.truth == 1)),
        tally.scores,
        operating_point=model.facts.operating_point,
        pixels=pixels,
        train_scores=model.training.get("train_scores"),
        leaks=leaks,
        groups=groups,
        seed=model.seed,
    )
    looks = {name: column for name, column in tally.columns.items() if name != "mse"}
    labels = np.array(tally.labels, object)
    facts = replace(
        facts,
        paths=paths,
        pixel_hashes=hashes,
        calibration=calibration.normals,
        calibration_groups=calibration.normal_groups,
        chosen_on=calibration.chosen_on,
        errors={"mse": np.asarray(tally.columns["mse"], np.float64)},
        statistics=looks,
        features={name: column for name, column in looks.items() if name not in SCALES},
        suspected=suspected_groups(paths, labels) if groups is None else None,
    )
    return facts, lacking


def groups_of(tally: Tally) -> NDArray[np.object_] | None:
    """The group of each image, None where it is its own; None where nobody named groups."""
    return strings(group or None for group in tally.groups) if tally.groups else None


def lacking_of(facts: JudgedFacts, model: JudgedModel, *, is_own: bool) -> list[NotApplicable]:
    """What one machine would say and workers cannot, with the reason."""
    needs: set[str] = {*_OF_IMAGES}
    needs |= {"latent_of"} if model.network is not None else set()
    needs |= {"asked_twice"} if model.is_random else set()
    needs |= {"misreading"} if model.read_scales is not None else set()
    kinds = {one.what for one in not_applicable(facts, needs)}
    told = [NotApplicable(what=one, reason=_IN_ONE_PLACE) for one in sorted(kinds)]
    told += [
        NotApplicable(what="baselines", reason=_IN_ONE_PLACE),
        NotApplicable(what="not-better-than-baseline", reason=_IN_ONE_PLACE),
        NotApplicable(
            what="near-duplicates of training images",
            reason="Copies of training images are found by their hashes alone. " + _IN_ONE_PLACE,
        ),
    ]
    if facts.masks is None and any(name in facts.metrics for name in _of_pixels()):
        told += [
            NotApplicable(what=code, reason=_IN_ONE_PLACE)
            for code in ("empty-masks", "suspicious-masks", "small-defects")
        ]
    if is_own and facts.groups is not None:
        told.append(NotApplicable(what="torn-groups", reason=_IN_ONE_PLACE))
    named = {one.what for one in told}
    own = not_applicable(facts, [one for one in OF_MODEL if one != "baselines"])
    return [*told, *(one for one in own if one.what not in named)]


def lacking_of_sketch(
    evaluation: Evaluation, *, has_masks: bool, is_own: bool
) -> list[NotApplicable]:
    """The metrics and findings that one machine would give and a sketch cannot."""
    asked = {kind.code for kind in FINDINGS if kind.ask is not None and "detect" in kind.jobs}
    asked |= {"source-changed"} if is_own else set()
    known = _OF_SKETCH | {one.code for one in evaluation.findings}
    wanted = _of_detectors() if evaluation.operating_point is not None else _RANKING
    wanted = [*wanted, *(_of_pixels() if has_masks else ())]
    names = [name for name in wanted if name not in evaluation.metrics]
    names += [*sorted(asked - known), "groups", "baselines", "kinds of anomalies"]
    return [NotApplicable(what=name, reason=_EVERY_SCORE) for name in names]


_RANKING = ["roc_auc", "average_precision", "false_alarm_rate_at_90_recall"]
_OF_SKETCH = {
    *("unlabelled-images", "not-better-than-chance", "undefined-metric", "broken-promise"),
    *("useless-threshold", "too-few-images"),
}


def source_changed(folder: Run, origin: Origin, tally: Tally, shards: Shards) -> Finding | None:
    """Whether the test images are those of the fit; new names are known where all are listed."""
    if not folder.images.exists():
        return None
    recorded = folder.read_images("path", "part", "pixels")
    was_test = np.asarray(recorded["part"] == "test")
    n_missing = int(was_test.sum()) - tally.n_images
    there = set(in_hex(tally.hashes).tolist())
    gone = sum(pixels not in there for pixels in recorded["pixels"][was_test])
    n_new = n_there = 0
    if all(isinstance(piece, Block) for piece in shards.pieces):
        lookup = PartLookup.of(recorded["path"], recorded["part"])
        for piece in shards.pieces:
            names = [str(name) for name in piece.listing(Options()).names]
            parts = lookup.find(names, len(names))
            n_new += sum(part is None for part in parts.tolist())
            n_there += sum(part is not None for part in parts.tolist())
    else:
        n_there = len(was_test)
    return find_source_changed(
        origin.test_fingerprint,
        fingerprint(tally.hashes),
        n_missing=n_missing,
        n_new=n_new,
        n_changed=max(0, gone - n_missing),
        n_missing_elsewhere=max(0, len(was_test) - n_there - n_missing),
    )


def _are_twins(folder: Run) -> bool:
    groups = folder.origin().groups
    return groups is not None and getattr(groups, "by", groups) == "twins"


def _of_pixels() -> list[str]:
    return [one.name for one in METRICS if PixelErrors in one.estimates or one.page == "pixel"]


def _of_detectors() -> list[str]:
    return [one.name for one in METRICS if ScoredImages in one.estimates and one.page != "pixel"]
