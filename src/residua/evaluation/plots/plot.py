"""What a kind of plot declares, and what all of them share: colours, axes, intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from residua.errors import MissingExtraError
from residua.evaluation.report import words
from residua.metrics.names import metric_words
from residua.records import Estimate, Evaluation, Job, OperatingPoint

# The report's colours, at a lightness that can be told apart on white and on black.
MODEL, ABNORMAL, MUTED, NOTE = "#1b8a9a", "#d9691e", "#868c95", "#5b7fb0"
SERIES = {"normal": MODEL, "images": MODEL, "abnormal": ABNORMAL, "calibration": NOTE}


@dataclass(frozen=True)
class Plot:
    """One kind of plot.

    Attributes
    ----------
    name : str
        What ``plot(kind)`` takes.
    draw : callable
        ``draw(record, ax, **options)`` returns the axes, or an array of them.
    has : callable
        Whether a record has what is drawn.
    needs : str
        That in words.
    of : type
        Of which records.
    first_for : tuple of Job
        The jobs that it says most of.
    """

    name: str
    draw: Callable[..., Any]
    has: Callable[[Any], bool]
    needs: str
    of: type = Evaluation
    first_for: tuple[Job, ...] = ()


def pyplot() -> Any:
    """The figures of matplotlib; raises MissingExtraError if it is not installed."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "plot") from None
    return plt


def axes(ax: Any, size: tuple[float, float] = (5.2, 4.0)) -> Any:
    """The axes to draw on: those given, else those of a new figure."""
    return pyplot().subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def threshold_label(point: OperatingPoint) -> str:
    """What the legend calls the threshold."""
    return f"threshold {words.significant(point.threshold, 4)}"


def tidy(ax: Any) -> Any:
    """Without the frame's upper and right side."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def unit_square(ax: Any, x: str, y: str) -> Any:
    """Axes of two rates."""
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y, aspect="equal")
    return tidy(ax)


def forest(ax: Any, named: Sequence[tuple[str, Estimate]], metric: str) -> Any:
    """A row an estimate, the first on top, each with its interval and its number."""
    kind = metric_words(metric).kind
    for place, (_, one) in enumerate(named):
        colour = MODEL if place == 0 else MUTED
        if one.value is None:
            ax.plot([], [])
            ax.annotate("not defined", (0, place), xytext=(4, 0), textcoords="offset points")
            continue
        if one.low is not None and one.high is not None:
            ax.plot([one.low, one.high], [place, place], color=colour, linewidth=5, alpha=0.4)
        ax.plot([one.value], [place], "o", color=colour)
        ax.annotate(
            words.number(one.value, kind),
            (one.value, place),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontsize="small",
        )
    ax.set_yticks(range(len(named)), [name for name, _ in named])
    ax.set_ylim(len(named) - 0.5, -0.7)
    return tidy(ax)
