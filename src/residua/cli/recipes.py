"""`residua recipes`."""

from __future__ import annotations


def recipes() -> None:
    """List the recipes: what each does, what it costs, where it is good, what it is blind to."""
    from rich.console import Console
    from rich.table import Column, Table

    from residua.recipes import RECIPES

    table = Table(Column("recipe", no_wrap=True), "what it is", "cost", "good for", "blind to", box=None, padding=(0, 2, 1, 0))
    for recipe in RECIPES.values():
        table.add_row(f"[bold]{recipe.name}[/bold]", recipe.summary, recipe.cost, recipe.good_for, ", ".join(recipe.blind_to))
    Console(highlight=False).print(table)
