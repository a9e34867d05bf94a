"""The losses of training, epoch by epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from residua.evaluation.plots.plot import ABNORMAL, MODEL, MUTED, Plot, axes, tidy
from residua.records import Evaluation


def draw(record: Evaluation, ax: Any) -> Any:
    """Both losses, and the epoch whose weights were kept."""
    ax = axes(ax, (6.0, 3.4))
    history = record.evidence.history
    epochs = np.asarray(history["epoch"])
    ax.plot(epochs, history["train_loss"], color=MUTED, label="training")
    validation = np.asarray(history["validation_loss"])
    ax.plot(epochs, validation, color=MODEL, label="validation")
    best = int(np.argmin(validation))
    label = f"lowest: epoch {int(epochs[best])}"
    ax.plot(epochs[best], validation[best], "o", color=ABNORMAL, label=label)
    ax.set(xlabel="Epoch", ylabel="Loss")
    ax.legend(frameon=False, fontsize="small")
    return tidy(ax)


PLOT = Plot(
    "history",
    draw,
    lambda record: "validation_loss" in record.evidence.history,
    "the history of a training",
)
