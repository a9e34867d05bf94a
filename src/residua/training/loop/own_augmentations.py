"""Augmentations of the user's own: functions, and transforms of other libraries.

They hold for one fit. A run keeps their names alone, so that loading one executes nothing.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from residua._text import printable
from residua.errors import InputError

Augmentation = Callable[[Tensor, Generator], Tensor]
OWN = "own:"
"""How the names of such augmentations begin."""

_LONGEST = 120  # characters of a name
_NEAR = 1e-3  # as far as values may leave [0, 1] by rounding
_of_fit: ContextVar[Mapping[str, Augmentation]] = ContextVar("of_fit")


def named(given: Any) -> tuple[Any, dict[str, Augmentation]]:
    """What an estimator takes as ``augment`` as names, and the user's own by name.

    >>> def darker(images, generator):
    ...     return images * 0.9
    >>> named(("flip", darker))[0]
    ('flip', 'own:residua.training.loop.own_augmentations.darker')
    """
    several = given if isinstance(given, (list, tuple)) else (given,)
    if not any(callable(one) for one in several):
        return given, {}
    names: list[Any] = []
    own: dict[str, Augmentation] = {}
    for one in several:
        name = one
        if callable(one):
            name = _name(one)
            if name in own:
                name += f" {len(own) + 1}"
            own[name] = _checked(name, _adapted(one))
        names.append(name)
    return tuple(names), own


@contextmanager
def known(own: Mapping[str, Augmentation]) -> Iterator[None]:
    """Let the user's own augmentations be found by name, as long as one fit takes."""
    token = _of_fit.set(own)
    try:
        yield
    finally:
        _of_fit.reset(token)


def find(name: str) -> Augmentation | None:
    """The user's own augmentation of that name; None where it is none.

    Raises InputError if it is one of another fit, whose name alone was kept.
    """
    found = _of_fit.get({}).get(name)
    if found is None and name.startswith(OWN):
        raise InputError(
            f"augment: {name.removeprefix(OWN)} must be passed again. Got its name alone, as runs"
            " keep it. Pass the function itself as augment= in Python, or leave it out."
        )
    return found


def _name(one: Any) -> str:
    text = " ".join(repr(one).split())
    if inspect.isroutine(one) or " object at 0x" in text:
        kind = one if hasattr(one, "__qualname__") else type(one)
        text = f"{kind.__module__}.{kind.__qualname__}"
    return OWN + printable(text)[:_LONGEST]


def _adapted(one: Any) -> Augmentation:
    parts = one.modules() if isinstance(one, torch.nn.Module) else (one,)
    libraries = {type(part).__module__.split(".")[0] for part in parts}
    if "albumentations" in libraries:
        return lambda images, generator: _each(
            images, generator, lambda image: _by_albumentations(one, image)
        )
    if "torchvision" in libraries:  # draws once a call, so each image is a call
        return lambda images, generator: _each(images, generator, one)
    if "kornia" not in libraries and _takes_generator(one):
        return one  # type: ignore[no-any-return]

    def whole(images: Tensor, generator: Generator) -> Tensor:
        with _seeded(generator, images):
            return one(images)  # type: ignore[no-any-return]

    return whole


def _takes_generator(one: Any) -> bool:
    try:
        call = one.forward if isinstance(one, torch.nn.Module) else one
        needed = [
            parameter
            for parameter in inspect.signature(call).parameters.values()
            if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        ]
    except (TypeError, ValueError):  # written in C
        return False
    return len(needed) > 1 and (
        needed[1].name == "generator" or needed[1].default is needed[1].empty
    )


def _each(images: Tensor, generator: Generator, change: Callable[[Tensor], Tensor]) -> Tensor:
    with _seeded(generator, images):
        return torch.stack([torch.as_tensor(change(image)).to(images) for image in images])


def _by_albumentations(one: Any, image: Tensor) -> Tensor:
    if hasattr(one, "set_random_seed"):  # its own generator, else as NumPy's
        one.set_random_seed(int(torch.randint(2**31, ())))
    changed = one(image=np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))["image"]
    if isinstance(changed, Tensor):  # by ToTensorV2
        return changed
    return torch.from_numpy(np.atleast_3d(changed)).permute(2, 0, 1)


@contextmanager
def _seeded(generator: Generator, images: Tensor) -> Iterator[None]:
    """The generators that libraries draw from, seeded by ours; afterwards all is as before."""
    seed = int(torch.randint(2**31, (), generator=generator))
    devices = [images.device] if images.is_cuda else []
    before = random.getstate(), np.random.get_state()  # noqa: NPY002  it is theirs
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002


def _checked(name: str, change: Augmentation) -> Augmentation:
    def checked(images: Tensor, generator: Generator) -> Tensor:
        found = change(images, generator)
        if not isinstance(found, Tensor) or found.shape != images.shape:
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise _fault(name, f"images of shape {tuple(images.shape)}", shape, "Keep the shape")
        low, high = float(found.min()), float(found.max())
        if not (low >= -_NEAR and high <= 1 + _NEAR):  # written so that NaN is refused too
            got = f"values in [{low:.4g}, {high:.4g}]"
            raise _fault(name, "values in [0, 1]", got, "End with .clamp(0, 1)")
        return found.to(images).clamp(0, 1)

    return checked


def _fault(name: str, must: str, got: Sequence[Any] | str, mend: str) -> InputError:
    return InputError(
        f"augment: {name.removeprefix(OWN)} must give {must}, as it gets them. Got {got}. {mend}."
    )
