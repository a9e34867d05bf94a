"""`residua plan`: how many images have to be labelled."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from residua._text import say
from residua.cli.options import Json, PerDay

if TYPE_CHECKING:
    from residua.thresholds import CorrectionsPlan, DifferencePlan, Plan


def plan(
    policy: Annotated[
        str | None,
        typer.Option(
            help=(
                "The promise: 'recall>=0.99', 'false-alarms<=0.01', 'precision>=0.9' or"
                " 'quantile:0.99'."
            )
        ),
    ] = None,
    difference: Annotated[
        str | None,
        typer.Option(help="Two rates to tell apart, such as 0.90:0.95.", metavar="RATE:RATE"),
    ] = None,
    corrections: Annotated[
        str | None,
        typer.Option(
            help=(
                "A rate before and after learning: a recall that shall grow, such as 0.60:0.80, or"
                " a rate of false alarms that shall fall, such as 0.05:0.02."
            ),
            metavar="RATE:RATE",
        ),
    ] = None,
    taught: Annotated[
        int | None,
        typer.Option(
            help=(
                "With --corrections: how many images teach. Default: 10 defects, or 20 false"
                " alarms."
            ),
            metavar="N",
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Confidence of the promise.")] = 0.95,
    power: Annotated[
        float,
        typer.Option(
            help="With --difference and --corrections: the probability of finding the difference."
        ),
    ] = 0.8,
    misses: Annotated[
        str, typer.Option(help="Numbers of errors to plan for.", metavar="N,...")
    ] = "0,1,2",
    group_size: Annotated[
        int | None,
        typer.Option(
            help=(
                "Images of a group, such as the views of a part. The promise is then one for new"
                " groups."
            ),
            metavar="N",
        ),
    ] = None,
    share_of_group: Annotated[
        float | None,
        typer.Option(
            help=(
                "How alike the images of a group are, from 0 to 1: the group's share of the"
                " variance of scores. Default: rows for several shares."
            ),
            metavar="SHARE",
        ),
    ] = None,
    per_day: PerDay = None,
    json: Json = None,
) -> None:
    """Compute how many images it takes to show a promise. The plan counts normal or anomalous
    images, with none, one or two errors among them.

    residua plan --policy 'recall>=0.99'

    residua plan --policy 'false-alarms<=0.01' --confidence 0.99

    residua plan --policy 'false-alarms<=0.05' --group-size 6 --share-of-group 0.6

    residua plan --policy 'false-alarms<=0.05' --per-day 10000

    residua plan --difference 0.90:0.95

    residua plan --corrections 0.60:0.80 --taught 10
    """
    from residua import thresholds
    from residua.cli.output import emit_json, is_stdout
    from residua.errors import InputError
    from residua.evaluation.per_day import promised_a_day

    given = [one for one in (policy, difference, corrections) if one is not None]
    if len(given) != 1:
        got = "none" if not given else "several"
        raise InputError(
            f"plan: one of --policy, --difference and --corrections must be given. Got {got}. Write"
            " --policy 'recall>=0.99'."
        )
    if taught is not None and corrections is None:
        raise InputError(
            "plan: --taught must come with --corrections. It came alone. Leave --taught out."
        )
    if group_size is not None and corrections is not None:
        raise InputError(
            "plan: --corrections counts independent images. Got --group-size. Leave it out, and"
            " count parts in place of images."
        )
    if per_day is not None and policy is None:
        raise InputError("plan: --per-day must come with --policy. Got none. Leave --per-day out.")
    a_day = None if per_day is None else promised_a_day(policy or "", per_day)
    told: Plan | DifferencePlan | CorrectionsPlan
    if policy is not None:
        told = thresholds.plan(
            policy,
            confidence=confidence,
            misses=_whole(misses),
            group_size=group_size,
            share_of_group=share_of_group,
        )
    elif corrections is not None:
        told = thresholds.plan_corrections(
            *_two_rates(corrections, "--corrections"),
            taught=taught,
            confidence=confidence,
            power=power,
        )
    else:
        told = thresholds.plan_difference(
            *_two_rates(difference or "", "--difference"),
            confidence=confidence,
            power=power,
            group_size=group_size,
            share_of_group=share_of_group,
        )
    if not is_stdout(json):
        if isinstance(told, thresholds.Plan):
            _print_rows(told)
        if isinstance(told, thresholds.CorrectionsPlan):
            _print_corrections(told)
        say(told.meaning)
        if a_day is not None:
            say(a_day)
    emit_json(asdict(told) | ({} if a_day is None else {"per_day": a_day}), json)


def _whole(text: str) -> tuple[int, ...]:
    from residua.errors import InputError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() for part in parts):
        raise InputError(
            f"plan: --misses must be whole numbers, separated by commas. Got {text!r}. Write for"
            " instance 0,1,2."
        )
    return tuple(int(part) for part in parts)


def _two_rates(text: str, option: str) -> tuple[float, float]:
    from residua.errors import InputError

    try:
        first, second = (float(part) for part in text.split(":"))
    except ValueError:
        raise InputError(
            f"plan: {option} must be two rates. Got {text!r}. Write for instance 0.90:0.95."
        ) from None
    return first, second


def _print_corrections(told: CorrectionsPlan) -> None:
    from residua._text import count

    columns = ["images that get worse", f"{told.kind} images to test on", "labelled in all"]
    cells = [
        [f"{100 * row.worse:.2g} in 100", f"{row.n_test:,}", f"{row.n_images:,}"]
        for row in told.rows
    ]
    say(f"{count(told.n_taught, 'image')} to learn from, and")
    _print_table(columns, cells)


def _print_rows(told: Plan) -> None:
    if any(row.n_groups is not None for row in told.rows):
        columns = [f"groups with {told.fault}", "share of group", "groups", "images"]
        cells = [
            [
                str(row.n_faults),
                "any" if row.share is None else f"{row.share:g}",
                f"{row.n_groups:,}",
                f"{row.n_images:,}",
            ]
            for row in told.rows
        ]
    else:
        columns = [told.fault, f"{told.kind} images"]
        cells = [[str(row.n_faults), f"{row.n_images:,}"] for row in told.rows]
    _print_table(columns, cells)


def _print_table(columns: list[str], cells: list[list[str]]) -> None:
    from rich.table import Table

    from residua._text import terminal

    table = Table(*columns, box=None, header_style="dim", padding=(0, 2, 0, 1))
    for one in cells:
        table.add_row(*one)
    console = terminal(highlight=True)
    console.print(table)
    console.print()
