"""Drift of a line with several products: each is compared with its own calibration images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.runs.watching.drift import DriftWatch


@dataclass
class DriftOfProducts:
    """The tests of each product, which share the chance of a false alarm.

    So the order in which products come, and how many of each, changes nothing.
    """

    each: dict[str, DriftWatch]

    @classmethod
    def of(
        cls,
        scores: NDArray[Any],
        names: NDArray[Any],
        looks: Mapping[str, Mapping[str, Any]],
        *,
        every: int = 1,
    ) -> DriftOfProducts:
        """From scores of normal calibration images, (n,), their products, and looks by product."""
        known = [name for name in dict.fromkeys(names.tolist()) if name is not None]
        made = {
            name: DriftWatch.of(scores[names == name], looks.get(name), every=every)
            for name in known
        }
        for one in made.values():
            one.n_sharing = len(known)
        return cls(made)

    @property
    def alarms(self) -> dict[str, dict[str, Any]]:
        """What was found, by product and test."""
        return {
            f"{product}: {name}": {**alarm, "what": f"{product}: {name}", "product": product}
            | {"words": f"{product}: {alarm['words']}"}
            for product, one in self.each.items()
            for name, alarm in one.alarms.items()
        }

    def add(self, n: int, time: str, values: Mapping[str, Any], path: str) -> list[str]:
        """Take one image; the names of alarms that it raises. One of no known product tells
        nothing.
        """
        product = values.get("product")
        one = self.each.get(str(product))
        if product is None or one is None:
            return []
        return [f"{product}: {name}" for name in one.add(n, time, values, path)]

    def state(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {"each": {name: one.state() for name, one in self.each.items()}}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> DriftOfProducts:
        """Read what `state` gave."""
        return cls({name: DriftWatch.from_state(one) for name, one in state["each"].items()})

    def status(self) -> dict[str, Any]:
        """See `DriftWatch.status`; tests are named with their product."""
        told = {name: one.status() for name, one in self.each.items()}
        joined = {
            key: {
                f"{product}: {name}": value
                for product, one in told.items()
                for name, value in one[key].items()
            }
            for key in ("needed", "evidence")
        }
        first = next(iter(told.values()))
        return {**first, **joined, "alarms": list(self.alarms.values())}


def looks_by_product(
    looks: Mapping[str, NDArray[np.float64]] | None, names: NDArray[Any] | None
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Looks of calibration images, (n,) each, by product."""
    if looks is None or names is None:
        return {}
    known = [name for name in dict.fromkeys(names.tolist()) if name is not None]
    return {
        str(name): {look: values[names == name] for look, values in looks.items()} for name in known
    }
