"""Killed, interrupted, out of space, not allowed: fit, score and evaluate are ended at any moment,
repeated and compared.

    python benchmarks/crash.py [--again] [--random 100] [--every 1]

Each trial forks a child that works on a folder of its own and is ended in one of these ways:

- SIGKILL at the n-th thing that it does to a file there (opened for writing, renamed, removed), for
every n there is
  (every K-th with `--every K`);
- SIGKILL at a random moment, and again at a random moment of the repetition;
- Ctrl-C (SIGINT) at a random moment;
- the n-th such thing fails with "no space left on device", for every n;
- no file may grow beyond a random number of bytes (RLIMIT_FSIZE): a disk that is full in the middle
of a write;
- a folder that may not be written (as another user, where this is run by root).

Random moments come in rows of 25, so that what is stopped goes on from there.

Then the same command is repeated, fit with `--resume`. A trial is a miss if what is there in the
end differs from an undisturbed run's in a bit (times apart), if something is left over beside it,
if a file that the ended process left under its final name is not whole, or if a failing write ended
in anything but an `OutputError` or another sentence of ours.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from measure import Results

OURS, FOREIGN, INTERRUPTED = 2, 1, 130
ROW = 25  # random moments in a row of the results
TIMES = {"seconds", "history/seconds"}  # what a clock decides


def make_source(folder: Path) -> Path:
    """Class folders good and bad: zeros and ones of the bundled digits as PNG files."""
    from residua.images import load_images

    digits = load_images("digits")
    labels = digits.labels.tolist()
    for label, name, most in ((0, "good", 40), (1, "bad", 8)):
        (folder / name).mkdir(parents=True)
        for index in [row for row, found in enumerate(labels) if found == label][:most]:
            Image.fromarray(digits[index][..., 0]).save(folder / name / f"{index:04d}.png")
    return folder


def commands(source: Path) -> dict[str, Callable[[Path], None]]:
    """What is ended: each works in a folder that holds what it needs."""
    from residua.runs.evaluate import evaluate_run
    from residua.runs.fit import fit_run
    from residua.runs.score import score_run
    from residua.training.fitting.options import make_options

    options = make_options(
        **{
            "source": str(source),
            "job": "detect",
            "normal": ("good",),
            "recipe_options": {"latent": 3},
            "settings": {"epochs": 3, "batch_size": 16, "seed": 3},
        }
    )
    return {
        "fit": lambda place: (
            fit_run(options, place / "run", resume=True, checkpoint_seconds=0) and None
        ),
        "score": lambda place: (
            score_run(
                place / "run",
                str(source / "bad"),
                place / "scores.csv",
                maps=place / "maps",
                resume=True,
            )
            and None
        ),
        "evaluate": lambda place: evaluate_run(place / "run") and None,
    }


def child(work: Callable[[Path], None], place: Path, prepare: Callable[[], None]) -> int:
    """Fork, work, and say how it ended: 0, 2 for a sentence of ours, 1 for anything else."""
    pid = os.fork()
    if pid:
        return pid
    code = FOREIGN
    try:
        from residua.errors import ResiduaError

        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        warnings.simplefilter("ignore")
        prepare()
        try:
            work(place)
            code = 0
        except ResiduaError:
            code = OURS
        except KeyboardInterrupt:
            code = INTERRUPTED
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code, or minus the signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def writes(
    place: Path, on: Callable[[int], None], *, takes_space: bool = False
) -> Callable[[], None]:
    """A preparation that calls `on(n)` at the n-th thing that is done to a file in `place`
    (removing takes no space).
    """
    count = 0

    def hook(event: str, given: tuple) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = given
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in {
            "os.rename",
            "os.mkdir",
            *({"os.remove", "os.rmdir", "os.chmod"} if not takes_space else ()),
        }:
            path = given[0]
        else:
            return
        if isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(str(place)):
            count += 1
            on(count)

    return lambda: sys.addaudithook(hook)


def kill_at(n: int) -> Callable[[int], None]:
    return lambda count: os.kill(os.getpid(), signal.SIGKILL) if count == n else None


def fail_at(n: int) -> Callable[[int], None]:
    def on(count: int) -> None:
        if count == n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return on


def limit_file_size(most: int) -> Callable[[], None]:
    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    return prepare


def as_nobody() -> None:
    os.setgid(65534)
    os.setuid(65534)


def contents(place: Path) -> dict[str, str]:
    """Every file by name: a hash of what it means; times and the folder's own name left out. The
    lock is no content.
    """
    found = {}
    for path in sorted(place.rglob("*")):
        if path.is_file() and path.name != ".lock":
            found[str(path.relative_to(place))] = meaning(path, place)
    return found


def meaning(path: Path, place: Path) -> str:
    if path.suffix == ".json":
        body = without_times(json.loads(path.read_text().replace(str(place), "")))
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            parts = [(name, archive[name]) for name in sorted(archive.files) if name not in TIMES]
        return hashlib.sha256(
            b"".join(name.encode() + array.tobytes() for name, array in parts)
        ).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def without_times(value: object) -> object:
    if isinstance(value, dict):
        return {
            name: without_times(one)
            for name, one in value.items()
            if name not in {*TIMES, "checksum"}
        }
    return [without_times(one) for one in value] if isinstance(value, list) else value


class Trials:
    """One command, its undisturbed result, and the count of what was tried and missed."""

    def __init__(self, name: str, work: Callable[[Path], None], start: Path, scratch: Path) -> None:
        self.name, self._work, self._start, self._scratch = name, work, start, scratch
        self.kinds: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.misses: list[str] = []
        place = self._fresh()
        started = time.perf_counter()
        assert ended(child(work, place, lambda: None)) == 0, f"{name} does not work undisturbed"
        self.seconds = time.perf_counter() - started
        self.expected = contents(place)
        self.n_writes = self._count_writes()

    def _fresh(self) -> Path:
        place = (
            self._scratch
            / f"{self.name}-{len(list(self._scratch.iterdir()))}-{random.getrandbits(32):08x}"
        )
        shutil.copytree(self._start, place)
        return place

    def _count_writes(self) -> int:
        place = self._fresh()
        log = self._scratch.parent / "count"

        def on(count: int) -> None:
            log.write_text(str(count))

        assert ended(child(self._work, place, writes(place, on))) == 0
        shutil.rmtree(place)
        return int(log.read_text())

    def after(self, kind: str, what: str, *ends: Callable[[Path], int]) -> None:
        """End the command by each of `ends` in turn, check what it left, repeat it undisturbed, and
        compare.
        """
        place = self._fresh()
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        for end in ends:
            code = end(place)
            self.ends[f"{kind}: {code}"] = self.ends.get(f"{kind}: {code}", 0) + 1
            if code == FOREIGN:
                self.misses.append(f"{kind} {what}: ended with an error that is not ours")
            self._check_whole(place, f"{kind} {what}")
        if (code := ended(child(self._work, place, lambda: None))) != 0:
            self.misses.append(f"{kind} {what}: the repetition ended with {code}")
        found = contents(place)
        if found != self.expected:
            different = sorted(
                name
                for name in found.keys() | self.expected
                if found.get(name) != self.expected.get(name)
            )
            self.misses.append(f"{kind} {what}: differs in {', '.join(different)[:300]}")
        shutil.rmtree(place)

    def _check_whole(self, place: Path, what: str) -> None:
        """Whatever stands under its final name can be read to its end."""
        for path in place.rglob("*"):
            if path.is_file() and not any(
                part.startswith(".") for part in path.relative_to(place).parts
            ):
                try:
                    meaning(path, place)
                    if path.suffix == ".png":
                        Image.open(path).load()
                except Exception as error:  # noqa: BLE001  whatever a half file throws
                    self.misses.append(
                        f"{what}: left {path.relative_to(place)} that is not whole: {error}"[:300]
                    )

    def at_every_write(self, every: int) -> dict:
        """SIGKILL and "no space" at each thing done to a file, and a folder that may not be
        written.
        """
        work = self._work
        for n in range(self.n_writes, 0, -every):
            self._say(f"write {n} of {self.n_writes}")
            self.after(
                "killed at a write",
                f"{n}",
                lambda place, n=n: ended(child(work, place, writes(place, kill_at(n)))),
            )
            self.after(
                "no space at a write", f"{n}", lambda place, n=n: self._out_of_space_at(place, n)
            )
        if os.geteuid() == 0:
            self.after("not allowed", "", lambda place: ended(child(work, place, as_nobody)))
        return self._counted()

    def at_random(self, first: int) -> dict:
        """`ROW` random moments from trial `first` on: each one to three SIGKILLs, every third a
        full disk and a Ctrl-C too.
        """
        work = self._work
        for trial in range(first, first + ROW):
            self._say(f"moment {trial}")
            draw = random.Random(f"{self.name} {trial}")
            moments = [draw.random() * 1.1 * self.seconds for _ in range(draw.choice((1, 1, 2, 3)))]
            words = " and ".join(f"{moment:.2f} s" for moment in moments)
            self.after(
                "killed at random",
                words,
                *(lambda place, m=m: self._ended_after(place, m, signal.SIGKILL) for m in moments),
            )
            if trial % 3 == 0:
                most, moment = int(10 ** draw.uniform(1, 5)), draw.random() * 1.1 * self.seconds
                self.after(
                    "no space",
                    f"{most} bytes",
                    lambda place, m=most: ended(child(work, place, limit_file_size(m))),
                )
                self.after(
                    "interrupted",
                    f"{moment:.2f} s",
                    lambda place, m=moment: self._ended_after(place, m, signal.SIGINT),
                )
        return self._counted()

    def _say(self, what: str) -> None:
        print(f"{self.name}: {what}, misses: {self.misses}", flush=True)

    def _counted(self) -> dict:
        """What was tried since the last count."""
        counted = {
            "trials": sum(self.kinds.values()),
            "misses": len(self.misses),
            "kinds": self.kinds,
            "ended_with": self.ends,
            "writes": self.n_writes,
            "seconds_undisturbed": round(self.seconds, 2),
            "what_missed": self.misses[:20],
        }
        self.kinds, self.ends, self.misses = {}, {}, []
        return counted

    def _out_of_space_at(self, place: Path, n: int) -> int:
        return ended(child(self._work, place, writes(place, fail_at(n), takes_space=True)))

    def _ended_after(self, place: Path, seconds: float, how: signal.Signals) -> int:
        pid = child(self._work, place, lambda: None)
        time.sleep(seconds)
        os.kill(pid, how)
        return ended(pid)


def main() -> None:
    n_random = int(sys.argv[sys.argv.index("--random") + 1]) if "--random" in sys.argv else 100
    every = int(sys.argv[sys.argv.index("--every") + 1]) if "--every" in sys.argv else 1
    results = Results("crash")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        source, scratch, fitted = (
            make_source(folder / "source"),
            folder / "scratch",
            folder / "fitted",
        )
        scratch.mkdir()
        (folder / "empty").mkdir()
        fitted.mkdir()
        work = commands(source)
        assert ended(child(work["fit"], fitted, lambda: None)) == 0
        import lightning.pytorch  # noqa: F401  loaded once, so that each fork starts at once

        for command, start in (("fit", folder / "empty"), ("score", fitted), ("evaluate", fitted)):
            trials = functools.cache(lambda c=command, s=start: Trials(c, work[c], s, scratch))
            results.measure(f"{command}, every write", lambda t=trials: t().at_every_write(every))
            for first in range(0, n_random, ROW):
                results.measure(
                    f"{command}, moments from {first}", lambda t=trials, f=first: t().at_random(f)
                )
    count = {what: sum(row[what] for row in results.rows.values()) for what in ("trials", "misses")}
    print(f"{count['trials']} trials, {count['misses']} misses")


if __name__ == "__main__":
    main()
