"""A metric asked of a model that it says nothing about: accuracy of what does not classify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residua.records import Finding

CODE = "meaningless-metric"


def find_meaningless_accuracy(job: str, *, metric: str = "accuracy", demonstration: Mapping[str, Any] | None = None) -> Finding:
    """Refuse the accuracy of a reconstruction, with what Keras would print and the right question in its place.

    Parameters
    ----------
    job : {"reconstruct", "detect"}
    metric : str
        What was asked for.
    demonstration : mapping, optional
        Numbers of `residua.metrics.demonstration.accuracy_demonstration` on the user's own images; kept as measured.

    Examples
    --------
    >>> find_meaningless_accuracy("reconstruct").severity
    'error'
    """
    measured = {"metric": metric, **(demonstration or {})}
    if job == "detect":
        return Finding(
            code=CODE,
            severity="error",
            measured=measured,
            meaning=(
                f"These are scores without labels: nothing says which images are anomalous, so there is no {metric}. "
                "An autoencoder does not classify."
            ),
            what_to_do="Pass --labels and ask for roc_auc, average_precision, or recall and false alarms at a threshold.",
        )
    return Finding(
        code=CODE,
        severity="error",
        measured=measured,
        meaning=(
            f"A model that reconstructs does not classify, so it has no {metric}. What Keras prints under that name counts "
            "pixels "
            "that agree after rounding: its ceiling is the share of pixels that are exactly 0 or 1, and an all-black image "
            "comes close." + _shown(measured)
        ),
        what_to_do=(
            "Ask how far reconstructions are from their images: mse, mae, psnr, ssim, each beside a baseline. If the model is "
            "meant "
            "to detect, pass --labels with --scores and read roc_auc; if it is meant to classify, pass --predictions."
        ),
    )


def _shown(measured: Mapping[str, Any]) -> str:
    names = {"value": "these reconstructions", "ceiling": "a perfect reconstruction", "all_black": "an all-black image"}
    parts = [f"{words} {measured[name]:.4g}" for name, words in names.items() if isinstance(measured.get(name), int | float)]
    return f" On these images it would print: {', '.join(parts)}." if parts else ""
