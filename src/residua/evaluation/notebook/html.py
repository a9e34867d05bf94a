"""Each kind of thing that residua hands out as a piece of HTML, made of the report's own parts.

The report's style is bounded to it, and the report itself stands in a frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._pixels import as_bytes
from residua._text import count
from residua.evaluation.comparison import Comparison
from residua.evaluation.report import numbers, opening, sections, words
from residua.evaluation.report.markup import (
    Html,
    element,
    join,
    prose,
    render,
    row,
    scroller,
    table,
)
from residua.evaluation.report.page import asset, page, verdict_box, with_arrays
from residua.evaluation.report.pictures import data_uri
from residua.images import ImageSet
from residua.images.summary import part_counts
from residua.metrics.names import metric_words
from residua.records import Estimate, Evaluation, Finding, OperatingPoint, assumptions_of

ROOT = "residua"
# What says that a notebook is light or dark, whatever the system's theme: Jupyter, VS Code, Colab.
_LIGHT = ('[data-jp-theme-light="true"]', ".vscode-light", 'html[theme="light"]')
_DARK = ('[data-jp-theme-light="false"]', ".vscode-dark", 'html[theme="dark"]')
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VARIABLES = re.compile(r":root \{([^}]*)\}")


@cache
def style() -> str:
    """The style sheet; every rule holds within ``.residua`` alone.

    >>> all(f".{ROOT}" in selector for selector, _ in _RULE.findall(style()))
    True
    """
    base = asset("base.css")
    light, dark = _VARIABLES.findall(base)
    dark = f"{dark} color-scheme: dark;"
    rules = base.partition("* { box-sizing")
    return "\n".join(
        (
            f".{ROOT} {{{light} color-scheme: light; }}",
            f"@media (prefers-color-scheme: dark) {{ .{ROOT} {{{dark} }} }}",
            _themed(_DARK, dark),
            _themed(_LIGHT, f"{light} color-scheme: light;"),
            scoped(f"{rules[1]}{rules[2]}\n{asset('notebook.css')}"),
        )
    )


def _themed(hosts: tuple[str, ...], variables: str) -> str:
    return f"{', '.join(f'{host} .{ROOT}' for host in hosts)} {{{variables} }}"


def scoped(css: str) -> str:
    """`css` with every selector bounded to what residua shows; ``:root`` is its outermost element.

    The class stands twice, so that a notebook's own rules for tables do not win.

    >>> scoped(":root { margin: 0; } th, td { color: red; }")
    '.residua.residua { margin: 0; } .residua.residua th, \
.residua.residua td { color: red; }'
    """
    own = f".{ROOT}.{ROOT}"

    def bounded(rule: re.Match[str]) -> str:
        selectors = (one.strip() for one in re.split(r",(?![^(]*\))", rule[1]))
        named = ", ".join(own if one == ":root" else f"{own} {one}" for one in selectors)
        space = rule[1][: len(rule[1]) - len(rule[1].lstrip())]
        return f"{space}{named} {{{rule[2]}}}"

    return _RULE.sub(bounded, css)


_FIGURES = 300_000  # characters of pictures under the findings of one record
_MOST_LABELS = 12
_MOST_PICTURES = 12
_SIDE = 96


def html_of(thing: Any) -> str:
    """`thing` as HTML that brings its style and changes nothing around it.

    >>> html_of(Estimate(value=0.5))[:21]
    '<div class="residua">'
    """
    draw = next(draw for kind, draw in SHOWN.items() if isinstance(thing, kind))
    return render(element("div", element("style", Html(style())), draw(thing), class_=ROOT))


def _evaluation(record: Evaluation) -> Html:
    key = f"residua-{blake2b(record.model_dump_json().encode(), digest_size=6).hexdigest()}"
    evidence = record.evidence
    return join(
        element("h2", words.JOB_TITLES[record.job]),
        verdict_box(key, record),
        element("p", opening.opening(record), class_="verdict-line"),
        numbers.metrics(key, record),
        _threshold(key, record),
        numbers.baselines(key, record),
        sections.findings(key, record, {} if evidence is None else evidence.figures, _FIGURES),
        _assumed(record),
    )


def _threshold(key: str, record: Evaluation) -> Html | None:
    told = sections.operating_point(key, record)
    return None if told is None else sections.panel(key, "threshold", "Threshold", told)


def _assumed(record: Evaluation) -> Html | None:
    told = assumptions_of(record.provenance)
    if not told:
        return None
    return element(
        "details",
        element("summary", count(len(told), "assumption")),
        element("ul", (element("li", one.sentence) for one in told), class_="because"),
    )


def _finding(finding: Finding) -> Html:
    return element("ol", sections.finding("residua", finding), class_="findings")


def _estimate(estimate: Estimate) -> Html:
    below = [f"{estimate.confidence:.0%} interval" if estimate.low is not None else "no interval"]
    if estimate.n:
        below.append(f"n = {estimate.n:,} {words.worth(estimate)}".strip())
    told = f"{'; '.join(below)}. {estimate.caveat or ''}".strip()
    return join(element("h2", str(estimate)), element("p", told, class_="small"))


def _operating_point(point: OperatingPoint) -> Html:
    record = Evaluation(job="detect", n_images=0, split="", operating_point=point)
    return join(
        element("h2", f"Threshold {words.significant(point.threshold, 4)}"),
        sections.operating_point("residua", record),
    )


def _comparison(found: Comparison) -> Html:
    names = list(found.standings[0].metrics) if found.standings else []
    models = [
        row(
            one.name,
            *(words.interval(name, one.metrics[name]) for name in names),
            f"{one.n_own:,}",
        )
        for one in found.standings
    ]
    pairs = [
        row(
            f"{pair.a} minus {pair.b}",
            metric_words(pair.metric).label,
            words.interval(pair.metric, pair.difference),
            "–" if pair.p_adjusted is None else f"{pair.p_adjusted:.2g}",
            prose(pair.better or "no difference shown"),
        )
        for pair in found.pairs
    ]
    titles = ("Model", *(metric_words(name).label for name in names), "Own images")
    of_pairs = ("Pair", "Metric", "Difference [interval]", "p, adjusted", "Better")
    correction = f" Intervals hold together: {found.correction}." if found.correction else ""
    return join(
        element("h2", f"Comparison: {words.JOB_TITLES[found.job].lower()}"),
        element("p", found.sentence, class_="verdict-line"),
        element("div", scroller(table(titles, models), "Models"), class_="panel"),
        element(
            "div",
            element("p", f"Paired differences on the same images.{correction}", class_="lede"),
            scroller(table(of_pairs, pairs), "Differences"),
            class_="panel",
        ),
        *(_finding(one) for one in found.findings),
    )


def _images(images: ImageSet) -> Html:
    size = images.uniform_size
    sizes = "of mixed sizes" if size is None else f"of {size[0]} x {size[1]} pixels"
    channels = {1: "grey", 3: "colour"}.get(images.channels, f"{images.channels} channels")
    groups = "" if images.n_groups is None else f", of {count(images.n_groups, 'group')}"
    masks = int(images.masks.known.sum())
    told = [
        f"{count(len(images), 'image')} {sizes}, {channels}, {images.dtype}{groups}"
        f"{f'; {masks:,} with a mask' if masks else ''}."
    ]
    if images.quarantined:
        told.append(f"{count(len(images.quarantined), 'file')} could not be read and is left out.")
    told += [f"Assumed: {one.sentence}." for one in images.assumptions]
    return join(
        element("h2", images.source),
        (element("p", one, class_="small") for one in told),
        _counts(images),
        element(
            "div", (_thumbnail(images, place) for place in _spread(images)), class_="thumbnails"
        ),
    )


def _counts(images: ImageSet) -> Html | None:
    """How many images each label has in each part; the largest labels where there are many."""
    if not len(images):
        return None
    parts = {part: n for part, n in part_counts(images.splits).items() if n}
    labels = images.labels
    rows = []
    if labels is not None:
        texts = np.array([_label(one) for one in labels.tolist()])
        names, tally = np.unique(texts, return_counts=True)
        order = np.argsort(-tally, kind="stable")
        shown = sorted(order[:_MOST_LABELS].tolist())
        normal = images.normal or ()
        for name in names[shown].tolist():
            own = part_counts(images.splits[texts == name])
            title = f"{name} (normal)" if name in normal else name
            rows.append(row(title, *(f"{own[part]:,}" for part in parts), f"{sum(own.values()):,}"))
        if len(names) > _MOST_LABELS:
            rest = len(names) - _MOST_LABELS
            rows.append(row(f"and {count(rest, 'smaller label')}", *("" for _ in parts), ""))
    rows.append(row("all", *(f"{n:,}" for n in parts.values()), f"{len(images):,}", class_="model"))
    return scroller(table(("Label", *parts, "all"), rows, class_="baselines"), "Images by label")


def _label(label: Any) -> str:
    return "(no label)" if label is None else str(label)


def _spread(images: ImageSet) -> list[int]:
    """A few images, in turn from each label and evenly over the set."""
    labels = [None] * len(images) if images.labels is None else images.labels.tolist()
    texts = np.array([_label(one) for one in labels])
    rows = [np.flatnonzero(texts == name).tolist() for name in np.unique(texts)[:_MOST_PICTURES]]
    each = -(-_MOST_PICTURES // max(1, len(rows)))
    spread = [own[:: -(-len(own) // each)] for own in rows]
    in_turn = [own[turn] for turn in range(each) for own in spread if turn < len(own)]
    return sorted(in_turn[:_MOST_PICTURES], key=lambda place: (texts[place], place))


def _thumbnail(images: ImageSet, place: int) -> Html:
    pixels = as_bytes(images[place])
    name = str(images.paths[place])
    label = name.rsplit("/", 1)[-1] if images.labels is None else _label(images.labels[place])
    return element(
        "div",
        element("img", src=data_uri(_shown(pixels), _SIDE), alt=name, title=name),
        element("span", label),
        class_=f"picture{' smooth' if max(pixels.shape[:2]) > _SIDE else ''}",
    )


def _shown(pixels: NDArray[Any]) -> NDArray[Any]:
    """Channels that a picture has: grey or colour."""
    return pixels if pixels.shape[-1] == 3 else pixels[..., :1]


SHOWN: dict[type, Callable[[Any], Html]] = {
    Evaluation: _evaluation,
    Comparison: _comparison,
    ImageSet: _images,
    Finding: _finding,
    OperatingPoint: _operating_point,
    Estimate: _estimate,
}
"""How each kind of thing is shown."""


_SHARE = 0.15  # of the pictures that a file holds


@dataclass(frozen=True)
class Inline:
    """A report that a notebook shows in a frame of its own.

    The frame runs the report's scripts alone, and these reach nothing outside it.
    """

    html: str
    height: int

    def __repr__(self) -> str:
        return (
            f"A report of {len(self.html) / 1e6:.1f} MB, shown by notebooks."
            " residua.write_html writes it to a file."
        )

    def _repr_html_(self) -> str:
        return element(
            "iframe",
            srcdoc=self.html,
            sandbox="allow-scripts",
            title="Report",
            style=f"width: 100%; height: {self.height}px; border: 0; border-radius: 12px",
        )


def inline(record: Evaluation, *, height: int, title: str) -> Inline:
    """The report of a record, with fewer pictures than a file holds.

    Raises
    ------
    InputError
        If no arrays lie behind the record.
    """
    return Inline(page(title, [with_arrays(record, "show")], share=_SHARE), height)
