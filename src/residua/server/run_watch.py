"""Whether the run that is served has another threshold or model by now than when it was loaded."""

from __future__ import annotations

import logging
from pathlib import Path

from residua.engines import Kind
from residua.engines.card import check_fresh, read_card
from residua.errors import ResiduaError
from residua.records import OperatingPoint
from residua.runs.open_run import is_wrapped, open_run
from residua.runs.run_folder import ModelMark, RunFolder

_log = logging.getLogger("residua.server")
_AGAIN = "Start the server again."


class RunWatch:
    """Looks at the files of a run whenever it is asked, and reads them where they have changed.

    `loaded` is what the server decides with. A change is logged once. Files that are gone say
    nothing: the model is in memory.
    """

    def __init__(self, run: Path, kind: Kind, loaded: ModelMark) -> None:
        self._run, self._kind, self._loaded = run, kind, loaded
        folder = RunFolder(run)
        own = run / "wrapped.json" if is_wrapped(run) else folder.bundle / "bundle.json"
        self._files = (own, *([folder.export / kind.card] if kind.card else []))
        self._seen: tuple[object, ...] = ()
        self._told: str | None = None

    def __call__(self) -> str | None:
        """What has changed, as sentences; None where nothing has."""
        seen = tuple(map(_stamp, self._files))
        if seen != self._seen:
            told = self._look()
            if told is not None and told != self._told:
                _log.warning("%s: %s", self._run, told)
            self._seen, self._told = seen, told
        return self._told

    def _look(self) -> str | None:
        try:
            now = mark_served(self._run, self._kind)
        except (ResiduaError, OSError):
            return None
        if now.weights != self._loaded.weights:
            return f"The run holds another model by now than this server. {_AGAIN}"
        if now.operating_point == self._loaded.operating_point:
            return None
        return (
            f"The run's threshold is {_words(now.operating_point)} by now. This server decides with"
            f" {_words(self._loaded.operating_point)}. {_AGAIN}"
        )


def mark_served(run: Path, kind: Kind) -> ModelMark:
    """What a server of `run` would decide with if it started now.

    In place of an exported file that is out of date this is the run itself, which would be exported
    again. Raises ResiduaError where nothing could be served.
    """
    if is_wrapped(run) or kind.is_reference:
        return open_run(run).mark()
    card = read_card(RunFolder(run).export, kind)
    try:
        check_fresh(card, RunFolder(run).bundle)
    except ResiduaError:
        return open_run(run).mark()
    return ModelMark(card.operating_point, card.weights_sha256)


def _words(point: OperatingPoint | None) -> str:
    return "none" if point is None else f"{point.threshold:.6g} ({point.policy})"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
