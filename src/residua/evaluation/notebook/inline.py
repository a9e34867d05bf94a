"""The report in a frame of a notebook."""

from __future__ import annotations

from dataclasses import dataclass

from residua.evaluation.report.markup import element
from residua.evaluation.report.page import page, with_arrays
from residua.records import Evaluation

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
