"""How often flagged images are defects, and others too, from the random share alone."""

from __future__ import annotations

from collections.abc import Sequence

from residua._text import count
from residua.metrics.intervals import rate_interval
from residua.records import Estimate, Record


class Rate(Record):
    """The share of defects among the flagged images of a source, or among the others.

    Of `n_drawn` images that were drawn at random `n_defects` are defects; of `n_open` nobody can
    say, or reviewers disagree: the interval holds whatever they are.
    """

    flagged: bool
    n_images: int
    n_drawn: int
    n_defects: int
    n_open: int
    share: Estimate
    words: str


def defect_rate(drawn: Sequence[str | None], *, flagged: bool, n_images: int) -> Rate:
    """The rate among the `n_images` that are `flagged`, or among the others.

    `drawn` says of each image that was drawn and answered whether it is good, a defect or open
    (None). Where these are all images, the rate is exact.

    >>> defect_rate(["defect"] * 15 + ["good"] * 5, flagged=True, n_images=90).words
    'Of 90 flagged images 20 were drawn: 15 are defects, 75% [51%, 91%].'
    """
    n, n_defects, n_open = len(drawn), drawn.count("defect"), drawn.count(None)
    value = None if n == n_open else n_defects / (n - n_open)
    if n == n_images:
        low, high = (n_defects / n, (n_defects + n_open) / n) if n else (None, None)
    else:
        low = rate_interval(n_defects, n, method="clopper-pearson").low
        high = rate_interval(n_defects + n_open, n, method="clopper-pearson").high
    share = Estimate(value=value, low=low, high=high, n=n)
    return Rate(
        flagged=flagged,
        n_images=n_images,
        n_drawn=n,
        n_defects=n_defects,
        n_open=n_open,
        share=share,
        words=_words(share, n_images, n_defects, n_open, flagged=flagged),
    )


def _words(share: Estimate, n_images: int, n_defects: int, n_open: int, *, flagged: bool) -> str:
    kind = "flagged image" if flagged else "image that is not flagged"
    kinds = count(n_images, kind) if flagged or n_images == 1 else _others(n_images)
    if not share.n:
        return f"Of {kinds} none that was drawn is answered yet."
    drawn = f"{share.n:,} {'was' if share.n == 1 else 'were'} drawn"
    start = f"Of {kinds} {'all are answered' if share.n == n_images else drawn}"
    opened = f", {n_open:,} open" if n_open else ""
    defects = f"{n_defects:,} {'is a defect' if n_defects == 1 else 'are defects'}"
    if share.value is None or share.low is None or share.high is None:
        return f"{start}: all of them open."
    bounds = "" if share.low == share.high else f" [{_percent(share.low)}, {_percent(share.high)}]"
    return f"{start}: {defects}{opened}, {_percent(share.value)}{bounds}."


def _others(n_images: int) -> str:
    return f"{n_images:,} images that are not flagged"


def _percent(value: float) -> str:
    digits = 1 if 0 < value < 0.1 or 0.99 < value < 1 else 0
    return f"{100 * value:.{digits}f}%"
