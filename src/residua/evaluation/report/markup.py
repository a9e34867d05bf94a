"""HTML that is escaped by construction; and tables and term lists, as the page shows numbers.

Whatever is not already `Html` is text and is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "col"})


class Html(str):
    """A piece of HTML that needs no more escaping."""

    __slots__ = ()


Child: TypeAlias = "str | Html | int | Iterable[Child] | None"


def render(child: Child) -> str:
    """`child` as HTML: strings are escaped, `Html` is not, None vanishes, iterables are joined."""
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, str | int):
        return html.escape(str(child), quote=True)
    return "".join(render(one) for one in child)


def element(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """One element; ``class_`` means ``class``, ``data_key`` means ``data-key``, True is a bare
    attribute, None and False none.

    >>> print(element("p", "a < b", element("br"), class_="note", hidden=True))
    <p class="note" hidden>a &lt; b<br></p>
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{render(children)}</{tag}>")


def join(*children: Child) -> Html:
    """Several pieces one after the other."""
    return Html(render(children))


def _attribute(name: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value), quote=True)}"'


def table(titles: Iterable[str], rows: Iterable[Html], **attributes: str) -> Html:
    """A table with one header row."""
    return element(
        "table",
        element("thead", element("tr", (element("th", title, scope="col") for title in titles))),
        element("tbody", rows),
        **attributes,
    )


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
    return element(
        "dl",
        (element("div", element("dt", term), element("dd", what)) for term, what in pairs),
        class_=class_,
        **attributes,
    )


def _cell(cell: Child) -> Html:
    return cell if isinstance(cell, Html) and cell.startswith("<td") else element("td", cell)
