"""What a reported metric declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from residua.metrics.samples import Floats, ImageErrors, Sample
from residua.records import Estimate, Job

Kind = Literal["share", "error", "decibel", "count", "plain"]
Estimator = Callable[[Any], Estimate | None]
"""From a sample to the metric; None where the sample cannot have it."""


@dataclass(frozen=True)
class PerImage:
    """A metric of one reconstruction, whose mean is reported.

    ``least`` and ``most`` are the ends of what the mean can be, at which the interval ends too.
    ``needs_height`` is True for metrics of neighbouring pixels: flat images have none.
    """

    metric: Callable[..., Floats]
    least: float = 0
    most: float = 1
    needs_height: bool = False


@dataclass(frozen=True)
class ReportedMetric:
    """One metric.

    Attributes
    ----------
    label : str
        What people call it.
    higher_is_better : bool
    kind : {"share", "error", "decibel", "count", "plain"}
        How it is written.
    meaning : str
        A few words below it.
    page : str
        Its page in ``docs/metrics``.
    estimates : mapping of sample to callable
        How it is computed from each kind of sample. Empty for what other commands measure.
    per_image : PerImage, optional
        For a metric of reconstructions.
    meanings : mapping of job to str
        Other words where the metric means something else in a job.
    is_by_kind : bool
        Whether a detector's record has it of each kind of anomaly too: ``recall[scratch]``.
    """

    name: str
    label: str
    higher_is_better: bool
    kind: Kind
    meaning: str
    page: str
    estimates: Mapping[type[Sample], Estimator] = field(default_factory=dict)
    per_image: PerImage | None = None
    meanings: Mapping[Job, str] = field(default_factory=dict)
    is_by_kind: bool = False

    def estimate(self, sample: Sample) -> Estimate | None:
        """The metric of `sample`; None where it is not computed from such a sample."""
        if type(sample) in self.estimates:
            return self.estimates[type(sample)](sample)
        each = self.per_image
        if each is None or not isinstance(sample, ImageErrors) or self.name not in sample.columns:
            return None
        return sample.mean(sample.columns[self.name], least=each.least, most=each.most)
