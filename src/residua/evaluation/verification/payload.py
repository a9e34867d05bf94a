"""The data of a report, checked, as an evaluation and the evidence behind it."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from residua._files import in_a_line
from residua.errors import SourceError
from residua.evaluation import Evidence
from residua.evaluation.report.kinds import UNKNOWN
from residua.evaluation.report.payload import FORMAT, FORMAT_VERSION
from residua.evaluation.report.public import Packed
from residua.records import Evaluation, Record


class _Sources(Record):
    train_scores: Packed | None
    calibration_scores: Packed | None
    calibration_is_anomalous: Packed | None
    groups: Packed | None = None
    calibration_groups: Packed | None = None
    baselines: dict[str, Packed]
    probabilities: Packed | None
    predicted: Packed | None = None
    classes: tuple[str, ...] | None
    seed: int = Field(ge=0)
    prevalence: float | None
    threshold_from: Literal["calibration", "judged", "elsewhere"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    folder: str
    paths: tuple[str, ...]
    label_names: tuple[str, ...]
    labels: tuple[int, ...] | None
    columns: dict[str, Packed]


class Histogram(Record):
    """The histogram as the page draws it."""

    quantity: str
    log: bool
    edges: tuple[float, ...]
    counts: dict[str, tuple[int, ...]]


class JobPayload(BaseModel):
    """One job of a report; what only the page's script needs is not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    record: Evaluation
    sources: _Sources
    scores: Packed | None
    truth: Packed | None
    threshold: float | None
    policy: str | None
    histogram: Histogram | None
    curves: dict[str, Any] | None
    table: _Table

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_version(cls, data: Any) -> Any:
        """Records without a version are of version 1."""
        record = data.get("record") if isinstance(data, dict) else None
        if not isinstance(record, dict) or "schema_version" in record:
            return data
        return {**data, "record": {**record, "schema_version": 1}}

    def evidence(self, key: str) -> Evidence:
        """The arrays again; `SourceError` where they contradict each other."""
        sources, n_images = self.sources, len(self.table.paths)
        truth = _array(self.truth, f"{key}: labels")
        labels = None
        if self.table.labels is not None:
            labels = np.array([self._label(key, code) for code in self.table.labels], dtype=object)
        flags = _array(sources.calibration_is_anomalous, f"{key}: calibration labels")
        evidence = Evidence(
            paths=np.array([self.table.folder + path for path in self.table.paths], dtype=object),
            scores=_array(self.scores, f"{key}: scores"),
            labels=labels,
            is_anomalous=None if truth is None else truth == 1,
            labelled=None if truth is None else truth != UNKNOWN,
            probabilities=_array(sources.probabilities, f"{key}: probabilities"),
            predicted=_places(sources.predicted, sources.classes, f"{key}: predicted classes"),
            classes=None if sources.classes is None else np.array(sources.classes, dtype=object),
            calibration_scores=_array(sources.calibration_scores, f"{key}: calibration scores"),
            calibration_is_anomalous=None if flags is None else flags == 1,
            groups=_array(sources.groups, f"{key}: groups"),
            calibration_groups=_array(sources.calibration_groups, f"{key}: calibration groups"),
            train_scores=_array(sources.train_scores, f"{key}: training scores"),
            per_image={
                name: one.unpack(f"{key}: {name}") for name, one in self.table.columns.items()
            },
            baselines={
                name: one.unpack(f"{key}: baseline {name}")
                for name, one in sources.baselines.items()
            },
            seed=sources.seed,
            prevalence=sources.prevalence,
            threshold_from=sources.threshold_from,
        )
        _check_lengths(key, evidence, n_images)
        return evidence

    def _label(self, key: str, code: int) -> str | None:
        names = self.table.label_names
        if not 0 <= code < len(names):
            raise SourceError(
                f"{key}: a label must be one of {len(names)}. Got number {code}. Write the report"
                " again."
            )
        return names[code] or None


def carried_jobs(data: dict[str, Any], where: str) -> dict[str, JobPayload]:
    """The jobs of a report's data by key; raises SourceError if residua wrote none such."""
    if data.get("format") != FORMAT or data.get("format_version") != FORMAT_VERSION:
        raise SourceError(
            f"{where}: the report must be {FORMAT}, version {FORMAT_VERSION}. Got"
            f" {data.get('format')!r}, version {data.get('format_version')!r}. Write the report"
            " again."
        )
    jobs = data.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        raise SourceError(f"{where}: the report must hold a job. Got none. Write the report again.")
    try:
        return {str(key): JobPayload.model_validate(job) for key, job in jobs.items()}
    except ValidationError as error:
        raise SourceError(
            f"{where}: the data must be what residua writes. Got: {in_a_line(error)}. Write"
            " the report again."
        ) from None


def carried_titles(data: dict[str, Any], keys: list[str], where: str) -> dict[str, str]:
    """What the jobs are called, by their key."""
    titles = data.get("titles")
    if (
        not isinstance(titles, list)
        or len(titles) != len(keys)
        or not all(isinstance(one, str) for one in titles)
    ):
        raise SourceError(
            f"{where}: the report must name each of its {len(keys)} jobs. Write the report again."
        )
    return dict(zip(keys, titles, strict=True))


def _array(packed: Packed | None, where: str) -> NDArray[Any] | None:
    return None if packed is None else packed.unpack(where)


def _places(
    packed: Packed | None, classes: tuple[str, ...] | None, where: str
) -> NDArray[np.int64] | None:
    """Numbers as places in `classes`."""
    if packed is None:
        return None
    given = packed.unpack(where)
    if given.ndim != 1 or not np.isin(given, np.arange(len(classes or ()))).all():
        raise SourceError(
            f"{where}: must be places among {len(classes or ())} classes. Got others. Write the"
            " report again."
        )
    return given.astype(np.int64)


def _check_lengths(key: str, evidence: Evidence, n_images: int) -> None:
    columns = {
        "scores": evidence.scores,
        "labels": evidence.is_anomalous,
        "classes": evidence.labels,
        "probabilities": evidence.probabilities,
        "predicted classes": evidence.predicted,
        "groups": evidence.groups,
        **evidence.per_image,
        **evidence.baselines,
    }
    for name, column in columns.items():
        if column is not None and len(column) != n_images:
            raise SourceError(
                f"{key}: {name} must have one entry per image. Got {len(column)} for {n_images}."
                " Write the report again."
            )
