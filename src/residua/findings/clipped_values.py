"""Values beyond black and white, which had to be clipped."""

from __future__ import annotations

from residua.findings.kind import Finding, FindingKind
from residua.metrics._values import OVERSTEP


def find_clipped_values(
    name: str, share: float, mean_beyond: float, limit: float
) -> Finding | None:
    """Count what was clipped: a note up to `limit`, an error beyond it, None where nothing was.

    Parameters
    ----------
    name : str
        Of the array.
    share : float
        Of its values that lay outside [0, 1] once brought there.
    mean_beyond : float
        Mean distance of all values from [0, 1]. A linear decoder oversteps by less than 0.01.
    limit : float
        The largest `mean_beyond` that is an overstep.

    Examples
    --------
    >>> find_clipped_values("reconstructions", 0.2, 0.008, 0.025).severity
    'note'
    >>> find_clipped_values("reconstructions", 0.5, 0.4, 0.025).severity
    'error'
    """
    if share <= 0:
        return None
    is_far = mean_beyond > limit
    verdict = (
        "That is far more than a decoder oversteps: they may stand on another scale"
        if is_far
        else "They were clipped"
    )
    return Finding(
        code=KIND.code,
        severity="error" if is_far else "note",
        measured={
            "array": name,
            "clipped_share": share,
            "mean_beyond": mean_beyond,
            "limit": limit,
        },
        meaning=(
            f"{100 * share:.3g}% of the values of the {name} lie outside [0, 1]. The"
            f" mean overstep over all values is {mean_beyond:.3g} of the scale. {verdict}."
        ),
        what_to_do=(
            "State the scale, or mean and deviation, or bring the array to 0-1 yourself."
            if is_far
            else "End the decoder with a sigmoid, or clip its output where it is used."
        ),
    )


KIND = FindingKind(
    "clipped-values",
    "Values beyond black and white",
    find_clipped_values,
    lambda facts: [
        find_clipped_values(name, share, beyond, OVERSTEP)
        for name, share, beyond in facts.oversteps
    ],
    needs=("oversteps",),
    jobs=("detect", "reconstruct"),
)
