"""The run in a folder, whoever trained its model: the one place that asks."""

from __future__ import annotations

from pathlib import Path

from residua.runs.run_folder import Run


def is_wrapped(path: str | Path) -> bool:
    """Whether the model of a run is somebody else's, and so has no exported engine."""
    return (Path(path) / "wrapped.json").is_file()


def open_run(path: str | Path) -> Run:
    """The run in the folder `path`; nothing in it is read yet."""
    path = Path(path)
    if is_wrapped(path):
        from residua.runs.wrapped_run import WrappedRun

        return WrappedRun(path)
    from residua.runs.trained_run import TrainedRun

    return TrainedRun(path)
