"""How records and sets of images show themselves: by rooms above, found by name when asked.

Nothing is loaded before, so that records stay as light as they are.
"""

from __future__ import annotations

import importlib
from typing import Any


def room(name: str) -> Any:
    """A room of ``residua.evaluation`` that draws; the one place where ground reaches up."""
    return importlib.import_module(f"residua.evaluation.{name}")


class Shown:
    """Shown by notebooks as HTML, in the look of the report."""

    def _repr_html_(self) -> str:
        return str(room("notebook").html_of(self))


class Drawn(Shown):
    """Shown, drawn by matplotlib, and given as a table of pandas."""

    def plot(self, kind: str | None = None, *, ax: Any = None, **options: Any) -> Any:
        """Draw the record with matplotlib; see ``docs/plots.md``.

        Parameters
        ----------
        kind : str, optional
            ``roc``, ``precision-recall``, ``scores``, ``confusion``, ``reliability``,
            ``reconstructions``, ``maps``, ``history`` or ``metrics``; of a comparison
            ``differences``. None: the first that says what the record is worth.
        ax : matplotlib axes, optional
            Where to draw; None: a new figure.
        **options
            Of the kind: ``n`` images of ``reconstructions`` and ``maps``.

        Returns
        -------
        matplotlib.axes.Axes, or an array of them
            Of ``reconstructions`` and ``maps`` a row an image.

        Raises
        ------
        MissingExtraError
            Without matplotlib, which comes with ``pip install 'residua[plot]'``.
        InputError
            If there is no such kind, or the record has nothing to draw by it.
        """
        return room("plots").draw(self, kind, ax, options)

    def to_frame(self, what: str | None = None) -> Any:
        """A table of the record as a pandas ``DataFrame``; see ``docs/notebooks.md``.

        Parameters
        ----------
        what : {"metrics", "baselines", "findings", "images"}, optional
            ``images`` has a row an image; of a comparison ``pairs`` or ``models``. None: the
            first.

        Raises
        ------
        MissingExtraError
            Without pandas.
        """
        return room("notebook").frame_of(self, what)
