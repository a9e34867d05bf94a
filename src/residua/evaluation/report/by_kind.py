"""The kinds of anomalies of a detector: how many, caught and missed, how well ranked, and the
smallest that was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from residua.evaluation.evidence import Evidence
from residua.evaluation.report import words
from residua.evaluation.report.markup import Html, row, scroller, table
from residua.evaluation.report.sections import panel
from residua.records import Estimate, Evaluation

_AREA = "roc_auc"


@dataclass(frozen=True)
class KindRow:
    """One kind. ``count`` is None where nothing says it; ``recall`` without a threshold."""

    name: str
    count: int | None
    roc_auc: Estimate | None
    recall: Estimate | None
    smallest: Estimate | None

    @property
    def caught(self) -> int | None:
        """How many are flagged."""
        recall = self.recall
        return None if recall is None else round((recall.value or 0.0) * recall.n)

    @property
    def missed(self) -> int | None:
        """How many are not."""
        return None if self.recall is None or self.caught is None else self.recall.n - self.caught

    def cells(self) -> list[str]:
        """Count, caught, missed, ROC AUC and the smallest found, as text."""
        counts = ["–" if n is None else f"{n:,}" for n in (self.count, self.caught, self.missed)]
        area = "–" if self.roc_auc is None else words.interval(_AREA, self.roc_auc)
        smallest = "–" if self.smallest is None else words.interval("smallest_found", self.smallest)
        return [*counts, area, smallest]


_HEADER = ("Images", "Caught", "Missed", "ROC AUC", "Smallest found, in pixels")


def header(rows: Sequence[KindRow]) -> tuple[str, ...]:
    """The titles of `KindRow.cells`; without the last where no mask is known."""
    return _HEADER if any(one.smallest is not None for one in rows) else _HEADER[:-1]


def kind_rows(evaluation: Evaluation, evidence: Evidence | None = None) -> list[KindRow]:
    """The kinds of a detector's record, the least caught first; none where all are of one kind.

    >>> metrics = {
    ...     "recall[dent]": Estimate(value=0.75, n=8),
    ...     "recall[crack]": Estimate(value=0.5, n=4),
    ... }
    >>> record = Evaluation(job="detect", n_images=12, split="test", metrics=metrics)
    >>> [(one.name, one.caught, one.missed) for one in kind_rows(record)]
    [('crack', 2, 2), ('dent', 6, 2)]
    """
    if evaluation.job != "detect":
        return []
    names = dict.fromkeys(
        name.partition("[")[2][:-1] for name in evaluation.metrics if name.endswith("]")
    )
    rows = [_row(name, evaluation, evidence) for name in names]
    return sorted(rows, key=_caught)


def _caught(row: KindRow) -> float:
    known = row.roc_auc if row.recall is None else row.recall
    return 1.0 if known is None or known.value is None else known.value


def _row(name: str, evaluation: Evaluation, evidence: Evidence | None) -> KindRow:
    area, recall, smallest = (
        evaluation.metrics.get(f"{metric}[{name}]")
        for metric in ("roc_auc", "recall", "smallest_found")
    )
    n = None if recall is None else recall.n
    if n is None and evidence is not None and evidence.labels is not None:
        n = int((np.asarray(evidence.labels, object).astype(str) == name).sum())
    return KindRow(name, n, area, recall, smallest)


def by_kind(key: str, evaluation: Evaluation, evidence: Evidence) -> Html | None:
    """The section; None where all anomalies are of one kind."""
    kinds = kind_rows(evaluation, evidence)
    if not kinds:
        return None
    titles = header(kinds)
    rows = [row(one.name, *one.cells()[: len(titles)]) for one in kinds]
    lede = (
        "One kind of anomaly a row, the least caught first. ROC AUC is that of this kind against"
        " all normal images. Caught and missed are at the stored threshold."
    )
    return panel(
        key,
        "kinds",
        "By kind of anomaly",
        scroller(
            table(("Kind", *titles), rows, data_figure=f"{key}/kinds/table"), "Kinds of anomalies"
        ),
        lede=lede,
    )
