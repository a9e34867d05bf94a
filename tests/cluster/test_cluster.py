"""Several machines: Ray's own test cluster of three nodes gives what one process gives, broken
shards and all."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "runs" / "wrapped"))

from identity import onnx_file

import residua
from residua.cluster import ClusterOptions, evaluate_on_cluster, score_on_cluster
from residua.cluster.tally import Tally, evaluate_sketched, merged, tally_of
from residua.errors import LabelError
from residua.evaluation import evaluate_detection
from residua.images import Quarantined
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.score import score_run
from residua.runs.tables import chunks as pieces
from residua.runs.tables.chunks import COLUMNS, Chunk
from residua.training.fitting.options import make_options
from training_wing import blobs

N = 72


def write_shards(folder):
    """Three shards of 24 images, a third of them with a bright corner; the second shard breaks off,
    an image is broken."""
    folder.mkdir()
    pixels = blobs(N)
    pixels[::3, :5, :5] = 255 - pixels[::3, :5, :5] // 4
    for start in range(0, N, 24):
        with tarfile.open(folder / f"shard-{start:03d}.tar", "w") as archive:
            for row in range(start, start + 24):
                data = io.BytesIO()
                Image.fromarray(pixels[row, ..., 0]).save(data, "PNG")
                image = b"broken" if row == 50 else data.getvalue()
                for suffix, content in (("png", image), ("cls", b"good" if row % 3 else b"bad")):
                    info = tarfile.TarInfo(f"{row:03d}.{suffix}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    broken = folder / "shard-024.tar"
    broken.write_bytes(broken.read_bytes()[:9000])
    return folder


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("cluster") / "shards")


@pytest.fixture(scope="module")
def run(shards, tmp_path_factory):
    options = {
        "source": str(shards),
        "job": "detect",
        "normal": ("good",),
        "recipe_options": {"latent": 3},
        "settings": {"epochs": 2, "batch_size": 8},
    }
    return fit_run(make_options(**options), tmp_path_factory.mktemp("run") / "run")


def part(labels: list[str | None], scores: list[float]) -> Chunk:
    columns = dict.fromkeys(COLUMNS) | {
        "path": [f"{i}.png" for i in range(len(labels))],
        "label": labels,
        "score": scores,
    }
    columns["split"] = ["test"] * len(labels)
    columns["unreadable"] = [None] * len(labels)
    return Chunk(columns, len(labels) + 1, (Quarantined("a.png", "broken"),), is_last=True)


def tallies(*, sketched: bool) -> Tally:
    first = part(["good", "bad", None], [0.1, 0.9, 0.5])
    second = part(["bad", "good", "good"], [0.2, 0.3, 0.7])
    both = {
        (1, 0): tally_of(second, ("good",), 0.4, sketched=sketched),
        (0, 0): tally_of(first, ("good",), 0.4, sketched=sketched),
    }
    return merged({key: Tally.from_bytes(one.to_bytes()) for key, one in both.items()})


def test_tallies_travel_and_merge_in_the_order_of_the_source():
    tally = tallies(sketched=False)
    assert tally.scores.tolist() == pytest.approx([0.1, 0.9, 0.5, 0.2, 0.3, 0.7])
    assert tally.truth.tolist() == [0, 1, -1, 1, 0, 0]
    assert tally.confusion.tolist() == [2, 1, 1, 1]
    assert (tally.n_images, tally.n_flagged, tally.n_quarantined, tally.is_test) == (6, 3, 2, True)


def test_a_sketch_keeps_the_rates_and_holds_the_exact_ranking_within_its_bounds():
    labels = np.array([0, 1, None, 1, 0, 0], object)
    exact = evaluate_detection(
        labels, np.array([0.1, 0.9, 0.5, 0.2, 0.3, 0.7], np.float32), operating_point=0.4
    )
    record = evaluate_sketched(tallies(sketched=True), exact.operating_point, "test", {})
    for name in ("recall", "precision", "accuracy", "false_alarm_rate", "flagged_rate"):
        assert record.metrics[name] == exact.metrics[name], name
    for name in ("roc_auc", "average_precision"):
        bounds = record.provenance["guaranteed_bounds"][name]
        assert bounds["low"] <= exact.metrics[name].value <= bounds["high"]
        assert record.metrics[name].low <= exact.metrics[name].value <= record.metrics[name].high


def test_a_sketch_without_anomalies_has_no_ranking():
    tally = merged(
        {(0, 0): tally_of(part(["good", "good"], [0.1, 0.2]), ("good",), 0.4, sketched=True)}
    )
    record = evaluate_sketched(tally, None, "all", {})
    assert record.metrics["roc_auc"].value is None
    assert "undefined-metric" in {finding.code for finding in record.findings}


@pytest.fixture
def in_this_process(monkeypatch):
    """The workers without Ray: the last piece is done first, as if another machine had been
    faster."""

    def through(worker, arguments, items, options):
        work = worker(*arguments)
        for item in reversed(items):
            for row in work({name: [value] for name, value in item.items()}):
                yield {name: column[0] for name, column in row.items()}

    monkeypatch.setattr("residua.cluster.evaluate.through_workers", through)
    monkeypatch.setattr(
        "residua.cluster.evaluate.connected", lambda options: contextlib.nullcontext()
    )


def test_workers_give_the_bytes_and_the_figures_of_one_process(
    in_this_process, run, shards, tmp_path, monkeypatch
):
    monkeypatch.setattr(pieces, "ROWS_A_CHUNK", 10)
    check_like_one_process(run, shards, tmp_path)


def test_workers_score_a_wrapped_model_as_one_process_does(in_this_process, tmp_path):
    for label, images in (("good", blobs(60)), ("bad", 255 - blobs(20))):
        (tmp_path / "parts" / label).mkdir(parents=True)
        for row, image in enumerate(images):
            Image.fromarray(image[..., 0]).save(tmp_path / "parts" / label / f"{row:02d}.png")
    model = residua.wrap(onnx_file(tmp_path / "m.onnx", ["n", 12, 12, 1]), values="unit")
    source = str(tmp_path / "parts")
    run = model.save(tmp_path / "run", source=source, normal="good")
    score_run(run, source, tmp_path / "one.csv")
    score_on_cluster(run, source, tmp_path / "more.csv", ClusterOptions())
    assert (tmp_path / "more.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    one, more = evaluate_run(run), evaluate_on_cluster(run, None, ClusterOptions())
    assert more.evaluation.metrics == one.evaluation.metrics


def test_a_worker_refuses_what_one_process_refuses(in_this_process, run, tmp_path):
    (tmp_path / "new" / "other").mkdir(parents=True)
    Image.fromarray(blobs(1)[0, ..., 0]).save(tmp_path / "new" / "other" / "a.png")
    with pytest.raises(LabelError, match="good"):
        evaluate_on_cluster(run.path, str(tmp_path / "new"), ClusterOptions())


@pytest.fixture(scope="module")
def three_nodes():
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    if load > 3 * processors:
        pytest.skip(
            f"the machine is too busy to start three nodes of Ray on it: load {load:.0f} on"
            f" {processors} processors"
        )
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
    }  # 15 else: starved where a machine is busy
    pytest.importorskip("ray", reason="ray is not installed: pip install 'residua[cluster]'")
    import ray
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(**small)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def check_like_one_process(run, shards, tmp_path):
    options = ClusterOptions(workers=2)
    whole = score_run(run.path, str(shards), tmp_path / "one.parquet")
    done = score_on_cluster(run.path, str(shards), tmp_path / "three.parquet", options)
    assert (tmp_path / "three.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()
    assert done == whole
    assert {one.path.split("/")[0] for one in done.quarantined} == {
        "shard-024.tar",
        "shard-048.tar",
    }
    one, exact = evaluate_run(run.path), evaluate_on_cluster(run.path, None, options)
    assert exact.evaluation.metrics == one.evaluation.metrics
    sketched = evaluate_on_cluster(run.path, None, options, ranking="sketch").evaluation
    for name, bounds in sketched.provenance["guaranteed_bounds"].items():
        assert bounds["low"] <= one.evaluation.metrics[name].value <= bounds["high"]
    assert sketched.metrics["recall"] == one.evaluation.metrics["recall"]


@pytest.fixture
def three_minutes():
    """A cluster that cannot start waits for ever; a test must not."""

    def late(*_):
        raise TimeoutError("the cluster has not answered within three minutes")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(180)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_three_nodes_give_the_scores_and_the_figures_of_one_process(
    three_nodes, three_minutes, run, shards, tmp_path
):
    check_like_one_process(run, shards, tmp_path)
