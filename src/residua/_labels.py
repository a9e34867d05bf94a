"""What names of labels say by themselves.

Which mean normal, which mean anomalous, and which differ by spelling alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from residua._tables import number

NORMAL_NAMES = frozenset({
    "good", "normal", "ok", "okay", "pass", "passed", "healthy", "negative", "benign", "nominal",
    "intact", "undamaged",
    "inlier", "nodefect", "nondefective", "defectfree", "io",
})  # fmt: skip
ANOMALOUS_NAMES = frozenset({
    "bad", "defect", "defects", "defective", "anomaly", "anomalous", "abnormal", "ng", "nok",
    "notok", "ko", "nio", "fail",
    "failed", "failure", "fault", "faulty", "broken", "damaged", "outlier", "positive", "malignant",
    "unhealthy", "reject",
    "rejected", "notgood", "notnormal", "nogood",
})  # fmt: skip
MISSING = frozenset({"", "nan", "<na>", "#n/a"})
_PERHAPS_MISSING = frozenset({"na", "n/a", "none", "null", "unlabeled", "unlabelled"})
_RUN_DOWN = frozenset({
    "decisionfunction", "scoresamples", "ssim", "msssim", "psnr", "similarity", "cosinesimilarity",
    "likelihood",
    "loglikelihood", "logprob", "logprobability", "normality", "inlierness",
})  # fmt: skip
_AROUND = frozenset({
    "p", "pr", "prob", "probs", "proba", "probability", "score", "scores", "is", "of", "label",
    "labels", "gt", "true", "class",
    "flag", "pred", "predicted", "mean", "the", "part", "image",
})  # fmt: skip


def group_name(value: Any) -> str | None:
    """The name of a group as a text, whole numbers without the point; None where it is missing.

    >>> [group_name(value) for value in ("a", 1, 1.0, "", None, float("nan"))]
    ['a', '1', '1', None, None, None]
    """
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value)
    is_missing = text.strip().lower() in MISSING or (text == "NaT" and not isinstance(value, str))
    return None if is_missing else text


def spelled(name: Any) -> str:
    r"""A name as it is compared: composed, no case, single blanks, whole numbers without point.

    >>> spelled(" Good  part"), spelled("1.0"), spelled("Cafe\u0301") == spelled("Caf\u00e9")
    ('good part', '1', True)
    """
    text = " ".join(unicodedata.normalize("NFC", str(name)).split()).casefold()
    value = number(text)
    return (
        str(int(value)) if value is not None and value.is_integer() and abs(value) < 2**53 else text
    )


def same_label(name: Any) -> str:
    """A named label as it is compared: as `spelled`, but a and A may be two classes.

    >>> same_label("Good ") == same_label("good"), same_label("a") == same_label("A")
    (True, False)
    """
    text = str(name).strip()
    return text if len(text) == 1 else spelled(text)


def means_normal(name: str) -> bool:
    """Whether a label says by its name that an image is normal."""
    return _bare(name) in NORMAL_NAMES


def means_anomalous(name: str) -> bool:
    """Whether a label says by its name that an image is anomalous."""
    return _bare(name) in ANOMALOUS_NAMES


def what_grows(column: str | None) -> Literal["normal", "anomalous"] | None:
    """What more of a column means by its name: normal, anomalous, or nothing that it says.

    >>> (
    ...     what_grows("p[good]"),
    ...     what_grows("decision_function"),
    ...     what_grows("is_defect"),
    ...     what_grows("score"),
    ... )
    ('normal', 'normal', 'anomalous', None)
    """
    if column is None:
        return None
    if _bare(column) in _RUN_DOWN:
        return "normal"
    words = re.findall(r"[^\W\d_]+", column.casefold())
    left = "".join(word for word in words if word not in _AROUND)
    if left in _RUN_DOWN or means_normal(left):
        return "normal"
    return "anomalous" if means_anomalous(left) else None


def perhaps_missing(name: str, names: Sequence[str]) -> bool:
    """Whether a label may mean none: NA or None beside others, -1, -100, 255 beside classes.

    >>> (
    ...     perhaps_missing("NA", ["NA", "cat"]),
    ...     perhaps_missing("-1", ["-1", "0", "1"]),
    ...     perhaps_missing("-1", ["-1", "1"]),
    ... )
    (True, True, False)
    """
    if name.strip().casefold() in _PERHAPS_MISSING:
        return len(names) > 1
    counts = "0" in names and len(names) > 2
    return counts and (name in ("-1", "-100") or (name == "255" and "254" not in names))


def normal_among(names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Which of the labels mean normal by what they are called, and why; None where none does.

    >>> normal_among(["crack", "OK", "good"])
    (('OK', 'good'), 'by their names')
    >>> normal_among(["bad", "part"]), normal_among(["cat", "dog"])
    ((('part',), 'the other label says anomalous by its name'), ((), ''))
    """
    normal = tuple(name for name in names if means_normal(name))
    if normal:
        return normal, "by its name" if len(normal) == 1 else "by their names"
    other = tuple(name for name in names if not means_anomalous(name))
    if len(names) == 2 and len(other) == 1:
        return other, "the other label says anomalous by its name"
    return (), ""


def _bare(name: str) -> str:
    """`name` without case, blanks, hyphens, underscores and points."""
    return re.sub(r"[\s_.\-]", "", name).casefold()
