"""Beyond one machine, on Ray: workers and nodes killed in the middle, a torn shard, throughput by
workers, and what Ray costs.

    python benchmarks/cluster.py [--again]

Real images (Fashion-MNIST test, 28x28) as Parquet shards of 2,500. Ray's own test cluster stands
for three machines, each with one processor. Scores on the cluster are compared byte for byte with
those of one process. Processor seconds are those of this process and all that descend from it, so
the machine may have other work; seconds by the clock and images/s may not.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import scale
from measure import Results

N_IMAGES, SHARD = 40_000, 2_500
RAYLET = "raylet"


def shards(name: str, n_images: int = N_IMAGES, *, torn: bool = False) -> Path:
    """Sixteen shards, or fewer; in one of the torn set the end is missing, in another every 500th
    image is no image.
    """
    folder = scale.WORK / name
    if not folder.exists():
        table = pq.read_table(next(scale.shards(scale.SHARD).glob("*.parquet")))
        folder.mkdir()
        for number in range(n_images // SHARD):
            start = number * SHARD % len(table)
            pq.write_table(
                table.slice(start, SHARD), folder / f"part-{number:02d}.parquet", row_group_size=500
            )
        if torn:
            _tear(folder / "part-03.parquet", folder / "part-07.parquet")
    return folder


def _tear(short: Path, broken: Path) -> None:
    short.write_bytes(short.read_bytes()[:-1000])
    table = pq.read_table(broken)
    images = [
        b"no image" if row % 500 == 0 else image
        for row, image in enumerate(table["image"].to_pylist())
    ]
    pq.write_table(table.set_column(0, "image", [images]), broken, row_group_size=500)


def in_one_process(source: Path, out: Path) -> dict[str, Any]:
    """The scores that the cluster's are compared with."""
    return scale.measured("score", scale.fitted(), str(source), "--out", str(out), "-q")


@contextmanager
def cluster(n_nodes: int, processors: int) -> Iterator[Any]:
    """Nodes with so many processors each, whatever the machine has; the driver is connected."""
    import ray
    from ray.cluster_utils import Cluster

    small = {"num_cpus": processors, "object_store_memory": 80 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    for _ in range(n_nodes - 1):
        nodes.add_node(**small)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


def scored(
    source: Path, out: Path, disturb: Callable[[], None] = lambda: None, *, at: float = 0.3
) -> dict[str, Any]:
    """Score on the cluster that is connected; `disturb` is called once, when a share `at` of the
    images is done.
    """
    from residua.cluster import ClusterOptions, score_on_cluster
    from residua.runs.progress import Watcher

    out.unlink(missing_ok=True)
    seen: list[tuple[float, int]] = []
    used, disturbed = descendants_seconds(), False
    before = used

    def on_read(n_done: int, _: int) -> None:
        nonlocal used, disturbed
        seen.append((time.perf_counter(), n_done))
        used = max(used, descendants_seconds())
        if not disturbed and n_done >= at * N_IMAGES:
            disturbed = True
            disturb()

    started = time.perf_counter()
    summary = score_on_cluster(
        scale.fitted(), str(source), out, ClusterOptions("auto"), watcher=Watcher(on_read=on_read)
    )
    (first, n_first), (last, n_last) = seen[0], seen[-1]
    return {
        "n_images": summary.n_images,
        "n_quarantined": summary.n_quarantined,
        "wall_seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(used - before, 1),
        "images_a_second_once_running": round((n_last - n_first) / max(last - first, 1e-9)),
    }


def descendants_seconds() -> float:
    """Processor seconds of this process and of all that descend from it and live."""
    parents, seconds = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents[int(process.name)] = int(fields[1])
        seconds[int(process.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(seconds.get(pid, 0.0) for pid in family)


def workers_of(nodes: Any) -> list[int]:
    """Processes of the cluster that score."""
    raylets = {one.all_processes[RAYLET][0].process.pid for one in nodes.list_all_nodes()}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            name = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if (
            parent in raylets
            and name.startswith(b"ray::")
            and b"IDLE" not in name
            and b"Worker" in name
        ):
            found.append(int(process.name))
    return sorted(found)


def kill_a_worker(nodes: Any) -> Callable[[], None]:
    def kill() -> None:
        os.kill(workers_of(nodes)[0], signal.SIGKILL)

    return kill


def kill_a_node(nodes: Any) -> Callable[[], None]:
    def kill() -> None:
        nodes.remove_node(sorted(nodes.worker_nodes, key=str)[0], allow_graceful=False)

    return kill


def disturbed(how: Callable[[Any], Callable[[], None]], source: Path) -> dict[str, Any]:
    """Three nodes, something killed when a third is done: the file must be that of one process."""
    whole, out = source.with_suffix(".whole.parquet"), source.with_suffix(".cluster.parquet")
    in_one_process(source, whole)
    with cluster(3, 1) as nodes:
        found = scored(source, out, how(nodes))
    return {**found, "same_bytes": out.read_bytes() == whole.read_bytes()}


def judged_while(how: Callable[[Any], Callable[[], None]], source: Path) -> dict[str, Any]:
    """`evaluate` on three nodes, something killed when a third of the shards is done: the figures
    of scores of one process.
    """
    from residua.cluster import ClusterOptions, evaluate_on_cluster
    from residua.evaluation import evaluate_detection
    from residua.runs.progress import Watcher
    from residua.runs.trained_run import TrainedRun
    from residua.training.bundle import load_bundle

    whole = source.with_suffix(".whole.parquet")
    in_one_process(source, whole)
    folder = TrainedRun(Path(scale.fitted()))
    config = load_bundle(folder.bundle).config
    table = pq.read_table(whole, columns=["label", "score"])
    is_anomalous = ~np.isin(
        table["label"].to_numpy().astype(str), [str(one) for one in config.normal or ()]
    )
    expected = evaluate_detection(
        is_anomalous,
        table["score"].to_numpy(),
        operating_point=config.operating_point,
        seed=folder.read_finished().options.settings.seed,
    )
    killed = False
    with cluster(3, 1) as nodes:
        kill = how(nodes)

        def on_read(n_done: int, n: int) -> None:
            nonlocal killed
            if not killed and n_done >= n / 3:
                killed = True
                kill()

        started, watcher = time.perf_counter(), Watcher(on_read=on_read)
        exact = evaluate_on_cluster(
            scale.fitted(), str(source), ClusterOptions("auto"), watcher=watcher
        ).evaluation
        seconds = time.perf_counter() - started
        sketched = evaluate_on_cluster(
            scale.fitted(), str(source), ClusterOptions("auto"), ranking="sketch"
        ).evaluation
    bounds = sketched.provenance["guaranteed_bounds"]
    return {
        "killed": killed,
        "n_images": exact.n_images,
        "wall_seconds": round(seconds, 1),
        "same_metrics": exact.metrics == expected.metrics,
        "roc_auc": exact.metrics["roc_auc"].value,
        "roc_auc_by_sketch_within": bounds["roc_auc"],
    }


def by_workers(n_workers: int, source: Path) -> dict[str, Any]:
    """One node with as many processors declared; the machine has two."""
    with cluster(1, n_workers):
        return scored(source, scale.WORK / f"workers-{n_workers}.parquet")


def main() -> None:
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }  # 15 else: starved where a machine is busy
    results = Results("cluster")
    whole, torn = shards("cluster-whole"), shards("cluster-torn", torn=True)
    results.measure("three nodes, a worker killed", lambda: disturbed(kill_a_worker, whole))
    results.measure("three nodes, a node killed", lambda: disturbed(kill_a_node, whole))
    results.measure(
        "three nodes, a torn shard and a worker killed", lambda: disturbed(kill_a_worker, torn)
    )
    results.measure(
        "evaluate on three nodes, a worker killed", lambda: judged_while(kill_a_worker, whole)
    )
    results.measure(
        "evaluate on three nodes, a node killed", lambda: judged_while(kill_a_node, whole)
    )
    few, out = shards("cluster-few", 10_000), scale.WORK / "one.parquet"
    for n_images, source in ((10_000, few), (N_IMAGES, whole)):
        results.measure(f"one process, {n_images} images", lambda s=source: in_one_process(s, out))
        results.measure(f"1 worker, {n_images} images", lambda s=source: by_workers(1, s))
    for n_workers in (2, 4):
        results.measure(
            f"{n_workers} workers on two processors, {N_IMAGES} images",
            lambda n=n_workers: by_workers(n, whole),
        )


if __name__ == "__main__":
    main()
