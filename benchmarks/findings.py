"""How often each finding is made where its fault was planted, at several strengths, and where
nothing was planted.

Faults are planted into clothes (Fashion-MNIST), magnetic tiles and digits, each several times;
errors and scores are those of PCA and of nearest neighbours, so that nothing has to be trained. A
finding counts as made at severity warning or error. How well the search for copies finds each kind
of copy is measured in leakage.py. ``--only CODE`` measures one finding.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import faults_of_images as of_images
import faults_of_models as of_models
from measure import Results, rounded
from planted_pictures import Pictures, pictures
from residua.findings import FINDINGS
from residua.records import Finding

SOURCES = ("fashion-mnist", "tiles", "digits")
Fault = Callable[[Pictures, np.random.Generator, float], Finding | None]


class Trial(NamedTuple):
    """A fault, the strengths at which it is planted (0 is the clean set), and how often."""

    fault: Fault
    strengths: tuple[float, ...]
    repeats: int = 10


TRIALS: dict[str, tuple[Trial, ...]] = {
    "overfitting": (Trial(of_models.overfitting, (0, 0.8, 0.9, 0.95, 0.98)),),
    "underfitting": (Trial(of_models.underfitting, (0, 0.1, 0.3, 0.6, 1)),),
    "collapsed-reconstruction": (Trial(of_models.collapsed, (0, 0.5, 0.9, 0.97, 1)),),
    "dead-latent": (Trial(of_models.dead_latent, (0, 0.25, 0.5, 0.6, 0.9)),),
    "learnt-identity": (Trial(of_models.learnt_identity, (0, 0.5, 0.9, 1)),),
    "tracks-complexity": (Trial(of_models.tracks_complexity, (0, 0.3, 0.5, 0.7, 0.9)),),
    "drift": (
        Trial(of_models.drift_by_blur, (0, 0.5, 1, 2)),
        Trial(of_models.drift_by_noise, (0, 0.02, 0.05, 0.1)),
        Trial(of_models.drift_by_both, (0, 0.5, 1, 2)),
    ),
    "broken-promise": (Trial(of_models.broken_promise, (0, 0.05, 0.1, 0.2)),),
    "blind-spots": (Trial(of_models.blind_spots, (0, 1, 9, 99)),),
    "not-better-than-baseline": (Trial(of_models.not_better_than_baseline, (0, 0.4, 0.7, 1)),),
    "not-better-than-chance": (Trial(of_models.not_better_than_chance, (0, 0.5, 1, 2)),),
    "useless-threshold": (Trial(of_models.useless_threshold, (0, 0.5, 0.9, 1)),),
    "overlap": (Trial(of_models.overlap, (0, 0.3, 0.7, 1)),),
    "hidden-anomalies": (Trial(of_models.hidden_anomalies, (0, 0.01, 0.03, 0.1)),),
    "label-noise": (
        Trial(of_models.label_noise_by_scores, (0, 0.05, 0.15, 0.3)),
        Trial(of_models.label_noise_by_neighbours, (0, 0.05, 0.15, 0.3)),
    ),
    "shared-scores": (Trial(of_models.shared_scores, (0, 0.005, 0.02, 0.1)),),
    "majority-class": (Trial(of_models.majority_class, (0, 0.3, 0.7, 1)),),
    "most-confused": (Trial(of_models.most_confused, (0, 0.1, 0.3, 0.6)),),
    "inflated-accuracy": (Trial(of_models.inflated_accuracy, (0, 0.1, 0.5, 0.9), 5),),
    "mixed-scale": (Trial(of_images.mixed_scale, (0, 0.002, 0.02, 0.5)),),
    "scale": (Trial(of_images.scale, (0, 2, 255)),),
    "mixed-sizes": (Trial(of_images.mixed_sizes, (0, 0.2, 0.6, 1), 1),),
    "small-defects": (Trial(of_images.small_defects, (0, 0.05, 0.2, 1), 3),),
    "class-balance": (Trial(of_images.class_balance, (0, 1, 3), 1),),
    "shortcut": (
        Trial(of_images.shortcut_by_light, (0, 0.05, 0.2, 0.6)),
        Trial(of_images.shortcut_by_dark, (0, 0.2, 0.4, 0.6)),
        Trial(of_images.shortcut_by_jpeg, (0, 5, 25, 60)),
        Trial(of_images.shortcut_by_size, (0, 0.2, 0.6, 1)),
    ),
    "unlike-parts": (
        Trial(of_images.unlike_parts_by_light, (0, 0.1, 0.3, 0.5)),
        Trial(of_images.unlike_parts_by_blur, (0, 0.5, 1, 2)),
    ),
    "unlike-calibration": (Trial(of_images.unlike_calibration, (0, 0.1, 0.3, 0.6)),),
    "test-reused": (Trial(of_images.test_reused, (0, 0.005, 0.1), 5),),
    "source-changed": (Trial(of_images.source_changed, (0, 0.005, 0.1), 5),),
    "different-test-images": (Trial(of_images.different_test_images, (0, 0.005, 0.5), 1),),
    "too-few-images": (Trial(of_images.too_few_images, (0, 0.8, 0.9, 0.97), 1),),
    "torn-groups": (Trial(of_images.torn_groups, (0, 0.01, 0.1), 1),),
    "ungrouped": (Trial(of_images.ungrouped, (0, 0.3, 0.6, 0.9)),),
    "unreadable-files": (Trial(of_images.unreadable_files, (0, 0.02, 0.1), 3),),
    "leakage": (Trial(of_images.leakage, (0, 0.005, 0.1), 3),),
    "duplicates": (Trial(of_images.duplicates, (0, 0.01, 0.15), 3),),
}
FOLLOW = {
    "meaningless-metric": "a refusal, made whenever accuracy is asked of what does not classify",
    "threshold-optimism": "made whenever a threshold is judged on the images it was chosen on",
    "threshold-trade-off": "describes three thresholds whenever both kinds of images are there",
    "undefined-metric": "made whenever a metric has no value",
    "unlabelled-images": "made whenever some images have no label and others have",
}
"""Findings that follow from how a question is put, so that nothing can be missed or accused; tests
hold them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    unmeasured = {one.code for one in FINDINGS} - set(TRIALS) - set(FOLLOW)
    if unmeasured and not options.only:
        raise SystemExit(f"no fault is planted for {sorted(unmeasured)}")
    results = Results("findings")
    for code, trials in TRIALS.items():
        for trial in trials if options.only in code else ():
            for source in SOURCES:
                results.measure(_title(code, trial.fault, source), partial(rate_of, trial, source))


def _title(code: str, fault: Fault, source: str) -> str:
    """Such as ``drift, by blur, tiles``: the finding, which of several faults, and where it was
    planted.
    """
    _, by, how = fault.__name__.partition("_by_")
    return ", ".join([code, *([f"by {how}"] if by else []), source])


def rate_of(trial: Trial, source: str) -> dict[str, Any]:
    """The share of repeats in which the finding is a warning or an error, by strength."""
    row: dict[str, Any] = {"what": (trial.fault.__doc__ or "").strip(), "repeats": trial.repeats}
    for strength in trial.strengths:
        found = [
            trial.fault(pictures(source), np.random.default_rng([seed, 7]), strength)
            for seed in range(trial.repeats)
        ]
        row[f"{strength:g}"] = rounded(
            float(
                np.mean([one is not None and one.severity in ("warning", "error") for one in found])
            )
        )
    return row


if __name__ == "__main__":
    main()
