"""ONNX files in ONNX Runtime, and the files beside them that hold weights.

Those are found without loading any.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from residua.errors import BundleError, MissingExtraError

# Which fields of which ONNX message lead to tensors: {message: {field number: message}} of
# onnx.proto3, IR version 13.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_EXTERNAL_DATA, _DATA_LOCATION, _DEEPEST = 13, 14, 200
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def external_files(path: Path) -> tuple[str, ...]:
    """The names of the files, relative to that of `path`, in which an ONNX file keeps weights.

    Empty where it holds all itself. Raises BundleError if the file is no ONNX model, or a tensor
    lies outside without saying where.
    """
    try:
        found = set(_locations(memoryview(path.read_bytes()), "model", 0))
    except (IndexError, ValueError):
        raise BundleError(
            f"{path}: must be an ONNX model. It is damaged, or something else. Export it again."
        ) from None
    return tuple(sorted(found))


def check_inside(path: Path, names: tuple[str, ...]) -> None:
    """Refuse weights that are not plain files in the folder of the ONNX file `path` or below.

    Raises BundleError where a name leads out by ``..``, is absolute or passes a link; or no such
    file is there.
    """
    folder = path.parent
    for name in names:
        parts = Path(name.replace("\\", "/")).parts
        steps = [folder.joinpath(*parts[: n + 1]) for n in range(len(parts))]
        if (
            not parts
            or ".." in parts
            or Path(parts[0]).is_absolute()
            or ":" in parts[0]
            or any(one.is_symlink() for one in steps)
        ):
            raise BundleError(
                f"{path}: weights must lie in the model's own folder. Got {name[:200]!r}, which"
                " leads out of it or is a link. Copy the weights themselves beside the model."
            )
        if not steps[-1].is_file():
            raise BundleError(
                f"{path}: the weights {name[:200]!r} must lie beside the model. They are not there."
                " Copy both files, under the names they were exported with."
            )


def open_session(
    path: Path, purpose: str, *, whole: bool = False, threads: int | None = None
) -> Any:
    """The ONNX file as a session of ONNX Runtime.

    Weights beside it are read from its own folder, and from nowhere else.

    Raises MissingExtraError if ONNX Runtime is not installed. Raises BundleError if the file is no
    ONNX model, or its weights are not where they may be.

    - `purpose`: For the message where ONNX Runtime is missing.
    - `whole`: Refuse a file that keeps weights in others: the checksum of an exported file would
      not be theirs.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise MissingExtraError("onnxruntime", "export", purpose) from None
    names = external_files(path)
    if whole and names:
        raise BundleError(
            f"{path}: an exported model must hold all of its weights. This one reads"
            f" {names[0][:200]!r}. Export it again."
        )
    check_inside(path, names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    faults = tuple(
        one for one in vars(onnxruntime.capi.onnxruntime_pybind11_state).values() if _is_fault(one)
    )
    try:  # by its name: from bytes, weights would be looked for in the current folder
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (*faults, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise BundleError(
            f"{path}: must be an ONNX model. Got: {reason}. Export it again."
        ) from None


def _is_fault(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, Exception)


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    """The locations named by tensors within `message`, in whatever order its fields lie."""
    if depth > _DEEPEST:
        raise ValueError
    entries, outside = [], False
    for number, wire, value in _fields(message):
        if kind == "tensor" and number == _DATA_LOCATION:
            outside = outside or value == 1
        within = _FIELDS[kind].get(number)
        if within is None:
            continue
        if wire != _BYTES or isinstance(value, int):
            raise ValueError
        if within == "entry":
            entries.append(_entry(value))
        else:
            yield from _locations(value, within, depth + 1)
    if entries or outside:
        named = [value for key, value in entries if key == "location"]
        if not named:
            raise ValueError
        yield from named


def _entry(message: memoryview) -> tuple[str, str]:
    texts = {
        number: bytes(value).decode()
        for number, wire, value in _fields(message)
        if not isinstance(value, int)
    }
    return texts.get(1, ""), texts.get(2, "")


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, wire type and value of each field; one beyond its message is refused."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise ValueError
        if not number or at + length > len(message):
            raise ValueError
        yield number, wire, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError
