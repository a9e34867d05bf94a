"""What `export` and `engines` print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residua.cli.output import emit_json

if TYPE_CHECKING:
    from residua.engines import Card, Price
    from residua.runs.engines import EngineRow


def print_export(card: Card, folder: Path) -> None:
    """What was written, and how it was verified."""
    from residua._text import count, terminal

    console, deviation = terminal(), card.deviation
    console.print(f"{', '.join(card.kind.files)} and {card.kind.card} in {folder}")
    console.print(
        f"Verified on {count(deviation.n_images, 'image')}: scores differ by at most"
        f" {deviation.score:.2g} (they spread over {deviation.score_spread:.2g}), maps by"
        f" {deviation.error_map:.2g} (of {deviation.error_map_peak:.2g}),"
        f" {count(deviation.different_decisions, 'decision')} of {deviation.n_images:,}."
    )
    if deviation.near_threshold:
        console.print(
            f"{count(deviation.near_threshold, 'score')} within that deviation of the threshold:"
            " decided alike here, and bound to nothing."
        )
    if card.price is not None:
        console.print(f"Price of {card.precision}: {_price(card.price)}")
    takes = f"It takes {card.entry} images (batch, height, width, {card.channels}) of any size"
    if card.is_framed:
        takes += (
            ": not whole ones, but what the tiles and the region of its card cut out of them."
            " residua.engines.load_engine takes whole images"
        )
    console.print(f"{takes}.")


def print_engines(rows: Sequence[EngineRow]) -> None:
    """The table to choose by; the fastest of each column is bold."""
    from rich.table import Column, Table
    from rich.text import Text

    from residua._text import terminal

    console = terminal()
    titles = ("images/s by 1", "by 256", "score off by", "decisions changed", "ROC AUC lost", "MB")
    columns = (Column(title, justify="right") for title in titles)
    table = Table("engine", *columns, title="Engines on this machine", title_justify="left")
    best = {
        n: max((row.images_a_second[n] for row in rows if row.images_a_second), default=0.0)
        for n in (1, 256)
    }
    for row in rows:
        if not row.images_a_second:
            continue
        speeds = [
            Text(_rate(v), style="bold" if v == best[n] else "")
            for n, v in sorted(row.images_a_second.items())
        ]
        table.add_row(row.kind.name, *speeds, *_costs(row.card), f"{row.megabytes:.2f}")
    console.print(table)
    for row in rows:
        if row.why_not is not None:
            console.print(f"{row.kind.name}: {row.why_not}")
    console.print(
        "Choose one with --engine NAME. Decoded images in memory, score and decision only; medians"
        " of five turns."
    )


def write_engines(rows: Sequence[EngineRow], target: Path | None) -> None:
    """The table as JSON, as `emit_json` writes it."""
    value: list[dict[str, Any]] = [
        {
            "engine": row.kind.name,
            "images_a_second": {str(n): round(rate, 1) for n, rate in row.images_a_second.items()},
            "deviation": None if row.card is None else row.card.deviation.model_dump(mode="json"),
            "price": (
                None
                if row.card is None or row.card.price is None
                else row.card.price.model_dump(mode="json")
            ),
            "megabytes": row.megabytes,
            "why_not": row.why_not,
        }
        for row in rows
    ]
    emit_json(value, target)


def _costs(card: Card | None) -> tuple[str, str, str]:
    if card is None:
        return "reference", "", ""
    deviation, price = card.deviation, card.price
    lost = ""
    if price is not None and price.roc_auc is not None and price.roc_auc_reference is not None:
        lost = f"{price.roc_auc_reference - price.roc_auc:+.4f}"
    return (
        f"{deviation.score:.1e}",
        f"{deviation.different_decisions} of {deviation.n_images:,}",
        lost,
    )


def _price(price: Price) -> str:
    ranks = f"rank correlation {price.rank_correlation:.4f}"
    if price.roc_auc is not None and price.roc_auc_reference is not None:
        ranks = f"ROC AUC {price.roc_auc:.4f}, the reference's {price.roc_auc_reference:.4f}"
    return f"{ranks}, {price.changed_decisions} of {price.n_images:,} decisions changed"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
