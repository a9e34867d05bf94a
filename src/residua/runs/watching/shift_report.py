"""A report of each shift of a line, as HTML and JSON: counts, odd images, what has changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from residua._files import ensure_folder, read_file, write_json, write_text
from residua.errors import ImageError, InputError
from residua.evaluation.report.markup import Html, element, join, row, table
from residua.evaluation.report.page import asset
from residua.evaluation.report.pictures import data_uri
from residua.images.decoding import decode
from residua.metrics.intervals import rate_interval
from residua.runs.watching.drift import LOOKS
from residua.runs.watching.store import WatchStore
from residua.runs.watching.table import Row, is_judged

_UNITS = {"m": 60, "h": 3_600, "d": 86_400}
_MOST_SHOWN, _SIDE, _BESIDE = 24, 160, 4
_MOST_BYTES, _MOST_PIXELS = 64 << 20, 100_000_000
_STYLE = (
    "body{font-family:var(--sans);background:var(--page);color:var(--text);max-width:70em;"
    "margin:2em auto;padding:0 1em}td,th{text-align:left;padding:2px 14px 2px 0;"
    "vertical-align:top}figure{display:inline-block;margin:0 12px 12px 0;max-width:170px;"
    "overflow-wrap:anywhere;font-size:.8rem}h2{margin:1.2em 0 .4em}h4,p{margin:.5em 0}"
)


def parse_period(text: str) -> int:
    """Seconds of a period such as ``30m``, ``8h`` or ``1d``.

    Examples
    --------
    >>> parse_period("8h")
    28800
    """
    found = re.fullmatch(r"(\d{1,4})([mhd])", text.strip().lower())
    if found is None or not int(found[1]):
        raise InputError(
            f"watch: --every must be a number of minutes, hours or days. Got {text!r}. Write 8h."
        )
    return int(found[1]) * _UNITS[found[2]]


@dataclass
class ShiftReports:
    """Reports of periods of so many seconds, counted in UTC from midnight 1970, into a folder."""

    store: WatchStore
    seconds: int
    folder: Path
    root: Path

    def write_due(self, now: float, facts: Callable[[], dict[str, Any]]) -> list[Path]:
        """Write the reports of periods that have ended and are not reported."""
        current = int(now // self.seconds)
        told = self.store.get("reported")
        if told is None:
            self.store.keep([], {"reported": current - 1})
            return []
        made = [one for period in range(told + 1, current) for one in self.write(period, facts())]
        if told + 1 < current:
            self.store.keep([], {"reported": current - 1})
        return made

    def write(self, period: int, facts: dict[str, Any]) -> list[Path]:
        """Write the report of one period, unless it has no image."""
        start, end = (
            datetime.fromtimestamp(one * self.seconds, UTC) for one in (period, period + 1)
        )
        rows = self.store.table.rows_between(start.isoformat(), end.isoformat())
        if not rows["n"]:
            return []
        told = {name: facts[name] for name in ("run", "table", "policy")}
        report = {"from": start.isoformat(), "to": end.isoformat(), **told, **_summary(rows)}
        report["damaged_files"] = sorted(self.store.table.damaged)
        first, last = min(rows["n"]), max(rows["n"])
        alarms = [one for one in facts["drift"]["alarms"] if first <= one["found_at_image"] <= last]
        report["drift"] = {**facts["drift"], "alarms_of_this_period": alarms}
        ensure_folder(self.folder, where="watch --every")
        path = self.folder / start.strftime("%Y-%m-%dT%H-%M")
        write_json(path.with_suffix(".json"), report)
        write_text(path.with_suffix(".html"), self._page(report, alarms))
        return [path.with_suffix(".json"), path.with_suffix(".html")]

    def _page(self, report: dict[str, Any], alarms: list[dict[str, Any]]) -> str:
        share, looks = report["flagged_share"], report["looks"]
        title = f"{report['from'][:16]} to {report['to'][:16]} UTC"
        bounds = "none, because no image was scored and judged"
        if share is not None:
            bounds = f"{share['value']:.2%} [{share['low']:.2%}, {share['high']:.2%}]"
        damaged = report["damaged_files"]
        told = element("p", "No change was found in this period.")
        changes: list[Any] = [
            join(
                element("p", f"{one['kind']}: {one['words']}"),
                element("h4", "before"),
                self._around(one["since_image"] - 2 * _BESIDE, one["since_image"] - 1),
                element("h4", "since"),
                self._around(one["found_at_image"] - 2 * _BESIDE, one["found_at_image"]),
            )
            for one in alarms
        ]
        body = join(
            element("h1", title),
            element("p", f"{report['run']}, {report['policy']}", class_="lede"),
            table(
                ("", ""),
                [
                    row("images", f"{report['n_images']:,}"),
                    row("flagged", f"{report['n_flagged']:,}"),
                    row("flagged share, 95% interval", bounds),
                    row("unreadable", f"{report['n_unreadable']:,}"),
                    *([row("not decided", f"{left:,}")] if (left := report["n_undecided"]) else []),
                    *([row("damaged files, left out", ", ".join(damaged))] if damaged else []),
                    *(row(f"mean {name}", _figure(value)) for name, value in looks.items()),
                ],
            ),
            element("h2", "What has changed"),
            changes or told,
            element("p", report["drift"]["promise"], class_="small"),
            element("h2", "The images with the highest scores"),
            self._figures(report["most_anomalous"]),
        )
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        head = join(
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("title", title),
            Html(f"<style>{asset('base.css')}{_STYLE}</style>"),
        )
        page = element("html", element("head", head), element("body", body), lang="en")
        return f"<!doctype html>\n{page}\n"

    def _around(self, first: int, last: int) -> Html:
        return self._figures(self.store.table.rows_of(first, last))

    def _figures(self, rows: list[Row]) -> Html:
        return join(
            element("figure", self._picture(one["path"]), element("figcaption", _caption(one)))
            for one in rows
        )

    def _picture(self, path: str) -> Html | str:
        try:
            image = decode(read_file(self.root / path, _MOST_BYTES), _MOST_PIXELS)
        except (OSError, ImageError):
            return "(the file is gone)"
        pixels = image.pixels
        if pixels.dtype != np.uint8:
            top = max(float(pixels.max()), 1e-9)
            pixels = (pixels.astype(np.float32) / top * 255).astype(np.uint8)
        return element("img", src=data_uri(pixels, _SIDE), alt=path)


def _summary(rows: dict[str, list[Any]]) -> dict[str, Any]:
    """What the rows of a period come to; `rows` are columns."""
    scored = [place for place, value in enumerate(rows["score"]) if value is not None]
    n_judged = int(is_judged(rows)[scored].sum())
    n_flagged = sum(flag is True for flag in rows["anomalous"])
    order = sorted(scored, key=lambda place: -rows["score"][place])[:_MOST_SHOWN]
    share = rate_interval(n_flagged, n_judged) if n_judged else None
    names = ("n", "path", "time", "score", "threshold", "p_value", "anomalous", "product")
    return {
        "n_images": len(rows["n"]),
        "n_flagged": n_flagged,
        "n_unreadable": len(rows["n"]) - len(scored),
        "n_undecided": len(scored) - n_judged,
        "flagged_share": None if share is None else share.model_dump(mode="json"),
        "looks": {
            name: float(np.mean([rows[name][place] for place in scored])) if scored else None
            for name in LOOKS
        },
        "most_anomalous": [
            {name: rows[name][place] for name in names if name in rows} for place in order
        ],
    }


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _caption(one: Row) -> str:
    if one["score"] is None:
        return f"{one['n']:,}: {one['path']}, unreadable"
    product = f", {one['product']}" if one.get("product") else ""
    flag = ", flagged" if one["anomalous"] else ""
    return (
        f"{one['n']:,}: {one['path']}, score {one['score']:.4g}, p {_figure(one['p_value'])}{flag}"
        f"{product}"
    )
