"""What a higher or lower threshold would do on the user's own images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.records import Finding

CODE = "threshold-trade-off"


def find_threshold_trade_off(scores: NDArray[Any], is_anomalous: NDArray[np.bool_], threshold: float) -> Finding | None:
    """Show recall and precision at a low, the chosen and a high threshold; None unless both kinds are there.

    Recall can only fall as the threshold rises. Precision tends the other way and need not be monotone; the finding says
    whether it was here, over every threshold that changes a decision.

    Examples
    --------
    >>> told = find_threshold_trade_off(np.array([1.0, 2, 3, 4]), np.array([False, True, False, True]), 2.5)
    >>> [(row["recall"], row["precision"]) for row in told.measured["thresholds"]]
    [(1.0, 0.6666666666666666), (0.5, 0.5), (0.5, 1.0)]
    """
    from residua.thresholds import is_flagged

    if not is_anomalous.any() or is_anomalous.all():
        return None
    distinct = np.unique(scores)
    low = float(np.quantile(distinct, 0.25, method="lower"))
    high = float(np.quantile(distinct, 0.75, method="lower"))
    rows = []
    for name, at in (("low", min(low, threshold)), ("chosen", threshold), ("high", max(high, threshold))):
        flagged = is_flagged(scores, at)
        hits = int((flagged & is_anomalous).sum())
        precision = hits / int(flagged.sum()) if flagged.any() else None
        rows.append({"name": name, "threshold": at, "recall": hits / int(is_anomalous.sum()), "precision": precision})
    is_monotone = _precision_never_falls(scores, is_anomalous)
    shown = "; ".join(
        f"{row['name']} ({row['threshold']:.4g}): recall {row['recall']:.3g}, precision "
        + ("undefined" if row["precision"] is None else f"{row['precision']:.3g}")
        for row in rows
    )
    habit = "rises with it throughout" if is_monotone else "mostly rises with it, but not everywhere"
    return Finding(
        code=CODE,
        severity="ok",
        measured={"thresholds": rows, "precision_is_monotone": is_monotone},
        meaning=f"A higher threshold finds fewer anomalies, always; precision on these images {habit}. {shown}.",
        what_to_do="Choose the threshold by what a miss and a false alarm cost: a policy such as recall>=0.95 or cost:20:1.",
    )


def _precision_never_falls(scores: NDArray[Any], is_anomalous: NDArray[np.bool_]) -> bool:
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(is_anomalous[order])[last_of_tie]
    precision = hits / (np.flatnonzero(last_of_tie) + 1)
    return bool(np.all(np.diff(precision) <= 1e-12))
