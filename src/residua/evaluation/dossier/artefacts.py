"""What the headings of a dossier are made from, and of: artefacts of a run, and checks of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from residua.evaluation.dossier.criteria import Criteria
from residua.evaluation.dossier.protocol import Acceptance, TestedEntry, looks_at, unpacked_digests
from residua.evaluation.evidence import Evidence
from residua.records import Evaluation, Record


class Check(Record):
    """A question that was asked of the artefacts; ``holds`` is None where they cannot answer it."""

    name: str
    holds: bool | None
    said: str


class Heading(Record):
    """One heading: ``shown`` by its artefacts, ``open``, or ``broken`` where a check fails."""

    key: str
    title: str
    state: Literal["shown", "open", "broken"]
    artefacts: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    @property
    def broken(self) -> list[str]:
        """What is said of the checks that do not hold."""
        return [f"{self.title}: {one.said}" for one in self.checks if one.holds is False]


class Parent(Record):
    """A run that this one has learnt from, if it `is_there` still, and what was judged there."""

    name: str
    weights: str
    learnt: str
    is_there: bool
    tested: tuple[TestedEntry, ...] = ()


class Artefacts(Record):
    """What a run keeps, as far as a dossier needs it. Hashes of pixels are packed; ``parts`` holds
    those of each part and ``labels`` its labels; ``leaks`` counts judged images that copy training
    images, and ``files`` has the SHA-256 of the run's files.
    """

    run: str
    weights: str
    threshold: float | None
    policy: str | None = None
    recipe: str = ""
    version: str = ""
    fit: str = ""
    normal: tuple[str, ...] = ()
    parts: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, dict[str, int]] = Field(default_factory=dict)
    fingerprints: dict[str, str] = Field(default_factory=dict)
    acceptances: tuple[Acceptance, ...] = ()
    tested: tuple[TestedEntry, ...] = ()
    lineage: tuple[Parent, ...] = ()
    corrected: str = ""
    chosen_on: str = ""
    judged: str | None = None
    leaks: int | None = None
    is_searched: bool = False
    watch: dict[str, Any] | None = None
    files: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """The artefacts with what follows from them."""

    artefacts: Artefacts
    criteria: Criteria | None
    problem: str
    evaluation: Evaluation | None
    evidence: Evidence | None

    @property
    def accepted(self) -> Acceptance | None:
        """The criteria in force."""
        return self.artefacts.acceptances[-1] if self.artefacts.acceptances else None

    @cached_property
    def judged(self) -> list[bytes]:
        """The hashes of the images that the stored evaluation judged."""
        return unpacked_digests(self.artefacts.judged or "")

    @cached_property
    def looks(self) -> list[TestedEntry]:
        """Each time that some of them were judged, the first time first."""
        return looks_at(self.artefacts.tested, self.judged)

    def files(self, *names: str) -> tuple[str, ...]:
        """Those of the run's files that are there; what was judged lies in a folder of its own
        where the criteria are for another source.
        """
        accepted, there = self.accepted, self.artefacts.files
        if accepted is not None and accepted.source is not None:
            own = ("evaluation.json", "evidence.npz")
            names = tuple(f"accepted/{one}" if one in own else one for one in names)
        return tuple(one for one in names if one in there)

    def part(self, name: str) -> set[bytes]:
        """The hashes of a part of the run."""
        return set(unpacked_digests(self.artefacts.parts.get(name, "")))


def heading(
    key: str,
    title: str,
    artefacts: tuple[str, ...],
    *,
    said: Iterable[str] = (),
    checks: Sequence[Check] = (),
    columns: Sequence[str] = (),
    rows: Iterable[Sequence[str]] = (),
) -> Heading:
    """One heading: open without artefacts, broken where a check fails."""
    is_broken = any(one.holds is False for one in checks)
    return Heading(
        key=key,
        title=title,
        state="broken" if is_broken else "shown" if artefacts else "open",
        artefacts=artefacts,
        said=tuple(said),
        checks=tuple(checks),
        columns=tuple(columns),
        rows=tuple(tuple(row) for row in rows),
    )


def check(name: str, holds: bool | None, good: str, bad: str, unknown: str = "") -> Check:
    """A check with what is said where it holds, where not, and where nothing tells."""
    said = unknown if holds is None else good if holds else bad
    return Check(name=name, holds=holds, said=said)
