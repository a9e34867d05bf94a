"""Groups that a source's own split tears apart: images of one object on both sides."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind

_SHARE_OF_AN_ERROR = 0.1


def find_torn_groups(groups: NDArray[Any], parts: NDArray[Any]) -> Finding | None:
    """Say which groups have images in more than one part; `parts` as ``train``, ``calibration``,
    ``test``, None without a group.

    Error: more than one in ten test images is of such a group, for then the figures are about
    images seen before. Warning: fewer.

    Examples
    --------
    >>> groups = np.array(["tile 1", "tile 1", "tile 2", None], object)
    >>> find_torn_groups(groups, np.array(["train", "test", "test", "train"], object)).measured[
    ...     "n_torn"
    ... ]
    1
    """
    seen: dict[str, set[str]] = defaultdict(set)
    for group, part in zip(groups.tolist(), parts.tolist(), strict=True):
        if group is not None:
            seen[group].add(part)
    torn = sorted(group for group, where in seen.items() if len(where) > 1)
    if not torn:
        return None
    n_images = int((np.isin(groups.astype(str), torn) & (parts == "test")).sum())
    n_test = int((parts == "test").sum())
    verb = "has" if len(torn) == 1 else "have"
    return Finding(
        code=KIND.code,
        severity="error" if n_images > _SHARE_OF_AN_ERROR * n_test else "warning",
        measured={
            "n_torn": len(torn),
            "n_groups": len(seen),
            "n_test_images": n_images,
            "share_of_test": n_images / n_test if n_test else None,
            "examples": torn[:5],
        },
        meaning=(
            f"{len(torn):,} of the {len(seen):,} groups {verb} images in more than one of train,"
            f" calibration and test, for example {torn[0]!r}. {n_images:,} of the {n_test:,} test"
            f" images {'belongs' if n_images == 1 else 'belong'} to such a group. The model or the"
            " threshold has seen other images of these groups, so the figures look better than"
            " they are."
        ),
        what_to_do=(
            "Give all images of a group the same split in the manifest. Or leave its column split"
            " out: residua then draws a split that keeps groups together."
        ),
    )


KIND = FindingKind(
    "torn-groups",
    "Groups that train, calibration and test share",
    find_torn_groups,
    lambda facts: find_torn_groups(facts.groups, facts.parts),
    needs=("groups", "parts"),
    jobs=("check",),
)
