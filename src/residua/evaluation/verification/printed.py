"""What stands printed on a page beside what residua writes for the same data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from residua.evaluation.verification.numbers import VerifiedNumber
from residua.evaluation.verification.page import Page, read_text

_MOST_TEXTS = 60  # figures of a page that differ, listed one by one
_ABSENT = "absent"
_NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True)
class Verification:
    """Every figure that was looked at, and the versions of residua that made and that verified the
    report. ``broken`` are steps of a dossier's protocol that do not hold, however it tells them.
    """

    figures: tuple[VerifiedNumber, ...]
    made_by: str
    verified_with: str
    broken: tuple[str, ...] = ()

    @property
    def differing(self) -> tuple[VerifiedNumber, ...]:
        """Figures that the report's own data does not give."""
        return tuple(one for one in self.figures if one.verdict == "differs")

    @property
    def not_carried(self) -> tuple[VerifiedNumber, ...]:
        """Figures that it takes more than the report to make again."""
        return tuple(one for one in self.figures if one.verdict == "not carried")


def drawn(html: str) -> dict[str, str]:
    """The text of each figure of a page, by its name."""
    return {name: values[0] for name, values in read_text(html).figures.items()}


def printed(
    page: Page, expected: dict[str, str], titles: dict[str, str], *, is_older: bool
) -> Iterator[VerifiedNumber]:
    """The figures as they are printed: one line for those that agree, one each for those that do
    not.

    A page of an earlier version says some things in other words. Its sentences are held to their
    numbers: each has to occur in what today's sentence says.
    """
    n_same, unlike = 0, []
    for name in [*expected, *(name for name in page.figures if name not in expected)]:
        said, made = page.figures.get(name, [_ABSENT]), expected.get(name, "nothing of residua's")
        if said == [made]:
            n_same += 1
            continue
        if is_older and name in expected and _numbers(" ".join(said)) <= _numbers(made):
            n_same += 1
            continue
        key, _, rest = name.partition("/")
        unlike.append(
            VerifiedNumber(
                titles.get(key, key),
                f"printed {rest}",
                shorter(" | ".join(said)),
                shorter(made),
                "differs",
            )
        )
    yield VerifiedNumber(
        "page",
        "figures as printed",
        f"{len(expected):,}",
        f"{n_same:,} the same",
        "differs" if unlike else "same",
    )
    yield from unlike[:_MOST_TEXTS]


def _numbers(text: str) -> Counter[str]:
    return Counter(_NUMBER.findall("" if text == _ABSENT else text))


def foreign(page: Page, sections: list[str]) -> Iterator[VerifiedNumber]:
    """Each section of the page that residua does not write for these data."""
    for name in page.sections:
        if name not in sections:
            made = "nothing of residua's"
            yield VerifiedNumber("page", f"section {name}", "present", made, "differs")


def shorter(text: str) -> str:
    """At most 100 characters of it."""
    return text if len(text) <= 100 else f"{text[:97]}..."
