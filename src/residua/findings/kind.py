"""A kind of finding: its code, its title, the facts it needs and how it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from residua.findings.facts import JudgedFacts, Task
from residua.findings.figures import Figure, Histogram
from residua.records import Finding

# A file of a finding takes all of these from here.
__all__ = [
    "JOBS",
    "Answer",
    "Figure",
    "FindingKind",
    "Histogram",
    "JudgedFacts",
    "told",
]

JOBS: tuple[Task, ...] = ("detect", "reconstruct", "classify")
Answer = Finding | tuple[Finding | None, Figure | None] | None
"""A finding, alone or with the figure that shows it; None where there is nothing to say."""


@dataclass(frozen=True)
class FindingKind:
    """A stable code, a title of a few words, the function that makes the finding, and how it is
    asked.

    Attributes
    ----------
    find : callable
        The public function: arrays to a finding, or None.
    ask : callable, optional
        From the facts to an answer or several. It is called only where every fact in `needs` is
        known. None for a finding that is made where its cause is met (a single image sent to the
        server, a metric asked for by name).
    needs : tuple of str
        Names of facts of `JudgedFacts`.
    jobs : tuple of Task
        What the finding can be about.
    unless : str
        Code of a finding that makes this one pointless.
    noun : str
        What is being checked, should the check fail; the code in words where empty.
    """

    code: str
    title: str
    find: Callable[..., Finding | None]
    ask: Callable[[JudgedFacts], Answer | list[Answer]] | None = None
    needs: tuple[str, ...] = ()
    jobs: tuple[Task, ...] = JOBS
    unless: str = ""
    noun: str = ""

    @property
    def check(self) -> str:
        """The noun that `not-checked` uses."""
        return self.noun or self.code.replace("-", " ")


def told(answers: Any) -> list[tuple[Finding, Figure | None]]:
    """The findings of what `FindingKind.ask` returned, each with its figure or None."""
    listed = answers if isinstance(answers, list) else [answers]
    pairs = [one if isinstance(one, tuple) else (one, None) for one in listed]
    return [(finding, figure) for finding, figure in pairs if finding is not None]
