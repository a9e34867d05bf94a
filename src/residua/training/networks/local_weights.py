"""Weights of a backbone in a file on this machine: read as data, and loaded whole or refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from residua._files import NUMPY_FAULTS, checksum, in_a_line, sha256
from residua._text import few
from residua.errors import InputError

_ENDINGS = (".safetensors", ".pth", ".pt")
_WITHIN = ("state_dict", "model")  # where training scripts keep the weights in their checkpoints
# The layers that stand behind the last map of timm's networks: classifiers, and the norms, the
# pooling and the convolution before them.
HEADS = (
    "head", "fc", "fc_norm", "classifier", "last_linear", "conv_head", "bn2", "norm", "attn_pool",
)  # fmt: skip


def load_local(network: nn.Module, path: Path, name: str) -> str:
    """Give `network` the weights in the file `path`, and return its SHA-256.

    Names are those of the whole network; one that gives features alone writes some dots as ``_``
    and may stand within ``model``. What is in the file alone must belong to a head. Raises
    InputError if the file is none of weights, or lacks an entry, has one of another shape, or one
    too many.
    """
    found, digest = _read(path, name)
    own = network.state_dict()
    by_name = {_flat(key): (key, value) for key, value in found.items()}
    taken: dict[str, Tensor] = {}
    missing, misshapen = [], []
    for key, value in own.items():
        stored_name, stored = by_name.pop(_flat(key), ("", None))
        if stored is None:
            if not key.endswith("num_batches_tracked"):  # counted, never used
                missing.append(key)
        elif stored.shape != value.shape:
            shapes = tuple(stored.shape), tuple(value.shape)
            misshapen.append(f"{stored_name} {shapes[0]} instead of {shapes[1]}")
        else:
            taken[key] = stored
    surplus = [key for key, _ in by_name.values() if key.split(".")[0] not in HEADS]
    faults = {"missing": missing, "of another shape": misshapen, "too many": surplus}
    if any(faults.values()):
        said = "; ".join(
            f"{len(some)} {what}: {few(some)}" for what, some in faults.items() if some
        )
        raise InputError(
            f"backbone {name}: the file must hold the weights of just this network. Got {said}."
            f" Only what stands behind the last map may be left over ({'., '.join(HEADS)}.)."
            " Give the weights of this network under timm's names, or name the network that they"
            " belong to."
        )
    network.load_state_dict({**own, **taken})
    return digest


def folder_sha256(folder: Path) -> str:
    """One SHA-256 of all safetensors in a folder, by those of each."""
    return checksum({path.name: sha256(path) for path in sorted(folder.glob("*.safetensors"))})


def _flat(key: str) -> str:
    return key.removeprefix("model.").replace(".", "_")


def _read(path: Path, name: str) -> tuple[dict[str, Tensor], str]:
    """All tensors of a file and its SHA-256; pickles are read by a reader that runs no code."""
    if path.suffix not in _ENDINGS:
        raise InputError(
            f"backbone {name}: what stands after @ must be a file of weights that ends in"
            f" {', '.join(_ENDINGS)}. Got {path.name!r}. Save the state dictionary as safetensors."
        )
    try:
        digest = sha256(path)
        content: Any
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (*NUMPY_FAULTS, SafetensorError, pickle.UnpicklingError) as error:
        raise InputError(
            f"backbone {name}: {path} must be a readable file of weights, without code in it. Got:"
            f" {in_a_line(error)}. Save the state dictionary as safetensors."
        ) from None
    for within in _WITHIN:
        if isinstance(content, dict) and isinstance(content.get(within), dict):
            content = content[within]
    tensors = content if isinstance(content, dict) else {}
    if not tensors or not all(isinstance(one, Tensor) for one in tensors.values()):
        raise InputError(
            f"backbone {name}: {path} must hold a state dictionary: names and tensors. Got"
            f" something else. Save `network.state_dict()`."
        )
    return tensors, digest
