"""Frozen records: estimates, operating points, findings, evaluations.

The judging wing hands them out.

Their JSON form (``model_dump(mode="json")``) is the public object that ``--json`` writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from residua._shown import Drawn, Shown, room
from residua.errors import InputError

Severity = Literal["ok", "note", "warning", "error"]
Job = Literal["reconstruct", "detect", "classify"]
SCHEMA_VERSION = 3
"""Of `Evaluation`: 2 since estimates know groups, 3 since records hold a verdict and compare their
baselines in pairs. Files without a version are of version 1.
"""
_ABOUT_GROUPS = ("n_groups", "n_effective", "caveat")
_ABOUT_PROMISE = ("promise", "prevalence", "contamination")


def _told(fields: dict[str, Any], optional: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: value for name, value in fields.items() if value is not None or name not in optional
    }


class Record(BaseModel):
    """A frozen record of finite numbers that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


class Estimate(Shown, Record):
    """A number with its confidence interval.

    ``value`` is None where the data cannot define it (one class only, an infinite mean): a finding
    says why. ``low`` and ``high`` are None where no interval can be given. ``n`` is the number of
    images (or pixels, or calibration scores: whatever the interval was computed over) behind the
    number. Where images were sampled in groups, ``n_groups`` is the number of groups, and
    ``n_effective`` as many independent images as the `n` are worth for this number. ``caveat`` says
    in a sentence why the interval may not hold, or why there is none. JSON leaves these three out
    where they are None.

    Formatted, it is the value with its interval; ``float`` gives the value, and raises `InputError`
    (a ``ValueError``) where it is not defined.

    Examples
    --------
    >>> area = Estimate(value=0.875, low=0.4523, high=0.998)
    >>> f"{area:.2f}", f"{area:.1%}", float(area)
    ('0.88 [0.45, 1.00]', '87.5% [45.2%, 99.8%]', 0.875)
    >>> print(area, Estimate(value=None))
    0.875 [0.452, 0.998] not defined
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    n: int = 0
    n_groups: int | None = None
    n_effective: float | None = None
    caveat: str | None = None

    def __float__(self) -> float:
        if self.value is None:
            raise InputError(
                "Estimate: what becomes a float must be defined. Got an estimate without a value,"
                " which these data cannot define; a finding says why. Ask for .value, which is"
                " None then."
            )
        return self.value

    def __format__(self, spec: str) -> str:
        if self.value is None:
            return "not defined"
        value, *ends = (
            format(end, spec) if spec else _three_digits(end)
            for end in (self.value, self.low, self.high)
            if end is not None
        )
        return f"{value} [{', '.join(ends)}]" if len(ends) == 2 else value

    def __str__(self) -> str:
        return format(self, "")

    @model_serializer(mode="wrap")
    def _without_unknown(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _told(write(self), _ABOUT_GROUPS)


class OperatingPoint(Shown, Record):
    """A threshold, the rates it was chosen for on the calibration set, and the words of how.

    Anomalous means ``score > threshold``, strictly. ``promise`` says what the policy's rate is
    promised for: ``new groups`` of images, ``known groups`` (those of the calibration set),
    ``images`` like those of the calibration set, or ``none``, where it is an estimate. None leaves
    it to the policy. ``prevalence`` is the share of anomalies that was assumed, and
    ``contamination`` the share of calibration images that was allowed to be hidden anomalies. JSON
    leaves these three out where they are None.
    """

    threshold: float
    policy: str
    how: str
    rates: dict[str, Estimate] = Field(default_factory=dict)
    promise: str | None = None
    prevalence: float | None = None
    contamination: float | None = None

    @model_serializer(mode="wrap")
    def _without_unknown(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _told(write(self), _ABOUT_PROMISE)


class Finding(Shown, Record):
    """Something the judge noticed.

    ``code`` is stable and documented; ``measured`` holds numbers only a reader can check.
    """

    code: str
    severity: Severity
    measured: dict[str, Any] = Field(default_factory=dict)
    meaning: str
    what_to_do: str


class Standing(Record):
    """How a baseline stands to the model on the same images.

    ``difference`` is the model's value of ``metric`` minus the baseline's, with its paired
    interval. ``baseline`` is ``better`` or ``worse`` where that interval excludes 0.
    ``is_backwards`` tells a baseline that separates with its scores turned around; its difference
    is that of the turned scores.
    """

    metric: str
    difference: Estimate
    baseline: Literal["better", "worse", "no difference shown"]
    is_backwards: bool = False


class Verdict(Record):
    """What a record comes to, in one word and its reasons.

    ``usable`` for this job, ``not shown`` to be so, or ``useless`` for it. The page
    ``docs/verdict.md`` has the rule.
    """

    word: Literal["usable", "not shown", "useless"]
    because: tuple[str, ...] = ()


class NotApplicable(Record):
    """A question that a model cannot answer, and why: a file has no training history."""

    what: str
    reason: str


class Assumption(Record):
    """Something about the data that residua read off it because nobody told it.

    A report of a number names every assumption behind it. What the user told is no assumption.

    Attributes
    ----------
    about : str
        What was open: ``scale of the images``, ``positive class``, ``order of the columns``,
        ``masks``, ``bits``.
    taken : str
        What was taken: ``0-255``, ``crack``.
    because : str
        What in the data says so, as a sentence without its subject: ``whole numbers from 0 to
        255``.
    to_tell : str
        How to tell it instead: an option, a parameter, or another layout of the source.
    """

    about: str
    taken: str
    because: str
    to_tell: str

    @property
    def sentence(self) -> str:
        """The assumption as people read it.

        Examples
        --------
        >>> Assumption(
        ...     about="scale", taken="0-255", because="whole numbers to 255", to_tell="--scale"
        ... ).sentence
        'scale: 0-255 (whole numbers to 255; to state it: --scale)'
        """
        return f"{self.about}: {self.taken} ({self.because}; to state it: {self.to_tell})"


def with_assumptions(
    provenance: Mapping[str, Any] | None, more: Iterable[Assumption]
) -> dict[str, Any]:
    """`provenance` with `more` after the assumptions that it holds already, each once.

    Examples
    --------
    >>> scale = Assumption(
    ...     about="scale", taken="0-255", because="whole numbers to 255", to_tell="--scale"
    ... )
    >>> with_assumptions({"seed": 0}, [scale, scale])["assumptions"][0]["taken"]
    '0-255'
    """
    told = dict(provenance or {})
    listed = [*told.get("assumptions", ()), *(one.model_dump(mode="json") for one in more)]
    return {
        **told,
        "assumptions": [one for row, one in enumerate(listed) if one not in listed[:row]],
    }


def assumptions_of(provenance: Mapping[str, Any]) -> tuple[Assumption, ...]:
    """The assumptions that a record's provenance holds; none in records of earlier versions."""
    return tuple(Assumption.model_validate(one) for one in provenance.get("assumptions", ()))


class _Behind:
    """The arrays behind a record, made when first asked for, and no part of its equality."""

    def __init__(self, evidence: Any = None) -> None:
        self._evidence = evidence

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Behind)

    __hash__ = None  # type: ignore[assignment]

    @property
    def evidence(self) -> Any:
        if callable(self._evidence):
            self._evidence = self._evidence()
        return self._evidence


class Evaluation(Drawn, Record):
    """What is known of one model on one part of the data.

    The object that ``evaluate --json`` writes. One that was made in this process knows the arrays
    behind it: `plot`, `show` and `to_frame` draw on them, and they live as long as the record.
    """

    job: Job
    n_images: int
    split: str
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    operating_point: OperatingPoint | None = None
    baselines: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    standings: dict[str, Standing] = Field(default_factory=dict)
    verdict: Verdict | None = None
    findings: tuple[Finding, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    _behind: _Behind = PrivateAttr(default_factory=_Behind)

    def __repr__(self) -> str:
        word = "" if self.verdict is None else f"{self.verdict.word}; "
        told = [f"{name} {one}" for name, one in self.metrics.items()]
        more = f", and {len(told) - 3} more" if len(told) > 3 else ""
        findings = f"; findings: {', '.join(one.code for one in self.findings)}"
        return (
            f"<Evaluation of {self.n_images:,} images ({self.job}, {self.split}): {word}"
            f"{', '.join(told[:3])}{more}{findings if self.findings else ''}>"
        )

    __str__ = __repr__

    @property
    def evidence(self) -> Any:
        """The `Evidence` behind the record; None for a record that was read from a file."""
        return self._behind.evidence

    def with_evidence(self, evidence: Any) -> Self:
        """The same record with the `Evidence` behind it, or with who makes it when asked.

        ``Evidence.load("RUN/evidence.npz")`` reads that of a run.
        """
        copied = self.model_copy()
        copied._behind = _Behind(evidence)
        return copied

    def show(self, *, height: int = 640, title: str = "Report") -> Any:
        """The report of this record inside a notebook, `height` pixels high.

        The page is the one that `residua.write_html` writes, with fewer pictures: about 2 MB at
        most.
        """
        return room("notebook").inline(self, height=height, title=title)

    @model_validator(mode="before")
    @classmethod
    def _of_a_file(cls, data: Any, info: ValidationInfo) -> Any:
        if info.mode == "json" and isinstance(data, dict) and "schema_version" not in data:
            return {**data, "schema_version": 1}
        return data


def now() -> str:
    """The local date and time with its distance from UTC, as records keep it.

    Examples
    --------
    >>> now()[:2], now()[16:20]
    ('20', ' UTC')
    """
    return f"{datetime.now().astimezone():%Y-%m-%d %H:%M UTC%z}".removesuffix("+0000")


def not_applicable_of(provenance: Mapping[str, Any]) -> tuple[NotApplicable, ...]:
    """What a record says its model cannot answer."""
    return tuple(NotApplicable.model_validate(one) for one in provenance.get("not_applicable", ()))
