"""Every finding that the judge can make, by its stable code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from residua.findings import (
    blind_spots,
    broken_promise,
    class_balance,
    clipped_values,
    dead_latent,
    drift,
    duplicates,
    empty_masks,
    hard_scores,
    high_prevalence,
    inflated_accuracy,
    leakage,
    learnt_identity,
    loss_history,
    majority_class,
    meaningless_metric,
    mispaired,
    misread_scale,
    mixed_scale,
    mixed_sizes,
    not_checked,
    overfitting,
    overlap,
    random_model,
    reversed_labels,
    reversed_scores,
    scale,
    shared_scores,
    shortcut,
    source_changed,
    suspicious_masks,
    test_reused,
    threshold_optimism,
    threshold_trade_off,
    too_few_images,
    torn_groups,
    tracks_complexity,
    undefined_metric,
    underfitting,
    unlike_parts,
    unreadable_files,
)
from residua.findings import collapsed_reconstruction as collapsed
from residua.findings import constant_images as constant
from residua.findings import different_test_images as different_images
from residua.findings import most_confused as confusion
from residua.findings import not_better_than_baseline as baseline
from residua.findings import not_better_than_chance as chance
from residua.findings import permuted_classes as permuted
from residua.findings import unknown_code_size as code_size
from residua.findings import unlabelled_images as unlabelled
from residua.findings import unlike_calibration as unlike
from residua.records import Finding


@dataclass(frozen=True)
class FindingKind:
    """A stable code, what it says in a line, and the function that makes the finding (or None)."""

    code: str
    title: str
    find: Callable[..., Finding | None]


FINDINGS: tuple[FindingKind, ...] = (
    FindingKind(
        undefined_metric.CODE,
        "a metric that the data cannot define",
        undefined_metric.find_undefined_metric,
    ),
    FindingKind(
        too_few_images.CODE,
        "too few images to show what is claimed",
        too_few_images.find_too_few_images,
    ),
    FindingKind(
        broken_promise.CODE,
        "a test rate contradicts the threshold's promise",
        broken_promise.find_broken_promise,
    ),
    FindingKind(
        threshold_optimism.CODE,
        "a threshold tested where it was tuned",
        threshold_optimism.find_threshold_optimism,
    ),
    FindingKind(
        threshold_trade_off.CODE,
        "what other thresholds would do",
        threshold_trade_off.find_threshold_trade_off,
    ),
    FindingKind(
        meaningless_metric.CODE,
        "accuracy of what does not classify",
        meaningless_metric.find_meaningless_accuracy,
    ),
    FindingKind(
        inflated_accuracy.CODE,
        "accuracy inflated by labels that are not set",
        inflated_accuracy.find_inflated_accuracy,
    ),
    FindingKind(
        majority_class.CODE, "accuracy of the commonest class", majority_class.find_majority_class
    ),
    FindingKind(
        overfitting.CODE,
        "training images reconstructed better than new ones",
        overfitting.find_overfitting,
    ),
    FindingKind(overlap.CODE, "gap or overlap of the two kinds of scores", overlap.find_overlap),
    FindingKind(
        baseline.CODE, "something simpler is as good", baseline.find_not_better_than_baseline
    ),
    FindingKind(
        chance.CODE, "ranking like chance, or backwards", chance.find_not_better_than_chance
    ),
    FindingKind(
        reversed_labels.CODE,
        "anomalies that score like known normal images",
        reversed_labels.find_reversed_labels,
    ),
    FindingKind(
        reversed_scores.CODE,
        "scores that say that they run the other way",
        reversed_scores.find_reversed_scores,
    ),
    FindingKind(hard_scores.CODE, "decisions given as scores", hard_scores.find_hard_scores),
    FindingKind(
        high_prevalence.CODE,
        "far more anomalous images than normal ones",
        high_prevalence.find_high_prevalence,
    ),
    FindingKind(scale.CODE, "pixels on different scales", scale.find_scale),
    FindingKind(
        clipped_values.CODE, "values beyond black and white", clipped_values.find_clipped_values
    ),
    FindingKind(
        loss_history.CODE,
        "losses of epochs given as scores of images",
        loss_history.find_loss_history,
    ),
    FindingKind(
        mispaired.CODE, "pictures that fit only once a mistake is undone", mispaired.find_mispaired
    ),
    FindingKind(
        collapsed.CODE,
        "the same reconstruction whatever the image",
        collapsed.find_collapsed_reconstruction,
    ),
    FindingKind(
        shared_scores.CODE,
        "scores that training and test images share",
        shared_scores.find_shared_scores,
    ),
    FindingKind(confusion.CODE, "which class is taken for which", confusion.find_most_confused),
    FindingKind(
        permuted.CODE, "classes in another order than their columns", permuted.find_permuted_classes
    ),
    FindingKind(leakage.CODE, "training images among the judged ones", leakage.find_leakage),
    FindingKind(torn_groups.CODE, "groups on both sides of a split", torn_groups.find_torn_groups),
    FindingKind(
        source_changed.CODE,
        "a source that is no longer the same",
        source_changed.find_source_changed,
    ),
    FindingKind(
        different_images.CODE,
        "runs tested on different images",
        different_images.find_different_images,
    ),
    FindingKind(unlabelled.CODE, "images without a label", unlabelled.find_unlabelled),
    FindingKind(
        unlike.CODE,
        "an image unlike those the threshold was chosen on",
        unlike.find_unlike_calibration,
    ),
    FindingKind(duplicates.CODE, "copies within one part", duplicates.find_duplicates),
    FindingKind(constant.CODE, "images that show nothing", constant.find_constant_images),
    FindingKind(
        unreadable_files.CODE,
        "files that could not be used",
        unreadable_files.find_unreadable_files,
    ),
    FindingKind(
        empty_masks.CODE, "masks of defects that mark nothing", empty_masks.find_empty_masks
    ),
    FindingKind(
        suspicious_masks.CODE,
        "masks that lie where nothing is",
        suspicious_masks.find_suspicious_masks,
    ),
    FindingKind(
        mixed_scale.CODE, "pixels of one source on different scales", mixed_scale.find_mixed_scale
    ),
    FindingKind(mixed_sizes.CODE, "images of different sizes", mixed_sizes.find_mixed_sizes),
    FindingKind(
        class_balance.CODE,
        "classes that are rare, or that a part lacks",
        class_balance.find_class_balance,
    ),
    FindingKind(shortcut.CODE, "one number an image tells the label", shortcut.find_shortcut),
    FindingKind(
        unlike_parts.CODE, "parts from different distributions", unlike_parts.find_unlike_parts
    ),
    FindingKind(drift.CODE, "scores unlike those the threshold was chosen on", drift.find_drift),
    FindingKind(
        test_reused.CODE, "images on which the threshold was chosen", test_reused.find_test_reused
    ),
    FindingKind(
        blind_spots.CODE, "changes that the operating point overlooks", blind_spots.find_blind_spots
    ),
    FindingKind(
        underfitting.CODE, "worse than something far simpler", underfitting.find_underfitting
    ),
    FindingKind(
        dead_latent.CODE, "numbers of the code that never change", dead_latent.find_dead_latent
    ),
    FindingKind(
        learnt_identity.CODE,
        "anomalies reconstructed as well as normal images",
        learnt_identity.find_learnt_identity,
    ),
    FindingKind(
        tracks_complexity.CODE,
        "a score that follows how busy an image is",
        tracks_complexity.find_tracks_complexity,
    ),
    FindingKind(not_checked.CODE, "a check that could not be made", not_checked.find_not_checked),
    FindingKind(
        misread_scale.CODE,
        "a model that was given or read on another scale",
        misread_scale.find_misread_scale,
    ),
    FindingKind(
        random_model.CODE,
        "a model that gives something else each time",
        random_model.find_random_model,
    ),
    FindingKind(
        code_size.CODE,
        "PCA of several sizes, where the code's is not known",
        code_size.find_unknown_code_size,
    ),
)
