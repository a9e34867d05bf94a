"""The way of an image through a network: the fewest numbers it passes through, and the last
operation before the result.

What is counted is everything that is alive at once between input and output, so that a skip
connection counts as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from residua.engines.onnx_file import external_files
from residua.runs.wrapped.contract import Traced

_LARGEST = 500 * 2**20
_RANGES = {
    "sigmoid": ("unit", "the last operation is a sigmoid"),
    "tanh": ("symmetric", "the last operation is a tanh"),
}

_MOVES = {
    "view", "unsafe_view", "reshape", "permute", "transpose", "t", "squeeze", "unsqueeze", "clone",
    "contiguous", "expand",
    "detach", "alias", "to_copy", "flatten", "identity", "cast",
}  # fmt: skip

_SHAPES = ("Shape", "Size")  # say nothing of what is in an image


@dataclass(frozen=True)
class Step:
    """One operation: its name, and the values that go in and come out."""

    name: str
    takes: tuple[Hashable, ...]
    gives: tuple[Hashable, ...]


def narrowest(
    steps: Sequence[Step], start: Hashable, end: Hashable, sizes: dict[Hashable, int]
) -> int | None:
    """The fewest numbers alive at once from `start` to `end`; None where no way leads there.

    >>> steps = [Step("encode", ("x",), ("z",)), Step("decode", ("z",), ("y",))]
    >>> narrowest(steps, "x", "y", {"x": 64, "z": 8, "y": 64})
    8
    >>> narrowest(
    ...     [*steps, Step("skip", ("x", "y"), ("out",))],
    ...     "x",
    ...     "out",
    ...     {"x": 64, "z": 8, "y": 64, "out": 64},
    ... )
    64
    """
    reached = {start}
    for step in steps:
        if reached.intersection(step.takes):
            reached.update(step.gives)
    wanted = {end}
    for step in reversed(steps):
        if wanted.intersection(step.gives):
            wanted.update(reached.intersection(step.takes))
    if start not in wanted or end not in reached:
        return None
    born, last = {start: 0}, {end: len(steps) + 1}
    for at, step in enumerate(steps, start=1):
        for one in step.gives:
            born.setdefault(one, at)
        if wanted.intersection(step.gives):
            last.update({one: max(at, last.get(one, 0)) for one in step.takes})
    way = [one for one in wanted & reached if one in born and one in last]
    alive = [
        sum(sizes[one] for one in way if born[one] <= at < last[one])
        for at in range(len(steps) + 1)
    ]
    return min(alive)


def trace_torch(call: Callable[[Any], Any], images: Any) -> Traced:
    """What `call`, which takes a tensor, does to `images`; nothing where it cannot be watched."""
    torch: Any = sys.modules["torch"]  # images are its tensors, so it is loaded
    steps: list[Step] = []
    kept: list[Any] = [images]  # so that no number is given twice

    def watch(self: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        taken, given = (_tensors(values, torch) for values in ([args, kwargs or {}], made))
        kept.extend([*taken, *given])
        steps.append(
            Step(
                str(func.__name__).partition(".")[0].strip("_"),
                tuple(map(id, taken)),
                tuple(map(id, given)),
            )
        )
        return made

    mode: Any = type(
        "Watch", (torch.utils._python_dispatch.TorchDispatchMode,), {"__torch_dispatch__": watch}
    )
    try:
        with torch.no_grad(), mode():
            made = _tensors(call(images), torch)
    except (
        RuntimeError,
        NotImplementedError,
        TypeError,
        AttributeError,
        ValueError,
        AssertionError,
    ):
        return Traced()
    sizes: dict[Hashable, int] = {id(one): -(-one.numel() // len(images)) for one in kept}
    return _traced(steps, id(images), [id(one) for one in made], sizes)


def trace_onnx(path: Path, run: Callable[[Any], dict[str, NDArray[Any]]]) -> Traced:
    """What the ONNX file does; nothing where it is huge, has branches or loops, or the package onnx
    is missing.

    `run` takes a model with every value among its outputs, and gives them all, the input included.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        return Traced()
    if (
        path.stat().st_size > _LARGEST
        or sum((path.parent / one).stat().st_size for one in external_files(path)) > _LARGEST
    ):
        return Traced()
    model = onnx.load(str(path))
    nodes, ends = list(model.graph.node), [one.name for one in model.graph.output]
    if any(
        one.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
        for node in nodes
        for one in node.attribute
    ):
        return Traced()
    steps = [
        Step(node.op_type.lower(), tuple(node.input), tuple(node.output))
        for node in nodes
        if node.op_type not in _SHAPES
    ]
    inner = [name for step in steps for name in step.gives if name and name not in ends]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    values = run(model)
    start = next(iter(values))
    sizes: dict[Hashable, int] = {
        name: -(-one.size // len(values[start])) for name, one in values.items()
    }
    return _traced(steps, start, ends, sizes)


def _traced(
    steps: Sequence[Step], start: Hashable, ends: Sequence[Hashable], sizes: dict[Hashable, int]
) -> Traced:
    """The end is the output as large as the input; if there is none, the largest."""
    if not ends:
        return Traced()
    end = max(ends, key=lambda one: (sizes.get(one) == sizes[start], sizes.get(one, 0)))
    for step in steps:
        for one in (*step.takes, *step.gives):
            sizes.setdefault(one, 0)
    return Traced(narrowest(steps, start, end, sizes), _RANGES.get(_last_operation(steps, end)))


def _last_operation(steps: Sequence[Step], end: Hashable) -> str:
    """The operation that `end` comes from; those that only move numbers are passed over."""
    for step in reversed(steps):
        if end in step.gives:
            if step.name not in _MOVES or not step.takes:
                return step.name
            end = step.takes[0]
    return ""


def _tensors(values: Any, torch: Any) -> list[Any]:
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, Mapping):
        values = list(values.values())
    return (
        [one for part in values for one in _tensors(part, torch)]
        if isinstance(values, list | tuple)
        else []
    )
