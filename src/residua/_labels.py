"""What names of labels say by themselves: which mean normal, which mean anomalous, and which differ by spelling alone."""

from __future__ import annotations

import re

NORMAL_NAMES = frozenset({
    "good", "normal", "ok", "okay", "pass", "passed", "healthy", "negative", "benign", "nominal", "intact", "undamaged",
    "inlier", "nodefect", "nondefective", "defectfree", "io",
})  # fmt: skip
ANOMALOUS_NAMES = frozenset({
    "bad", "defect", "defects", "defective", "anomaly", "anomalous", "abnormal", "ng", "nok", "notok", "ko", "nio", "fail",
    "failed", "failure", "fault", "faulty", "broken", "damaged", "outlier", "positive", "malignant", "unhealthy", "reject",
    "rejected", "notgood", "notnormal", "nogood",
})  # fmt: skip


def folded(name: str) -> str:
    """`name` without what spellings differ in: case, blanks, hyphens, underscores and points.

    Examples
    --------
    >>> folded("Defect-free "), folded("i.O.")
    ('defectfree', 'io')
    """
    return re.sub(r"[\s_.\-]", "", name).casefold()


def means_normal(name: str) -> bool:
    """Whether a label says by its name that an image is normal."""
    return folded(name) in NORMAL_NAMES


def means_anomalous(name: str) -> bool:
    """Whether a label says by its name that an image is anomalous."""
    return folded(name) in ANOMALOUS_NAMES
