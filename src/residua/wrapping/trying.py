"""A grey ramp is sent through, so that what does not fit is said when a model is wrapped, and not after an hour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from residua.errors import RangeError
from residua.wrapping.contract import Contract, Known, ramp
from residua.wrapping.outputs import Picked, pick, several
from residua.wrapping.readings import explained, far_better
from residua.wrapping.scales import SCALES

_FARTHEST = 1.0  # widths of its range that a reconstruction may lie outside of it
_SURELY = 10  # times less error of a ramp, which few models were trained on
_SAME = 1e-4  # of the range: what two calls may differ by on a machine that adds in another order


@dataclass(frozen=True)
class Tried:
    """The contract with the size of what comes out; which output is what; whether two calls differ."""

    contract: Contract
    picked: Picked
    is_random: bool


def try_out(known: Known, contract: Contract, *, may_resize: bool) -> Tried:
    """Call the model twice on a grey ramp.

    Raises
    ------
    ShapeError
        If what comes out has another shape than what goes in.
    RangeError
        If it lies far outside of its scale, or is a ramp on another.
    """
    shown = ramp(contract.size, contract.channels, contract.batch_size)
    given = contract.to_model(shown)
    outputs, again = (several(known.call(given)) for _ in range(2))
    picked = pick(outputs, given.shape, contract, may_resize=may_resize or contract.rebuilt is not None)
    contract = contract.model_copy(update={"rebuilt": picked.rebuilt})
    made, other = (contract.arrange(one[picked.image]) for one in (outputs, again))
    low, high = contract.outputs.range
    reach = _FARTHEST * (high - low)
    if not (np.isfinite(made).all() and made.min() >= low - reach and made.max() <= high + reach):
        raise RangeError(
            f"wrap: reconstructions must lie about [{low:.4g}, {high:.4g}], as outputs={contract.outputs.words} says. "
            f"Got {float(made.min()):.3g} to {float(made.max()):.3g} for a grey ramp. Tell another with outputs= or values=."
        )
    if contract.rebuilt is None:
        told = explained(contract.outputs.from_model(made), shown)
        for scale in SCALES.values():
            if told < 0.5 and far_better(explained(scale.from_model(made), shown), told, _SURELY):
                raise RangeError(
                    f"wrap: reconstructions must be on the scale outputs={contract.outputs.words}. A grey ramp came back on "
                    f"the scale {scale.words}. Tell it with outputs= or values=."
                )
    return Tried(contract, picked, bool(np.abs(made - other).max(initial=0) > _SAME * (high - low)))
