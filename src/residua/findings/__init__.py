"""Findings: what the judge noticed, what it means and what to do. One file each, one line in the
registry.
"""

from residua.findings.blind_spots import find_blind_spots
from residua.findings.broken_promise import find_broken_promise
from residua.findings.class_balance import find_class_balance
from residua.findings.clipped_values import find_clipped_values
from residua.findings.collapsed_reconstruction import find_collapsed_reconstruction
from residua.findings.constant_images import find_constant_images
from residua.findings.dead_latent import find_dead_latent
from residua.findings.different_test_images import find_different_images
from residua.findings.drift import find_drift
from residua.findings.duplicates import find_duplicates
from residua.findings.empty_masks import find_empty_masks
from residua.findings.hard_scores import find_hard_probabilities, find_hard_scores
from residua.findings.high_prevalence import find_high_prevalence
from residua.findings.inflated_accuracy import find_inflated_accuracy
from residua.findings.leakage import find_leakage
from residua.findings.learnt_identity import find_learnt_identity
from residua.findings.loss_history import find_loss_history
from residua.findings.majority_class import find_majority_class
from residua.findings.meaningless_metric import find_meaningless_accuracy
from residua.findings.mispaired import find_mispaired
from residua.findings.misread_scale import find_misread_scale
from residua.findings.mixed_scale import find_mixed_scale
from residua.findings.mixed_sizes import find_mixed_sizes
from residua.findings.most_confused import find_most_confused
from residua.findings.not_better_than_baseline import find_not_better_than_baseline
from residua.findings.not_better_than_chance import find_not_better_than_chance
from residua.findings.not_checked import Checks, find_not_checked
from residua.findings.overfitting import find_overfitting
from residua.findings.overlap import find_overlap
from residua.findings.permuted_classes import find_permuted_classes
from residua.findings.random_model import find_random_model
from residua.findings.registry import FINDINGS, FindingKind
from residua.findings.reversed_labels import find_reversed_labels
from residua.findings.reversed_scores import find_reversed_scores
from residua.findings.scale import find_scale
from residua.findings.shared_scores import find_shared_scores
from residua.findings.shortcut import find_shortcut
from residua.findings.source_changed import find_source_changed
from residua.findings.suspicious_masks import find_suspicious_masks
from residua.findings.test_reused import find_test_reused
from residua.findings.threshold_optimism import find_threshold_optimism
from residua.findings.threshold_trade_off import find_threshold_trade_off
from residua.findings.too_few_images import find_too_few_images
from residua.findings.torn_groups import find_torn_groups
from residua.findings.tracks_complexity import find_tracks_complexity
from residua.findings.undefined_metric import find_undefined_metric
from residua.findings.underfitting import find_underfitting
from residua.findings.unknown_code_size import find_unknown_code_size
from residua.findings.unlabelled_images import find_unlabelled
from residua.findings.unlike_calibration import find_unlike_calibration
from residua.findings.unlike_parts import find_unlike_parts
from residua.findings.unreadable_files import find_unreadable_files

__all__ = [
    "FINDINGS",
    "Checks",
    "FindingKind",
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
