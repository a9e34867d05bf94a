"""The sections of the page that stand without a script: facts, findings, operating point,
quarantined files, provenance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from residua._text import duration, first_sentence
from residua.evaluation.report import words
from residua.evaluation.report.figures import finding_figure
from residua.evaluation.report.markup import Html, element, prose, row, scroller, table, terms
from residua.findings.figures import Figure
from residua.metrics.names import metric_words, spelled
from residua.records import Evaluation, Finding, assumptions_of, not_applicable_of

_TOP_FACTS = (
    ("judged_on", "Judged"),
    ("source", "Source of the run"),
    ("normal", "Normal"),
    ("positive_class", "Positive class"),
    ("recipe", "Recipe"),
    ("splits", "Images"),
    ("threshold", "Threshold"),
)
_FACTS = (
    ("architecture", "Architecture"),
    ("parameters", "Parameters"),
    ("latent", "Latent dimensions"),
    ("image_size", "Image size"),
    ("resize", "Resize"),
    ("epochs", "Epochs"),
    ("seconds", "Training time"),
    ("device", "Device"),
    ("seed", "Seed"),
    ("version", "residua"),
)
_MOST_FILES = 500
_ELSEWHERE = frozenset(
    {"date", "command", "reproduce", "assumptions", "not_applicable", "compression"}
)


def panel(
    key: str,
    name: str,
    title: str,
    *children: Any,
    lede: str | None = None,
    class_: str = "",
    data_figure: str | None = None,
) -> Html:
    """One titled section of a job; `data_figure` where each word of it follows from the data."""
    return element(
        "section",
        element("h3", title, id=f"{key}-{name}-title"),
        element("p", lede, class_="lede") if lede else None,
        *children,
        class_=f"panel {class_}".strip(),
        id=f"{key}-{name}",
        aria_labelledby=f"{key}-{name}-title",
        data_figure=data_figure,
    )


def top_facts(evaluation: Evaluation) -> Html:
    """What was judged and when, with which threshold, trained on what, as a list of terms."""
    told, point = dict(evaluation.provenance), evaluation.operating_point
    told["judged_on"] = judged_words(evaluation)
    if point is not None:
        told["threshold"] = f"{point.threshold:.6g} ({point.policy})"
    return _facts(told, _TOP_FACTS)


def judged_words(evaluation: Evaluation) -> str:
    """What was judged, and when.

    >>> told = {"judged_on": "week-48/", "date": "2026-11-30 13:14 UTC+0100"}
    >>> judged_words(Evaluation(job="detect", n_images=9, split="all", provenance=told))
    'all of week-48/ on 2026-11-30 13:14 UTC+0100'
    """
    told = evaluation.provenance
    files = told.get("judged")
    what = str(told.get("judged_on") or "")
    if isinstance(files, dict):  # arrays, by what they hold
        what = ", ".join(map(str, files.values()))
    elif what and evaluation.split == "all":
        what = f"all of {what}"
    return " on ".join(part for part in (what, str(told.get("date") or "")) if part)


def _facts(provenance: dict[str, Any], names: tuple[tuple[str, str], ...]) -> Html:
    return terms(
        (
            (title, _fact(name, provenance[name]))
            for name, title in names
            if provenance.get(name) not in (None, "", {})
        ),
        "facts",
    )


def _fact(name: str, value: Any) -> str:
    if name == "splits" and isinstance(value, dict):
        return " · ".join(f"{words.value_words(count)} {part}" for part, count in value.items())
    if name == "seconds" and isinstance(value, int | float):
        return duration(float(value))
    if name == "image_size" and isinstance(value, list | tuple):
        return " × ".join(str(side) for side in value)
    if name in ("seed", "version", "latent"):
        return str(value)
    return words.value_words(value)


def findings(
    key: str, evaluation: Evaluation, figures: Mapping[str, Figure], budget: int
) -> Html | None:
    """What the judge noticed, the most serious on top, with pictures; the rest folded away."""
    if not evaluation.findings:
        return None
    ordered = words.by_severity(evaluation.findings)
    names = _figure_names(key, ordered)
    serious = [one for one in ordered if one.severity != "ok"]
    fine = ordered[len(serious) :]
    listed: list[Html] = []
    for one in serious:
        figure = figures.get(one.code)
        drawn, used = (None, 0) if figure is None else finding_figure(figure, budget)
        budget -= used
        listed.append(finding(names[id(one)], one, drawn))
    folded = None
    if fine:
        folded = element(
            "details",
            element("summary", words.fine_words(evaluation.findings)),
            element("ol", (finding(names[id(one)], one) for one in fine), class_="findings"),
        )
    return panel(
        key,
        "findings",
        "What to know before you trust it",
        element("ol", listed, class_="findings") if listed else None,
        folded,
        lede=None if serious else "Nothing stands against this model in what was checked.",
    )


def _figure_names(key: str, findings: Sequence[Finding]) -> dict[int, str]:
    """A name for what each finding prints, by its `id`; several of one code, such as copies in
    two parts, are numbered from the second on.
    """
    names, n_before = {}, Counter[str]()
    for one in findings:
        n_before[one.code] += 1
        nth = n_before[one.code]
        names[id(one)] = f"{key}/findings/{one.code}" + (f"/{nth}" if nth > 1 else "")
    return names


def finding(name: str, finding: Finding, drawn: Html | None = None) -> Html:
    """One finding of a list: what it means, what to do, and what was measured."""
    pairs = ((spelled(one), words.value_words(value)) for one, value in finding.measured.items())
    measured = None
    if finding.measured:
        measured = element(
            "details",
            element("summary", "Measured"),
            terms(pairs, "measured", data_figure=f"{name}/measured"),
            class_="numbers",
        )
    advice = (
        element("p", element("strong", "What to do: "), finding.what_to_do)
        if finding.what_to_do
        else None
    )
    loud, rest = first_sentence(finding.meaning)
    body = element(
        "div",
        element(
            "p",
            element("strong", loud),
            rest,
            class_="meaning",
            data_figure=name,
        ),
        advice,
        drawn,
        measured,
        element("code", finding.code),
    )
    return element(
        "li",
        element("span", finding.severity, class_=f"badge {finding.severity}"),
        body,
        class_=f"finding {finding.severity}",
    )


def operating_point(key: str, evaluation: Evaluation) -> Html | None:
    """The threshold in words, with the rates it was chosen for."""
    point = evaluation.operating_point
    if point is None:
        return None
    rates = (
        (metric_words(name).label, f"{words.interval(name, rate)} {words.worth(rate)}".strip())
        for name, rate in point.rates.items()
    )
    promised = (
        terms(rates, "facts", data_figure=f"{key}/operating_point/rates") if point.rates else None
    )
    return element(
        "div",
        element("p", words.operating_sentence(point), data_figure=f"{key}/operating_point"),
        element("p", "On the calibration images, with intervals:", class_="small")
        if point.rates
        else None,
        promised,
        class_="operating",
    )


def quarantined(key: str, files: tuple[tuple[str, str], ...]) -> Html | None:
    """Files that were kept out of every number, with the reason."""
    if not files:
        return None
    rows = (
        element("tr", element("td", path, class_="path"), prose(reason))
        for path, reason in files[:_MOST_FILES]
    )
    more = (
        element("p", f"and {len(files) - _MOST_FILES:,} more", class_="small")
        if len(files) > _MOST_FILES
        else None
    )
    count = "1 file was" if len(files) == 1 else f"{len(files):,} files were"
    return panel(
        key,
        "quarantined",
        "Quarantined files",
        element(
            "details",
            element("summary", "Show them"),
            scroller(table(("File", "Why"), rows), "Quarantined files"),
            more,
        ),
        lede=f"{count} kept out of every number on this page.",
    )


def assumptions(key: str, evaluation: Evaluation) -> Html | None:
    """What was read off the data because nobody told it, and how to tell it."""
    assumed = assumptions_of(evaluation.provenance)
    if not assumed:
        return None
    cells = ((one.about, one.taken, one.because, one.to_tell) for one in assumed)
    lede = (
        "You did not say these things, so they were read off the data. If one is wrong, the numbers"
        " are wrong: use what the last column names, and run again."
    )
    return panel(
        key,
        "assumptions",
        "What was assumed about the data",
        scroller(
            table(
                ("About", "Taken", "Because", "If it is wrong"),
                (element("tr", *(prose(cell) for cell in line)) for line in cells),
            ),
            "Assumptions",
        ),
        lede=lede,
    )


def not_applicable(key: str, evaluation: Evaluation) -> Html | None:
    """What this model cannot answer, with the reason."""
    rows = [
        element("tr", prose(one.what), prose(one.reason))
        for one in not_applicable_of(evaluation.provenance)
    ]
    if not rows:
        return None
    on_cluster = "ranking" in evaluation.provenance
    return panel(
        key,
        "not-applicable",
        "What was not looked at on a cluster"
        if on_cluster
        else "What does not apply to this model",
        scroller(table(("Question", "Reason"), rows), "Not applicable"),
        lede="One machine answers these: evaluate without --cluster."
        if on_cluster
        else "A run of residua's own training answers these. This model cannot.",
    )


def provenance(key: str, evaluation: Evaluation) -> Html:
    """How to get these numbers again, and everything else that is recorded about the run."""
    command = reproduction(evaluation)
    known = {name for name, _ in (*_TOP_FACTS, *_FACTS)} | _ELSEWHERE
    rest = {name: value for name, value in evaluation.provenance.items() if name not in known}
    details = None
    if rest:
        rows = (row(spelled(name), prose(words.value_words(value))) for name, value in rest.items())
        details = element(
            "details",
            element("summary", "All that is recorded about this run"),
            scroller(element("table", element("tbody", rows)), "Provenance"),
        )
    return panel(
        key,
        "provenance",
        "How it was made, and how to make it again",
        _facts(evaluation.provenance, _FACTS),
        element("pre", element("code", command), tabindex=0, aria_label="Command")
        if command
        else None,
        details,
    )


def reproduction(evaluation: Evaluation) -> str:
    """The command line that leads here again, recorded or made from what is recorded."""
    recorded = evaluation.provenance.get("command") or evaluation.provenance.get("reproduce")
    if recorded:
        return (
            " ".join(str(word) for word in recorded)
            if isinstance(recorded, list | tuple)
            else str(recorded)
        )
    source = evaluation.provenance.get("source")
    if not source:
        return ""
    known = evaluation.provenance
    options = [
        f"--{name} {_option(known[name])}"
        for name in ("normal", "recipe", "latent", "seed")
        if known.get(name) is not None
    ]
    return " ".join(["residua fit", str(source), f"--job {evaluation.job}", *options, "--out RUN"])


def _option(value: Any) -> str:
    return ",".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)
