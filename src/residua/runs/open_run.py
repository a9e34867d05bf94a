"""The run in a folder, whoever trained its model: the one place that asks."""

from __future__ import annotations

from pathlib import Path

from residua.errors import InputError
from residua.runs.run_folder import Run


def is_wrapped(path: str | Path) -> bool:
    """Whether the model of a run is somebody else's, and so has no exported engine."""
    return (Path(path) / "wrapped.json").is_file()


def check_trained(path: str | Path, command: str) -> None:
    """Refuse a run whose model somebody else trained, by InputError with what can be done."""
    if is_wrapped(path):
        raise InputError(
            f"{path}: the run must hold a model that `residua fit` trained. Got a wrapped one,"
            f" whose features `residua {command}` cannot ask for. Choose its threshold with"
            " `residua threshold`."
        )


def open_run(path: str | Path) -> Run:
    """The run in the folder `path`; nothing in it is read yet."""
    path = Path(path)
    if is_wrapped(path):
        from residua.runs.wrapped_run import WrappedRun

        return WrappedRun(path)
    from residua.runs.trained_run import TrainedRun

    return TrainedRun(path)
