"""What a comparison hands out, and its words; ``residua compare --json`` writes the JSON form."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from residua._shown import Drawn
from residua._text import count, of_groups
from residua.records import Estimate, Finding, Job, Record

_NAMES = {
    "accuracy": "points of accuracy",
    "roc_auc": "of ROC AUC",
    "average_precision": "of average precision",
    "log_loss": "of log loss",
    "mse": "of mean squared error",
    "ssim": "of SSIM",
    "psnr": "dB of PSNR",
}


class ComparedModel(Record):
    """One model's metrics on the images that all share; ``n_own`` is how many test images it has
    itself. ``code`` is how many numbers its code holds, ``code_ratio`` how many values of an image
    stand behind each; None where there is no code or nobody knows its size.
    """

    name: str
    n_own: int
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    code: int | None = None
    code_ratio: float | None = None


class PairedDifference(Record):
    """``a - b`` in one metric on the same images.

    ``difference`` has an interval that holds together with those of all other pairs in that metric
    (Bonferroni); ``p_value`` is that of the pair alone, ``p_adjusted`` times the number of pairs.
    ``better`` names a model where a difference is shown: the interval excludes 0 and the adjusted
    p-value is below 1 minus the confidence.
    """

    metric: str
    a: str
    b: str
    difference: Estimate
    p_value: float | None = None
    p_adjusted: float | None = None
    method: str
    better: str | None = None
    sentence: str


class Comparison(Drawn, Record):
    """Models of one job on the test images they share, the first metric being the one the sentence
    is about. ``n_groups`` is how many groups the images were sampled in, None without groups.
    ``at_thresholds`` say what two detectors find and flag, each at its own threshold, and
    ``versions`` what a run has learnt since another of them.
    """

    job: Job
    n_images: int
    n_groups: int | None = None
    confidence: float
    n_pairs: int
    correction: str | None = None
    standings: tuple[ComparedModel, ...]
    pairs: tuple[PairedDifference, ...]
    sentence: str
    at_thresholds: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def pair_sentence(
    metric: str,
    names: tuple[str, str],
    difference: Estimate,
    better: str | None,
    *,
    higher_is_better: bool,
) -> str:
    """One pair: ``joint beats plain by 0.4 points of accuracy [0.1, 0.7]``, or no difference.

    >>> difference = Estimate(value=-0.004, low=-0.007, high=-0.001)
    >>> pair_sentence("accuracy", ("plain", "joint"), difference, "joint", higher_is_better=True)
    'joint beats plain by 0.4 points of accuracy [0.1, 0.7]'
    """
    if difference.value is None:
        return (
            f"{names[0]} and {names[1]} cannot be compared in {metric}: it is not defined on these"
            " images"
        )
    if better is None:
        return (
            f"no difference between {names[0]} and {names[1]} can be shown:"
            f" the first less the second is {_amount(metric, difference)}"
        )
    other = names[1] if better == names[0] else names[0]
    is_negative = difference.value < 0
    turned = _negated(difference) if is_negative else difference
    verb = "beats" if higher_is_better else "is lower than"
    return f"{better} {verb} {other} by {_amount(metric, turned)}"


def in_one_sentence(
    pairs: Sequence[PairedDifference],
    names: Sequence[str],
    n_images: int,
    n_groups: int | None = None,
) -> str:
    """Who is ahead of whom in one sentence, and why few groups may mislead."""
    caveat = pairs[0].difference.caveat
    images = f"{count(n_images, 'test image')}{of_groups(n_groups)}"
    said = _in_one_sentence(pairs, names, images)
    return said if caveat is None else f"{said} {caveat}"


def _in_one_sentence(pairs: Sequence[PairedDifference], names: Sequence[str], images: str) -> str:
    where = f"on {images}"
    if len(names) == 2:
        sentence = pairs[0].sentence
        if sentence.startswith("no difference"):
            sentence = f"No{sentence[2:]}"
        return f"{sentence} {where}."
    shown = [pair for pair in pairs if pair.better is not None]
    if not shown:
        return f"No difference between any two of {len(names)} runs can be shown {where}."
    beaten = {name: [_other(pair, name) for pair in shown if pair.better == name] for name in names}
    ahead = sorted((name for name in names if beaten[name]), key=lambda name: -len(beaten[name]))
    parts = [f"{name} beats {_listed(beaten[name])}" for name in ahead]
    open_pairs = len(pairs) - len(shown)
    rest = (
        f"; between the other {open_pairs} pairs no difference can be shown"
        if open_pairs > 1
        else ""
    )
    rest = "; between the other pair no difference can be shown" if open_pairs == 1 else rest
    return f"{'; '.join(parts)} {where}{rest}."


def _other(pair: PairedDifference, name: str) -> str:
    return pair.b if pair.a == name else pair.a


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _negated(difference: Estimate) -> Estimate:
    low = None if difference.high is None else -difference.high
    high = None if difference.low is None else -difference.low
    return difference.model_copy(
        update={"value": -(difference.value or 0.0), "low": low, "high": high}
    )


def _amount(metric: str, difference: Estimate) -> str:
    """``0.4 points of accuracy [0.1, 0.7]``."""
    scale = 100 if metric == "accuracy" else 1
    ends = [end for end in (difference.value, difference.low, difference.high) if end is not None]
    digits = 1 if metric == "accuracy" else _digits(max(abs(end) for end in ends))
    value, *bounds = (f"{end * scale:.{digits}f}" for end in ends)
    name = _NAMES.get(metric, f"of {metric}")
    return f"{value} {name} [{', '.join(bounds)}]" if len(bounds) == 2 else f"{value} {name}"


def _digits(size: float) -> int:
    """Decimals that show two digits of the largest number."""
    digits = 3
    while size > 0 and digits < 8 and size < 10 ** -(digits - 1):
        digits += 1
    return digits
