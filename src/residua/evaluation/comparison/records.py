"""What a comparison hands out; its JSON form is what ``residua compare --json`` writes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from residua.records import Estimate, Finding, Job


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Standing(_Record):
    """One model's metrics on the images that all share; ``n_own`` is how many test images it has
    itself.
    """

    name: str
    n_own: int
    metrics: dict[str, Estimate] = Field(default_factory=dict)


class PairedDifference(_Record):
    """``a - b`` in one metric on the same images.

    ``difference`` has an interval that holds together with those of all other pairs in that metric
    (Bonferroni); ``p_value`` is that of the pair alone, ``p_adjusted`` times the number of pairs.
    ``better`` names a model where a difference is shown: the interval excludes 0 and the adjusted
    p-value is below 1 minus the confidence.
    """

    metric: str
    a: str
    b: str
    difference: Estimate
    p_value: float | None = None
    p_adjusted: float | None = None
    method: str
    better: str | None = None
    sentence: str


class Comparison(_Record):
    """Models of one job on the test images they share, the first metric being the one the sentence
    is about.
    """

    job: Job
    n_images: int
    confidence: float
    n_pairs: int
    correction: str | None = None
    standings: tuple[Standing, ...]
    pairs: tuple[PairedDifference, ...]
    sentence: str
    findings: tuple[Finding, ...] = ()
