"""Groups that nobody named: in the names of files, such as ``part077_view3``, or as near-twins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images.groups import TWINS, group_codes
from residua.images.sources.split_folders import PART_FOLDERS

_TOKENS = re.compile(r"\d+|[^\W\d_]+|[\W_]+")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_MOST_NAMES = 200_000
_FEWEST = 10  # groups: of fewer, names may count lines, days or classes
_MOST_VIEWS = 50  # images a group: of more, names may count folders of a thousand
_CROSSED = 0.5  # share of all pairs of a group and a view that is there
_VIEWS = frozenset(
    {"view", "v", "exp", "exposure", "cam", "camera", "side", "angle", "pose", "light", "shot"}
)  # what has to stand before a view that comes first: class0_12 is none
_ALIKE = 0.9  # share of the names that are built in one way
_TWINS = 0.1  # share of the images that have a near-twin


@dataclass(frozen=True)
class SuspectedGroups:
    """The group of each image by number, ``codes`` (n_images,), and what suggests them.

    ``rule`` is what to write after ``--groups``, None where no text says it. ``n_seen`` counts the
    images of groups that the model was fitted on.
    """

    codes: NDArray[np.int64]
    rule: str | None
    because: str
    n_seen: int = 0

    def of(self, rows: NDArray[np.int64], fitted: NDArray[np.int64]) -> SuspectedGroups:
        """Those of some of the images, numbered anew, where others were fitted on."""
        codes = np.unique(self.codes[rows], return_inverse=True)[1].reshape(-1)
        n_seen = int(np.isin(self.codes[rows], self.codes[fitted]).sum())
        return replace(self, codes=codes.astype(np.int64), n_seen=n_seen)

    @property
    def n_groups(self) -> int:
        """How many groups there would be."""
        return int(self.codes.max()) + 1


def suspected_groups(
    paths: Sequence[Any] | NDArray[Any],
    labels: Sequence[Any] | NDArray[Any] | None = None,
    twins: NDArray[np.int64] | None = None,
) -> SuspectedGroups | None:
    r"""What suggests that images come in groups; None where nothing does.

    Parameters
    ----------
    paths : sequence of str, (n_images,)
    labels : sequence, (n_images,), optional
        A part of the names that follows from the label is no group.
    twins : int array, (n_images,), optional
        The group of near-duplicates that each image is of.

    Examples
    --------
    >>> views = [f"part{part:02d}_view{view}.png" for part in range(12) for view in range(3)]
    >>> suspected_groups(views).rule
    'part(\\d+)'
    >>> suspected_groups([f"img_{number:04d}.png" for number in range(36)]) is None
    True
    """
    by_name = groups_in_names(paths, labels)
    return _by_twins(twins) if by_name is None else by_name


def hint_of_groups(
    paths: Sequence[Any] | NDArray[Any], labels: Sequence[Any] | NDArray[Any] | None = None
) -> str | None:
    r"""What to say before training where names suggest groups that nobody named.

    >>> views = [f"part{part:02d}_view{view}.png" for part in range(12) for view in range(3)]
    >>> print(hint_of_groups(views))  # doctest: +NORMALIZE_WHITESPACE
    names such as part00_view0.png, part00_view1.png, part00_view2.png look like 12 groups of
    images. If each group shows one thing, say so before you train: --groups 'part(\d+)'
    """
    found = groups_in_names(paths, labels)
    if found is None:
        return None
    return (
        f"{found.because} look like {found.n_groups:,} groups of images. If each group shows one"
        " thing, say so before you train: "
        + ("a column group in a manifest" if found.rule is None else f"--groups '{found.rule}'")
    )


def groups_in_names(
    paths: Sequence[Any] | NDArray[Any], labels: Sequence[Any] | NDArray[Any] | None = None
) -> SuspectedGroups | None:
    """Groups where names differ in a view alone.

    A view is one part of the name that takes a few values, the same ones in most groups. A counter
    is none, and neither is what follows from the label. Names of folders are groups of the files in
    them, but never views.
    """
    if len(paths) > _MOST_NAMES:
        return None
    names = [str(path) for path in paths]
    tokens = [_TOKENS.findall(_SUFFIX.sub("", name)) for name in names]
    shapes = [tuple(map(_shape, one)) for one in tokens]
    if not shapes:
        return None
    shape, n_alike = Counter(shapes).most_common(1)[0]
    rows = [row for row, one in enumerate(shapes) if one == shape]
    if n_alike < _ALIKE * len(names) or n_alike < 2 * _FEWEST:
        return None
    each = zip(*(tokens[row] for row in rows), strict=True)
    columns = [np.unique(column, return_inverse=True) for column in each]
    varying = [
        at
        for at, (values, _) in enumerate(columns)
        if len(values) > 1 and not {str(value).lower() for value in values} <= set(PART_FOLDERS)
    ]
    of_label = None if labels is None else group_codes(str(labels[row]) for row in rows)
    in_file = 1 + max((at for at, one in enumerate(shape) if "/" in one), default=-1)
    best: tuple[float, NDArray[np.int64], list[int]] | None = None
    for view in reversed(varying):
        keys = [at for at in varying if at != view]
        if view < in_file or not keys or (view < keys[-1] and not _is_view(tokens[rows[0]], view)):
            continue
        codes = np.unique(np.stack([columns[at][1] for at in keys]), axis=1, return_inverse=True)[
            1
        ].reshape(-1)
        crossed = _crossed(codes, columns[view][1], of_label)
        if crossed is not None and (best is None or crossed > best[0]):
            best = crossed, codes, keys
    if best is None:
        return None
    _, codes, keys = best
    whole = np.arange(len(names)) + int(codes.max()) + 1
    whole[rows] = codes
    whole = np.unique(whole, return_inverse=True)[1].astype(np.int64)
    rule = _rule_of([tokens[row] for row in rows], shape, keys, [names[r] for r in rows], codes)
    first = [names[row] for row in np.flatnonzero(whole == whole[rows[0]])[:3]]
    return SuspectedGroups(whole, rule, f"names such as {', '.join(first)}")


def _crossed(
    groups: NDArray[np.int64], views: NDArray[np.int64], labels: NDArray[np.int64] | None
) -> float | None:
    """The share of pairs of a group and a view that are there; None where these are no views."""
    n, n_groups, n_views = len(groups), int(groups.max()) + 1, int(views.max()) + 1
    share = n / (n_groups * n_views)
    if n_groups < max(_FEWEST, n_views) or n_views > _MOST_VIEWS or share < _CROSSED:
        return None
    if n < 2 * n_groups * _ALIKE:
        return None
    if labels is not None and any(_says(column, labels) for column in (groups, views)):
        return None
    return share


def _says(column: NDArray[np.int64], labels: NDArray[np.int64]) -> bool:
    """Whether each label has one value of the column, so that this is the label in other words."""
    n_pairs = len(np.unique(np.stack([column, labels]), axis=1).T)
    return n_pairs == len(np.unique(labels)) > 1


def _is_view(tokens: list[str], at: int) -> bool:
    return any(token.lower() in _VIEWS for token in tokens[max(0, at - 2) : at])


def _by_twins(twins: NDArray[np.int64] | None) -> SuspectedGroups | None:
    if twins is None or not len(twins):
        return None
    codes, sizes = np.unique(twins, return_inverse=True, return_counts=True)[1:]
    n_several = int(sizes[sizes > 1].sum())
    if n_several < _TWINS * len(twins):
        return None
    because = f"{n_several:,} of {len(twins):,} images have a near-duplicate beside them"
    return SuspectedGroups(codes.reshape(-1).astype(np.int64), TWINS, because)


def _shape(token: str) -> str:
    """Numbers and words by their kind, what stands between them as it is."""
    return "0" if token.isdigit() else "a" if token[0].isalpha() else token


def _rule_of(
    tokens: list[list[str]],
    shape: tuple[str, ...],
    keys: list[int],
    names: list[str],
    codes: NDArray[np.int64],
) -> str | None:
    """A pattern of the same groups: the key after its word, else all before the view."""
    for pattern in _patterns(tokens, shape, keys):
        expression = re.compile(pattern)
        found = [expression.search(name) for name in names]
        if all(found):
            made = group_codes(one[1] for one in found if one is not None)
            n_pairs = len(np.unique(np.stack([made, codes]), axis=1).T)
            if n_pairs == made.max() + 1 == codes.max() + 1:
                return pattern
    return None


def _patterns(tokens: list[list[str]], shape: tuple[str, ...], keys: list[int]) -> list[str]:
    last = keys[-1]
    kind = {"0": r"(\d+)", "a": r"([^\W\d_]+)"}.get(shape[last], "")
    found = []
    for start in range(last - 1, -2, -1):
        before = [{one[at] for one in tokens} for at in range(max(start, 0), last)]
        if all(len(values) == 1 for values in before):
            text = "".join(_escaped(values.pop()) for values in before)
            found.append(("^" if start < 0 else "") + text + kind)
    after = {one[last + 1] for one in tokens} if last + 1 < len(shape) else set()
    if len(after) == 1 and not after & {"0", "a"}:
        found.append(f"(.*){_escaped(after.pop())}")
    return [*found, *(["^(.*)/"] if "/" in shape else [])]


def _escaped(text: str) -> str:
    """`text` as a pattern that people can read."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)
