"""The model of a run, whoever trained it: the one place that asks."""

from __future__ import annotations

from residua.engines import Engine
from residua.engines.kinds import REFERENCE, parse_engine
from residua.errors import InputError
from residua.records import OperatingPoint
from residua.runs.model import JudgedModel
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder


def open_model(
    folder: RunFolder, engine: str = REFERENCE, watcher: Watcher | None = None
) -> JudgedModel:
    """The finished model of a run, scored by `engine`; one that was not exported yet is exported
    and verified first.

    Raises
    ------
    BundleError
        If the run is not finished, damaged or of another version.
    InputError
        If there is no such engine, or the model scores by itself.
    """
    if folder.is_wrapped:
        if not parse_engine(engine).is_reference:
            raise InputError(
                f"{folder.path}: a wrapped model scores by itself. Got --engine {engine}. Leave it"
                " out."
            )
        from residua.runs.wrapped_run import judged_wrapped

        return judged_wrapped(folder.path)
    from residua.runs.engines import open_trained

    return open_trained(folder, engine, watcher or Watcher())


def store_operating_point(folder: RunFolder, point: OperatingPoint) -> None:
    """Give the run another operating point; the caller holds the run's lock."""
    if folder.is_wrapped:
        from residua.runs.wrapped_run import read_wrapped, write_wrapped

        state = read_wrapped(folder.path)
        write_wrapped(folder.path, state.model_copy(update={"operating_point": point}))
        return
    from residua.training.bundle import load_bundle, save_operating_point

    save_operating_point(load_bundle(folder.bundle).with_operating_point(point), folder.bundle)


def open_engine_alone(folder: RunFolder) -> Engine:
    """What scores images, from the files of the model alone; one thread, as a worker has one
    processor.
    """
    if folder.is_wrapped:
        return open_model(folder).engine
    import torch

    from residua.runs.bundle_model import graph_engine
    from residua.training.bundle import load_bundle

    torch.set_num_threads(1)
    bundle = load_bundle(folder.bundle)
    return graph_engine(bundle, bundle.graph)
