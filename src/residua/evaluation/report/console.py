"""An evaluation for a terminal: the headline first, then what a tired person wants to know."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from residua._text import count, terminal
from residua.errors import InputError
from residua.evaluation import per_day
from residua.evaluation.compression import compression_sentence
from residua.evaluation.evidence import Evidence
from residua.evaluation.report import opening, products, words
from residua.evaluation.report.by_kind import header, kind_rows
from residua.evaluation.report.classes import class_counts, confusion
from residua.evaluation.report.kinds import ranking_values
from residua.evaluation.report.payload import outcome
from residua.evaluation.report.shift import shift_sentences
from residua.metrics.names import baseline_title, metric_words
from residua.records import (
    Assumption,
    Estimate,
    Evaluation,
    Finding,
    assumptions_of,
    not_applicable_of,
)

_WORD_COLOURS = {"usable": "bold green", "not shown": "bold yellow", "useless": "bold red"}
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
    """Print an evaluation: first the verdict, what the threshold does and what to do next; then
    metrics with intervals, baselines, the operating point, the worst images, findings; last what
    was assumed.

    Parameters
    ----------
    evaluation
        What to print.
    evidence
        Where given, counts of decisions, and the images with the highest error are listed too.
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
    given: object = evaluation
    if not isinstance(given, Evaluation):
        raise InputError(
            f"print_evaluation: the record must be an Evaluation. Got {type(given).__name__}. Pass"
            " what evaluate gave."
        )
    console = console or terminal(highlight=True)
    _print_first(evaluation, evidence, console)
    parts = (
        _by_kind(evaluation, evidence),
        _by_product(evaluation),
        _decisions(evaluation, evidence),
        _matrix(evaluation, evidence),
        _metrics(evaluation),
        _per_class(evaluation, evidence),
        _baselines(evaluation, console.width),
    )
    for part in parts:
        if part is not None:
            console.print()
            console.print(Padding(part, (0, 0, 0, 1), expand=False))
    if (compressed := compression_sentence(evaluation)) is not None:
        console.print()
        console.print(Text(compressed))
    if evaluation.operating_point is not None:
        console.print()
        console.print(Text(words.operating_sentence(evaluation.operating_point)))
    if evidence is not None:
        _print_worst(evidence, console)
        _print_quarantined(evidence, console)
    _print_findings(evaluation, console)
    _print_fine_print(evaluation, told_before, console)


def _print_first(evaluation: Evaluation, evidence: Evidence | None, console: Console) -> None:
    """What a colleague would say first: would you deploy it, what would it cost, what to do next.

    Without a verdict (a record of an earlier version) the job stands alone on its line.
    """
    found, said = evaluation.verdict, opening.first_sentences(evaluation)
    outcome_words = "" if opening.decision(evaluation) else _outcome(evaluation, evidence)
    if outcome_words:
        said = [outcome_words, *said]
    title = Text(words.JOB_TITLES[evaluation.job], style="bold")
    if found is None:
        console.print(title)
    else:
        loud, more = opening.WORDS[found.word]
        console.print(
            Text.assemble(title, ": ", (loud, _WORD_COLOURS[found.word]), f"{more}. ", *said[:1])
        )
        said = said[1:]
        for reason in found.because:
            console.print(_bulleted(reason))
    a_day = per_day.sentence(evaluation.provenance.get(per_day.PER_DAY))
    for sentence in (a_day, *said, opening.separation(evaluation)):
        if sentence:
            console.print(Text(sentence))
    if evidence is not None:
        for sentence in shift_sentences(evaluation, evidence):
            console.print(Text(sentence))
    told = opening.next_step(evaluation)
    if told is not None and found is not None:
        advice, finding = told
        counts = words.severity_counts(evaluation.findings)
        console.print(
            Text.assemble(("Next: ", "bold"), advice, (f"  ({finding.code}; {counts})", "dim"))
        )


def _bulleted(text: str) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_row(Text("-"), Text(text))
    return table


def _outcome(evaluation: Evaluation, evidence: Evidence | None) -> str:
    """What the threshold does with images of which one kind is labelled."""
    counts = None if evidence is None else outcome(evaluation, evidence)
    return "" if counts is None else words.outcome_sentence(counts)


def _by_kind(evaluation: Evaluation, evidence: Evidence | None) -> Table | None:
    """The kinds of anomalies, the least caught first."""
    rows = kind_rows(evaluation, evidence)
    if not rows:
        return None
    shown = rows[:_CLASSES]
    title = "Kind" if len(shown) == len(rows) else f"Kind ({len(shown)} worst of {len(rows)})"
    table = _grid(title, *header(rows))
    for column in (*table.columns[1:4], *table.columns[5:]):
        column.justify = "right"
    for one in shown:
        table.add_row(Text(one.name), *map(Text, one.cells()[: len(table.columns) - 1]))
    return table


def _by_product(evaluation: Evaluation) -> Table | None:
    """The products, the least caught first."""
    rows = products.product_rows(evaluation)
    if not rows:
        return None
    table = _titled(products.summary(evaluation), "Product", "Images", *products.HEADER[3:])
    for column in table.columns[1:]:
        column.justify = "right"
    for name, cells in rows:
        table.add_row(Text(name), Text("+".join(cells[:2])), *map(Text, cells[3:]))
    return table


def _decisions(evaluation: Evaluation, evidence: Evidence | None) -> Table | None:
    """The four counts of decisions, with the truth in rows."""
    counts = None if evidence is None else outcome(evaluation, evidence)
    if counts is None or evaluation.job != "detect":
        return None
    table = _titled("Truth in rows, decisions in columns", "", "flagged", "passed")
    for name, cells in (
        ("anomalous", (f"{counts['tp']:,} caught (TP)", f"{counts['fn']:,} missed (FN)")),
        ("normal", (f"{counts['fp']:,} false alarms (FP)", f"{counts['tn']:,} right (TN)")),
    ):
        table.add_row(Text(name), *(Text(cell) for cell in cells))
    return table


def _matrix(evaluation: Evaluation, evidence: Evidence | None) -> Table | None:
    """The confusion matrix; of many classes the pairs that are confused most."""
    found = None if evidence is None or evaluation.job != "classify" else confusion(evidence)
    if found is None:
        return None
    names, counts = found
    wrong = counts - np.diag(np.diag(counts))
    if len(names) > _CLASSES:
        return _pairs(names, wrong)
    title = "Truth in rows, what the model says in columns"
    table = _titled(title, "", *names, "false negatives")
    for column in table.columns[1:]:
        column.justify = "right"
    for row, name in enumerate(names):
        cells = [
            Text(f"{n:,}" if n else "·", style="green" if row == column else "red" if n else "dim")
            for column, n in enumerate(counts[row].tolist())
        ]
        table.add_row(Text(name), *cells, Text(f"{int(wrong[row].sum()):,}"))
    falsely = [f"{n:,}" for n in (*wrong.sum(axis=0).tolist(), int(wrong.sum()))]
    table.add_row(Text("false positives"), *(Text(cell) for cell in falsely))
    return table


def _pairs(names: list[str], wrong: NDArray[np.int64]) -> Table:
    order = np.argsort(-wrong.ravel(), kind="stable")[:_CLASSES]
    table = _grid(f"Truth (the worst pairs of {len(names)} classes)", "Said", "Images")
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[row, column]:
            table.add_row(
                Text(names[row]), Text(names[column]), Text(f"{int(wrong[row, column]):,}")
            )
    return table


def _print_fine_print(
    evaluation: Evaluation, told_before: Collection[Assumption], console: Console
) -> None:
    """What columns mean, what was assumed, where intervals may not hold, what cannot apply."""
    meant = words.worth_words(evaluation)
    if meant is not None:
        console.print(Text(f"\n{meant}", style="dim"))
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
        *(Column(Text(name)) for name in columns),
        box=None,
        show_header=show_header,
        header_style="dim",
        pad_edge=False,
        padding=(0, 2, 0, 1),
    )


def _titled(title: str, *columns: str) -> Table:
    table = _grid(*columns)
    table.title, table.title_justify, table.title_style = Text(title, style="dim"), "left", "dim"
    return table


def _metrics(evaluation: Evaluation) -> Table | None:
    if not evaluation.metrics:
        return None
    names = words.headline_names(evaluation)
    shown = [
        *names,
        *(name for name in evaluation.metrics if name not in names and "[" not in name),
    ]
    if words.primary_metric(evaluation) is None:  # hardly any is defined, and a finding names those
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


def _per_class(evaluation: Evaluation, evidence: Evidence | None) -> Table | None:
    """The classes with the lowest recall (``recall[CLASS]``), with their counts where known."""
    recalls = {
        name: one
        for name, one in evaluation.metrics.items()
        if name.startswith("recall[") and one.value is not None
    }
    if not recalls or evaluation.job != "classify":
        return None
    found = None if evidence is None else confusion(evidence)
    counted = {} if found is None else {one.name: one for one in class_counts(*found)}
    lowest = sorted(recalls, key=lambda name: recalls[name].value or 0.0)[:_CLASSES]
    rates = ("recall", "precision") if counted else ("recall", "precision", "f1")
    table = _grid(
        (
            "Class"
            if len(lowest) == len(recalls)
            else f"Class ({len(lowest)} lowest of {len(recalls)})"
        ),
        *(("TP", "FP", "FN", "TN") if counted else ()),
        *(metric_words(rate).label for rate in rates),
    )
    for column in table.columns[1 : 5 if counted else 1]:
        column.justify = "right"
    for name in lowest:
        others = (name.replace("recall", other, 1) for other in rates)
        cells = [
            words.interval(one, evaluation.metrics[one]) if one in evaluation.metrics else ""
            for one in others
        ]
        title = name[len("recall[") : -1]
        one = counted.get(title)
        n = [f"{n:,}" for n in (one.tp, one.fp, one.fn, one.tn)] if one else [""] * 4
        table.add_row(Text(title), *map(Text, n if counted else ()), *map(Text, cells))
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
    if fine := words.fine_words(evaluation.findings):
        console.print()
        console.print(Text(f"{fine}.", style="green"))


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
        label = None if evidence.labels is None else evidence.labels[index]
        table.add_row(
            Text(words.significant(float(values[index]))),
            Text("" if label is None else str(label)),
            Text(str(evidence.paths[index]), overflow="fold"),
        )
    console.print()
    console.print(Padding(table, (0, 0, 0, 1), expand=False))
