"""`residua evaluate`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from residua.cli.options import (
    BitsOfSource,
    Cluster,
    Engine,
    GroupsOfRun,
    Html,
    Json,
    LoggerName,
    Memory,
    OtherSource,
    PerDay,
    Positive,
    Prevalence,
    ProductOfRun,
    Quiet,
    Run,
    ScoringDevice,
    Strict,
    Workers,
    day_of,
    engine_for,
    of_another_source,
    reference_only,
)


class Ranking(StrEnum):
    """How scores are gathered from a cluster."""

    exact = "exact"
    sketch = "sketch"


def evaluate(
    run: Run,
    source: OtherSource = None,
    json: Json = None,
    html: Html = None,
    strict: Strict = False,
    cluster: Cluster = None,
    workers: Workers = None,
    ranking: Annotated[
        Ranking,
        typer.Option(
            help=(
                "With --cluster. exact: gather all scores. sketch: gather summaries of bounded"
                " size, with guaranteed bounds: no groups, no pixels."
            )
        ),
    ] = Ranking.exact,
    groups: GroupsOfRun = None,
    product: ProductOfRun = None,
    bits: BitsOfSource = None,
    memory: Memory = 2048,
    engine: Engine = "torch",
    device: ScoringDevice = None,
    positive: Positive = None,
    per_day: PerDay = None,
    prevalence: Prevalence = None,
    logger: LoggerName = None,
    quiet: Quiet = False,
) -> None:
    """Evaluate the model of a RUN beside its baselines. The images are the run's own test part, or
    another SOURCE.

    residua evaluate runs/parts --json result.json --html report.html

    residua evaluate runs/parts new-parts/ --strict

    residua evaluate runs/parts --per-day 10000 --prevalence 0.01

    residua evaluate runs/parts /shared/line-2/ --cluster auto --ranking sketch
    """
    from residua.cli.output import check_targets, refuse_if_strict, show
    from residua.cli.progress import watching
    from residua.evaluation.per_day import with_day
    from residua.runs.evaluate import evaluate_run
    from residua.runs.open_run import open_run

    check_targets(json, html)
    day = day_of(per_day, prevalence, "evaluate")
    of_another_source("evaluate", source, bits=bits)
    engine = engine_for(device, engine, "evaluate")
    with watching(quiet=quiet) as watcher:
        if cluster is None:
            judged = evaluate_run(
                run,
                source,
                engine=engine,
                memory_megabytes=memory,
                positive=positive,
                bits=bits,
                groups=groups,
                product=product,
                day=day,
                watcher=watcher,
            )
        else:
            from residua.cluster import ClusterOptions, evaluate_on_cluster

            reference_only("evaluate", "a cluster", engine, positive=positive, product=product)
            judged = evaluate_on_cluster(
                run,
                source,
                ClusterOptions(cluster, workers),
                ranking=ranking.value,
                bits=bits,
                groups=groups,
                watcher=watcher,
            )
    evaluation, evidence = with_day(judged.evaluation, day), judged.evidence
    show(
        evaluation,
        evidence,
        json=json,
        html=html,
        title=f"residua: {run.name}",
        quiet=quiet,
        told_before=open_run(run).origin().assumptions,
    )
    if not quiet and html is None:
        from residua._text import terminal

        told = f"residua report {run}" if cluster is None else "the same with --html FILE, a report"
        terminal(stderr=True).print(f"Next: {told}")
    if logger is not None:
        from residua.runs.loggers import logging_to

        with logging_to(logger, run, resume=True) as logged:
            assert logged is not None
            logged.evaluated(evaluation.with_evidence(evidence))
    refuse_if_strict(evaluation, strict=strict)
