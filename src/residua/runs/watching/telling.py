"""Who is told of flagged images: a command without a shell, a web address. Within limits."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from residua.errors import InputError, ResiduaError
from residua.runs.watching.store import WatchStore
from residua.runs.watching.table import Row

MOST_A_MINUTE = 60
MOST_WAITING = 1_000
"""Events that wait to be told; what comes beyond is counted, and stays in the table."""
ATTEMPTS = 8
SECONDS = 10.0
_LONGEST_WAIT = 60.0


def parse_command(text: str) -> list[str]:
    """A command as a list of arguments, split as a shell would; no shell ever sees it.

    Examples
    --------
    >>> parse_command("light --colour red '{path}'")
    ['light', '--colour', 'red', '{path}']
    >>> parse_command("light")
    ['light', '{path}']
    """
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise InputError(
            f"watch: --on-flag must be a command. Got {text!r}: {error}. Close its quotes."
        ) from None
    if not found:
        raise InputError("watch: --on-flag must be a command. Got none. Name a program.")
    return found if any("{path}" in one for one in found) else [*found, "{path}"]


def check_url(url: str) -> str:
    """An address that events are posted to; `InputError` where it is none."""
    told = urlsplit(url)
    if told.scheme not in ("http", "https") or not told.hostname or told.username or told.password:
        raise InputError(
            f"watch: --post must be an http or https address without a user in it. Got {url!r}."
            " Write for instance https://example.com/flagged."
        )
    return url


def run_command(command: Sequence[str], event: Row) -> str | None:
    """Run a command for an event; why it failed, None where it did not."""
    told = {name: str(event[name]) for name in ("path", "score", "p_value", "n")}
    arguments = list(command)
    for name, value in told.items():
        arguments = [one.replace("{" + name + "}", value) for one in arguments]
    try:
        done = subprocess.run(
            arguments,
            input=json.dumps(event).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
            start_new_session=os.name == "posix",
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {SECONDS:g} seconds"
    except OSError as error:
        return f"it cannot be started: {error.strerror or error}"
    return None if done.returncode == 0 else f"it ended with code {done.returncode}"


def post(url: str, event: Row) -> str | None:
    """Post an event as JSON; why it failed, None where it did not. No redirect is followed, no
    proxy is asked, and the body of the answer is not read.
    """
    told = urlsplit(url)
    kind = http.client.HTTPSConnection if told.scheme == "https" else http.client.HTTPConnection
    address = (told.path or "/") + (f"?{told.query}" if told.query else "")
    try:
        connection = kind(told.hostname or "", told.port, timeout=SECONDS)
        try:
            body = json.dumps(event).encode()
            connection.request("POST", address, body, {"Content-Type": "application/json"})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"it cannot be reached: {str(error) or type(error).__name__}"
    return None if 200 <= status < 300 else f"it answered {status}"


@dataclass
class Teller:
    """Tells of events in a thread of its own, so that scoring never waits.

    An event leaves the store once it was told, so one that was told when the process was killed is
    told again: ``n`` is the same then.
    """

    store: WatchStore
    ways: list[Callable[[Row], str | None]]
    note: Callable[[str], None]
    most_a_minute: int = MOST_A_MINUTE
    n_told: int = 0
    n_given_up: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to tell, if there is anybody to be told."""
        self._thread = threading.Thread(target=self._work, daemon=True, name="residua-teller")
        if self.ways:
            self._thread.start()

    def stop(self, seconds: float = 0.0) -> None:
        """End within about `seconds`; what was not told waits for the next watch."""
        until = time.monotonic() + seconds
        while self.ways and time.monotonic() < until and self.store.n_events():
            time.sleep(0.02)
        self.stopping.set()
        if self._thread.is_alive():
            self._thread.join(SECONDS + 1)

    def _work(self) -> None:
        lately: deque[float] = deque(maxlen=self.most_a_minute)
        failures = 0
        try:
            while not self.stopping.is_set():
                is_full = len(lately) == self.most_a_minute and time.monotonic() - lately[0] < 60
                events = [] if is_full else self.store.outbox(1)
                if not events:
                    self.stopping.wait(0.2)
                    continue
                lately.append(time.monotonic())
                faults = [fault for way in self.ways if (fault := way(events[0])) is not None]
                failures = failures + 1 if faults else 0
                if faults and failures < ATTEMPTS:
                    if failures == 1:
                        self.note(f"image {events[0]['n']:,} could not be told: {faults[0]}")
                    self.stopping.wait(min(0.5 * 2**failures, _LONGEST_WAIT))
                    continue
                self.store.told(events[0]["n"])
                self.n_given_up, self.n_told = (
                    self.n_given_up + bool(faults),
                    self.n_told + (not faults),
                )
                failures = 0
        except ResiduaError as error:  # the disk takes no more; the next watch tells
            self.note(f"flagged images are not told any more: {error}")
        finally:
            self.store.leave()  # the connection of this thread
