"""A dossier as one HTML file that prints: in the look of the report, without a script."""

from __future__ import annotations

import string
from typing import Any

from residua.evaluation.dossier.artefacts import Check, Heading
from residua.evaluation.dossier.dossier import CriterionResult, Dossier
from residua.evaluation.report.markup import (
    Html,
    element,
    prose,
    render,
    row,
    scroller,
    table,
    terms,
)
from residua.evaluation.report.page import asset, script_json

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action"
    " 'none'"
)
_BOX = {"met": "usable", "not met": "useless", "not shown": "not-shown"}
_BADGE = {
    "met": "ok", "not met": "error", "not shown": "warning",
    "shown": "ok", "open": "warning", "broken": "error",
}  # fmt: skip
_HOLDS = {True: ("holds", "ok"), False: ("does not hold", "error"), None: ("not known", "note")}
_LOUD = {
    "met": "The acceptance criteria are met.",
    "not met": "The acceptance criteria are not met.",
    "not shown": "That the acceptance criteria are met is not shown.",
}


def dossier_page(dossier: Dossier) -> str:
    """The page as text, with the dossier as JSON, by which `residua verify` makes it again."""
    return (
        string.Template(asset("report.html"))
        .substitute(
            policy=_POLICY,
            title=render(f"Dossier: {dossier.run}"),
            subtitle="",
            style=asset("base.css") + asset("report.css") + asset("dossier.css"),
            body=dossier_html(dossier),
            footer=element(
                "p",
                f"Made by residua {dossier.made_by} on {dossier.date}. To compute it again:"
                " residua verify FILE. It holds all it shows and asks the network for nothing.",
            ),
            data=script_json(dossier.model_dump(mode="json")),
            scripts="",
        )
        .replace(_NOSCRIPT, "")
    )


_NOSCRIPT = (
    '<noscript><p class="noscript">Charts, the threshold and the table need JavaScript; everything'
    " else is here.</p></noscript>\n"
)


def dossier_html(dossier: Dossier) -> Html:
    """What the page says; each text by the name that `residua verify` compares it under."""
    top = element(
        "div",
        element("p", element("strong", _LOUD[dossier.word]), class_="word"),
        element("ul", (element("li", one) for one in dossier.because), class_="because"),
        class_=f"verdict-box {_BOX[dossier.word]}",
        data_figure="dossier/word",
    )
    model = dossier.artefacts
    facts: list[tuple[str, Any]] = [
        ("Model, SHA-256", model.weights),
        ("Recipe", model.recipe or "not told"),
        ("Criteria, SHA-256", model.acceptances[-1].sha256 if model.acceptances else "none"),
    ]
    return element(
        "article",
        element(
            "header", top, terms(facts, "facts", data_figure="dossier/facts"), class_="job-top"
        ),
        _criteria(dossier.criteria),
        (_heading(one) for one in dossier.headings),
        _files(model.files),
        class_="job dossier",
    )


def _badge(text: str, kind: str) -> Html:
    return element("span", text, class_=f"badge {kind}")


def _criteria(results: tuple[CriterionResult, ...]) -> Html | None:
    if not results:
        return None
    rows = [
        row(
            one.criterion,
            prose(one.figure),
            element("td", _badge(one.state, _BADGE[one.state])),
            prose(
                "The figure meets it, but the protocol does not hold."
                if one.state != one.by_figure
                else ""
            ),
        )
        for one in results
    ]
    return element(
        "section",
        element("h3", "Each criterion"),
        scroller(table(("Criterion", "Figure of the test", "", ""), rows), "Criteria"),
        class_="panel",
        id="dossier-results",
        data_figure="dossier/results",
    )


def _heading(heading: Heading) -> Html:
    return element(
        "section",
        element(
            "div",
            element("h3", heading.title),
            _badge(heading.state, _BADGE[heading.state]),
            class_="heading",
        ),
        element("div", (element("p", one) for one in heading.said), class_="told"),
        _table(heading),
        element("ul", (_check(one) for one in heading.checks), class_="checks")
        if heading.checks
        else None,
        element("p", f"Backed by {', '.join(heading.artefacts)}", class_="backed")
        if heading.artefacts
        else None,
        class_="panel",
        id=f"dossier-{heading.key}",
        data_figure=f"dossier/{heading.key}",
    )


def _check(check: Check) -> Html:
    word, kind = _HOLDS[check.holds]
    return element("li", _badge(word, kind), element("span", check.said))


def _table(heading: Heading) -> Html | None:
    if not heading.rows:
        return None
    rows = [row(first, *(prose(cell) for cell in rest)) for first, *rest in heading.rows]
    return scroller(table(heading.columns, rows), heading.title)


def _files(files: dict[str, str]) -> Html | None:
    if not files:
        return None
    rows = [row(name, element("td", digest, class_="path")) for name, digest in files.items()]
    return element(
        "section",
        element("h3", "Files of the run"),
        scroller(table(("File", "SHA-256"), rows), "Files"),
        class_="panel",
        id="dossier-files",
        data_figure="dossier/files",
    )
