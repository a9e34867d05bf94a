"""How many images have to be labelled to show that a model which learnt from corrections is better.

Found by simulating the comparison of both versions on the same images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from residua._check import Problems
from residua.thresholds.calibration import percent
from residua.thresholds.choose import check_confidence
from residua.thresholds.planning import check_rates
from residua.thresholds.policy import plain

_DRAWS = 4000
_MOST = 1_000_000
_TAUGHT = {True: 10, False: 20}  # defects, or false alarms
_RETURNED = (0.0, 0.25)


@dataclass(frozen=True)
class CorrectionsRow:
    """With `worse` of the images right before and wrong after, `n_test` show the improvement.

    ``n_images`` are these and those that teach.
    """

    worse: float
    n_test: int
    n_images: int


@dataclass(frozen=True)
class CorrectionsPlan:
    """What it takes to show that learning changed a rate from `before` to `after`.

    ``kind`` is which images: anomalous where the rate shall grow, normal where it shall fall.
    ``n_taught`` of them teach; of flagged normal images, `n_seen` have to be looked at for that.
    """

    before: float
    after: float
    confidence: float
    power: float
    kind: str
    n_taught: int
    n_seen: int
    rows: tuple[CorrectionsRow, ...]
    meaning: str


def plan_corrections(
    before: float,
    after: float,
    *,
    taught: int | None = None,
    confidence: float = 0.95,
    power: float = 0.8,
) -> CorrectionsPlan:
    """How many labelled images teach a model and show that it is better.

    A rate that shall grow is the recall of anomalous images; one that shall fall is that of false
    alarms. Both versions judge the same images, of which none taught, and McNemar's exact test
    compares them, as `residua compare` does. How many images get worse is not known before, so
    there are rows for none, for a quarter as many as get better, and for errors that are
    independent. What `taught` images achieve is an assumption: `after` is yours to name.

    Parameters
    ----------
    before, after : float
        The rate today and the one hoped for, between 0 and 1.
    taught : int, optional
        Images that teach; 10 defects or 20 false alarms unless said.
    confidence, power : float
        Of the two-sided test, and the probability of finding the improvement if it is as named.

    Examples
    --------
    >>> told = plan_corrections(0.60, 0.80)
    >>> told.kind, told.n_taught, [row.n_test for row in told.rows][0] < 50
    ('anomalous', 10, True)
    >>> plan_corrections(0.05, 0.02).n_seen
    400
    """
    problems = Problems("plan")
    check_confidence(problems, confidence)
    check_rates(problems, power, before=before, after=after)
    if taught is not None:
        problems.within("taught", taught, "[1, inf)", "Name how many teach")
    problems.raise_any()
    is_recall = after > before
    kind, n_taught = "anomalous" if is_recall else "normal", taught or _TAUGHT[is_recall]
    n_seen = n_taught if is_recall else round(n_taught / before)
    gap = abs(after - before)
    # Independent errors: right before and wrong after.
    independent = before * (1 - after) if is_recall else after * (1 - before)
    rows = []
    for worse in (*(gap * share / (1 - share) for share in _RETURNED), independent):
        n_test = _fewest(gap + worse, worse, 1 - confidence, power)
        rows.append(CorrectionsRow(worse, n_test, n_test + n_seen))
    rows.sort(key=lambda row: row.worse)
    what = "a recall" if is_recall else "a false-alarm rate"
    teach = (
        f"{n_taught} labelled defects teach"
        if is_recall
        else f"{n_taught} false alarms teach, which are found among {n_seen:,} good images"
    )
    meaning = (
        f"To show with {percent(confidence)} confidence (two-sided, McNemar's exact test on the"
        f" same images) that learning changed {what} from {plain(before)} to {plain(after)}, and to"
        f" find it {percent(power)} of the time: {teach}, and {rows[0].n_test:,} to"
        f" {max(row.n_test for row in rows):,} other {kind} images test both versions."
        f" Assumed: the images are independent, so views of one part count once; those that teach"
        f" are of the same kinds as those that test; {plain(after)} is what you expect, which"
        " nothing here shows."
    )
    return CorrectionsPlan(
        before, after, confidence, power, kind, n_taught, n_seen, tuple(rows), meaning
    )


def _fewest(better: float, worse: float, level: float, power: float) -> int:
    """The fewest images of which the test finds the difference often enough."""
    low, high = 1, 8
    while _power(high, better, worse, level) < power and high < _MOST:
        low, high = high, 2 * high
    while low + 1 < high:
        middle = (low + high) // 2
        if _power(middle, better, worse, level) < power:
            low = middle
        else:
            high = middle
    return high


def _power(n_images: int, better: float, worse: float, level: float) -> float:
    """How often McNemar's exact test tells the versions apart, the right way round."""
    from scipy.stats import binom

    shares = [better, worse, max(0.0, 1 - better - worse)]
    drawn = np.random.default_rng(0).multinomial(n_images, shares, size=_DRAWS)
    gained, lost = drawn[:, 0], drawn[:, 1]
    p_values = np.minimum(1.0, 2 * binom.cdf(np.minimum(gained, lost), gained + lost, 0.5))
    return float(((gained > lost) & (p_values < level)).mean())
