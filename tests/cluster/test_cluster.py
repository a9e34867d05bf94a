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
from residua.cluster.images import Looked
from residua.cluster.tally import Tally, evaluate_sketched, merged, sketch_of, tally_of
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


def looked(chunk: Chunk) -> Looked:
    return Looked(
        names=chunk.columns["path"],
        labels=chunk.columns["label"],
        splits=chunk.columns["split"],
        scores=np.array(chunk.columns["score"], np.float32),
        quarantined=chunk.quarantined,
    )


def tallies(*, sketched: bool) -> Tally:
    first = part(["good", "bad", None], [0.1, 0.9, 0.5])
    second = part(["bad", "good", "good"], [0.2, 0.3, 0.7])
    make = sketch_of if sketched else lambda chunk, *more: tally_of(looked(chunk), *more)
    both = {(1, 0): make(second, ("good",), 0.4), (0, 0): make(first, ("good",), 0.4)}
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
    tally = merged({(0, 0): sketch_of(part(["good", "good"], [0.1, 0.2]), ("good",), 0.4)})
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


def test_workers_score_what_is_new_alone(in_this_process, run, tmp_path):
    for row, image in enumerate(blobs(9)):
        (tmp_path / "new").mkdir(exist_ok=True)
        Image.fromarray(image[..., 0]).save(tmp_path / "new" / f"{row}.png")
    source, out = str(tmp_path / "new"), tmp_path / "scores.csv"
    score_run(run.path, source, out)
    Image.fromarray(255 - blobs(1)[0, ..., 0]).save(tmp_path / "new" / "4b.png")
    done = score_on_cluster(run.path, source, out, ClusterOptions(), resume=True)
    assert (done.n_images, done.n_reused, done.n_gone) == (10, 9, 0)
    score_run(run.path, source, tmp_path / "fresh.csv")
    assert out.read_bytes() == (tmp_path / "fresh.csv").read_bytes()


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


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """A run on photographs of parts, two views each, with masks of their defects."""
    folder = tmp_path_factory.mktemp("masked")
    pixels, rows = blobs(96), ["path,label,mask,split,group"]
    for row, image in enumerate(pixels[..., 0]):
        is_bad = row % 4 == 3
        split = "test" if is_bad or row % 4 == 2 else "train" if row % 8 else "calibration"
        mask = np.zeros((12, 12), np.uint8)
        if is_bad:
            mask[:5, :5] = 255
            image[:5, :5] = 255 - image[:5, :5] // 4
            Image.fromarray(mask).save(folder / f"m{row:02d}.png")
        Image.fromarray(image).save(folder / f"{row:02d}.png")
        label, name = ("bad", f"m{row:02d}.png") if is_bad else ("good", "")
        rows.append(f"{row:02d}.png,{label},{name},{split},part {row // 8}")
    (folder / "set.csv").write_text("\n".join(rows) + "\n")
    options = {
        "source": str(folder / "set.csv"),
        "job": "detect",
        "normal": ("good",),
        "recipe_options": {"latent": 3},
        "settings": {"epochs": 2, "batch_size": 8},
    }
    return fit_run(make_options(**options), tmp_path_factory.mktemp("masked-run") / "run")


def codes(evaluation):
    return {one.code for one in evaluation.findings}


def not_looked_for(evaluation):
    return {one["what"]: one["reason"] for one in evaluation.provenance["not_applicable"]}


@pytest.mark.parametrize("ranking", ["exact", "sketch"])
def test_a_cluster_gives_every_metric_and_finding_of_one_machine_or_names_it(
    ranking, in_this_process, masked, monkeypatch
):
    monkeypatch.setattr("residua.cluster.images._TOGETHER", 7)
    one = evaluate_run(masked.path).evaluation
    more = evaluate_on_cluster(masked.path, None, ClusterOptions(), ranking=ranking).evaluation
    named = not_looked_for(more)
    assert {"pixel_roc_auc", "aupro", "f1"} <= set(one.metrics)
    assert set(one.metrics) - set(more.metrics) <= set(named)
    assert codes(one) - codes(more) <= set(named), codes(one) - codes(more) - set(named)
    assert codes(more) <= codes(one) and not codes(more) & set(named)
    assert {"baselines", "blind-spots"} <= set(named) and all(named.values())
    if ranking == "exact":
        assert more.metrics == one.metrics
        assert one.metrics["recall"].n_groups
    else:
        alarms = "false_alarm_rate_at_90_recall"
        assert more.metrics[alarms].value == one.metrics[alarms].value
        assert more.metrics["f1"].value == one.metrics["f1"].value


def test_groups_that_are_told_reach_the_workers(in_this_process, masked):
    judged = evaluate_on_cluster(masked.path, None, ClusterOptions(), groups=r"(\d)\d\.png")
    assert (
        judged.evaluation.metrics
        == evaluate_run(masked.path, groups=r"(\d)\d\.png").evaluation.metrics
    )


def test_a_judged_image_that_cannot_be_read_is_an_error_on_a_cluster_too(
    in_this_process, run, tmp_path
):
    (tmp_path / "new" / "good").mkdir(parents=True)
    for row, image in enumerate(blobs(3)):
        Image.fromarray(image[..., 0]).save(tmp_path / "new" / "good" / f"{row}.png")
    (tmp_path / "new" / "good" / "b.png").write_bytes(b"no image")
    for ranking in ("exact", "sketch"):
        judged = evaluate_on_cluster(
            run.path, str(tmp_path / "new"), ClusterOptions(), ranking=ranking
        )
        found = {one.code: one for one in judged.evaluation.findings}["unreadable-files"]
        assert found.severity == "error" and found.measured["n_unreadable"] == 1
        assert judged.evaluation.n_images == 3


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
