"""`residua watch` killed at random moments, and its memory over many files.

    python benchmarks/watching.py kills RUN IMAGES [N]
    python benchmarks/watching.py memory RUN N
    python benchmarks/watching.py fading RUN GOOD DEFECTS [N]

`kills` copies images into a folder one after the other, half of each first, while watches of it are
killed after random times: every image must have one row in the end, and equal scores. `memory`
watches N small files and says how the memory of the process grows with them. `fading` lets the
light of N lines of 100 images a day, drawn from the folder GOOD, fade by 1% a day, and says whether
drift is told before recall on the DEFECTS has fallen by a point. RUN was not fitted on these.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from residua.runs.score import score_run
from residua.runs.watching import WatchOptions, watch_run

RESULTS = Path(__file__).parent / "results"


def kills(run: str, images: str, n_kills: int = 200) -> dict[str, object]:
    """Kill so many watches; what was lost and doubled."""
    import pandas as pd

    rng = random.Random(0)
    files = [
        (f"{copy}-{path.name}", path) for copy in range(8) for path in Path(images).rglob("*.jpg")
    ]
    rng.shuffle(files)
    with tempfile.TemporaryDirectory() as scratch:
        place, out = Path(scratch) / "line", Path(scratch) / "table"
        place.mkdir()
        options = WatchOptions(
            out=out, once=True, settle=0.05, patience=0.5, block=25, policy="fdr<=0.2"
        )
        n_done, n_half, lives = 0, 0, []
        while n_done < n_kills:
            began = time.monotonic()
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                options = WatchOptions(**{**vars(options), "once": False})
                watch_run(run, str(place), options)
                os._exit(0)
            until = began + rng.uniform(0.05, 2.5)
            while time.monotonic() < until:
                if files and rng.random() < 0.3:
                    name, source = files.pop()
                    data, target = source.read_bytes(), place / name
                    target.write_bytes(data[: len(data) // 2])
                    time.sleep(rng.uniform(0, 0.1))
                    if rng.random() < 0.9 or not files:
                        target.write_bytes(data)
                    else:
                        n_half += 1
                time.sleep(0.02)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            lives.append(time.monotonic() - began)
            n_done += 1
        watch_run(run, str(place), options)
        table = pd.read_parquet(out)
        score_run(run, str(place), Path(scratch) / "scores.parquet")
        scores = pd.read_parquet(Path(scratch) / "scores.parquet").set_index("path").score
        here = sorted(path.name for path in place.iterdir())
        both = table.set_index("path").score
        return {
            "kills": n_done,
            "seconds_of_life": [round(min(lives), 2), round(max(lives), 2)],
            "images": len(here),
            "left_half_written": n_half,
            "rows": len(table),
            "lost": len(set(here) - set(table.path)),
            "doubled": int(table.path.duplicated().sum()),
            "numbers_in_order": sorted(table.n) == list(range(1, len(table) + 1)),
            "other_scores": int((both.dropna() != scores[both.dropna().index]).sum()),
            "unreadable": int(table.unreadable.notna().sum()),
            "files": len(list(out.glob("part-*.parquet"))),
        }


def memory(run: str, n_files: int) -> dict[str, object]:
    """Resident memory after each tenth of the files."""
    import numpy as np
    from PIL import Image

    from residua.runs.watching import store

    with tempfile.TemporaryDirectory() as scratch:
        place, rng = Path(scratch) / "line", np.random.default_rng(0)
        pixels = rng.integers(0, 255, (64, 16, 16), np.uint8)
        names = []
        for number in range(64):
            Image.fromarray(pixels[number]).save(Path(scratch) / f"{number}.png")
            names.append(Path(scratch) / f"{number}.png")
        for row in range(n_files):
            folder = place / f"{row // 10_000:03d}"
            if row % 10_000 == 0:
                folder.mkdir(parents=True)
            os.link(names[row % 64], folder / f"{row:07d}.png")
        old = time.time() - 3600
        for name in names:
            os.utime(name, (old, old))
        told: list[tuple[int, float]] = []
        own = store.WatchStore.keep

        def keep(self: store.WatchStore, *given: object, **more: object) -> None:
            own(self, *given, **more)  # type: ignore[arg-type]
            if len(told) * n_files / 20 <= self.n_images:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                told.append((self.n_images, pages * os.sysconf("SC_PAGESIZE") / 2**20))

        store.WatchStore.keep = keep  # type: ignore[method-assign]
        began = time.monotonic()
        options = WatchOptions(out=Path(scratch) / "table", once=True, settle=0)
        status = watch_run(run, str(place), options)
        seconds = time.monotonic() - began
        n, megabytes = np.array(told[len(told) // 2 + 1 :]).T  # once the heap has its size
        slope = float(np.polyfit(n, megabytes, 1)[0])
        size = sum(path.stat().st_size for path in (Path(scratch) / "table").iterdir())
        return {
            "images": status["n_images"],
            "images_per_second": round(status["n_images"] / seconds),
            "megabytes": [[int(one), round(mb, 1)] for one, mb in told],
            "bytes_per_image": round(slope * 2**20, 1),
            "megabytes_of_a_million": round(float(megabytes[-1] + slope * (1e6 - n[-1]))),
            "bytes_on_disk_per_image": round(size / status["n_images"]),
        }


def fading(run: str, good: str, defects: str, n_lines: int = 100) -> dict[str, object]:
    """When drift is told of light that fades, and what recall has lost by then."""
    import numpy as np
    from PIL import Image

    from residua.evaluation.check import look_of
    from residua.runs.open_run import open_run
    from residua.runs.watching.drift import LOOKS, DriftWatch

    model = open_run(run).model()
    days, a_day, n_known, most = range(10), 100, 100, 240
    told: dict[str, list[list[tuple[float, ...]]]] = {}
    recall = []
    for day in days:
        flagged = 0
        for folder in (good, defects):
            rows, images = [], []
            for path in sorted(Path(folder).iterdir())[:most]:
                pixels = np.asarray(Image.open(path).convert("L"), np.float32)[..., np.newaxis]
                images.append((pixels * (1 - 0.01 * day)).round().astype(np.uint8))
            scores = model.engine.score(images).score
            rows = [(*look_of(image), one) for image, one in zip(images, scores, strict=True)]
            told.setdefault(folder, []).append(rows)
            flagged = int((scores > model.threshold).sum())
        recall.append(flagged / len(images))
    pool = np.array(told[good])  # day, image, look or score
    lost = next((day for day in days if recall[0] - recall[day] >= 0.01), None)
    found, named = [], []
    for seed in range(n_lines):
        rng = np.random.default_rng([seed, 4])
        order = rng.permutation(pool.shape[1])
        known, rest = order[:n_known], order[n_known:]
        looks = {name: pool[0, known, column] for column, name in enumerate(LOOKS)}
        drift = DriftWatch.of(pool[0, known, -1], looks)
        first = None
        for n in range(len(days) * a_day):
            values = pool[n // a_day, rng.choice(rest)]
            named_now = drift.add(n + 1, "", dict(zip((*LOOKS, "score"), values, strict=True)), "")
            if [name for name in named_now if drift.alarms[name]["kind"] == "drift"]:
                first = (n + 1) / a_day
                named.append(named_now[0])
                break
        found.append(len(days) if first is None else first)
    told_at = np.array(found, np.float64)
    return {
        "lines": n_lines,
        "good": int(pool.shape[1]),
        "defects": len(told[defects][0]),
        "deviation_of_brightness": float(pool[0, :, 0].std() / pool[0, :, 0].mean()),
        "recall_by_day": [round(one, 4) for one in recall],
        "recall_falls_by_a_point_on_day": lost,
        "days": len(days),  # who is not told by then counts as told then
        "not_told": int((told_at == len(days)).sum()),
        "median_days_until_told": float(np.median(told_at)),
        "95%_told_within_days": float(np.quantile(told_at, 0.95)),
        "told_before_recall_fell": float(np.mean(told_at <= (len(days) if lost is None else lost))),
        "recall_lost_when_told_mean": float(
            np.mean([recall[0] - recall[min(int(one), len(days) - 1)] for one in found])
        ),
        "named": {name: named.count(name) for name in sorted(set(named))},
    }


def main() -> None:
    """Run one of the two, and keep the result."""
    what, run, *rest = sys.argv[1:]
    if what == "kills":
        found = kills(run, rest[0], int(rest[1]) if len(rest) > 1 else 200)
    elif what == "memory":
        found = memory(run, int(rest[0]))
    else:
        found = fading(run, rest[0], rest[1], int(rest[2]) if len(rest) > 2 else 100)
        what = f"fading {Path(rest[0]).parent.name}"
    path = RESULTS / "watching.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**known, what: found}, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
