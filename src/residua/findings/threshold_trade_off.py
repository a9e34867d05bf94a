"""What a higher or lower threshold would do on the user's own images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind


def find_threshold_trade_off(
    scores: NDArray[Any], is_anomalous: NDArray[np.bool_], threshold: float
) -> Finding | None:
    """Show recall and precision at the chosen threshold, a lower and a higher one; None unless both
    kinds are there.

    Recall can only fall as the threshold rises. Precision tends the other way and need not be
    monotone; the finding says whether it was here, over every threshold that changes a decision.
    The lower and higher ones are the middle of the distinct scores on either side.

    Examples
    --------
    >>> told = find_threshold_trade_off(
    ...     np.array([1.0, 2, 3, 4]), np.array([False, True, False, True]), 2.5
    ... )
    >>> [
    ...     (row["name"], row["recall"], round(row["precision"], 3))
    ...     for row in told.measured["thresholds"]
    ... ]
    [('low', 1.0, 0.667), ('chosen', 0.5, 0.5), ('high', 0.5, 1.0)]
    """
    from residua.thresholds import is_flagged

    if not is_anomalous.any() or is_anomalous.all():
        return None
    distinct = np.unique(scores)
    below, above = (
        distinct[~is_flagged(distinct, threshold)],
        distinct[is_flagged(distinct, threshold)],
    )
    places = [("chosen", threshold)]
    if len(below) > 1:
        places.insert(0, ("low", float(below[(len(below) - 1) // 2])))
    if len(above) > 1:
        places.append(("high", float(above[(len(above) - 1) // 2])))
    rows = []
    for name, at in places:
        flagged = is_flagged(scores, at)
        hits = int((flagged & is_anomalous).sum())
        rows.append(
            {
                "name": name,
                "threshold": at,
                "recall": hits / int(is_anomalous.sum()),
                "precision": hits / int(flagged.sum()) if flagged.any() else None,
            }
        )
    is_monotone = _precision_never_falls(scores, is_anomalous)
    shown = "; ".join(
        f"{row['name']} threshold ({row['threshold']:.4g}): recall {row['recall']:.3g}, precision "
        + ("undefined" if row["precision"] is None else f"{row['precision']:.3g}")
        for row in rows
    )
    habit = (
        "rises with it throughout" if is_monotone else "mostly rises with it, but not everywhere"
    )
    return Finding(
        code=KIND.code,
        severity="note",
        measured={"thresholds": rows, "precision_is_monotone": is_monotone},
        meaning=(
            "A higher threshold always finds fewer anomalies. Precision on these images"
            f" {habit}. {shown[0].upper()}{shown[1:]}."
        ),
        what_to_do=(
            "Choose the threshold by the costs of a miss and of a false alarm, with a policy"
            " such as recall>=0.95 or cost:20:1."
        ),
    )


def _precision_never_falls(scores: NDArray[Any], is_anomalous: NDArray[np.bool_]) -> bool:
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(is_anomalous[order])[last_of_tie]
    return bool(np.all(np.diff(hits / (np.flatnonzero(last_of_tie) + 1)) <= 1e-12))


KIND = FindingKind(
    "threshold-trade-off",
    "What other thresholds would do",
    find_threshold_trade_off,
    lambda facts: find_threshold_trade_off(*facts.known, facts.operating_point.threshold),
    needs=("scores", "is_anomalous", "operating_point"),
    jobs=("detect",),
)
