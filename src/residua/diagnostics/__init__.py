"""Findings: what the judge noticed, what it means and what to do. One file each, one line in the registry."""

from residua.diagnostics.baseline import find_not_better_than_baseline
from residua.diagnostics.blind_spots import find_blind_spots
from residua.diagnostics.broken_promise import find_broken_promise
from residua.diagnostics.chance import find_not_better_than_chance
from residua.diagnostics.class_balance import find_class_balance
from residua.diagnostics.clipped_values import find_clipped_values
from residua.diagnostics.code_size import find_unknown_code_size
from residua.diagnostics.collapsed import find_collapsed_reconstruction
from residua.diagnostics.confusion import find_most_confused
from residua.diagnostics.constant import find_constant_images
from residua.diagnostics.dead_latent import find_dead_latent
from residua.diagnostics.different_images import find_different_images
from residua.diagnostics.drift import find_drift
from residua.diagnostics.duplicates import find_duplicates
from residua.diagnostics.empty_masks import find_empty_masks
from residua.diagnostics.hard_scores import find_hard_probabilities, find_hard_scores
from residua.diagnostics.high_prevalence import find_high_prevalence
from residua.diagnostics.inflated_accuracy import find_inflated_accuracy
from residua.diagnostics.leakage import find_leakage
from residua.diagnostics.learnt_identity import find_learnt_identity
from residua.diagnostics.loss_history import find_loss_history
from residua.diagnostics.majority_class import find_majority_class
from residua.diagnostics.meaningless_metric import find_meaningless_accuracy
from residua.diagnostics.mispaired import find_mispaired
from residua.diagnostics.misread_scale import find_misread_scale
from residua.diagnostics.mixed_scale import find_mixed_scale
from residua.diagnostics.mixed_sizes import find_mixed_sizes
from residua.diagnostics.not_checked import Checks, find_not_checked
from residua.diagnostics.overfitting import find_overfitting
from residua.diagnostics.overlap import find_overlap
from residua.diagnostics.permuted import find_permuted_classes
from residua.diagnostics.random_model import find_random_model
from residua.diagnostics.registry import DIAGNOSTICS, Diagnostic
from residua.diagnostics.reversed_labels import find_reversed_labels
from residua.diagnostics.reversed_scores import find_reversed_scores
from residua.diagnostics.scale import find_scale
from residua.diagnostics.shared_scores import find_shared_scores
from residua.diagnostics.shortcut import find_shortcut
from residua.diagnostics.source_changed import find_source_changed
from residua.diagnostics.suspicious_masks import find_suspicious_masks
from residua.diagnostics.test_reused import find_test_reused
from residua.diagnostics.threshold_optimism import find_threshold_optimism
from residua.diagnostics.threshold_trade_off import find_threshold_trade_off
from residua.diagnostics.too_few_images import find_too_few_images
from residua.diagnostics.torn_groups import find_torn_groups
from residua.diagnostics.tracks_complexity import find_tracks_complexity
from residua.diagnostics.undefined_metric import find_undefined_metric
from residua.diagnostics.underfitting import find_underfitting
from residua.diagnostics.unlabelled import find_unlabelled
from residua.diagnostics.unlike import find_unlike_calibration
from residua.diagnostics.unlike_parts import find_unlike_parts
from residua.diagnostics.unreadable_files import find_unreadable_files

__all__ = [
    "DIAGNOSTICS",
    "Checks",
    "Diagnostic",
    "find_blind_spots",
    "find_broken_promise",
    "find_class_balance",
    "find_clipped_values",
    "find_collapsed_reconstruction",
    "find_constant_images",
    "find_dead_latent",
    "find_different_images",
    "find_drift",
    "find_duplicates",
    "find_empty_masks",
    "find_hard_probabilities",
    "find_hard_scores",
    "find_high_prevalence",
    "find_inflated_accuracy",
    "find_leakage",
    "find_learnt_identity",
    "find_loss_history",
    "find_majority_class",
    "find_meaningless_accuracy",
    "find_mispaired",
    "find_misread_scale",
    "find_mixed_scale",
    "find_mixed_sizes",
    "find_most_confused",
    "find_not_better_than_baseline",
    "find_not_better_than_chance",
    "find_not_checked",
    "find_overfitting",
    "find_overlap",
    "find_permuted_classes",
    "find_random_model",
    "find_reversed_labels",
    "find_reversed_scores",
    "find_scale",
    "find_shared_scores",
    "find_shortcut",
    "find_source_changed",
    "find_suspicious_masks",
    "find_test_reused",
    "find_threshold_optimism",
    "find_threshold_trade_off",
    "find_too_few_images",
    "find_torn_groups",
    "find_tracks_complexity",
    "find_undefined_metric",
    "find_underfitting",
    "find_unknown_code_size",
    "find_unlabelled",
    "find_unlike_calibration",
    "find_unlike_parts",
    "find_unreadable_files",
]
