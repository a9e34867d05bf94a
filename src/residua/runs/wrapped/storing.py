"""A wrapped model as files of a RUN, and back: data, never code, and nothing is kept that does not
load again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residua._files import ensure_folder, has_sha256, sha256
from residua.engines.onnx_file import check_inside, external_files
from residua.errors import BundleError, InputError, MissingExtraError, OutputError

if TYPE_CHECKING:
    from residua.runs.wrapped.model import WrappedEngine

STATE, ONNX, KERAS = "wrapped.json", "model.onnx", "model.keras"
# What a RUN holds beside the model: it belongs to the model that was there before.
_STALE = ("evaluation.json", "evidence.npz", "images.csv", "check.json")
_OURS = {STATE, *_STALE, ONNX, KERAS}
_NOT_LOADED = (
    "the model must load again from its file, in Keras' safe mode and without code of yours. It"
    " does not."
)
_OWN_LAYERS = (
    "Build the model from Keras' own layers, without Lambda; "
    'or export it to ONNX (model.export(path, format="onnx")) and wrap that file.'
)
_TRY = """
import sys, keras
try:
    keras.saving.load_model(sys.argv[1], compile=False, safe_mode=True)
except Exception as error:
    sys.exit((str(error).strip() or type(error).__name__).splitlines()[0][:300])
"""


def check_storable(model: WrappedEngine) -> None:
    """Refuse to save a model that is code, by InputError with the way to data."""
    if model.contract.origin in ("onnx", "keras"):
        return
    what = "a PyTorch module" if model.contract.origin == "torch" else "a function"
    raise InputError(
        f"wrap: a model must be data to be saved. Got {what}, which is code. Export it to ONNX"
        ' (torch.onnx.export(module.eval(), (images,), "model.onnx", dynamo=False)) and wrap the'
        " file, or keep using it in this process: evaluate, choose_threshold and report need no"
        " RUN."
    )


def store(model: WrappedEngine, folder: Path) -> tuple[str, dict[str, str]]:
    """Put the model into `folder`: its file's name, and the SHA-256 of each of its files.

    Raises InputError if it is code, or would not load again from what was written.
    """
    check_storable(model)
    if model.contract.origin == "onnx":
        return ONNX, _store_onnx(Path(model.model), folder)
    model.model.save(folder / KERAS)
    _prove(folder / KERAS)
    return KERAS, {KERAS: sha256(folder / KERAS)}


def check_files(run: Path, name: str, files: dict[str, str]) -> None:
    """Refuse a model of which a file is missing, or is not what was saved; weights beside it
    included.

    Raises BundleError with the file.
    """
    _check_file(run / name, files.get(name))
    beside = external_files(run / name) if name == ONNX else ()
    check_inside(run / name, beside)
    for one in beside:
        _check_file(run / one, files.get(one))


def load_keras(path: str | Path) -> Any:
    """A Keras model from a ``.keras`` file, in safe mode: nothing in the file is executed.

    Raises MissingExtraError if Keras is not installed. Raises BundleError if it does not load so.
    """
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "keras", "keras", "a wrapped Keras model") from None
    try:
        return keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except (
        ValueError,
        TypeError,
        OSError,
        ImportError,
        AttributeError,
        KeyError,
        NotImplementedError,
    ) as error:
        raise BundleError(
            f"{path}: {_NOT_LOADED} Got: {_first_line(error)} {_OWN_LAYERS}"
        ) from None


@contextmanager
def staged(run: Path) -> Iterator[Path]:
    """A folder beside `run` to write into; it becomes `run`, or is gone if the block fails."""
    ensure_folder(run.parent, where="save")
    fresh = Path(tempfile.mkdtemp(prefix=f".{run.name}.", suffix=".part", dir=run.parent))
    try:
        yield fresh
        ensure_folder(run, where="save")
        # the state first: a RUN that is half written is none
        for stale in (STATE, *_STALE):
            (run / stale).unlink(missing_ok=True)
        names = sorted(one.relative_to(fresh) for one in fresh.rglob("*") if one.is_file())
        for name in sorted(names, key=lambda one: str(one) == STATE):
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).replace(run / name)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"{run}: the RUN must be writable. Got: {error.strerror or error}. Name another place."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _check_file(path: Path, expected: str | None) -> None:
    if not has_sha256(path, expected):
        raise BundleError(
            f"{path}: must be the model that was saved. It is missing or another. Save the wrapped"
            " model again."
        )


def _store_onnx(path: Path, folder: Path) -> dict[str, str]:
    beside = external_files(path)
    check_inside(path, beside)
    taken = [name for name in beside if Path(name).parts[0] in _OURS]
    if taken:
        raise InputError(
            f"{path}: weights must not be named as a RUN's own files are. Got {taken[0]}. Export it"
            " again."
        )
    for name in beside:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.parent / name, folder / name)
    shutil.copyfile(path, folder / ONNX)
    return {name: sha256(folder / name) for name in (ONNX, *beside)}


def _prove(path: Path) -> None:
    """Load the file in a process of its own, which knows no class registered here."""
    keras: Any = sys.modules.get("keras")
    backend = {} if keras is None else {"KERAS_BACKEND": keras.backend.backend()}
    child = [sys.executable, "-c", _TRY, str(path)]
    done = subprocess.run(
        child, capture_output=True, text=True, check=False, env={**os.environ, **backend}
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word."])[-1]
        raise InputError(f"save: {_NOT_LOADED} Got: {reason} {_OWN_LAYERS}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
