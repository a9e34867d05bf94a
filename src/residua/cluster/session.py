"""A connection to Ray, and pieces of a source through a pool of workers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from residua.errors import InputError, MissingExtraError, ResiduaError

LOCAL = "local"
_MEGABYTE = 2**20
_MOST_BLOCKS = 2000


@dataclass(frozen=True)
class ClusterOptions:
    """Where Ray runs: ``local`` starts one on this machine, else the address of one that runs,
    ``HOST:6379`` or ``auto``.

    ``workers`` is the number of processes that score, one processor each; None takes what the
    cluster has.
    """

    address: str = LOCAL
    workers: int | None = None
    object_store_megabytes: int = 128


@contextmanager
def connected(options: ClusterOptions) -> Iterator[None]:
    """Ray while the block runs; a connection that is there already is used, and left open."""
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    common = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if options.address == LOCAL:
            ray.init(
                address="local",
                num_cpus=options.workers or os.cpu_count() or 1,
                object_store_memory=options.object_store_megabytes * _MEGABYTE,
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                **common,
            )
        else:
            ray.init(address=options.address, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"--cluster: Ray must run at {options.address}. Got: {error}. "
            "Start it with `ray start --head`, or use --cluster local."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def through_workers(
    worker: type[Callable[[dict[str, Any]], Iterable[dict[str, Any]]]],
    arguments: tuple[Any, ...],
    items: list[Mapping[str, Any]],
    options: ClusterOptions,
) -> Iterator[dict[str, Any]]:
    """The rows that `worker` makes of the items, in the order they get done.

    Where a worker or its machine dies, Ray starts another and hands it what was not finished. What
    a worker raises on purpose is raised here.
    """
    ray = _ray()
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # Ray plans with blocks of 128 MB, more than a small object store holds; a part is a few hundred
    # kilobytes.
    context.target_max_block_size = 2 * _MEGABYTE
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    n_workers = options.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    dataset = ray.data.from_items(
        items, override_num_blocks=min(len(items), _MOST_BLOCKS)
    ).map_batches(
        worker,
        fn_constructor_args=arguments,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(n_workers, len(items))),
        num_cpus=1,
    )
    try:
        yield from dataset.iter_rows()
    except ray.exceptions.RayError as error:
        raise _our_own(error) from error


def _our_own(error: BaseException) -> BaseException:
    """What a worker raised on purpose, out of Ray's wrapping; else the error itself."""
    seen: BaseException | None = error
    while seen is not None:
        inner = getattr(seen, "cause", None)
        if isinstance(inner, ResiduaError):
            return inner
        if isinstance(seen, ResiduaError):
            return type(seen)(*seen.args) if type(seen).__module__.startswith("residua") else seen
        seen = (
            seen.__cause__
            if seen.__cause__ is not None
            else inner
            if isinstance(inner, BaseException)
            else None
        )
    return error


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError("ray[data]", "cluster", "--cluster") from error
    return ray
