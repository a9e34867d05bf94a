"""An evaluation for a terminal: the headline first, then what a tired person wants to know."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from residua._text import count, terminal
from residua.evaluation import per_day
from residua.evaluation.evidence import Evidence
from residua.evaluation.report import words
from residua.evaluation.report.kinds import ranking_values
from residua.evaluation.report.payload import outcome
from residua.metrics.names import baseline_title, metric_words
from residua.records import (
    Assumption,
    Estimate,
    Evaluation,
    Finding,
    assumptions_of,
    not_applicable_of,
)
from residua.thresholds import is_flagged

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}
_WORST = 5
_CLASSES = 12
_LONGEST_WORD, _WIDE = len("brightness"), 80


def print_evaluation(
    evaluation: Evaluation,
    evidence: Evidence | None = None,
    *,
    told_before: Collection[Assumption] = (),
    console: Console | None = None,
) -> None:
    """Print an evaluation: one sentence, metrics with intervals, baselines, the operating point,
    the worst images, findings.

    Parameters
    ----------
    evaluation
        What to print.
    evidence
        Where given, the images with the highest error are listed too.
    told_before
        Assumptions that the user has read already; they are counted, not repeated.
    console
        Where to print; standard output if None.

    Examples
    --------
    >>> from residua.records import Estimate
    >>> metrics = {"roc_auc": Estimate(value=0.912, low=0.897, high=0.926, n=500)}
    >>> record = Evaluation(job="detect", n_images=500, split="test", metrics=metrics)
    >>> print_evaluation(record, console=Console(width=100))
    Anomaly detection
    ROC AUC 0.912 [0.897, 0.926] on 500 test images.
    <BLANKLINE>
     ROC AUC   0.912 [0.897, 0.926]   chance that an anomalous image scores above a normal one
    """
    console = console or terminal(highlight=True)
    console.print(Text(words.JOB_TITLES[evaluation.job], style="bold"))
    a_day = per_day.sentence(evaluation.provenance.get(per_day.PER_DAY))
    opening = (words.decision(evaluation), a_day, words.ranking(evaluation))
    for sentences in filter(None, opening):
        console.print(Text(sentences))
    meant = words.worth_words(evaluation)
    parts = (_metrics(evaluation), _per_class(evaluation), _baselines(evaluation, console.width))
    for row, part in enumerate(parts):
        if part is not None:
            console.print()
            console.print(Padding(part, (0, 0, 0, 1), expand=False))
        if row == 0 and meant is not None:
            console.print(Text(f" {meant}", style="dim"))
    if evaluation.operating_point is not None:
        console.print()
        console.print(Text(words.operating_sentence(evaluation.operating_point)))
    if evidence is not None:
        _print_outcome(evaluation, evidence, console)
        _print_worst(evidence, console)
        _print_quarantined(evidence, console)
    _print_caveats(evaluation, told_before, console)
    _print_findings(evaluation, console)  # last, where the eye is when the command ends


def _print_outcome(evaluation: Evaluation, evidence: Evidence, console: Console) -> None:
    if words.decision(evaluation):  # said in the first line
        return
    counts = outcome(evaluation, evidence)
    if counts is not None:
        console.print(Text(words.outcome_sentence(counts), style="bold"))
    elif evaluation.operating_point is not None and evidence.scores is not None:
        flagged = np.flatnonzero(is_flagged(evidence.scores, evaluation.operating_point.threshold))
        console.print(
            Text(
                words.flagged_sentence(
                    [str(evidence.paths[row]) for row in flagged], len(evidence.scores)
                ),
                style="bold",
            )
        )


def _print_caveats(
    evaluation: Evaluation, told_before: Collection[Assumption], console: Console
) -> None:
    """Where intervals may not hold, what was assumed about the data, and what does not apply to the
    model.
    """
    for row, (labels, caveat) in enumerate(words.caveats(evaluation)):
        console.print(Text(("\n" if row == 0 else "") + f"{labels}: {caveat}", style="dim"))
    assumed = assumptions_of(evaluation.provenance)
    new = [one for one in assumed if one not in told_before]
    for row, one in enumerate(new):
        console.print(Text(("\n" if row == 0 else "") + f"Assumed {one.sentence}", style="dim"))
    if len(new) < len(assumed):
        known = count(len(assumed) - len(new), "assumption")
        console.print(
            Text(f"\nAssumed as in the fit: {known}. `residua info RUN` lists them.", style="dim")
        )
    not_asked = not_applicable_of(evaluation.provenance)
    if not_asked:
        names = ", ".join(one.what for one in not_asked)
        why = "Not looked at on a cluster" if "ranking" in evaluation.provenance else ""
        console.print(Text(f"{why or 'Not applicable to this model'}: {names}", style="dim"))


def _print_quarantined(evidence: Evidence, console: Console) -> None:
    n = len(evidence.quarantined)
    if n:
        console.print(
            Text(
                f"\n{count(n, 'file')} of the source could not be read: in none of these numbers."
                " `residua info` lists them."
            )
        )


def _grid(*columns: str, show_header: bool = True) -> Table:
    return Table(
        *map(escape, columns),
        box=None,
        show_header=show_header,
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 1),
    )


def _metrics(evaluation: Evaluation) -> Table | None:
    if not evaluation.metrics:
        return None
    names = words.headline_names(evaluation)
    shown = [
        *names,
        *(name for name in evaluation.metrics if name not in names and "[" not in name),
    ]
    if (
        words.primary_metric(evaluation) is None
    ):  # without labels hardly any is defined, and a finding names those
        shown = [name for name in shown if evaluation.metrics[name].value is not None]
    if not shown:
        return None
    is_grouped = words.worth_words(evaluation) is not None
    columns = ("", "", "Worth", "") if is_grouped else ("", "", "")
    table = _grid(*columns, show_header=is_grouped)
    table.columns[0].no_wrap = table.columns[1].no_wrap = (
        True  # a narrow terminal breaks the meaning, not the numbers
    )
    for name in shown:
        table.add_row(
            Text(words.label(name, evaluation)),
            Text(words.interval(name, evaluation.metrics[name])),
            *([Text(_worth(evaluation.metrics[name]), style="dim")] if is_grouped else []),
            Text(words.meaning(name, evaluation), style="dim"),
        )
    return table


def _worth(estimate: Estimate) -> str:
    """As many independent images as those of the groups are worth."""
    return "" if estimate.n_effective is None else f"{estimate.n_effective:,.0f} images"


def _per_class(evaluation: Evaluation) -> Table | None:
    """The classes with the lowest recall; their metrics are named ``recall[CLASS]``."""
    recalls = {
        name: one
        for name, one in evaluation.metrics.items()
        if name.startswith("recall[") and one.value is not None
    }
    if not recalls:
        return None
    lowest = sorted(recalls, key=lambda name: recalls[name].value or 0.0)[:_CLASSES]
    table = _grid(
        (
            "Class"
            if len(lowest) == len(recalls)
            else f"Class ({len(lowest)} lowest of {len(recalls)})"
        ),
        "Recall",
        "Precision",
        "F1",
    )
    for name in lowest:
        others = (name.replace("recall", other, 1) for other in ("recall", "precision", "f1"))
        cells = (
            words.interval(one, evaluation.metrics[one]) if one in evaluation.metrics else ""
            for one in others
        )
        table.add_row(Text(name[len("recall[") : -1]), *(Text(cell) for cell in cells))
    return table


def _baselines(evaluation: Evaluation, width: int) -> Table | None:
    main = words.primary_metric(evaluation)
    rivals = {} if main is None else words.baselines_in(evaluation, main)
    if main is None or not rivals:
        return None
    table = _grid(
        "Model or baseline",
        words.label(main, evaluation),
        *(("Model minus baseline",) if evaluation.standings else ()),
        "The baseline is",
    )
    table.columns[0].min_width = _LONGEST_WORD
    for column in table.columns[1:-1]:
        column.no_wrap = width >= _WIDE  # else words and numbers would be cut
    kind = metric_words(main).kind
    model = words.number(evaluation.metrics[main].value, kind)
    table.add_row(Text("This model", style="bold"), Text(model, style="bold"))
    for name, reached in rivals.items():
        standing = evaluation.standings.get(name)
        colour = {"bad": "red", "good": "green", "": ""}[words.tone(standing)]
        difference = Text(words.difference_cell(standing, main))
        # Two intervals beside each other mislead where there is one of the difference.
        value = words.interval(main, reached)
        value = value if standing is None else words.number(reached.value, kind)
        table.add_row(
            Text(baseline_title(name)),
            Text(value),
            *((difference,) if evaluation.standings else ()),
            Text(words.standing_words(standing), style=colour),
        )
    return table


def _print_findings(evaluation: Evaluation, console: Console) -> None:
    ordered = words.by_severity(evaluation.findings)
    counts = words.severity_counts(evaluation.findings)
    if counts:
        console.print()
        console.print(Text(f"What to know before you trust it: {counts}", style="bold"))
    for finding in ordered:
        if finding.severity != "ok":
            console.print()
            console.print(_finding(finding))
    n_fine = sum(finding.severity == "ok" for finding in ordered)
    if n_fine:
        console.print()
        console.print(
            Text(
                (
                    "1 check found nothing wrong."
                    if n_fine == 1
                    else f"{n_fine} checks found nothing wrong."
                ),
                style="green",
            )
        )


def _finding(finding: Finding) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=len("WARNING"), no_wrap=True)
    table.add_column()
    table.add_row(
        Text(finding.severity.upper(), style=_COLOURS[finding.severity]),
        Text.assemble(
            finding.meaning,
            f"\n→ {finding.what_to_do}" if finding.what_to_do else "",
            (f"  ({finding.code})", "dim"),
        ),
    )
    return table


def _print_worst(evidence: Evidence, console: Console) -> None:
    quantity, values = ranking_values(evidence)
    if values is None or len(values) == 0:
        return
    table = _grid(f"Highest {quantity}", "", "Image")
    for index in np.argsort(-np.asarray(values, np.float64), kind="stable")[:_WORST].tolist():
        label = (
            ""
            if evidence.labels is None or evidence.labels[index] is None
            else str(evidence.labels[index])
        )
        table.add_row(
            Text(words.significant(float(values[index]))),
            Text(label),
            Text(str(evidence.paths[index]), overflow="fold"),
        )
    console.print()
    console.print(Padding(table, (0, 0, 0, 1), expand=False))
