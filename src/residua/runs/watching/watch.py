"""The loop of a watch: what arrives is scored, written, and told of."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from residua._files import write_json
from residua._text import count
from residua.engines import Engine, Scores
from residua.errors import InputError, OutputError, ResiduaError
from residua.evaluation.check import look_of
from residua.images.columns import texts
from residua.images.listing import Files, Listing, Options
from residua.images.products import is_of_path, with_products
from residua.images.reading import reading_of
from residua.images.stores import LocalFolder
from residua.metrics.intervals import rate_interval
from residua.runs.model import JudgedModel
from residua.runs.open_run import open_run
from residua.runs.origin import Origin
from residua.runs.progress import Watcher
from residua.runs.tables import ScoringTask, score_rows
from residua.runs.watching import telling
from residua.runs.watching.arrivals import Arrivals, FolderArrivals, StreamArrivals
from residua.runs.watching.calibration import open_drift
from residua.runs.watching.drift import LOOKS, DriftWatch
from residua.runs.watching.drift_of_products import DriftOfProducts
from residua.runs.watching.options import WatchOptions
from residua.runs.watching.shift_report import ShiftReports, parse_period
from residua.runs.watching.store import Mark, WatchStore
from residua.runs.watching.table import COLUMNS, Row, is_undecided, text_of
from residua.thresholds import batch_policy
from residua.thresholds.false_discoveries import FalseDiscoveries
from residua.thresholds.products import in_words

_POLL, _WRITE_EVERY, _TELL_EVERY, _CLEAN_EVERY = 0.2, 10.0, 60.0, 3_600.0
_WRITE_SHARE = 50  # of its time at most one part is spent on writing the open block again
_STATUS_EVERY, _REPORT_EVERY = 5.0, 30.0
_LATELY, _RECENT = 1_000, 24
_LONGEST_WAIT = 60.0


class _Looking:
    """An engine that also keeps how each image looks, in the order in which they are scored."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.looks = engine, list[tuple[float, float, float]]()

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def batch_size(self) -> int:
        return self._engine.batch_size

    def score(self, images: Any, **wanted: Any) -> Scores:
        found = self._engine.score(images, **wanted)
        self.looks += [look_of(image) for image in images]
        return found


@dataclass
class Watch:
    """A watch at work: a model, what arrives, where it is written, and what is known so far."""

    run: Path
    model: JudgedModel
    task: ScoringTask
    store: WatchStore
    arrivals: Arrivals
    drift: DriftWatch | DriftOfProducts
    teller: telling.Teller
    options: WatchOptions
    note: Callable[[str], None]
    rule: FalseDiscoveries | None = None
    reports: ShiftReports | None = None
    counts: dict[str, int] = field(default_factory=dict)
    recent: list[Row] = field(default_factory=list)
    is_over: bool = False
    lately: list[list[float]] = field(default_factory=list)
    block: list[Row] = field(default_factory=list)
    _done: dict[str, float] = field(default_factory=dict)
    _write_seconds: float = 0.0

    def work(self) -> None:
        """Score what arrives until there is no more, or somebody stops it."""
        engine = _Looking(self.model.engine)
        try:
            while True:
                self._housekeeping()
                names = self.arrivals.take(engine.batch_size)
                if names:
                    self._take(engine, names)
                elif self.arrivals.ended or (self.options.once and not self.arrivals.n_waiting):
                    break
                else:
                    time.sleep(_POLL)
            while self.arrivals.is_looking:
                self._tell_changed()
            self._close_block(is_last=True)
        finally:
            self._finish()

    def _take(self, engine: _Looking, names: list[str]) -> None:
        rows, marks = self._scored(engine, names)
        if not rows:
            return
        raised = []
        for row in rows:
            values = {name: row.get(name) for name in ("score", "product", *LOOKS)}
            found = self.drift.add(row["n"], row["time"], values, row["path"])
            raised += [self.drift.alarms[name] for name in found]
        self.block += rows
        self.recent = [*self.recent, *rows][-_RECENT:]
        flagged = [row for row in rows if row["anomalous"]]
        flagged = flagged if self.rule is None else self._decided(self.options.block)
        self._keep(rows, flagged, marks=marks)
        for row in rows:
            self.arrivals.forget(row["path"])
        for alarm in raised:
            self.note(f"{alarm['kind']}: {alarm['words']}")
        if len(self.block) >= self.options.block:
            self._close_block()

    def _scored(self, engine: _Looking, names: list[str]) -> tuple[list[Row], list[Mark | None]]:
        """The rows of the images that could be read, or were waited for long enough; and how their
        files were.
        """
        before = {name: self.arrivals.mark(name) for name in names}
        columns = self._columns(engine, names)
        rows: list[Row] = []
        for place, name in enumerate(names):
            is_whole = self.arrivals.mark(name) == before[name]
            if (columns["unreadable"][place] is not None or not is_whole) and self.arrivals.again(
                name, before[name]
            ):
                continue
            row: Row = {
                column: _plain(columns[column][place]) for column in COLUMNS if column in columns
            }
            row |= {"n": self.store.n_images + len(rows) + 1, "path": name}
            row["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
            mark = before[name]
            if mark is not None and row["score"] is not None and not is_undecided(row):
                age, is_flagged = time.time() - mark[1] / 1e9, row["anomalous"] is True
                self.lately.append([age, float(is_flagged), row["n"]])
            rows.append(row)
        del self.lately[:-_LATELY]
        return rows, [before[row["path"]] for row in rows]

    def _columns(self, engine: _Looking, names: list[str]) -> dict[str, Any]:
        engine.looks.clear()
        try:
            chunk = score_rows(engine, self.task, self._listing(names), 0, len(names))
        except ResiduaError as error:  # an image of another kind than the model's
            if len(names) > 1:
                each = [self._columns(engine, [name]) for name in names]
                return {key: [one[key][0] for one in each] for key in each[0]}
            columns = self.task.no_scores(1) | {"unreadable": [str(error)]}
            return {**columns, **{name: [None] for name in LOOKS}}
        places = np.flatnonzero(chunk.is_scored).tolist()
        looks: dict[str, list[float | None]] = {name: [None] * len(names) for name in LOOKS}
        for place, values in zip(places, engine.looks, strict=True):
            for name, value in zip(LOOKS, values, strict=True):
                looks[name][place] = value
        return {**chunk.columns, **looks}

    def _listing(self, names: list[str]) -> Listing:
        content = Files.of(LocalFolder(self.arrivals.root), names, self.task.options.byte_limit)
        found = Listing("folder", texts(text_of(name) for name in names), content)
        return with_products(found, self.task.product_rule, must_hold=False)

    def _decided(self, n_images: int) -> list[Row]:
        """Rows of the open block that are flagged now and were not before."""
        assert self.rule is not None and self.task.reference is not None
        p_values = np.array([_number(row["p_value"]) for row in self.block])
        decision = self.rule.decide(self.task.reference, p_values, n_images)
        fresh = []
        for row in self.block:
            level = self.task.level_of(decision, row.get("product"))
            if row["score"] is not None and level is not None and row["score"] > level:
                if not row["anomalous"]:
                    fresh.append(row)
                row["anomalous"], row["threshold"] = True, level
        flagged = {row["n"] for row in fresh}
        self.lately = [[age, float(was or n in flagged), n] for age, was, n in self.lately]
        return fresh

    def _close_block(self, *, is_last: bool = False) -> None:
        """The block is whole: what is not flagged by now will not be."""
        if not self.block:
            return
        if self.rule is not None:
            fresh = self._decided(len(self.block)) if is_last else []
            _settle(self.block)
            self._keep([], fresh, self.block)
        if self._tried(self.store.close_block):
            self.block = []

    def _events(self, flagged: list[Row]) -> list[Row]:
        """What is to be told, as far as there is room among what waits."""
        if not self.teller.ways:
            return []
        room = max(0, telling.MOST_WAITING - self.store.n_events())
        self._count("not_told", len(flagged[room:]))
        own = [] if self.task.products is None else ["product"]
        names = ["n", "score", "threshold", "p_value", "time", *own]
        return [
            {name: row[name] for name in names}
            | {"path": str((self.arrivals.root / row["path"]).absolute()), "run": str(self.run)}
            for row in flagged[:room]
        ]

    def _count(self, name: str, n: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + n

    def _keep(
        self,
        rows: list[Row],
        flagged: list[Row],
        changed: list[Row] | None = None,
        marks: list[Mark | None] | None = None,
    ) -> None:
        """Write, and wait for a disk that takes no more: no image is lost, none is taken."""
        events = self._events(flagged)
        self._count("flagged", len(flagged))
        self._count("unreadable", sum(row["unreadable"] is not None for row in rows))
        self._count("undecided", sum(is_undecided(row) for row in rows))
        changed = flagged if changed is None else changed
        state = {"drift": self.drift.state(), "counts": self.counts, "lately": self.lately}
        wait = 1.0
        while True:
            try:
                return self.store.keep(
                    rows, state, changed=changed, events=events, marks=marks or ()
                )
            except OutputError as error:
                if wait == 1.0:
                    self.note(f"{error} Nothing is scored until then.")
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    def _tried(self, write: Callable[[], Any]) -> bool:
        """Whether it could be written; the rows stay in the state where it could not."""
        try:
            write()
        except OutputError as error:
            if self._due("disk", _TELL_EVERY):
                self.note(str(error))
            return False
        return True

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self._done.get(what, float("-inf")) < seconds:
            return False
        self._done[what] = now
        return True

    def _housekeeping(self) -> None:
        if self._due("write", max(_WRITE_EVERY, _WRITE_SHARE * self._write_seconds)):
            began = time.monotonic()
            self._tried(self.store.write_block)
            self._write_seconds = time.monotonic() - began
        self._tell_changed()
        if self._due("status", _STATUS_EVERY):
            self._tried(lambda: write_json(self.store.out / ".status.json", self.status()))
        if self.reports is not None and self._due("report", _REPORT_EVERY):
            self._tried(self._report)
        days = self.options.keep_days
        if days is not None and self._due("clean", _CLEAN_EVERY):
            self.store.drop_old(days)

    def _tell_changed(self) -> None:
        """Files that were written over after they were scored: they are told of, and left alone."""
        changed = self.arrivals.changed()
        if not changed:
            return
        names, marks = list(changed), list(changed.values())
        counts = {**self.counts, "changed": self.counts.get("changed", 0) + len(names)}
        if self._tried(lambda: self.store.keep_marks(names, marks, {"counts": counts})):
            self.counts = counts
        if self._due("changed", _TELL_EVERY):
            self.note(
                f"{text_of(names[0])}: the file has changed since it was scored, and is not scored"
                f" again ({count(counts['changed'], 'such file')} so far). Give each image a name"
                " of its own."
            )

    def _report(self) -> None:
        assert self.reports is not None
        self.store.write_block()
        for path in self.reports.write_due(time.time(), self.status):
            self.note(f"a period has ended: {path}")

    def _finish(self) -> None:
        self.is_over = True
        self.teller.stop(5.0 if self.arrivals.ended or self.options.once else 0.0)
        self._tried(self.store.write_block)
        if self.reports is not None:  # the period so far
            reports, period = self.reports, int(time.time() // self.reports.seconds)
            self._tried(lambda: reports.write(period, self.status()))
        self._tried(lambda: write_json(self.store.out / ".status.json", self.status()))

    def status(self) -> dict[str, Any]:
        """What is told of the watch, as JSON values."""
        seconds, flags = sorted(one[0] for one in self.lately), [one[1] for one in self.lately]
        share = rate_interval(int(sum(flags)), len(flags)) if flags else None
        return {
            "run": str(self.run),
            "table": str(self.store.out),
            "folder": str(self.arrivals.root.absolute()),
            "is_stream": isinstance(self.arrivals, StreamArrivals),
            "is_running": not self.is_over,
            "period_seconds": None if self.reports is None else self.reports.seconds,
            "policy": self._policy_words(),
            "n_images": self.store.n_images,
            "n_flagged": self.counts.get("flagged", 0),
            "n_unreadable": self.counts.get("unreadable", 0),
            "n_undecided": self.counts.get("undecided", 0),
            "n_changed": self.counts.get("changed", 0),
            **self.arrivals.waiting(),
            "flagged_share_lately": None if share is None else share.model_dump(mode="json"),
            "seconds_from_file_to_row": None
            if not seconds
            else {"median": seconds[len(seconds) // 2], "p95": seconds[int(0.95 * len(seconds))]},
            "telling": {
                "waiting": self.store.n_events(),
                "told": self.teller.n_told,
                "given_up": self.teller.n_given_up,
                "not_told": self.counts.get("not_told", 0),
            },
            "drift": self.drift.status(),
            "last_images": [row | {"path": text_of(row["path"])} for row in self.recent],
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def _policy_words(self) -> str:
        if self.rule is not None:
            assert self.task.reference is not None
            words = self.rule.words(self.task.reference, self.options.block, 0)
            promise = words.split("flagged. ", 1)[1]
            return f"{self.rule} in blocks of {self.options.block:,} images. {promise}"
        point = self.model.facts.operating_point
        if (products := self.task.products) is not None and point is not None:
            return f"{point.policy}. {in_words(products)}"
        return "" if point is None else f"{point.policy}, threshold {point.threshold:.6g}"


def watch_run(
    run: str | Path,
    place: str,
    options: WatchOptions | None = None,
    *,
    watcher: Watcher | None = None,
) -> dict[str, Any]:
    """Score the images that arrive in the folder `place`, or whose paths come on standard input
    (``-``), and write a row for each into a folder of Parquet files.

    An image is a path: it is scored once, whenever the process is killed and started again. A file
    that is half written is waited for. What is there already is scored first.

    Returns
    -------
    dict
        The status at the end; see the page *Watching a line*.

    Raises
    ------
    InputError
        If the run is no detector, or `place` no folder.
    PolicyError
        If the policy is not one for batches, or the run has too few calibration images for it.
    OutputError
        If another watch writes the same table.
    """
    options, watcher = options or WatchOptions(), watcher or Watcher()
    options.check()
    ways: list[Callable[[Row], str | None]] = []
    if options.on_flag is not None:
        command = telling.parse_command(options.on_flag)
        ways.append(lambda event: telling.run_command(command, event))
    if options.post is not None:
        url = telling.check_url(options.post)
        ways.append(lambda event: telling.post(url, event))
    if place != "-" and not Path(place).is_dir():
        raise InputError(
            f"{place}: watch needs a folder that images arrive in. Got none. Make the folder, or"
            " write - to send paths on standard input."
        )
    folder = open_run(run)
    model = folder.model(options.engine, watcher)
    origin = folder.origin().of_products(options.product).for_model(model.facts)
    if model.facts.job != "detect" or model.threshold is None:
        raise InputError(
            f"watch: the run must be a detector with a threshold. Got the job {model.facts.job}."
            " Fit with --job detect."
        )
    if model.facts.products is not None and not is_of_path(origin.product):
        raise InputError(
            f"watch: the path of an image must tell its product. Got the column"
            f" {str(origin.product)!r}, which arriving images don't have. Write --product folder,"
            " or a pattern such as --product '^(\\w+)_'."
        )
    rule = None if options.policy is None else batch_policy(options.policy, "watch")
    if rule is not None:
        rule.check(model.p_values, "watch")
    seconds = None if options.every is None else parse_period(options.every)
    store = WatchStore(options.out or Path(run) / "watch.parquet")
    root = Path() if place == "-" else Path(place)
    beside = store.out.with_name(f"{store.out.stem}.reports")
    with store.opened():
        watch = Watch(
            Path(run),
            model,
            _task(model, origin, options, rule),
            store,
            _arrivals(place, store, options),
            open_drift(folder, origin, model, store, watcher),
            telling.Teller(store, ways, watcher.note),
            options,
            watcher.note,
            rule,
            None if seconds is None else ShiftReports(store, seconds, beside, root),
            store.get("counts", {}),
            lately=store.get("lately", []),
        )
        watch.block = _open_block(store, folder.identity(), options, rule)
        watch.recent = watch.block[-_RECENT:]
        watch.teller.start()
        watch.work()
        return watch.status()


def _task(
    model: JudgedModel, origin: Origin, options: WatchOptions, rule: FalseDiscoveries | None
) -> ScoringTask:
    reading = reading_of(options.bits, origin.reading or model.facts.reading, where="watch")
    return ScoringTask(
        model.facts.channels,
        None if rule is not None else model.threshold,
        Options(reading=reading, of_model=options.bits is None),
        reference=model.p_values,
        policy=None if model.facts.products is None else rule,
        products=model.facts.products,
        product_rule=None if model.facts.products is None else origin.product,
    )


def _arrivals(place: str, store: WatchStore, options: WatchOptions) -> Arrivals:
    settle, patience, seen = options.settle, options.patience, store.seen
    if place == "-":
        return StreamArrivals.of(sys.stdin, Path(), seen, settle=settle, patience=patience)
    return FolderArrivals(Path(place), seen, settle=settle, patience=patience)


def _open_block(
    store: WatchStore,
    model: str,
    options: WatchOptions,
    rule: FalseDiscoveries | None,
) -> list[Row]:
    """The rows of the block that was open; one of another policy or model is closed first."""
    made_by = {"policy": None if rule is None else str(rule), "block": options.block}
    before = store.get("made_by", made_by)
    rows = store.open_rows()
    if rows and (before != made_by or store.get("model", model) != model):
        _settle(rows)
        store.keep([], {}, changed=rows)
        store.close_block()
        rows = []
    store.keep([], {"made_by": made_by, "model": model})
    return rows


def _settle(block: list[Row]) -> None:
    """What a block has not flagged when it ends is not flagged."""
    for row in block:
        if row["score"] is not None and row["anomalous"] is None and not is_undecided(row):
            row["anomalous"] = False


def _plain(value: Any) -> Any:
    """A cell as JSON holds it: no NaN, no NumPy."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _number(value: float | None) -> float:
    return np.nan if value is None else value
