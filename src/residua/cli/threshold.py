"""`residua threshold`: another operating point for a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from residua._text import say
from residua.cli.options import (
    BitsOfSource,
    GroupsOfRun,
    Json,
    KnownGroups,
    PerDay,
    Prevalence,
    ProductOfRun,
    Run,
    day_of,
    of_another_source,
)

if TYPE_CHECKING:
    from residua.evaluation.per_day import Day
    from residua.records import OperatingPoint


def threshold(
    run: Run,
    source: Annotated[
        str | None,
        typer.Argument(help="Calibration images. Default: those of the run.", metavar="SOURCE"),
    ] = None,
    policy: Annotated[
        str,
        typer.Option(
            help=(
                "How to choose: 'false-alarms<=0.01', 'recall>=0.99', 'precision>=0.9', max-f1,"
                " cost:20:1, quantile:0.99, or a number."
            )
        ),
    ] = "",
    confidence: Annotated[
        float, typer.Option(help="Confidence of the bounds and intervals.")
    ] = 0.95,
    contamination: Annotated[
        float | None,
        typer.Option(
            help=(
                "Share of the calibration images that may be hidden anomalies, such as 0.02."
                " Default: that of the last threshold."
            ),
            metavar="SHARE",
        ),
    ] = None,
    known_groups: KnownGroups = False,
    groups: GroupsOfRun = None,
    product: ProductOfRun = None,
    bits: BitsOfSource = None,
    per_day: PerDay = None,
    prevalence: Prevalence = None,
    json: Json = None,
) -> None:
    """Choose a new threshold for a RUN by a policy. The policy reads the scores of calibration
    images. The run stores the result.

    residua threshold runs/parts --policy 'false-alarms<=0.01'

    residua threshold runs/parts labelled/ --policy 'recall>=0.95'
    """
    from residua.errors import PolicyError

    if not policy:
        raise PolicyError(
            "threshold: --policy must be given. Got none. Write for instance --policy"
            " 'false-alarms<=0.01'."
        )
    from residua.cli.output import emit_json, is_stdout
    from residua.cli.progress import watching
    from residua.evaluation.per_day import PER_DAY
    from residua.runs.threshold import change_threshold
    from residua.thresholds import parse_policy

    day = day_of(per_day, prevalence, "threshold")
    of_another_source("threshold", source, bits=bits, groups=groups, product=product)
    with watching(quiet=is_stdout(json) and source is None) as watcher:
        point = change_threshold(
            run,
            str(parse_policy(policy)),
            source=source,
            confidence=confidence,
            bits=bits,
            groups=groups,
            product=product,
            promise="known-groups" if known_groups else None,
            contamination=contamination,
            watcher=watcher,
        )
    if not is_stdout(json):
        _print_point(point, day)
        _print_decision(run)
    told = {} if day is None else {PER_DAY: day.counts(point.rates)}
    emit_json({**point.model_dump(mode="json"), **told}, json)


def _print_point(point: OperatingPoint, day: Day | None) -> None:
    from residua._text import count
    from residua.evaluation.per_day import promised_a_day, sentence
    from residua.evaluation.report.words import worth

    say(f"Threshold {point.threshold:.6g} ({point.policy})")
    say(point.how)
    for name, rate in point.rates.items():
        bounds = (
            ""
            if rate.low is None or rate.high is None
            else f" [{_short(rate.low)}, {_short(rate.high)}]"
        )
        value = "undefined" if rate.value is None else f"{rate.value:.3g}"
        behind = f"{count(rate.n, 'calibration image')} {worth(rate)}".rstrip()
        say(f"  {name.replace('_', ' ')} {value}{bounds} on {behind}")
        if rate.caveat is not None:
            say(f"    {rate.caveat}")
    if day is not None:
        shown = sentence(day.counts(point.rates))
        say(f"{shown} Those are the rates on the calibration images.")
        say(promised_a_day(point.policy, round(day.good)))


def _print_decision(run: Path) -> None:
    """What the threshold does on the images that the run was judged on."""
    from residua.errors import ResiduaError
    from residua.evaluation.report.opening import decision
    from residua.runs.judgement import fit_of, stored_judgement
    from residua.runs.open_run import open_run

    folder = open_run(run)
    try:
        judged = stored_judgement(folder)
        if judged is None or fit_of(folder, judged.evaluation) != "fits":
            return
    except ResiduaError:  # told while the threshold was chosen
        return
    told = judged.evaluation.provenance.get("judged_on", "the images judged last")
    said = decision(judged.evaluation) or "The evaluation holds its figures."
    say(f"On {told}, from the stored scores: {said}")


def _short(share: float) -> str:
    """Three digits; next to nothing is 0."""
    return f"{share if share >= 1e-4 else 0:.3g}"
