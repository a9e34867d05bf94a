"""How long and how to train, and what the machine is good at."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field, ValidationError

from residua.errors import InputError
from residua.records import Record
from residua.training.loop.devices import PATTERN

Precision = Literal["auto", "fp32", "bf16"]

StepReport = Callable[[int, int, int, float, float | None], None]
"""Called after each step with (step, n_steps, epoch, training loss, validation loss or None)."""


@dataclass(frozen=True)
class Epoch:
    """What is told at the end of an epoch.

    Attributes
    ----------
    epoch : int
        From 1, in its training.
    n_epochs : int
        How many are planned in it.
    train_loss, validation_loss : float
        Lower is better.
    seconds : float
        How long the epoch took.
    training : int
        From 1: a fit that trains in phases, or drops images after a first training, has several.
    """

    epoch: int
    n_epochs: int
    train_loss: float
    validation_loss: float
    seconds: float
    training: int = 1


EpochReport = Callable[[Epoch], Any]
"""Called after each epoch; where it returns True, the training stops."""

_FEWEST_PIXELS = 24 * 24


class TrainingSettings(Record):
    """Options of one training run.

    `epochs` and `minutes` exclude each other, and without either the recipe chooses.

    What is None among ``batch_size``, ``learning_rate`` and ``weight_decay`` is the recipe's choice
    too. ``patience`` is the number of epochs without a better validation loss after which training
    stops; None chooses a fifth of the epochs, at least 10. ``precision="auto"`` takes bfloat16
    where the processor or GPU computes in it. ``threads`` is the number of processor threads that
    training uses; None takes one for images under 24x24 pixels, else all that torch was given.
    Another number of threads adds in another order, so weights differ in their last digits.
    ``device`` is ``auto`` (a GPU where PyTorch sees one, else the processor), ``cpu``, ``cuda``,
    ``cuda:1`` or ``mps``. ``devices`` are those of each of so many ``nodes``: processes that share
    each batch, so that training is that of one.
    """

    epochs: int | None = Field(default=None, ge=1, le=1_000_000)
    minutes: float | None = Field(default=None, gt=0, le=60 * 24 * 30)
    batch_size: int | None = Field(default=None, ge=1, le=65536)
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    weight_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    patience: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0, lt=2**32)
    precision: Precision = "auto"
    augment: tuple[str, ...] = ()
    device: str = Field(default="auto", pattern=rf"^({PATTERN})$")
    threads: int | None = Field(default=None, ge=1, le=1024)
    devices: int = Field(default=1, ge=1, le=1024)
    nodes: int = Field(default=1, ge=1, le=4096)

    def __init__(self, **options: Any) -> None:
        if "accelerator" in options:  # as runs of earlier versions have it
            earlier = options.pop("accelerator")
            options.setdefault("device", "cuda" if earlier == "gpu" else earlier)
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise InputError("\n".join(map(sentence_of, error.errors()))) from None
        if self.epochs is not None and self.minutes is not None:
            raise InputError(
                "fit: --epochs and --minutes exclude each other. Got both. Leave one out."
            )


def sentence_of(problem: Any) -> str:
    """A problem that pydantic found, as the sentence of an error."""
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"fit: {message.removesuffix('.')}."
    where = ".".join(map(str, problem["loc"]))
    if where == "device":
        message = "must be auto, cpu, cuda, cuda:1 (any number) or mps"
    return f"fit: {where}: {message}. Got {problem['input']!r}. Choose another value."


def uses_bfloat16(precision: Precision, n_pixels: int, *, on_gpu: bool) -> bool:
    """Whether to train in bfloat16.

    As asked, or where the hardware multiplies in it (AMX, AVX-512 BF16, recent GPUs).

    Images under 24x24 pixels are too small to gain by it. The rule looks at no clock, so that it
    decides alike each time.
    """
    if precision != "auto":
        return precision == "bf16"
    if n_pixels < _FEWEST_PIXELS:
        return False
    if on_gpu:
        return torch.cuda.is_bf16_supported()
    return _processor_has_bfloat16()


@contextmanager
def training_threads(wanted: int | None, n_pixels: int) -> Iterator[int]:
    """Train with as many threads as `wanted`, or as suit images of `n_pixels`.

    Afterwards all is as before.

    The rule does not look at how busy the machine is: what it chooses must be the same each time.
    """
    before = torch.get_num_threads()
    chosen = wanted or (1 if n_pixels < _FEWEST_PIXELS else before)
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)


def is_busy() -> bool:
    """Whether others want most of the processor now: fewer threads are then faster."""
    try:
        return os.getloadavg()[0] > 0.75 * (os.cpu_count() or 1)
    except (AttributeError, OSError):  # Windows has none
        return False


def _processor_has_bfloat16() -> bool:
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return bool(supported is not None and supported() and _has_flag("avx512_bf16", "amx_bf16"))


def _has_flag(*flags: str) -> bool:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return any(flag in line.split() for flag in flags)
