"""Tables and term lists, the two shapes in which the page shows numbers."""

from __future__ import annotations

from collections.abc import Iterable

from residua.evaluation.report.markup import Child, Html, element


def table(titles: Iterable[str], rows: Iterable[Html], **attributes: str) -> Html:
    """A table with one header row."""
    head = element("tr", (element("th", title, scope="col") for title in titles))
    return element("table", element("thead", head), element("tbody", rows), **attributes)


def row(title: str, *cells: Child, **attributes: str | None) -> Html:
    """A row with its header; a cell that is not already a ``td`` is put into one."""
    return element(
        "tr", element("th", title, scope="row"), (_cell(cell) for cell in cells), **attributes
    )


def prose(text: str, class_: str = "", **attributes: str) -> Html:
    """A cell that holds words and may wrap."""
    return element("td", text, class_=f"words {class_}".strip(), **attributes)


def scroller(table: Html, label: str) -> Html:
    """A box in which a wide table scrolls by itself, reachable by keyboard."""
    return element("div", table, class_="scroller", tabindex=0, role="region", aria_label=label)


def terms(pairs: Iterable[tuple[str, Child]], class_: str, **attributes: str) -> Html:
    """A list of terms and what they are."""
    listed = (element("div", element("dt", term), element("dd", what)) for term, what in pairs)
    return element("dl", listed, class_=class_, **attributes)


def _cell(cell: Child) -> Html:
    return cell if isinstance(cell, Html) and cell.startswith("<td") else element("td", cell)
