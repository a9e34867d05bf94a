"""Strategies, one file each: how a classifier and an autoencoder share a network.

`STRATEGIES` is the registry: a new strategy is one file, one line here and one page of
documentation.
"""

from __future__ import annotations

from typing import Any

from residua.training.recipes import build_named
from residua.training.strategies.base import Phase, Strategy
from residua.training.strategies.fine_tune import FineTune
from residua.training.strategies.joint import Joint
from residua.training.strategies.joint_flat import JointFlat
from residua.training.strategies.plain import Plain
from residua.training.strategies.sequential import Sequential

__all__ = ["STRATEGIES", "Phase", "Strategy", "make_strategy"]

STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy for strategy in (Joint, JointFlat, Sequential, FineTune, Plain)
}


def make_strategy(name: str, **options: Any) -> Strategy:
    """The strategy called `name` with `options`.

    Every unknown option is named at once, with those there are. Raises InputError if there is no
    such strategy, or an option is unknown or out of range.
    """
    return build_named("strategy", STRATEGIES, name, options)
