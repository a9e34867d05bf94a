"""Operators of ONNX in PyTorch: what convolution networks are made of.

Each takes its inputs in order, None for one left out, and its attributes by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.errors import InputError

_TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float32}


def _around(images: Tensor, kernel: Sequence[int], given: dict[str, Any]) -> list[int]:
    """Padding as `F.pad` takes it: left, right, top, bottom."""
    automatic = given.get("auto_pad", "NOTSET")
    if automatic in {"NOTSET", "VALID"}:
        top, left, bottom, right = given.get("pads") or (0, 0, 0, 0)
        return [left, right, top, bottom]
    around = []
    for axis in (1, 0):
        stride = (given.get("strides") or (1, 1))[axis]
        reach = (kernel[axis] - 1) * (given.get("dilations") or (1, 1))[axis] + 1
        side = int(images.shape[2 + axis])
        both = max(0, (-(-side // stride) - 1) * stride + reach - side)
        near = both // 2 if automatic == "SAME_UPPER" else both - both // 2
        around += [near, both - near]
    return around


def _conv(images: Tensor, weight: Tensor, bias: Tensor | None = None, **given: Any) -> Tensor:
    if weight.ndim != 4:
        raise InputError("Conv: kernels must have two dimensions")
    around = _around(images, weight.shape[2:], given)
    stride, dilation = given.get("strides") or (1, 1), given.get("dilations") or (1, 1)
    padding: Any = (around[2], around[0])
    if around[0] != around[1] or around[2] != around[3]:
        images, padding = F.pad(images, around), 0
    return F.conv2d(images, weight, bias, stride, padding, dilation, given.get("group", 1))


def _max_pool(images: Tensor, **given: Any) -> Tensor:
    kernel = given["kernel_shape"]
    around = _around(images, kernel, given)
    if any(around):
        images = F.pad(images, around, value=-torch.inf)
    stride, dilation = given.get("strides") or 1, given.get("dilations") or 1
    return F.max_pool2d(images, kernel, stride, 0, dilation, bool(given.get("ceil_mode", 0)))


def _average_pool(images: Tensor, **given: Any) -> Tensor:
    kernel, stride = given["kernel_shape"], given.get("strides") or 1
    around, whole = _around(images, kernel, given), bool(given.get("ceil_mode", 0))
    pooled = F.avg_pool2d(F.pad(images, around), kernel, stride, 0, whole)
    if not any(around) or given.get("count_include_pad", 0):
        return pooled
    share = F.avg_pool2d(F.pad(torch.ones_like(images[:1, :1]), around), kernel, stride, 0, whole)
    return pooled / share


def _clip(values: Tensor, *ends: Tensor | None) -> Tensor:
    return values.clamp(*(None if end is None else float(end) for end in ends))


def _gemm(a: Tensor, b: Tensor, c: Tensor | None = None, **given: Any) -> Tensor:
    a, b = (a.T if given.get("transA") else a), (b.T if given.get("transB") else b)
    product = given.get("alpha", 1.0) * (a @ b)
    return product if c is None else product + given.get("beta", 1.0) * c


def _layer_norm(x: Tensor, scale: Tensor, shift: Any = None, **given: Any) -> Tensor:
    shape = list(map(int, x.shape[given.get("axis", -1) :]))
    return F.layer_norm(x, shape, scale, shift, given.get("epsilon", 1e-5))


def _reduce_mean(values: Tensor, axes: Any = None, **given: Any) -> Tensor:
    over = range(values.ndim) if axes is None else axes.tolist()
    return values.mean(tuple(over), bool(given.get("keepdims", 1)))


def _reshape(values: Tensor, shape: Tensor, **_: Any) -> Tensor:
    asked: list[Any] = shape.tolist()
    sides = [values.shape[row] if n == 0 else n for row, n in enumerate(asked)]
    if -1 not in asked and sides[:1] == [int(side) for side in values.shape[:1]]:
        sides[0] = -1  # the batch, whose size a trace leaves open
    return values.reshape(sides)


def _unsqueeze(values: Tensor, axes: Tensor) -> Tensor:
    n = values.ndim + len(axes)
    for axis in sorted(axis % n for axis in axes.tolist()):
        values = values.unsqueeze(axis)
    return values


def _split(values: Tensor, sizes: Any = None, **given: Any) -> tuple[Tensor, ...]:
    axis = given.get("axis", 0)
    if sizes is None:
        return values.tensor_split(given["num_outputs"], axis)
    return values.split(sizes.tolist(), axis)


def _slice(values: Tensor, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Tensor:
    n = len(starts)
    over = range(n) if axes is None else axes.tolist()
    by = [1] * n if steps is None else steps.tolist()
    for axis, start, end, step in zip(over, starts.tolist(), ends.tolist(), by, strict=True):
        if step < 0:  # PyTorch slices forwards only
            rows = range(values.shape[axis])[start : None if end < -(2**31) else end : step]
            values = values.index_select(axis, torch.tensor(rows, device=values.device))
            continue
        place: list[Any] = [slice(None)] * values.ndim
        place[axis] = slice(start, None if end > 2**31 else end, step)
        values = values[tuple(place)]
    return values


def _gather(values: Tensor, rows: Tensor, axis: int = 0) -> Tensor:
    if rows.ndim == 0:
        return values.select(axis, int(rows))
    return values.index_select(axis, rows.flatten().to(values.device)).unflatten(axis, rows.shape)


def _pad(
    values: Tensor, pads: Tensor, value: Any = None, *_: Any, mode: str = "constant"
) -> Tensor:
    near, far = pads.reshape(2, -1).tolist()
    around = [one for ends in reversed(list(zip(near, far, strict=True))) for one in ends]
    if mode == "constant":
        return F.pad(values, around, value=0.0 if value is None else float(value))
    return F.pad(values, around[:4], mode={"edge": "replicate"}.get(mode, mode))


def _shape(values: Tensor, start: int = 0, end: int | None = None) -> Tensor:
    sides = [int(side) for side in values.shape[start:end]]
    return torch.tensor(sides, dtype=torch.int64, device="cpu")


def _divided(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _all(operator: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def over(first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = operator(first, other)
        return first

    return over


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": _divided,
    "Pow": torch.pow,
    "Max": _all(torch.maximum),
    "Min": _all(torch.minimum),
    "Sum": _all(torch.add),
    "Sqrt": torch.sqrt,
    "Reciprocal": torch.reciprocal,
    "Exp": torch.exp,
    "Erf": torch.erf,
    "Neg": torch.neg,
    "Abs": torch.abs,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Relu": torch.relu,
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x),
    "Elu": lambda x, alpha=1.0: F.elu(x, alpha),
    "Softplus": F.softplus,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: (alpha * x + beta).clamp(0, 1),
    "HardSwish": F.hardswish,
    "Mish": F.mish,
    "Gelu": lambda x, approximate="none": F.gelu(x, approximate=approximate),
    "Clip": _clip,
    "Conv": _conv,
    "BatchNormalization": lambda x, scale, shift, mean, variance, epsilon=1e-5, **_: F.batch_norm(
        x, mean, variance, scale, shift, eps=epsilon
    ),
    "LayerNormalization": _layer_norm,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "ReduceMean": _reduce_mean,
    "MatMul": torch.matmul,
    "Gemm": _gemm,
    "Softmax": lambda x, axis=-1: x.softmax(axis),
    "Concat": lambda *several, axis: torch.cat(several, axis),
    "Split": _split,
    "Reshape": _reshape,
    "Flatten": lambda x, axis=1: x.flatten(axis) if axis == 1 else x.reshape(-1, *x.shape[axis:]),
    "Transpose": lambda x, perm: x.permute(perm),
    "Squeeze": lambda x, axes=None: (
        x.squeeze() if axes is None else x.squeeze(tuple(axes.tolist()))
    ),
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Gather": _gather,
    "Pad": _pad,
    "Shape": _shape,
    "ConstantOfShape": lambda shape, value=(0.0,): torch.full(
        shape.tolist(), value[0], device="cpu"
    ),
    "Cast": lambda x, to, **_: x.to(_TYPES[to]),
    "Identity": lambda x: x,
    "Dropout": lambda x, *_, **__: x,
}
