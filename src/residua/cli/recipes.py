"""`residua recipes`."""

from __future__ import annotations


def recipes() -> None:
    """List the recipes. Each entry says what the recipe does, what it costs, where it works well
    and what it cannot see.
    """
    from rich.table import Table
    from rich.text import Text

    from residua._text import terminal
    from residua.training.recipes import RECIPES

    console = terminal()
    rows = [
        (
            "auto",
            (
                "tries pca, neighbours and one trained recipe, by image size; keeps what separates"
                " made anomalies from normal images best"
            ),
            {},
        ),
        *(
            (
                one.name,
                one.summary,
                {"cost": one.cost, "good for": one.good_for, "blind to": ", ".join(one.blind_to)},
            )
            for one in RECIPES.values()
        ),
    ]
    for name, summary, facts in rows:
        console.print(Text(name, style="bold"))
        table = Table.grid(padding=(0, 2, 0, 2))
        for title, text in (("what", summary), *facts.items()):
            if text:
                table.add_row(Text(title, style="dim"), Text(text))
        console.print(table)
