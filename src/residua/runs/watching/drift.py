"""Whether the images of a line have changed: tests that may be looked at after every image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.metrics.martingale import ConformalMartingale

LOOKS = ("brightness", "contrast", "sharpness")
FALSE_ALARM = 0.01
"""The chance that a line that never changes is ever said to have changed."""
_SHARES = {"brightness": 0.4, "contrast": 0.2, "sharpness": 0.2, "score": 0.2, "flagged": 1.0}
"""The share of that chance each test has. More anomalies are no drift, and have a chance alone."""
FIRST = 200
"""Images that looks are learnt from where those of the calibration images are not known."""
_BULK = 0.9
_MOST_KEPT = 1_024
_LATELY, _MOST_SHARE = 200, 0.5
"""More than this share of so many images above the bulk are no run of defects any more."""
_MEANS = {
    "brightness": "Look at the light, the exposure and the lens.",
    "contrast": "Look at the light, the focus and the lens.",
    "sharpness": "Look at the focus, the distance and the lens.",
    "score": "Images as a whole look odder or less odd: look at camera, parts and supplier.",
    "flagged": "Most images score as only odd ones did: another product, camera or setting.",
}


@dataclass
class DriftWatch:
    """Tests of a line against its calibration images, and against what came before on the line.

    ``tests`` hold one martingale a look, one of the scores of ordinary images (those below the
    ``bulk`` of calibration scores), and one of the share above it, ``flagged``. More defects move
    the last one alone. ``every`` images one is tested, where several show one part.
    ``alarms`` hold what was found, and stay. ``n_sharing`` watches share the chance of a false one.
    """

    tests: dict[str, ConformalMartingale]
    bulk: float
    every: int = 1
    n_seen: int = 0
    first: dict[str, list[float]] = field(default_factory=dict)
    lately: list[int] = field(default_factory=list)
    n_own: dict[str, list[int]] = field(default_factory=dict)
    alarms: dict[str, dict[str, Any]] = field(default_factory=dict)
    n_sharing: int = 1

    @classmethod
    def of(
        cls, scores: Any, looks: Mapping[str, Any] | None = None, *, every: int = 1
    ) -> DriftWatch:
        """From scores of normal calibration images, (n,), one a group, and their looks by name;
        those may be unknown, and are then learnt from the first images of the line.
        """
        known = _shuffled(scores)
        first, rest = known[::2], known[1::2]
        bulk = float(np.quantile(first, _BULK)) if len(first) else float("inf")
        tests = {
            name: ConformalMartingale.of(_shuffled(one)) for name, one in (looks or {}).items()
        }
        tests["score"] = ConformalMartingale.of(first[first <= bulk], rest[rest <= bulk])
        tests["flagged"] = ConformalMartingale.of([0.5], rest > bulk)
        return cls(tests, bulk, every)

    def add(self, n: int, time: str, values: Mapping[str, float | None], path: str) -> list[str]:
        """Take one image, the `n`-th of the line; the names of alarms that it raises."""
        self.n_seen += 1
        if (self.n_seen - 1) % self.every:
            return []
        learnt = self._learn_looks(values)
        score = values.get("score")
        asked: dict[str, float | None] = {name: values.get(name) for name in LOOKS}
        if score is not None:
            asked["flagged"] = float(score > self.bulk)
            asked["score"] = score if score <= self.bulk else None
            self.lately = [*self.lately[1 - _LATELY :], int(score > self.bulk)]
        raised = []
        # Ties are broken by the number of the image, so that a watch that was killed goes on alike.
        drawn = 1 - np.random.default_rng(n).random(len(self.tests))
        for (name, test), one in zip(self.tests.items(), drawn, strict=True):
            value = asked.get(name)
            if value is None or not np.isfinite(value) or name in learnt:
                continue
            self._note(name, n)
            test.add(value, float(one))
            if test.most >= needed(name, self.n_sharing) and (
                name not in self.alarms or self._is_other(name)
            ):
                self.alarms[name] = self._alarm(name, test, n, time, path)
                raised.append(name)
        return raised

    def _is_other(self, name: str) -> bool:
        """Whether what were more anomalies have become most images."""
        is_told = name != "flagged" or self.alarms[name]["kind"] == "drift"
        return not is_told and sum(self.lately) > _MOST_SHARE * _LATELY

    def _learn_looks(self, values: Mapping[str, float | None]) -> list[str]:
        """Looks that calibration images do not tell are learnt from the first images; which of this
        one's were the last of those.
        """
        learnt = []
        for name in LOOKS:
            value = values.get(name)
            if name in self.tests or value is None:
                continue
            known = self.first.setdefault(name, [])
            known.append(value)
            if len(known) == FIRST:
                self.tests[name] = ConformalMartingale.of(self.first.pop(name))
                learnt.append(name)
        return learnt

    def _note(self, name: str, n: int) -> None:
        """Which image of the line the last values of a test were."""
        kept = self.n_own.setdefault(name, [])
        kept.append(n)
        if len(kept) > _MOST_KEPT:
            del kept[: _MOST_KEPT // 2]

    def _alarm(
        self, name: str, test: ConformalMartingale, n: int, time: str, path: str
    ) -> dict[str, Any]:
        before, after = test.means
        kept = self.n_own[name]
        first = kept[max(0, len(kept) - (test.n - test.since + 1))]
        is_drift = name != "flagged" or sum(self.lately) > _MOST_SHARE * _LATELY
        return {
            "what": name,
            "kind": "drift" if is_drift else "more-anomalies",
            "says": test.says,
            "before": before,
            "after": after,
            "since_image": first,
            "found_at_image": n,
            "found_at": time,
            "path": path,
            "words": f"{_words(name, test, first, is_drift=is_drift)} Found at image {n:,}.",
        }

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        own = {name: test.state() for name, test in self.tests.items()}
        return {**vars(self), "tests": own}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> DriftWatch:
        """Read what `state` gave."""
        tests = {name: ConformalMartingale.from_state(one) for name, one in state["tests"].items()}
        return cls(**{**state, "tests": tests})

    def status(self) -> dict[str, Any]:
        """What is told of it: the chance of a false alarm, each test's evidence, and the alarms."""
        return {
            "false_alarm_chance": FALSE_ALARM,
            "promise": (
                f"On a line whose images go on like the calibration images, the chance that drift"
                f" is ever reported is at most {FALSE_ALARM:.0%}, however long it is watched."
            ),
            "tested_every": self.every,
            "needed": {name: needed(name, self.n_sharing) for name in self.tests},
            "evidence": {name: min(test.most, 1e12) for name, test in self.tests.items()},
            "alarms": list(self.alarms.values()),
        }


def needed(name: str, n_sharing: int = 1) -> float:
    """The capital that is an alarm, where so many lines share the chance of a false one."""
    return n_sharing / (_SHARES[name] * FALSE_ALARM)


def _shuffled(values: Any) -> NDArray[np.float64]:
    return np.random.default_rng(1).permutation(np.asarray(values, np.float64))


def _words(name: str, test: ConformalMartingale, first: int, *, is_drift: bool) -> str:
    before, after = test.means
    if name == "flagged":
        shares = f"{after:.1%}" + ("" if before is None else f", {before:.1%} before")
        what = f"more images score high since about image {first:,} ({shares})"
        if is_drift:
            return f"{what}. {_MEANS[name]}"
        return f"{what}, and ordinary images look as before: more defects, not another camera."
    values = f"mean {after:.4g}" + ("" if before is None else f", {before:.4g} before")
    which = "scores of ordinary images are" if name == "score" else f"{name} is"
    how = "more uneven" if test.says == "wider" else test.says
    return f"{which} {how} since about image {first:,} ({values}). {_MEANS[name]}"
