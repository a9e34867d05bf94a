"""A metric asked of a model that it says nothing about: accuracy of what does not classify."""

from __future__ import annotations

from dataclasses import asdict

from residua.findings.kind import Finding, FindingKind
from residua.metrics.demonstration import AccuracyDemonstration

_WITHOUT_IMAGES = (
    "For images of shape (height, width, 1) Keras prints the share of pixels that agree after"
    " rounding under that name. Its ceiling is the share of pixels that are exactly 0 or 1,"
    " and an all-black image comes close to it."
)


def find_meaningless_accuracy(
    job: str, *, metric: str = "accuracy", demonstration: AccuracyDemonstration | None = None
) -> Finding:
    """Refuse the accuracy of a reconstruction, with what Keras would print and the right question
    in its place.

    Parameters
    ----------
    job : {"reconstruct", "detect"}
    metric : str
        What was asked for.
    demonstration : AccuracyDemonstration, optional
        Made of the user's own images; its numbers are kept as measured.

    Examples
    --------
    >>> find_meaningless_accuracy("reconstruct").severity
    'error'
    """
    shown = (
        {}
        if demonstration is None
        else {key: value for key, value in asdict(demonstration).items() if key != "meaning"}
    )
    measured = {"metric": metric, **shown}
    if job == "detect":
        return Finding(
            code=KIND.code,
            severity="error",
            measured=measured,
            meaning=(
                "These are scores without labels. Nothing says which images are anomalous, so"
                f" there is no {metric}. An autoencoder does not classify."
            ),
            what_to_do=(
                "Pass --labels and ask for roc_auc, average_precision, or recall and false alarms"
                " at a threshold."
            ),
        )
    return Finding(
        code=KIND.code,
        severity="error",
        measured=measured,
        meaning=(
            f"A model that reconstructs images does not classify, so it has no {metric}. "
            + (_WITHOUT_IMAGES if demonstration is None else demonstration.meaning)
        ),
        what_to_do=(
            "Ask how far reconstructions are from their images: read mse, mae, psnr and ssim"
            " beside a baseline. If the model is meant to detect, pass --labels with --scores"
            " and read roc_auc. If it is meant to classify, pass --predictions."
        ),
    )


KIND = FindingKind(
    "meaningless-metric",
    "Accuracy of a model that does not classify",
    find_meaningless_accuracy,
)
