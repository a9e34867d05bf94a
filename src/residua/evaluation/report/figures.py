"""The pictures under a finding: groups of thumbnails, and a histogram as inline SVG that needs no
script.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.report import words
from residua.evaluation.report.markup import Html, element
from residua.evaluation.report.pictures import data_uri
from residua.findings.figures import Figure, Group, Histogram, Picture

_OPEN = 6  # groups that are not folded away
_WIDTH, _HEIGHT, _FLOOR = 640, 130, 108


def finding_figure(shown: Figure, budget: int) -> tuple[Html, int]:
    """The figure as HTML of about `budget` characters at most, and how many it took."""
    groups: list[Html] = []
    used = 0
    for one in shown.groups:
        drawn = _group(one)
        if used + len(drawn) > budget:
            break
        groups.append(drawn)
        used += len(drawn)
    n_more = shown.n_more + len(shown.groups) - len(groups)
    folded = None
    if len(groups) > _OPEN:
        folded = element(
            "details",
            element("summary", f"Show {len(groups) - _OPEN} more"),
            element("div", groups[_OPEN:], class_="finding-figure-groups"),
        )
    more = (
        element("p", f"and {n_more:,} more that are not shown", class_="small") if n_more else None
    )
    pictures = element("div", groups[:_OPEN], class_="finding-figure-groups") if groups else None
    return element(
        "div",
        element("p", shown.caption, class_="small") if shown.caption else None,
        None if shown.histogram is None else histogram(shown.histogram),
        pictures,
        folded,
        more,
        class_="finding-figure",
    ), used


def _group(group: Group) -> Html:
    return element(
        "figure",
        element("div", (_picture(one) for one in group.pictures), class_="row"),
        element("figcaption", group.caption) if group.caption else None,
        class_="finding-figure-group",
    )


def _picture(picture: Picture) -> Html:
    words_below = (
        element("span", _short(picture.caption), title=picture.caption) if picture.caption else None
    )
    smooth = " smooth" if max(picture.pixels.shape[:2]) > 96 else ""
    return element(
        "div",
        element(
            "img",
            src=data_uri(picture.pixels),
            alt=picture.caption or "image",
            loading="lazy",
            decoding="async",
        ),
        words_below,
        class_=f"picture{smooth}",
    )


def _short(caption: str) -> str:
    """The end of a long path, which tells files apart better than its beginning."""
    return caption if len(caption) <= 28 else f"…{caption[-27:]}"


def histogram(drawn: Histogram) -> Html:
    """Each set's shares by bin, as steps: the first filled, the others outlined."""
    shares = {name: counts / max(1, int(counts.sum())) for name, counts in drawn.counts.items()}
    top = max((float(share.max()) for share in shares.values()), default=0.0) or 1.0
    paths = [
        element(
            "path",
            d=_steps(share / top, is_filled=number == 0),
            class_=f"series series-{min(number, 3)}",
        )
        for number, share in enumerate(shares.values())
    ]
    low, high = float(drawn.edges[0]), float(drawn.edges[-1])
    scale = ", logarithmic" if drawn.is_log else ""
    labels = [
        element("text", words.significant(low), x=0, y=_HEIGHT - 6),
        element("text", words.significant(high), x=_WIDTH, y=_HEIGHT - 6, text_anchor="end"),
        element(
            "text", f"{drawn.quantity}{scale}", x=_WIDTH / 2, y=_HEIGHT - 6, text_anchor="middle"
        ),
    ]
    about = f"{drawn.quantity or 'values'}: " + "; ".join(
        _described(name, drawn) for name in shares
    )
    legend = element(
        "p",
        (
            element("span", element("i", class_=f"series-{min(number, 3)}"), name)
            for number, name in enumerate(shares)
        ),
        class_="legend",
    )
    return element(
        "div",
        legend,
        element(
            "svg",
            *paths,
            element("line", x1=0, x2=_WIDTH, y1=_FLOOR, y2=_FLOOR, class_="rail"),
            *labels,
            viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            class_="small-histogram",
            role="img",
            aria_label=about,
        ),
        class_="chart",
    )


def _steps(heights: NDArray[np.float64], *, is_filled: bool) -> str:
    """A path along the tops of the bins; closed along the floor where filled."""
    step = _WIDTH / len(heights)
    tops = (
        f"V{_FLOOR - height * (_FLOOR - 4):.1f}H{(place + 1) * step:.1f}"
        for place, height in enumerate(heights.tolist())
    )
    return f"M0 {_FLOOR}{''.join(tops)}V{_FLOOR}{'Z' if is_filled else ''}"


def _described(name: str, drawn: Histogram) -> str:
    """``train: 500 values, half of them between 0.1 and 0.2``, for who cannot see the picture."""
    counts = drawn.counts[name]
    total = int(counts.sum())
    cumulated = np.cumsum(counts)
    lower, upper = (int(np.searchsorted(cumulated, total * part)) for part in (0.25, 0.75))
    between = (
        f"{words.significant(float(drawn.edges[lower]))} and"
        f" {words.significant(float(drawn.edges[upper + 1]))}"
    )
    return f"{name}: {total:,} values, the middle half between {between}"
