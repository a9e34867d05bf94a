"""Every policy there is, and the text that names it."""

from __future__ import annotations

import difflib
import re

import numpy as np

from residua.errors import PolicyError
from residua.thresholds.cost import Cost
from residua.thresholds.false_alarms import FalseAlarms
from residua.thresholds.false_discoveries import FalseDiscoveries
from residua.thresholds.fixed import Fixed
from residua.thresholds.max_f1 import MaxF1
from residua.thresholds.policy import Policy
from residua.thresholds.precision import Precision
from residua.thresholds.quantile import Quantile
from residua.thresholds.recall import Recall

POLICIES: tuple[type[Policy], ...] = (
    *(FalseAlarms, Quantile, FalseDiscoveries),
    *(Recall, Precision, MaxF1, Cost, Fixed),
)


def parse_policy(policy: str | float | Policy) -> Policy:
    """Read a threshold policy; ``str`` of the result is text that reads back as the same policy.

    Parameters
    ----------
    policy : str, number or Policy
        ``'false-alarms<=0.01'``, ``'quantile:0.99'``, ``'recall>=0.99'``, ``'precision>=0.9'``,
        ``'max-f1'``, ``'cost:20:1'`` (a miss costs 20 false alarms) or a number, the fixed
        threshold. Case and spaces don't matter; ``1%`` is 0.01.

    Raises
    ------
    PolicyError
        If the text names no policy, or with a number that can't be.

    Examples
    --------
    >>> parse_policy("false-alarms <= 1%")
    FalseAlarms(rate=0.01)
    >>> str(parse_policy("cost:20:1")), str(parse_policy(0.004))
    ('cost:20:1', '0.004')
    >>> parse_policy("recal>=0.99")
    Traceback (most recent call last):
    ...
    residua.errors.PolicyError: policy: the text must name a threshold policy. Got 'recal>=0.99'.
    Did you mean 'recall>=0.99'?
    """
    if isinstance(policy, Policy):
        return policy
    if not isinstance(policy, (str, int, float, np.number)):
        raise PolicyError(
            "policy: must be a text or a threshold, and comes before the scores. Got"
            f" {type(policy).__name__}. Pass such as choose_threshold('quantile:0.99', scores)."
        )
    text = (
        re.sub(r"\s+", "", str(policy))
        .lower()
        .replace("≤", "<=")
        .replace("≥", ">=")
        .replace("_", "-")
    )
    for kind in POLICIES:
        found = kind.parse(text)
        if found is not None:
            return found
    raise PolicyError(
        f"policy: the text must name a threshold policy. Got {str(policy)!r}. {_suggestion(text)}"
    )


def batch_policy(policy: str, where: str) -> FalseDiscoveries:
    """The policy that a text names; `PolicyError` where it is not one that decides batches."""
    rule = parse_policy(policy)
    if not isinstance(rule, FalseDiscoveries):
        raise PolicyError(
            f"{where}: --policy must decide about a batch. Got {rule}, which gives one threshold."
            f" Write --policy '{FalseDiscoveries.usage}', or store it first: residua threshold RUN"
            f" --policy '{rule}'."
        )
    return rule


def _suggestion(text: str) -> str:
    word = re.split(r"[<>=:0-9]", text, maxsplit=1)[0]
    near = difflib.get_close_matches(word, [kind.keyword for kind in POLICIES], n=1, cutoff=0.5)
    if not near:
        return "Write one of " + ", ".join(kind.usage for kind in POLICIES) + "."
    usage = next(kind.usage for kind in POLICIES if kind.keyword == near[0])
    value = re.search(r"[\d.][\d.e%-]*$", text)
    if value and usage[0].isalpha() and ":" not in usage.partition(":")[2]:
        guess = re.sub(r"[\d.]+$", value[0], usage)
        return f"Did you mean {guess!r}?"
    return f"Did you mean {usage!r}?"
