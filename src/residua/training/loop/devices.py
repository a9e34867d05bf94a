"""The device that trains: the one that was named, else a GPU that PyTorch sees, else the processor.

Apple's ``mps`` is used only where it is named, because no run of residua on it exists.
"""

from __future__ import annotations

import torch

from residua.errors import InputError

PATTERN = r"auto|cpu|mps|cuda(:\d{1,3})?"
"""What the name of a device may be."""


def devices_there() -> list[str]:
    """The devices that PyTorch sees here, by the names that `find_device` takes.

    >>> devices_there()[0]
    'cpu'
    """
    found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def find_device(name: str, where: str = "fit") -> torch.device:
    """The device of that name.

    Raises
    ------
    InputError
        If PyTorch sees no such device here, with those that it sees.

    Examples
    --------
    >>> find_device("cpu")
    device(type='cpu')
    """
    there = devices_there()
    if name == "auto":
        return torch.device(there[1] if there[1:] and there[1] != "mps" else "cpu")
    if (f"{name}:0" if name == "cuda" else name) in there:
        return torch.device(name)
    built = "" if torch.version.cuda or name[:4] != "cuda" else " PyTorch was built without CUDA."
    raise InputError(
        f"{where}: --device must be one that PyTorch sees here: {', '.join(there)}. Got {name}."
        f"{built} Name another, or leave it out."
    )
