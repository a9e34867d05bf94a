"""Frozen records that the judging wing hands out: estimates, operating points, findings, evaluations.

Their JSON form (``model_dump(mode="json")``) is the public object that ``--json`` writes.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["ok", "note", "warning", "error"]
Job = Literal["reconstruct", "detect", "classify"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(_Record):
    """A number with its confidence interval.

    ``value`` is None where the data cannot define it (one class only, an infinite mean): a finding says why.
    ``low`` and ``high`` are None where no interval can be given. ``n`` is the number of images (or pixels, or
    calibration scores: whatever the interval was computed over) behind the number.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    n: int = 0


class OperatingPoint(_Record):
    """A threshold, the rates it was chosen for on the calibration set, and the words of how.

    Anomalous means ``score > threshold``, strictly.
    """

    threshold: float
    policy: str
    how: str
    rates: dict[str, Estimate] = Field(default_factory=dict)


class Finding(_Record):
    """Something the judge noticed. ``code`` is stable and documented; ``measured`` holds numbers only a reader can check."""

    code: str
    severity: Severity
    measured: dict[str, Any] = Field(default_factory=dict)
    meaning: str
    what_to_do: str


class Evaluation(_Record):
    """What is known of one model on one part of the data; the object that ``evaluate --json`` writes."""

    job: Job
    n_images: int
    split: str
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    operating_point: OperatingPoint | None = None
    baselines: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)
