"""A watched line as its page tells it, from the table and status that another process writes."""

from __future__ import annotations

import contextlib
import itertools
import time as clock
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from residua._files import read_file, read_json
from residua._text import count
from residua.errors import ImageError
from residua.metrics.intervals import rate_interval
from residua.records import Estimate, Record
from residua.runs.watching.table import WatchTable

State = Literal["no-table", "running", "no-images", "stuck", "stopped"]
_SHOWN, _BESIDE, _MOST_PERIODS, _MOST_ALARMS = 24, 4, 14, 12
_DAY, _KEPT_SECONDS = 86_400, 2.0
_QUIET_SECONDS = 60.0  # after which a watch that has written no status is taken for ended
_LEAST_PAUSE, _PAUSES = 120.0, 3.0
_TIMES, _LONGEST = 1_000, 0.99
_STATUS_BYTES = 4 << 20


class LineImage(Record):
    """An image of the line, as its row in the table has it."""

    n: int
    path: str
    time: str
    score: float | None
    threshold: float | None
    p_value: float | None
    anomalous: bool | None
    unreadable: str | None
    product: str | None = None
    undecided: str | None = None


class LinePeriod(Record):
    """A shift or a day: how many images came, and which share of those judged is flagged."""

    start: str
    n_images: int
    n_flagged: int
    n_unreadable: int
    share: Estimate


class LineAlarm(Record):
    """What was found to have changed, with images before and since."""

    what: str
    kind: str
    words: str
    since_image: int
    found_at_image: int
    found_at: str
    before: list[LineImage]
    since: list[LineImage]


class LineTest(Record):
    """A test of drift: the evidence there was at most, and that an alarm takes."""

    what: str
    evidence: float
    needed: float


class LineState(Record):
    """A watched line at this moment. ``words`` says in a sentence whether it goes on."""

    state: State
    words: str
    table: str
    policy: str | None = None
    folder: str | None = None
    n_images: int = 0
    n_flagged: int | None = Field(default=None, description="null where no status is there")
    n_unreadable: int = 0
    n_undecided: int = 0
    n_changed: int = 0
    n_waiting: int = 0
    first_kept: int | None = None
    n_files: int = 0
    megabytes: float = 0.0
    damaged: list[str] = Field(default_factory=list)
    last_row: str | None = Field(default=None, description="when the last image was scored (UTC)")
    seconds_since: float | None = None
    usual_pause: float | None = Field(
        default=None, description="seconds: all but 1% of the last pauses were shorter"
    )
    lately: Estimate | None = None
    latency_median: float | None = None
    latency_p95: float | None = None
    period_seconds: int = _DAY
    periods: list[LinePeriod] = Field(default_factory=list)
    promise: str | None = None
    tested_every: int = 1
    tests: list[LineTest] = Field(default_factory=list)
    alarms: list[LineAlarm] = Field(default_factory=list)
    images: list[LineImage] = Field(
        default_factory=list, description="the last ones, the newest first"
    )


class Line:
    """The line whose table lies in `folder`. Asked by one thread at a time; it writes nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._table = WatchTable(folder)
        self._told: tuple[float, LineState] | None = None

    def state(self) -> LineState:
        """How the line is; made anew after two seconds at the earliest."""
        now = clock.monotonic()
        if self._told is None or now - self._told[0] > _KEPT_SECONDS:
            self._told = now, self._look()
        return self._told[1]

    def row(self, n: int) -> LineImage | None:
        """An image by its number; None where the table does not hold it any more."""
        last = {one.n: one for one in self.state().images}
        return last.get(n) or next(iter(_images(self._table.rows_of(n, n))), None)

    def read(self, image: LineImage, most_bytes: int) -> bytes:
        """The file of an image; `ImageError` where it cannot be read or lies outside the folder."""
        told = self._status()
        root, is_stream = Path(str(told.get("folder", ""))), bool(told.get("is_stream"))
        path = root / image.path
        try:
            if not told.get("folder") or not (
                is_stream or path.resolve().is_relative_to(root.resolve())
            ):
                raise ImageError("it does not lie in the folder that is watched")
            return read_file(path, most_bytes)
        except FileNotFoundError:
            raise ImageError("the file is gone") from None
        except (OSError, ValueError) as error:
            raise ImageError(getattr(error, "strerror", None) or str(error)) from None

    def _status(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            told = read_json(self.folder / ".status.json", _STATUS_BYTES)
            if isinstance(told, dict):
                return told
        return {}

    def _look(self) -> LineState:
        told, parts = self._status(), self._table.parts()
        if not told and not parts:
            return LineState(
                state="no-table",
                words="No watch has written here yet. Start one: residua watch RUN FOLDER.",
                table=str(self.folder),
            )
        self._table.damaged.clear()
        n_images = _whole(told, "n_images")
        images = {one.n: one for one in _images(told.get("last_images"))}
        if len(images) < min(_SHOWN, n_images or _SHOWN):
            last = n_images or self._table.last_number()
            known = _images(self._table.rows_of(max(1, last - _SHOWN + 1), last))
            images = {**{one.n: one for one in known}, **images}
        shown = sorted(images.values(), key=lambda one: -one.n)[:_SHOWN]
        n_images = max([n_images or self._table.last_number(), *(one.n for one in shown)])
        times = [*self._table.last_times(_TIMES), *(one.time for one in reversed(shown))]
        usual = _usual_pause(times)
        age = _age(max(times, default=None))
        seconds = _whole(told, "period_seconds") or _DAY
        state, words = _how_it_goes(told, age, usual)
        drift, latency = _dict(told.get("drift")), _dict(told.get("seconds_from_file_to_row"))
        sizes = [_size(part) for _, part in parts]
        return LineState(
            state=state,
            words=words,
            table=str(self.folder),
            policy=_text(told, "policy"),
            folder=_text(told, "folder"),
            n_images=n_images,
            n_flagged=_whole(told, "n_flagged") if "n_flagged" in told else None,
            n_unreadable=_whole(told, "n_unreadable"),
            n_undecided=_whole(told, "n_undecided"),
            n_changed=_whole(told, "n_changed"),
            n_waiting=_whole(told, "n_waiting"),
            first_kept=parts[0][0] if parts else None,
            n_files=len(parts),
            megabytes=sum(sizes) / 1e6,
            last_row=max(times, default=None),
            seconds_since=age,
            usual_pause=usual,
            lately=_estimate(told.get("flagged_share_lately")),
            latency_median=_number(latency, "median"),
            latency_p95=_number(latency, "p95"),
            period_seconds=seconds,
            periods=[_period(one) for one in self._table.periods(seconds, _MOST_PERIODS)],
            promise=_text(drift, "promise"),
            tested_every=_whole(drift, "tested_every") or 1,
            tests=_tests(drift),
            alarms=[self._alarm(one) for one in _dicts(drift.get("alarms"))[-_MOST_ALARMS:]],
            images=shown,
            damaged=sorted(self._table.damaged),
        )

    def _alarm(self, told: Mapping[str, Any]) -> LineAlarm:
        since, found = _whole(told, "since_image"), _whole(told, "found_at_image")
        before = self._table.rows_of(max(1, since - _BESIDE), since - 1)
        after = self._table.rows_of(max(since, found - _BESIDE + 1), found)
        return LineAlarm(
            what=str(told.get("what")),
            kind=str(told.get("kind")),
            words=str(told.get("words")),
            since_image=since,
            found_at_image=found,
            found_at=str(told.get("found_at")),
            before=_images(before),
            since=_images(after),
        )


def _how_it_goes(told: Mapping[str, Any], age: float | None, usual: float) -> tuple[State, str]:
    """Whether images come and are scored, in a word and in words."""
    quiet = _age(_text(told, "time"))
    n_waiting = _whole(told, "n_waiting")
    wait = f"{count(n_waiting, 'image')} {'waits' if n_waiting == 1 else 'wait'}"
    none = f"{wait} and none is scored yet." if n_waiting else "No image has come yet."
    came = none if age is None else f"The last image came {_ago(age)}."
    if told.get("is_running") is False:
        return "stopped", f"The watch was stopped {_ago(quiet)}. {came} Start it again."
    if quiet is None or quiet > _QUIET_SECONDS:
        when = "none is there" if quiet is None else f"the last one was written {_ago(quiet)}"
        return "stopped", (
            f"The watch does not run: it writes its status every few seconds, and {when}. {came}"
            " Start it again."
        )
    if age is not None and age > max(_LEAST_PAUSE, _PAUSES * usual):
        waited = _age(_text(told, "waiting_since"))
        if n_waiting and waited is not None and waited <= _LEAST_PAUSE:
            return "running", f"The watch runs. {came} {wait} to be scored."
        if n_waiting:
            return "stuck", (
                f"{wait} and none is scored. {came} See what the watch says: the disk may be full,"
                " or files stay half written."
            )
        pauses = f"All but 1% of the pauses before were shorter than {_span(usual)}."
        return "no-images", f"The watch runs, and no images come. {came} {pauses}"
    return "running", f"The watch runs. {came}"


def _usual_pause(times: list[str]) -> float:
    """Seconds that all but 1% of the pauses between images were shorter than."""
    moments = sorted({one for one in map(_moment, times) if one is not None})
    pauses = sorted(after - before for before, after in itertools.pairwise(moments))
    return pauses[min(len(pauses) - 1, int(_LONGEST * len(pauses)))] if pauses else 0.0


def _period(told: Mapping[str, int]) -> LinePeriod:
    return LinePeriod(
        start=datetime.fromtimestamp(told["start"], UTC).isoformat(timespec="minutes"),
        n_images=told["images"],
        n_flagged=told["flagged"],
        n_unreadable=told["unreadable"],
        share=rate_interval(told["flagged"], told["judged"])
        if told["judged"]
        else Estimate(value=None, n=0),
    )


def _images(rows: Any) -> list[LineImage]:
    names, found = LineImage.model_fields, []
    for row in _dicts(rows):
        with contextlib.suppress(ValidationError):
            found.append(LineImage.model_validate({name: row.get(name) for name in names}))
    return found


def _tests(drift: Mapping[str, Any]) -> list[LineTest]:
    evidence, needed = drift.get("evidence"), drift.get("needed")
    if not isinstance(evidence, dict) or not isinstance(needed, dict):
        return []
    found = []
    for name in evidence:
        with contextlib.suppress(ValidationError, KeyError):
            found.append(LineTest(what=name, evidence=evidence[name], needed=needed[name]))
    return found


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _estimate(told: Any) -> Estimate | None:
    with contextlib.suppress(ValidationError):
        return Estimate.model_validate(told)
    return None


def _whole(told: Mapping[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) else 0


def _number(told: Mapping[str, Any], name: str) -> float | None:
    value = told.get(name)
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) else None


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _moment(time: str | None) -> float | None:
    with contextlib.suppress(TypeError, ValueError):
        return datetime.fromisoformat(time or "").timestamp()
    return None


def _age(time: str | None) -> float | None:
    moment = _moment(time)
    return None if moment is None else max(0.0, clock.time() - moment)


def _ago(seconds: float | None) -> str:
    return "at an unknown time" if seconds is None else f"{_span(seconds)} ago"


def _span(seconds: float) -> str:
    """A time in words.

    Examples
    --------
    >>> [_span(one) for one in (0.4, 75, 7_300, 200_000)]
    ['1 second', '75 seconds', '2 hours', '56 hours']
    """
    for unit, length in (("day", _DAY), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length and (unit != "day" or seconds >= 3 * length):
            return count(round(seconds / length), unit)
    return count(max(1, round(seconds)), "second")
