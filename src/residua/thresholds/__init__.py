"""Policies that turn calibration scores into an operating point, and say how."""

from residua.thresholds.choose import choose_threshold
from residua.thresholds.conformal import PValues, conformal_p_values
from residua.thresholds.corrections import CorrectionsPlan, CorrectionsRow, plan_corrections
from residua.thresholds.optimism import Optimism, threshold_optimism
from residua.thresholds.pixels import pixel_threshold_of
from residua.thresholds.planning import DifferencePlan, Plan, PlanRow, plan, plan_difference
from residua.thresholds.policy import Policy
from residua.thresholds.rates import is_flagged, rates_at
from residua.thresholds.registry import POLICIES, batch_policy, parse_policy

__all__ = [
    "POLICIES",
    "CorrectionsPlan",
    "CorrectionsRow",
    "DifferencePlan",
    "Optimism",
    "PValues",
    "Plan",
    "PlanRow",
    "Policy",
    "batch_policy",
    "choose_threshold",
    "conformal_p_values",
    "is_flagged",
    "parse_policy",
    "pixel_threshold_of",
    "plan",
    "plan_corrections",
    "plan_difference",
    "rates_at",
    "threshold_optimism",
]
