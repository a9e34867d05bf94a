"""Findings: what is wrong, what it means and what to do about it.

Each file holds one kind of finding: the measure, the words, the severity, the figure, and the facts
that it needs. Each has one line here. The order of the lines is the order in which findings stand
in a record.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial

from residua.findings.figures import Figure
from residua.findings.kind import (
    OF_MODEL as OF_MODEL,
    FindingKind as FindingKind,
    JudgedFacts as JudgedFacts,
    told,
)
from residua.findings.not_checked import Checks as Checks
from residua.records import Finding, NotApplicable

# isort: off
from residua.findings.scale import find_scale as find_scale
from residua.findings.clipped_values import find_clipped_values as find_clipped_values
from residua.findings.collapsed_reconstruction import (
    find_collapsed_reconstruction as find_collapsed_reconstruction,
)
from residua.findings.mispaired import find_mispaired as find_mispaired
from residua.findings.undefined_metric import find_undefined_metric as find_undefined_metric
from residua.findings.too_few_images import find_too_few_images as find_too_few_images
from residua.findings.ungrouped import find_ungrouped as find_ungrouped
from residua.findings.permuted_classes import find_permuted_classes as find_permuted_classes
from residua.findings.most_confused import find_most_confused as find_most_confused
from residua.findings.not_better_than_chance import (
    find_not_better_than_chance as find_not_better_than_chance,
)
from residua.findings.useless_threshold import find_useless_threshold as find_useless_threshold
from residua.findings.hard_scores import find_hard_scores as find_hard_scores
from residua.findings.hard_scores import find_hard_probabilities as find_hard_probabilities
from residua.findings.overlap import find_overlap as find_overlap
from residua.findings.inflated_accuracy import find_inflated_accuracy as find_inflated_accuracy
from residua.findings.not_better_than_baseline import (
    find_not_better_than_baseline as find_not_better_than_baseline,
)
from residua.findings.majority_class import find_majority_class as find_majority_class
from residua.findings.underfitting import find_underfitting as find_underfitting
from residua.findings.unknown_code_size import find_unknown_code_size as find_unknown_code_size
from residua.findings.broken_promise import find_broken_promise as find_broken_promise
from residua.findings.threshold_trade_off import (
    find_threshold_trade_off as find_threshold_trade_off,
)
from residua.findings.high_prevalence import find_high_prevalence as find_high_prevalence
from residua.findings.unlabelled_images import find_unlabelled as find_unlabelled
from residua.findings.leakage import find_leakage as find_leakage
from residua.findings.overfitting import find_overfitting as find_overfitting
from residua.findings.shared_scores import find_shared_scores as find_shared_scores
from residua.findings.threshold_optimism import find_threshold_optimism as find_threshold_optimism
from residua.findings.reversed_scores import find_reversed_scores as find_reversed_scores
from residua.findings.reversed_labels import find_reversed_labels as find_reversed_labels
from residua.findings.label_noise import find_label_noise as find_label_noise
from residua.findings.label_noise import (
    find_label_noise_in_scores as find_label_noise_in_scores,
)
from residua.findings.loss_history import find_loss_history as find_loss_history
from residua.findings.hidden_anomalies import find_hidden_anomalies as find_hidden_anomalies
from residua.findings.drift import find_drift as find_drift
from residua.findings.blind_spots import find_blind_spots as find_blind_spots
from residua.findings.shortcut import find_shortcut as find_shortcut
from residua.findings.tracks_complexity import find_tracks_complexity as find_tracks_complexity
from residua.findings.learnt_identity import find_learnt_identity as find_learnt_identity
from residua.findings.duplicates import find_duplicates as find_duplicates
from residua.findings.unreadable_files import find_unreadable_files as find_unreadable_files
from residua.findings.empty_masks import find_empty_masks as find_empty_masks
from residua.findings.suspicious_masks import find_suspicious_masks as find_suspicious_masks
from residua.findings.small_defects import find_small_defects as find_small_defects
from residua.findings.test_reused import find_test_reused as find_test_reused
from residua.findings.dead_latent import find_dead_latent as find_dead_latent
from residua.findings.misread_scale import find_misread_scale as find_misread_scale
from residua.findings.random_model import find_random_model as find_random_model
from residua.findings.mixed_sizes import find_mixed_sizes as find_mixed_sizes
from residua.findings.class_balance import find_class_balance as find_class_balance
from residua.findings.torn_groups import find_torn_groups as find_torn_groups
from residua.findings.constant_images import find_constant_images as find_constant_images
from residua.findings.mixed_scale import find_mixed_scale as find_mixed_scale
from residua.findings.unlike_parts import find_unlike_parts as find_unlike_parts
from residua.findings.meaningless_metric import (
    find_meaningless_accuracy as find_meaningless_accuracy,
)
from residua.findings.source_changed import find_source_changed as find_source_changed
from residua.findings.products_not_judged import (
    find_products_not_judged as find_products_not_judged,
)
from residua.findings.different_test_images import find_different_images as find_different_images
from residua.findings.unlike_calibration import find_unlike_calibration as find_unlike_calibration
from residua.findings.not_checked import find_not_checked as find_not_checked

# isort: on

_FUNCTIONS = [one for name, one in list(globals().items()) if name.startswith("find_")]
FINDINGS: tuple[FindingKind, ...] = tuple(
    dict.fromkeys(sys.modules[one.__module__].KIND for one in _FUNCTIONS)
)
"""Every kind of finding, in the order of the lines above."""


def find_all(
    facts: JudgedFacts, kinds: Iterable[FindingKind] | None = None
) -> tuple[tuple[Finding, ...], dict[str, Figure]]:
    """Ask every kind of finding whose needs are known, and return findings and figures by code.

    A check that fails becomes a finding ``not-checked``. What residua raises on purpose is raised.

    Parameters
    ----------
    facts : JudgedFacts
    kinds : iterable of FindingKind, optional
        Ask these alone. Left out: all.

    Examples
    --------
    >>> import numpy as np
    >>> facts = JudgedFacts(job="detect", n_images=30, n_unlabelled=3)
    >>> [finding.code for finding in find_all(facts)[0]]
    ['unlabelled-images']
    """
    checks = Checks()
    found: list[Finding] = []
    figures: dict[str, Figure] = {}
    for kind in FINDINGS if kinds is None else kinds:
        silenced = bool(kind.unless) and any(one.code == kind.unless for one in found)
        if kind.ask is None or facts.job not in kind.jobs or silenced or facts.lacks(kind.needs):
            continue
        for finding, figure in told(checks.make(kind.check, partial(kind.ask, facts))):
            found.append(finding)
            if figure is not None:
                figures[finding.code] = figure
    return (*found, *facts.not_made, *checks.not_made), figures


def not_applicable(
    facts: JudgedFacts, needs: Iterable[str] | None = None
) -> tuple[NotApplicable, ...]:
    """The kinds of findings about this job that cannot be asked, each with the reason.

    - `needs`: Only those kinds that lack one of these facts, such as `OF_MODEL`. Left out: all.

    >>> facts = JudgedFacts(job="reconstruct")
    >>> next(one.reason for one in not_applicable(facts) if one.what == "dead-latent")
    'Needs a network with a latent code.'
    """
    lacking = {
        kind.code: facts.lacks(kind.needs)
        for kind in FINDINGS
        if kind.ask is not None and facts.job in kind.jobs
        if needs is None or facts.lacks([one for one in kind.needs if one in needs])
    }
    return tuple(
        NotApplicable(what=code, reason=f"Needs {' and '.join(words)}.")
        for code, words in lacking.items()
        if words
    )
