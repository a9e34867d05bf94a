"""A dossier from the artefacts of a run: the same artefacts give the same dossier anywhere."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from residua.errors import InputError
from residua.evaluation.dossier import headings
from residua.evaluation.dossier.artefacts import Artefacts, Heading, Known
from residua.evaluation.dossier.criteria import (
    Criteria,
    Criterion,
    State,
    figure_words,
    read_criteria,
)
from residua.evaluation.evidence import Evidence
from residua.records import Evaluation, Record

Word = Literal["met", "not met", "not shown"]


class CriterionResult(Record):
    """A criterion beside the figure of the test. ``by_figure`` is what the figure alone says;
    ``state`` is never ``met`` where the protocol does not hold.
    """

    criterion: str
    figure: str
    by_figure: State
    state: State
    needed: int | None = None


class Dossier(Record):
    """What an audit reads: whether the criteria are met, and each heading with what backs it."""

    format: Literal["residua-dossier"] = "residua-dossier"
    format_version: Literal[1] = 1
    run: str
    word: Word
    because: tuple[str, ...]
    criteria: tuple[CriterionResult, ...]
    headings: tuple[Heading, ...]
    made_by: str
    date: str = ""
    artefacts: Artefacts
    report: dict[str, Any] | None = Field(default=None)

    @property
    def broken(self) -> tuple[str, ...]:
        """The checks that do not hold, each with its heading."""
        return tuple(said for heading in self.headings for said in heading.broken)


def assemble(
    artefacts: Artefacts,
    evaluation: Evaluation | None,
    evidence: Evidence | None,
    *,
    made_by: str,
    date: str = "",
    report: dict[str, Any] | None = None,
) -> Dossier:
    """The dossier that these artefacts give, without looking at anything else."""
    criteria, problem = None, ""
    if artefacts.acceptances:
        try:
            criteria = read_criteria(artefacts.acceptances[-1].text, "acceptance.json")
        except InputError as error:
            problem = str(error)
    known = Known(artefacts, criteria, problem, evaluation, evidence)
    made = [make(known) for make in headings.BEFORE_FIGURES]
    holds = not any(heading.broken for heading in made)
    figures_hold = not any(one.holds is False for one in headings.figure_checks(known))
    results = _results(criteria, evaluation, protocol_holds=holds and figures_hold)
    made += [headings.figures(known), *(make(known) for make in headings.AFTER_FIGURES)]
    word, because = _word(results, made, criteria)
    return Dossier(
        run=artefacts.run,
        word=word,
        because=because,
        criteria=results,
        headings=tuple(made),
        made_by=made_by,
        date=date,
        artefacts=artefacts,
        report=report,
    )


def _results(
    criteria: Criteria | None, evaluation: Evaluation | None, *, protocol_holds: bool
) -> tuple[CriterionResult, ...]:
    return tuple(
        _result(one, evaluation, protocol_holds) for one in (criteria.criteria if criteria else ())
    )


def _result(one: Criterion, evaluation: Evaluation | None, protocol_holds: bool) -> CriterionResult:
    estimate = None if evaluation is None else evaluation.metrics.get(one.metric)
    state = one.judge(estimate)
    return CriterionResult(
        criterion=one.words,
        figure="not tested yet" if evaluation is None else figure_words(one.metric, estimate),
        by_figure=state,
        state=state if protocol_holds or state != "met" else "not shown",
        needed=one.images_needed(estimate.confidence if estimate else 0.95),
    )


def _word(
    results: tuple[CriterionResult, ...], made: list[Heading], criteria: Criteria | None
) -> tuple[Word, tuple[str, ...]]:
    broken = [one for heading in made for one in heading.broken]
    open_ones = [one.title for one in made if one.state == "open"]
    why = "; the figure meets it, but the protocol does not hold"
    said = [
        f"{one.criterion}: {one.state}{why if one.state != one.by_figure else ''}. {one.figure}."
        for one in results
    ]
    if criteria is None:
        said.append("No acceptance criteria were fixed, so nothing can be met.")
    said += broken
    if open_ones:
        said.append(f"Open: {', '.join(open_ones)}.")
    if any(one.state == "not met" for one in results):
        return "not met", tuple(said)
    is_met = bool(results) and all(one.state == "met" for one in results) and not broken
    return ("met" if is_met else "not shown"), tuple(said)
