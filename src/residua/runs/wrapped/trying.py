"""A grey ramp is sent through, so that what does not fit is said when a model is wrapped, and not
after an hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError, RangeError
from residua.runs.wrapped.contract import Contract, Known, ramp
from residua.runs.wrapped.outputs import Picked, pick, several
from residua.runs.wrapped.readings import explained, far_better
from residua.runs.wrapped.scales import SCALES

_FARTHEST = 1.0  # widths of its range that a reconstruction may lie outside of it
_SURELY = 10  # times less error of a ramp, which few models were trained on
_ALONE = 0.02  # of the range: int8 models scale a batch as a whole
_SAME = 1e-4  # of the range: what two calls may differ by on a machine that adds in another order


@dataclass(frozen=True)
class Tried:
    """The contract with the size of what comes out; which output is what; whether two calls
    differ.
    """

    contract: Contract
    picked: Picked
    is_random: bool


def try_out(known: Known, contract: Contract, *, may_resize: bool) -> Tried:
    """Call the model twice on a grey ramp, and once with black images beside it.

    Raises ShapeError if what comes out has another shape than what goes in. Raises RangeError if it
    lies far outside of its scale, or is a ramp on another. Raises InputError if the ramp comes out
    otherwise beside other images.
    """
    shown = ramp(contract.size, contract.channels, contract.batch_size)
    given, once_more = contract.to_model(shown), contract.to_model(shown)
    outputs, again = several(known.call(given)), several(known.call(once_more))
    picked = pick(
        outputs, given.shape, contract, may_resize=may_resize or contract.rebuilt is not None
    )
    contract = contract.model_copy(update={"rebuilt": picked.rebuilt})
    made, other = (contract.arrange(one[picked.image]) for one in (outputs, again))
    low, high = contract.outputs.range
    reach = _FARTHEST * (high - low)
    if not (np.isfinite(made).all() and made.min() >= low - reach and made.max() <= high + reach):
        raise RangeError(
            f"wrap: reconstructions must lie about [{low:.4g}, {high:.4g}], as"
            f" outputs={contract.outputs.words} says. Got {float(made.min()):.3g} to"
            f" {float(made.max()):.3g} for a grey ramp. State another with outputs= or values=."
        )
    if contract.rebuilt is None:
        told = explained(contract.outputs.from_model(made), shown)
        for scale in SCALES.values():
            if told < 0.5 and far_better(explained(scale.from_model(made), shown), told, _SURELY):
                raise RangeError(
                    f"wrap: reconstructions must be on the scale outputs={contract.outputs.words}."
                    f" A grey ramp came back on the scale {scale.words}. State it with outputs= or"
                    " values=."
                )
    is_random = bool(np.abs(made - other).max(initial=0) > _SAME * (high - low))
    if not is_random and contract.batch_size > 1:
        _check_alone(known, contract, picked, made[0])
    return Tried(contract, picked, is_random)


def _check_alone(
    known: Known, contract: Contract, picked: Picked, among_alike: NDArray[np.float32]
) -> None:
    """That the first image comes out alike whatever else is in its batch."""
    shown = ramp(contract.size, contract.channels, contract.batch_size).copy()
    shown[1:] = 0
    made = contract.arrange(several(known.call(contract.to_model(shown)))[picked.image])
    low, high = contract.outputs.range
    off = float(np.abs(made[0] - among_alike).max()) / (high - low)
    if off > _ALONE:
        raise InputError(
            "wrap: an image must come out alike whatever else is in its batch. Got values"
            f" {off:.3g} of the range apart. Use batch normalisation as in testing (model.eval(),"
            " training=False), or pass batch_size=1."
        )
