"""Whether real images come back far better when what goes in, or what comes out, is read on another
scale than was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.pictures import oversteps_of
from residua.runs.wrapped.scales import SCALES, Scale

if TYPE_CHECKING:
    from residua.runs.wrapped.model import WrappedEngine

Floats = NDArray[np.float32]
_MOST = 64
# Of 300 small models that were read rightly, many of them untrained or given other images than in
# training, 2 are accused. Both explain less than half; no model that explains .8 is. Wrong readings
# of six trained ones leave 1.7 times as much or more.
_GOOD, _SURE, _TIMES = 0.8, 0.9, 1.5
# a poor model may be paler or darker than its images by less than a wrong scale makes it
_FACTOR, _SHIFT = 1.5, 0.2
_USUAL = (
    # of ImageNet, as torchvision has it
    Scale(name="normalised", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    # of MNIST, as PyTorch's example has it
    Scale(name="normalised", mean=(0.1307,), std=(0.3081,)),
)


def explained(rebuilt: Floats, expected: Floats) -> float:
    """The share of the variation in `expected`, per channel, that `rebuilt` explains: 1 is all.

    >>> x = np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 2, 4, 1)
    >>> explained(x, x), round(explained(x / 2 + 0.5, x), 2)
    (1.0, 0.17)
    """
    varies = float(np.square(expected - expected.mean(axis=(0, 1, 2), dtype=np.float64)).mean())
    if varies < 1e-8:
        return 0.0
    return (
        1 - float(np.square(np.clip(rebuilt, 0, 1).astype(np.float64) - expected).mean()) / varies
    )


def far_better(other: float, told: float, times: float = _TIMES) -> bool:
    """Whether another reading leaves so much less (`times`) that the told one must be wrong."""
    return other >= _GOOD and (1 - told) >= times * (1 - other)


def look_at_readings(model: WrappedEngine, prepared: Floats, expected: Floats) -> dict[str, Any]:
    """Facts for findings of the scales, from some of the judged images as the model sees them, and
    what it should make of them.
    """
    if not len(prepared):
        return {}
    rows = np.linspace(0, len(prepared) - 1, min(_MOST, len(prepared))).astype(int)
    some, wanted = prepared[rows], expected[rows]
    made = model.raw(some)
    rebuilt = model.contract.outputs.from_model(made)
    told = explained(rebuilt, wanted)
    if told < _SURE:  # else nothing can be far better
        readings = _readings(model, some, wanted, made)
        best = max(readings, key=lambda pair: readings[pair])
        if far_better(readings[best], told):
            asked = (model.contract.inputs.words, model.contract.outputs.words)
            return {"misreading": (asked, told, best, readings[best], len(some))}
    return {"oversteps": oversteps_of(reconstructions=rebuilt)}


def _readings(
    model: WrappedEngine, some: Floats, wanted: Floats, made: Floats
) -> dict[tuple[str, str], float]:
    """What each other pair of scales, of what goes in and of what comes out, explains."""
    contract = model.contract
    # a uint8 input takes nothing else
    fixed = contract.origin == "onnx" and contract.inputs.name == "bytes"
    found: dict[tuple[str, str], float] = {}
    for scale in [contract.inputs, *([] if fixed else _others(contract.inputs, contract.channels))]:
        values = made if scale is contract.inputs else model.raw(some, scale)
        for reading in (contract.outputs, *_others(contract.outputs, contract.channels)):
            found[scale.words, reading.words] = explained(reading.from_model(values), wanted)
    fitted = _fitted(contract.outputs.from_model(made), made, wanted)
    if fitted is not None:
        found[contract.inputs.words, fitted.words] = explained(fitted.from_model(made), wanted)
    return found


def _others(told: Scale, channels: int) -> list[Scale]:
    """The scales that people use, but for the told one."""
    usual = [one for one in _USUAL if len(one.mean) in (1, channels)]
    return [scale for scale in (*SCALES.values(), *usual) if scale != told]


def _fitted(rebuilt: Floats, made: Floats, wanted: Floats) -> Scale | None:
    """Mean and deviation that fit best; None where the told reading is about as good."""
    y, x = made.ravel().astype(np.float64), wanted.ravel().astype(np.float64)
    if y.std() < 1e-6:
        return None
    std, mean = np.polyfit(y, x, 1)
    times = np.polyfit(rebuilt.ravel().astype(np.float64), x, 1)[0]
    about_as_told = 1 / _FACTOR < times < _FACTOR and abs(float(rebuilt.mean()) - x.mean()) < _SHIFT
    return (
        None
        if std <= 0 or about_as_told
        else Scale(name="normalised", mean=(float(mean),), std=(float(std),))
    )
