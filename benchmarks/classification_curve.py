"""Accuracy against labels a class, a line a strategy with its intervals, as an SVG for the
documentation.

    python benchmarks/classification_curve.py docs/strategies/few_labels.svg

It draws the rows that ``classification.py --part few`` left, with the intervals of the table.
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from classification_table import interval, outcomes
from measure import RESULTS

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 20, 44
COLOURS = {
    "plain": "#222222",
    "joint": "#0b6e75",
    "joint-flat": "#5aa9a2",
    "sequential": "#c0530a",
    "fine-tune": "#7a4fb5",
}
Curve = dict[int, tuple[float, float, float]]


def curves() -> dict[str, Curve]:
    """Mean accuracy and interval, in points, by strategy and labels a class."""
    rows = json.loads((RESULTS / "classification_few.json").read_text())["rows"].values()
    right = defaultdict(list)
    for row in rows:
        if "right" in row:
            right[row["strategy"], row["labels_a_class"]].append(outcomes(row).astype(np.float64))
    found: dict[str, Curve] = {name: {} for name in COLOURS}
    for (name, n), several in sorted(right.items()):
        found[name][n] = interval(np.stack(several))
    return {name: curve for name, curve in found.items() if curve}


def drawn(found: dict[str, Curve]) -> str:
    labels = sorted({n for curve in found.values() for n in curve})
    low = 5 * math.floor(
        min(bounds[1] for curve in found.values() for bounds in curve.values()) / 5
    )
    high = 5 * math.ceil(
        max(bounds[2] for curve in found.values() for bounds in curve.values()) / 5
    )

    def x(n: int, name: str) -> float:
        share = math.log(n / labels[0]) / math.log(labels[-1] / labels[0])
        aside = 5 * (
            list(found).index(name) - (len(found) - 1) / 2
        )  # else intervals hide each other
        return LEFT + 20 + share * (WIDTH - LEFT - RIGHT - 40) + aside

    def y(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            ' font-family="sans-serif" font-size="13">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for value in range(low, high + 1, 5):
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value}%</text>'
        )
    middle = list(found)[len(found) // 2]
    for n in labels:
        parts.append(
            f'<text x="{x(n, middle):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{n:,}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">labels a'
        " class</text>"
    )
    ends = sorted(found, key=lambda name: -found[name][labels[-1]][0])
    places: list[float] = []
    for name in ends:  # names beside the ends of their lines, one under the other
        places.append(max(y(found[name][labels[-1]][0]), places[-1] + 16 if places else 0))
    for name, place in zip(ends, places, strict=True):
        curve, colour = found[name], COLOURS[name]
        path = "L".join(f"{x(n, name):.1f} {y(mean):.1f}" for n, (mean, _, _) in curve.items())
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for n, (mean, least, most) in curve.items():
            parts.append(
                f'<path d="M{x(n, name):.1f} {y(least):.1f}V{y(most):.1f}" stroke="{colour}"'
                ' stroke-width="2"/>'
            )
            parts.append(
                f'<circle cx="{x(n, name):.1f}" cy="{y(mean):.1f}" r="3.5" fill="{colour}"/>'
            )
        parts.append(
            f'<text x="{WIDTH - RIGHT + 14}" y="{place + 4:.1f}" fill="{colour}">{name}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: classification_curve.py FILE.svg")
    Path(sys.argv[1]).write_text(drawn(curves()), encoding="utf-8")


if __name__ == "__main__":
    main()
