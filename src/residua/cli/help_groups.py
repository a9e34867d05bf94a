"""The help of a command with many options: one heading for each kind of question."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "fit": {
        "Images": ("normal", "groups", "product", "bits", "root", "follow_links", "separator"),
        "What the network sees": ("size", "aspect", "tiles", "region", "augment", "trim"),
        "Recipe and network": (
            "recipe", "backbone", "latent", "family", "width", "tied", "loss", "error", "density",
        ),
        "Classifiers": ("strategy", "weight", "distance", "mirrored", "class_weight"),
        "Threshold": ("policy", "contamination"),
        "Training": (
            "epochs", "minutes", "batch_size", "learning_rate", "patience", "precision", "seed",
        ),
        "Machine": ("device", "threads", "devices", "nodes", "memory"),
        "What is told": ("logger", "verbose", "quiet"),
    },
}  # fmt: skip
"""Of a command, its headings and their options; what is named under none comes first."""


class GroupedCommand(TyperCommand):
    """A command whose help lists its options under the headings of `GROUPS`."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the options without a heading, then each group."""
        groups = GROUPS.get(self.name or "", {})
        heading_of = {option: title for title, options in groups.items() for option in options}
        lines: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        lines |= {title: [] for title in groups}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            is_argument = parameter.param_type_name == "argument"
            title = "Arguments" if is_argument else heading_of.get(parameter.name or "", "Options")
            if line is not None:
                lines[title].append(line)
        for title, rows in lines.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)
