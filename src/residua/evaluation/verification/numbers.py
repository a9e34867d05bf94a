"""Figures side by side: what a report says and what its own data gives."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from residua.evaluation import Evidence
from residua.evaluation.compression import compression_facts
from residua.evaluation.per_day import PER_DAY, counted_again
from residua.evaluation.products import PRODUCTS, mean_area
from residua.evaluation.report import words
from residua.evaluation.report.payload import curves, histogram
from residua.evaluation.verdict import verdict_of
from residua.evaluation.verification.payload import JobPayload
from residua.evaluation.verification.recomputation import not_carried
from residua.metrics.names import baseline_title, metric_words
from residua.records import SCHEMA_VERSION, Estimate, Evaluation, Finding, Standing
from residua.thresholds.products import mean_level

Agreement = Literal["same", "differs", "not carried"]
_ROUNDING = 1e-9


@dataclass(frozen=True)
class VerifiedNumber:
    """One figure: where it stands, what the report says, what its data gives, and whether they
    agree.

    ``not carried`` means that it takes more than the report carries: images, masks, or scores of
    another source.
    """

    job: str
    name: str
    in_report: str
    recomputed: str
    verdict: Agreement


def figures(
    job: str, carried: JobPayload, evidence: Evidence, again: Evaluation | None
) -> Iterator[VerifiedNumber]:
    """Every number of the record, its drawings included, beside the same number made again."""
    record = carried.record
    if again is None:
        yield VerifiedNumber(
            job, "all of it", f"{len(record.metrics)} metrics", "no arrays", "not carried"
        )
        return
    yield _plain(job, "images", record.n_images, len(carried.table.paths))
    beside = _Beside(job, record.schema_version < SCHEMA_VERSION)
    yield from beside.metrics("", record.metrics, again.metrics, not_carried(record, again))
    for name, values in record.baselines.items():
        if name in again.baselines:
            yield from beside.metrics(
                f"{baseline_title(name)}: ", values, again.baselines[name], set()
            )
        else:
            yield VerifiedNumber(
                job, baseline_title(name), f"{len(values)} metrics", "no scores", "not carried"
            )
    yield from beside.standings(record, again)
    yield from _compression(job, record)
    yield from _operating_point(beside, carried, evidence, again)
    yield from _products(job, record, again)
    if (told := record.provenance.get(PER_DAY)) is not None:
        yield _plain(job, "parts a day", told, counted_again(told, again.metrics))
    yield from beside.findings(record.findings, again.findings)
    yield from _verdict(job, record, again)
    yield _drawing(
        job,
        "histogram",
        None if carried.histogram is None else carried.histogram.model_dump(),
        histogram(record, evidence),
    )
    yield _drawing(job, "curves", carried.curves, curves(evidence))


@dataclass(frozen=True)
class _Beside:
    """Estimates of a job side by side; `is_earlier` where the record is of an earlier version,
    whose intervals and findings came from other methods.
    """

    job: str
    is_earlier: bool

    def metrics(
        self, prefix: str, said: dict[str, Estimate], made: dict[str, Estimate], missing: set[str]
    ) -> Iterator[VerifiedNumber]:
        """Each estimate of `said`; those `missing` take more than the report carries."""
        for name, estimate in said.items():
            title, text = f"{prefix}{metric_words(name).label}", words.interval(name, estimate)
            if name in missing:
                yield VerifiedNumber(self.job, title, text, "needs the error maps", "not carried")
            elif name not in made:
                yield VerifiedNumber(self.job, title, text, "not defined by these data", "differs")
            else:
                yield self._compared(title, name, estimate, made[name])

    def _compared(self, title: str, name: str, said: Estimate, made: Estimate) -> VerifiedNumber:
        texts = words.interval(name, said), words.interval(name, made)
        is_same = alike(said.model_dump(), made.model_dump())
        if not is_same and self.is_earlier and alike((said.value, said.n), (made.value, made.n)):
            again = f"{texts[1]} by the methods of today"
            ends = alike((said.low, said.high), (made.low, made.high))
            verdict: Agreement = "same" if ends else "not carried"
            return VerifiedNumber(self.job, title, texts[0], again, verdict)
        if not is_same and texts[0] == texts[1]:  # too small a difference for the usual digits
            texts = _digits(said), _digits(made)
        return VerifiedNumber(self.job, title, *texts, "same" if is_same else "differs")

    def standings(self, record: Evaluation, again: Evaluation) -> Iterator[VerifiedNumber]:
        """How each baseline stands to the model; one that is missing in the report is a
        difference, unless the report is of an earlier version.
        """
        for name in dict.fromkeys((*record.baselines, *record.standings)):
            said, made = record.standings.get(name), again.standings.get(name)
            if said is None and (made is None or self.is_earlier):
                continue
            title = f"{baseline_title(name)} beside the model"
            if made is None and name not in again.baselines:
                texts = _standing_words(said), "no values an image"
                yield VerifiedNumber(self.job, title, *texts, "not carried")
                continue
            is_same = alike(*(None if one is None else one.model_dump() for one in (said, made)))
            texts = _standing_words(said), _standing_words(made)
            yield VerifiedNumber(self.job, title, *texts, "same" if is_same else "differs")

    def findings(
        self, findings: tuple[Finding, ...], again: tuple[Finding, ...]
    ) -> Iterator[VerifiedNumber]:
        """Findings by code; those that look at images are not made again, and one that is missing
        in the report is a difference.
        """
        said, made = _by_code(findings), _by_code(again)
        for code, finding in said.items():
            name = f"finding {code}"
            if code not in made:
                severity, what = finding.severity, "takes more than arrays"
                yield VerifiedNumber(self.job, name, severity, what, "not carried")
                continue
            other = made[code]
            if alike(finding.model_dump(mode="json"), other.model_dump(mode="json")):
                yield VerifiedNumber(self.job, name, finding.severity, other.severity, "same")
            else:
                yield self._unlike(name, *_unlike(finding, other))
        for code in made.keys() - said.keys():
            yield self._unlike(f"finding {code}", "absent", made[code].severity)

    def _unlike(self, name: str, said: str, made: str) -> VerifiedNumber:
        if self.is_earlier:
            again = f"{made} by the methods of today"
            return VerifiedNumber(self.job, name, said, again, "not carried")
        return VerifiedNumber(self.job, name, said, made, "differs")


def _standing_words(standing: Standing | None) -> str:
    if standing is None:
        return "not compared in pairs"
    difference = words.difference_cell(standing, standing.metric)
    return f"{words.standing_words(standing)}: model minus baseline {difference}"


def _verdict(job: str, record: Evaluation, again: Evaluation) -> Iterator[VerifiedNumber]:
    """The verdict beside the one that follows from what was made again; findings that take more
    than arrays are taken as they stand. Records of an earlier version have none.
    """
    if record.schema_version < SCHEMA_VERSION and record.verdict is None:
        return
    made = _by_code(again.findings)
    said = _by_code(record.findings)
    findings = [made.get(one.code, one) for one in record.findings]
    findings += [one for one in again.findings if one.code not in said]
    found = verdict_of(
        record.model_copy(
            update={
                "metrics": {**record.metrics, **again.metrics},
                "baselines": {**record.baselines, **again.baselines},
                "standings": {**record.standings, **again.standings},
                "findings": tuple(findings),
            }
        )
    )
    is_same = record.verdict == found
    texts = ["absent" if one is None else one.word for one in (record.verdict, found)]
    if not is_same and record.verdict is not None and texts[0] == texts[1]:
        texts = [" ".join(one.because) for one in (record.verdict, found)]
    yield VerifiedNumber(job, "verdict", texts[0], texts[1], "same" if is_same else "differs")


def _digits(estimate: Estimate) -> str:
    return f"{estimate.value!r} [{estimate.low!r}, {estimate.high!r}], n = {estimate.n}"


def _plain(job: str, name: str, said: Any, made: Any) -> VerifiedNumber:
    return VerifiedNumber(
        job,
        name,
        words.value_words(said),
        words.value_words(made),
        "same" if alike(said, made) else "differs",
    )


def _operating_point(
    beside: _Beside, carried: JobPayload, evidence: Evidence, again: Evaluation
) -> Iterator[VerifiedNumber]:
    job, said, made = beside.job, carried.record.operating_point, again.operating_point
    if said is None:
        return
    title = f"threshold by {said.policy}"
    yield _plain(job, "threshold on the slider", said.threshold, carried.threshold)
    if evidence.threshold_from == "elsewhere":
        yield VerifiedNumber(
            job, title, words.value_words(said.threshold), "needs the other source", "not carried"
        )
    elif made is None:
        yield VerifiedNumber(
            job, title, words.value_words(said.threshold), "refused on these scores", "differs"
        )
    else:
        yield _plain(job, title, said.threshold, made.threshold)
        yield from beside.metrics("on calibration: ", said.rates, made.rates, set())


def _products(job: str, record: Evaluation, again: Evaluation) -> Iterator[VerifiedNumber]:
    """What the figures of products come to, beside those of all images; which image shows which
    product is not carried.
    """
    told, point = record.provenance.get(PRODUCTS), record.operating_point
    if told is None or point is None:
        return
    try:
        each = list(told["each"].values())
        levels = [one["threshold"] for one in each if one["threshold"] is not None]
        yield _plain(job, "mean threshold of products", point.threshold, mean_level(levels))
        areas = [one["metrics"]["roc_auc"] for one in each if "roc_auc" in one["metrics"]]
        said, mean = told["mean_roc_auc"], mean_area(areas)
        texts = [words.value_words(None if one is None else one["value"]) for one in (said, mean)]
        title = "mean ROC AUC of products"
        verdict: Agreement = "same" if alike(said, mean) else "differs"
        yield VerifiedNumber(job, title, texts[0], texts[1], verdict)
        for name, n in (("recall", "n_anomalous"), ("false_alarm_rate", "n_normal")):
            if (whole := again.metrics.get(name)) is not None and whole.value is not None:
                title = f"{metric_words(name).label}, over products"
                parts = [(one["metrics"].get(name), one[n]) for one in each]
                share = sum(rate["value"] * k for rate, k in parts if rate) / whole.n
                yield _plain(job, title, share, whole.value)
        what = "needs the product of each image"
        yield VerifiedNumber(job, "each product", f"{len(each)} products", what, "not carried")
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        yield VerifiedNumber(job, "products", "what is told of them", repr(error), "differs")


def _compression(job: str, record: Evaluation) -> Iterator[VerifiedNumber]:
    """How much smaller the code is, from the sizes of image and code."""
    said = record.provenance.get("compression")
    if not isinstance(said, dict):
        return
    try:
        made = compression_facts(
            record.provenance["image_size"],
            said["code"],
            bits_a_value=said["bits_a_value"],
            reason=said["reason"] or "",
        )
    except (KeyError, TypeError, ValueError):
        made = {}
    told, again = (words.value_words(one.get("ratio")) for one in (said, made))
    same = alike(said, made)
    yield VerifiedNumber(job, "compression", told, again, "same" if same else "differs")


def _by_code(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {finding.code: finding for finding in reversed(findings)}


def _unlike(said: Finding, made: Finding) -> tuple[str, str]:
    """The first part in which two findings differ."""
    left, right = ({**one.measured, **one.model_dump(exclude={"measured"})} for one in (said, made))
    name = next(name for name in [*left, *right] if not alike(left.get(name), right.get(name)))
    return tuple(f"{name}: {words.value_words(one.get(name))}" for one in (left, right))  # type: ignore[return-value]


def _drawing(job: str, name: str, said: Any, made: Any) -> VerifiedNumber:
    texts = (_described(said), _described(made))
    return VerifiedNumber(job, name, *texts, "same" if alike(said, made) else "differs")


def _described(drawing: dict[str, Any] | None) -> str:
    if drawing is None:
        return "none"
    if "counts" in drawing:
        return (
            f"{sum(sum(counts) for counts in drawing['counts'].values()):,} values in"
            f" {len(drawing['edges']) - 1} bins"
        )
    return ", ".join(
        f"{name}: {len(part)} points" for name, part in drawing.items() if isinstance(part, list)
    )


def alike(one: Any, two: Any) -> bool:
    """Whether two values of JSON are the same, numbers up to rounding (a billionth of the larger).

    >>> alike({"a": [1.0, None]}, {"a": (1.0 + 1e-12, None)}), alike(0.912, 0.913), alike(None, 0)
    (True, False, False)
    """
    if isinstance(one, bool) or isinstance(two, bool) or one is None or two is None:
        return bool(one is two)
    if isinstance(one, int | float | np.number) and isinstance(two, int | float | np.number):
        return math.isclose(float(one), float(two), rel_tol=_ROUNDING, abs_tol=1e-12)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(alike(one[name], two[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(
            alike(left, right) for left, right in zip(one, two, strict=True)
        )
    return bool(one == two)
