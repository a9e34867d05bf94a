"""What a model from outside takes and gives: layout, scales, sizes. Told, read off the model, or
refused where it is open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from residua._check import Problems
from residua.errors import ShapeError
from residua.records import Assumption
from residua.runs.wrapped.scales import SCALES, Scale, read_scale

Layout = Literal["nhwc", "nchw", "nhw", "flat"]
Error = Literal["squared", "absolute", "euclidean", "ssim"]
Origin = Literal["keras", "torch", "onnx", "callable"]
Shape = tuple[int | None, ...]

_CHANNELS = (1, 3)
_EITHER = (
    'Pass values="unit" for 0-1, "symmetric" for -1..1 or "bytes" for 0-255; or inputs= and'
    " outputs=, if they differ"
)


class Contract(BaseModel):
    """How images go into the model and come out of it.

    ``layout`` is (batch, height, width, channels), (batch, channels, height, width), (batch,
    height, width) or (batch, height x width x channels). ``inputs`` and ``outputs`` are the scales
    of what goes in and of what comes out. ``rebuilt`` is the size of what comes out where that is
    another, as a super-resolver's; ``latent`` the numbers of the code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: Origin
    layout: Layout
    inputs: Scale
    outputs: Scale
    size: tuple[int, int]
    channels: int = Field(ge=1)
    rebuilt: tuple[int, int] | None = None
    latent: int | None = Field(default=None, ge=1)
    classes: tuple[int | str, ...] | None = None
    samples: int = Field(default=1, ge=1)
    error: Error = "squared"
    batch_size: int = Field(default=64, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _one_scale_for_both(cls, told: Any) -> Any:
        """RUNs of earlier versions hold one scale, by its name."""
        if isinstance(told, dict) and "values" in told:
            told = {**told, **{name: SCALES.get(told["values"]) for name in ("inputs", "outputs")}}
            del told["values"]
        return told

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of what comes out."""
        return self.rebuilt or self.size

    def to_model(
        self, images: NDArray[np.float32], inputs: Scale | None = None
    ) -> NDArray[np.float32]:
        """Images (n, h, w, c) in [0, 1] as the model takes them, or on the scale `inputs`."""
        values = (inputs or self.inputs).to_model(images)
        if self.layout == "nchw":
            values = np.moveaxis(values, 3, 1)
        if self.layout in ("flat", "nhw"):
            values = values.reshape(len(images), *(self.size if self.layout == "nhw" else (-1,)))
        return np.array(values, np.float32, order="C")  # a copy: models may change what they get

    def arrange(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """What the model made of images as (n, h, w, c), still on its own scale."""
        values = np.asarray(values, np.float32)
        if self.layout == "nchw":
            values = np.moveaxis(
                values.reshape(len(values), self.channels, *self.output_size), 1, 3
            )
        return np.ascontiguousarray(values.reshape(len(values), *self.output_size, self.channels))

    def from_model(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """What the model made of images as (n, h, w, c), clipped to [0, 1] as in the graph."""
        return np.clip(self.outputs.from_model(self.arrange(values)), 0, 1)


@dataclass(frozen=True)
class Known:
    """What a model says of itself: how to call it, its input's shape (None where open), and the
    scales it was built for.

    ``inputs`` and ``outputs`` are scales with the reason; `rescales` says that it changes the scale
    itself, in a way that is not known. ``trace(images)`` finds the numbers of the code, and the
    name of the last operation.
    """

    origin: Origin
    call: Callable[[NDArray[np.float32]], Any]
    shape: Shape | None = None
    inputs: tuple[str, str] | None = None
    outputs: tuple[str, str] | None = None
    layout: Layout | None = None
    n_batch: int | None = None
    rescales: bool = False
    trace: Callable[[NDArray[np.float32]], Traced] | None = None


@dataclass(frozen=True)
class Traced:
    """What was seen inside a network: the numbers of its code, its last operation's scale."""

    latent: int | None = None
    outputs: tuple[str, str] | None = None


@dataclass(frozen=True)
class Told:
    """What the caller of `wrap` said; None is open."""

    layout: Layout | None = None
    values: Any = None
    inputs: Any = None
    outputs: Any = None
    size: Sequence[int] | None = None
    channels: int | None = None
    latent: int | None = None
    classes: Sequence[int | str] | None = None
    samples: int = 1
    error: Error = "squared"
    batch_size: int | None = None


@dataclass
class _Open:
    """What is being settled: problems so far, and what was taken without being told."""

    problems: Problems = field(default_factory=lambda: Problems("wrap"))
    assumed: list[Assumption] = field(default_factory=list)


def agree(known: Known, told: Told) -> tuple[Contract, tuple[Assumption, ...]]:
    """The contract, from what was told and what the model says, and what was taken without being
    told.

    Raises ShapeError, RangeError or InputError: what is left open or contradicts, all at once, with
    the option that settles each question.
    """
    state = _Open()
    layout = told.layout or known.layout or _layout_of(known.shape, state)
    size, channels = _extent_of(known, told, layout, state)
    for name in ("batch_size", "samples", "latent"):
        if (getattr(told, name) or 1) < 1:
            state.problems.add(
                f"{name} must be at least 1",
                str(getattr(told, name)),
                f"Leave {name} out",
                ShapeError,
            )
    asked = _told_scales(told, channels, state)
    traced = Traced()
    if size is not None and channels is not None and not state.problems and known.trace is not None:
        draft = _contract(known, told, layout, (size, channels), (SCALES["unit"], SCALES["unit"]))
        n = known.n_batch or 2
        traced = known.trace(draft.to_model(ramp(size, channels, n), asked[0] or SCALES["unit"]))
    scales = _scales(known, traced, asked, state)
    state.problems.raise_any()
    assert size is not None and channels is not None
    contract = _contract(known, told, layout, (size, channels), scales)
    if told.latent is None and traced.latent is not None:
        contract = contract.model_copy(update={"latent": traced.latent})
        few = traced.latent < size[0] * size[1] * channels
        reason = "the fewest numbers per image on the way through the network" + (
            "" if few else ", no fewer than an image has"
        )
        _assume(state, "size of the code", f"{traced.latent:,} numbers", reason, "latent=")
    return contract, tuple(state.assumed)


def ramp(size: tuple[int, int], channels: int, n: int) -> NDArray[np.float32]:
    """`n` times a picture that goes from black on the left to white on the right."""
    return np.broadcast_to(
        np.linspace(0, 1, size[1], dtype=np.float32)[None, None, :, None], (n, *size, channels)
    )


def _contract(
    known: Known,
    told: Told,
    layout: Layout,
    extent: tuple[tuple[int, int], int],
    scales: tuple[Scale, Scale],
) -> Contract:
    return Contract(
        origin=known.origin,
        layout=layout,
        inputs=scales[0],
        outputs=scales[1],
        size=extent[0],
        channels=extent[1],
        latent=told.latent,
        classes=None if told.classes is None else tuple(told.classes),
        samples=told.samples,
        error=told.error,
        batch_size=known.n_batch or told.batch_size or 64,
    )


def _assume(state: _Open, about: str, taken: str, because: str, to_tell: str) -> None:
    state.assumed.append(Assumption(about=about, taken=taken, because=because, to_tell=to_tell))


def _told_scales(
    told: Told, channels: int | None, state: _Open
) -> tuple[Scale | None, Scale | None]:
    if told.values is not None and (told.inputs is not None or told.outputs is not None):
        mend = "Pass values= where both have one scale, else inputs= and outputs="
        state.problems.add(
            "values must not be told beside inputs or outputs", "both", mend, ShapeError
        )
        return None, None
    found = []
    for option, value in (("inputs", told.inputs), ("outputs", told.outputs)):
        one, name = (told.values, "values") if told.values is not None else (value, option)
        found.append(
            None
            if one is None
            else read_scale(one, option=name, channels=channels, problems=state.problems)
        )
    return found[0], found[1]


def _scales(
    known: Known, traced: Traced, asked: tuple[Scale | None, Scale | None], state: _Open
) -> tuple[Scale, Scale]:
    """The scales: as told, else as the model says, else for inputs as the outputs say."""
    inputs, outputs = asked
    said_out, said_in = known.outputs or traced.outputs, known.inputs
    if outputs is None and said_out is not None:
        outputs = SCALES[said_out[0]]
        _assume(
            state,
            "scale of what comes out",
            outputs.words,
            said_out[1],
            "outputs= (values= for both)",
        )
    if inputs is None and said_in is not None:
        inputs = SCALES[said_in[0]]
        _assume(
            state, "scale of what goes in", inputs.words, said_in[1], "inputs= (values= for both)"
        )
    if inputs is None and outputs is not None and asked[1] is None and not known.rescales:
        inputs = outputs
        reason = "that of what comes out, and nothing in the model says another"
        _assume(state, "scale of what goes in", inputs.words, reason, "inputs= (values= for both)")
    for name, one in (("in", inputs), ("out", outputs)):
        if one is None and not state.problems:
            got = (
                "a model that rescales them itself"
                if name == "in" and known.rescales
                else "a model that does not tell"
            )
            goes = "goes in" if name == "in" else "comes out"
            state.problems.add(
                f"the range of the values must be known, of what {goes}", got, _EITHER, ShapeError
            )
    return inputs or SCALES["unit"], outputs or SCALES["unit"]


def _extent_of(
    known: Known, told: Told, layout: Layout, state: _Open
) -> tuple[tuple[int, int] | None, int | None]:
    size = None if told.size is None else (int(told.size[0]), int(told.size[1]))
    found_size, found_channels = _extent(known.shape, layout, size)
    problems, channels = state.problems, told.channels or found_channels
    if size is None and found_size is None:
        problems.add(
            "the size of the images must be known",
            "a model that says none",
            "Pass size=(height, width)",
            ShapeError,
        )
    if channels is None:
        problems.add(
            "the number of channels must be known",
            "a model that says none",
            "Pass channels=1 or channels=3",
            ShapeError,
        )
    fixed = (
        ("size", size, found_size),
        ("channels", told.channels, found_channels),
        ("batch_size", told.batch_size, known.n_batch),
    )
    for name, one, other in fixed:
        if one is not None and other is not None and one != other:
            problems.add(
                f"{name} must be the model's",
                f"{one}, where it says {other}",
                f"Leave {name} out",
                ShapeError,
            )
    return size or found_size, channels


def _layout_of(shape: Shape | None, state: _Open) -> Layout:
    if shape is not None and len(shape) == 2:
        return "flat"
    if shape is not None and len(shape) == 3:
        _assume(
            state,
            "layout",
            "(n, height, width), one channel",
            f"an input of {shape}",
            "layout= or channels=",
        )
        return "nhw"
    last, first = (
        (False, False)
        if shape is None or len(shape) != 4
        else (shape[3] in _CHANNELS, shape[1] in _CHANNELS)
    )
    if last == first:
        got = (
            "a model that says no shape"
            if shape is None
            else f"an input of {shape}, which may be either"
            if last
            else f"{shape}"
        )
        state.problems.add(
            "the layout must be known",
            got,
            'Pass layout="nhwc" (channels last), "nchw" (channels first) or "flat"',
            ShapeError,
        )
    return "nchw" if first and not last else "nhwc"


def _extent(
    shape: Shape | None, layout: Layout, size: tuple[int, int] | None
) -> tuple[tuple[int, int] | None, int | None]:
    """Height and width, and channels, as far as the input's shape tells."""
    if shape is None or len(shape) != {"flat": 2, "nhw": 3}.get(layout, 4):
        return None, 1 if layout == "nhw" else None
    if layout == "flat":
        n = shape[-1]
        if n is None or size is None or n % (size[0] * size[1]):
            return None, None
        return size, n // (size[0] * size[1])
    if layout == "nhw":
        shape = (*shape, 1)
    if layout in ("nhw", "nhwc"):
        height, width, channels = shape[1:4]
    else:
        height, width, channels = (shape[2], shape[3], shape[1])
    return (None if height is None or width is None else (height, width)), channels
