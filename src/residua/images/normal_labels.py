"""Labels that mean normal: as they are named, as they are spelled, as a source shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._labels import group_name, means_anomalous, normal_among, same_label
from residua._text import count, few
from residua.errors import LabelError
from residua.records import Assumption

Labels = str | int | Sequence[str | int]
_ABOUT, _TO_TELL = "normal label", "--normal"


def as_texts(labels: Labels, known: NDArray[Any] | None) -> tuple[str, ...]:
    """One label or several as texts, each once.

    Booleans are 0 and 1, as sets keep them, unless the `known` labels are so as texts.
    """
    several = [labels] if isinstance(labels, (str, int, np.generic)) else list(labels)
    flags = [one for one in several if isinstance(one, (bool, np.bool_))]
    if flags and not {"True", "False"} & set(known_texts(known)):
        several = [int(one) if isinstance(one, (bool, np.bool_)) else one for one in several]
    return tuple(dict.fromkeys(str(label) for label in several))


def known_texts(labels: NDArray[Any] | None) -> list[str]:
    """The labels that occur, as sorted texts."""
    return (
        []
        if labels is None
        else sorted({str(label) for label in labels.tolist() if label is not None})
    )


def known_labels(
    texts: tuple[str, ...], labels: NDArray[Any] | None, *, where: str
) -> tuple[str, ...]:
    """`texts`, and what differs by case or blanks; `LabelError` where one does not occur."""
    known = known_texts(labels)
    alike = {text: [one for one in known if same_label(one) == same_label(text)] for text in texts}
    missing = [text for text in texts if not alike[text]]
    if missing or not texts:
        there = (
            few((f'"{text}"' if "," in text else text for text in known), 20)
            if known
            else "no labels at all"
        )
        got = ", ".join(map(repr, missing)) or "no label"
        raise LabelError(
            f"{where}: the normal label must occur in the source. Got {got} where there are"
            f" {there}. "
            + (
                "Name one of those."
                if known
                else "Name a source with labels, such as a folder for each class."
            )
        )
    return tuple(
        dict.fromkeys(
            [text for text in texts if text in known]
            + [one for text in texts for one in alike[text]]
        )
    )


def spelled_otherwise(named: Sequence[str], normal: Sequence[str]) -> list[Assumption]:
    """What is told of normal labels that nobody named as they are spelled."""
    others = [label for label in normal if label not in named]
    return (
        [
            Assumption(
                about=_ABOUT,
                taken=f"{', '.join(map(repr, others))} too",
                because="it differs from the label that was named by case or blanks alone",
                to_tell="one spelling in the source",
            )
        ]
        if others
        else []
    )


def named_normal(
    normal: Labels, labels: NDArray[Any] | None, assumed: list[Assumption]
) -> tuple[str, ...]:
    """The labels that the user names as normal, with what `assumed` gains by their spelling."""
    named = as_texts(normal, labels)
    found = known_labels(named, labels, where="load_images")
    assumed.extend(spelled_otherwise(named, found))
    return found


def inferred_normal(
    source_normal: str | None, splits: Any, labels: NDArray[Any] | None, assumed: list[Assumption]
) -> tuple[str, ...] | None:
    """The normal label by layout, by a train part with one label, or by its name, if so."""
    if labels is None:
        return None
    texts = [None if label is None else str(label) for label in labels]
    there = {text for text in texts if text is not None}
    why = ""
    found: tuple[str, ...] = ()
    if source_normal is not None and source_normal in there:
        found, why = (source_normal,), "as the MVTec layout has it"
    elif splits is not None:
        in_train = {
            text
            for text, part in zip(texts, splits, strict=True)
            if part == "train" and text is not None
        }
        if len(in_train) == 1 and len(there) > 1 and not means_anomalous(next(iter(in_train))):
            found, why = tuple(in_train), "the only label in train"
    if found:
        found = known_labels(found, labels, where="load_images")
    elif len(there) > 1:
        found, why = normal_among(sorted(there))
    if not found:
        return None
    others = sorted(there - set(found))
    if len(others) > 1:
        why += f"; anomalous are {few(others, 8)}"
    assumed.append(Assumption(about=_ABOUT, taken=", ".join(found), because=why, to_tell=_TO_TELL))
    return found


def told_beside(told: Any, own: Any, where: str) -> list[str]:
    """What is noted where labels are told beside those that a source has itself.

    Raises LabelError if both name the same labels and differ: one of them is wrong, or in another
    order.

    >>> told_beside(np.array([0, 1]), ["good", "scratch"], "fit")
    ["labels are those that were told; the images' own are good, scratch"]
    """
    pairs = [(group_name(one), group_name(other)) for one, other in zip(told, own, strict=True)]
    differ = [row for row, (one, other) in enumerate(pairs) if one and other and one != other]
    if not differ:
        return []
    both = {(one, other) for one, other in pairs if one and other}
    said, there = {one for one, _ in both}, {other for _, other in both}
    is_renamed = len(both) == len(there)  # each own label has one name
    if said == there or (said <= there and not is_renamed):
        one, other = pairs[differ[0]]
        raise LabelError(
            f"{where}: labels that are passed must agree with those that the images have. Got"
            f" {count(len(differ), 'label')} that differ, first at {differ[0]}: {one} passed where"
            f" the image has {other}. Leave them out, or pass the images without their own."
        )
    return [f"labels are those that were told; the images' own are {few(sorted(map(str, there)))}"]


def is_inferred_normal(assumption: Assumption) -> bool:
    """Whether it is what `inferred_normal` took, which no longer holds once normal is named."""
    return (assumption.about, assumption.to_tell) == (_ABOUT, _TO_TELL)
