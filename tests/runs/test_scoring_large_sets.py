"""Scores piece by piece: the same whatever is in memory, stopped and gone on with, whole or
absent."""

from __future__ import annotations

import csv
import io
import tarfile

import numpy as np
import pytest

from residua.errors import InputError, OutputError, SourceError
from residua.runs.evaluate import evaluate_run
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.runs.tables import chunks as pieces, job, read_scores, sample_scores
from residua.runs.tables.part_lookup import PartLookup
from residua.runs.threshold import change_threshold
from residua.training.scoring.engine import GraphEngine
from runs import write_source


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Three tar shards of 24 images each, the images of a source of class folders."""
    folder = tmp_path_factory.mktemp("shards")
    files = sorted(write_source(folder / "parts").rglob("*.png"))
    (folder / "tars").mkdir()
    for start in range(0, len(files), 24):
        with tarfile.open(folder / "tars" / f"shard-{start:03d}.tar", "w") as archive:
            for number, file in enumerate(files[start : start + 24]):
                for suffix, data in (
                    ("png", file.read_bytes()),
                    ("cls", file.parent.name.encode()),
                ):
                    info = tarfile.TarInfo(f"{number:03d}.{suffix}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return folder


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of ten images, so that a small set has many."""
    monkeypatch.setattr(pieces, "ROWS_A_CHUNK", 10)


class StoppedError(Exception):
    """What a killed process looks like from inside."""


@pytest.fixture
def stop_after(monkeypatch):
    """Let scoring die after so many batches."""
    whole = GraphEngine.score

    def stop(n: int) -> None:
        left = iter(range(n))

        def dying(self, images, **more):
            if next(left, None) is None:
                raise StoppedError
            return whole(self, images, **more)

        monkeypatch.setattr(GraphEngine, "score", dying)

    yield stop
    monkeypatch.setattr(GraphEngine, "score", whole)


def scored(run, source, out, **more) -> bytes:
    score_run(run.path, str(source), out, **more)
    return out.read_bytes()


def values(table: bytes) -> list[list[str]]:
    """Rows without the path and the split, sorted: the same images under other names."""
    rows = [line.split(",") for line in table.decode().splitlines()[1:]]
    return sorted([row[1], *row[3:]] for row in rows)


def test_shards_and_folders_of_the_same_images_score_alike(finished, shards, tmp_path):
    from_tars = scored(finished, shards / "tars", tmp_path / "tars.csv")
    assert values(from_tars) == values(scored(finished, shards / "parts", tmp_path / "parts.csv"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_was_stopped_goes_on_and_ends_byte_for_byte_as_if_it_had_not_been(
    suffix, finished, shards, tmp_path, small_parts, stop_after
):
    pytest.importorskip("pyarrow")
    whole = scored(finished, shards / "tars", tmp_path / f"whole{suffix}")
    out = tmp_path / f"s{suffix}"
    stop_after(4)
    with pytest.raises(StoppedError):
        scored(finished, shards / "tars", out)
    assert not out.exists()
    with pytest.raises(OutputError, match=r"half written.*--resume"):
        scored(finished, shards / "tars", out)
    stop_after(5)
    # 9 batches in all: nothing was scored twice
    assert scored(finished, shards / "tars", out, resume=True) == whole
    hidden = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert sorted(hidden) == [f".s{suffix}.resume", f".whole{suffix}.resume"]


def test_it_goes_on_with_the_same_model_threshold_and_source_only(
    run, shards, tmp_path, small_parts, stop_after
):
    stop_after(2)
    with pytest.raises(StoppedError):
        scored(run, shards / "tars", tmp_path / "s.csv")
    with pytest.raises(InputError, match="another source"):
        scored(run, shards / "parts", tmp_path / "s.csv", resume=True)
    change_threshold(run.path, "quantile:0.5")
    with pytest.raises(InputError, match="another model"):
        scored(run, shards / "tars", tmp_path / "s.csv", resume=True)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_columns_of_a_manifest_follow_its_images_into_the_scores(
    suffix, finished, shards, tmp_path, small_parts
):
    pq = pytest.importorskip("pyarrow.parquet")
    files = sorted((shards / "parts").rglob("*.png"))
    rows = [
        f"{file.relative_to(shards).as_posix()},{file.parent.name},S{row},{row % 3 or ''}"
        for row, file in enumerate(files)
    ]
    table = shards / "parts.csv"
    table.write_text(
        "path,label,serial,Score\n" + "\n".join([*rows, "parts/gone.png,good,S99,1"]) + "\n"
    )
    out = tmp_path / f"scores{suffix}"
    told = []
    score_run(finished.path, str(table), out, watcher=Watcher(on_note=told.append))
    if suffix == ".csv":
        with out.open(newline="") as file:
            found = list(csv.DictReader(file))
    else:
        found = [
            {name: cell or "" for name, cell in row.items()}
            for row in pq.read_table(out).to_pylist()
        ]
    assert list(found[0])[-2:] == ["serial", "Score (source)"]
    gone = found.pop()
    assert gone["path"] == "parts/gone.png" and "no such file" in gone["unreadable"]
    assert not gone["score"] and not gone["serial"]
    assert [row["serial"] for row in found] == [f"S{row}" for row in range(len(files))]
    assert [row["Score (source)"] for row in found] == [
        str(row % 3 or "") for row in range(len(files))
    ]
    assert any("'Score' is written as 'Score (source)'" in note for note in told)


def test_a_broken_shard_and_broken_images_are_counted_and_the_rest_is_scored(
    finished, shards, tmp_path
):
    whole = scored(finished, shards / "tars", tmp_path / "whole.csv").decode().splitlines()
    (tmp_path / "tars").mkdir()
    for file in (shards / "tars").iterdir():
        (tmp_path / "tars" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tars" / "shard-024.tar").write_bytes(b"nothing" * 300)
    data = bytearray((tmp_path / "tars" / "shard-048.tar").read_bytes())
    data[512 + 40 : 512 + 80] = bytes(40)  # inside the first image
    (tmp_path / "tars" / "shard-048.tar").write_bytes(data)
    done = score_run(finished.path, str(tmp_path / "tars"), tmp_path / "s.csv")
    assert (done.n_images, done.n_unreadable) == (24 + 23, 2)
    assert [one.path for one in done.quarantined] == ["shard-024.tar", "shard-048.tar/000.png"]
    lines = (tmp_path / "s.csv").read_text().splitlines()
    rest = [line for line in lines if line not in whole]
    assert len(lines) - 1 == 24 + 1 + 24 and len(rest) == 2
    assert rest[0].startswith("shard-024.tar,,,,,,,,,the whole shard: ")
    assert rest[1].startswith("shard-048.tar/000.png,good,,,,,,,,")
    assert lines.index(rest[0]) == 25 and lines.index(rest[1]) == 26


def test_a_source_where_nothing_can_be_read_leaves_no_file(finished, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match="at least one image that decodes"):
        scored(finished, tmp_path / "new", tmp_path / "s.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_a_colour_image_among_grey_ones_has_a_row_and_no_score_and_the_others_are_scored(
    finished, shards, tmp_path, small_parts, monkeypatch
):
    from PIL import Image

    monkeypatch.setattr(pieces, "_LOOKED_AT", 5)
    source = write_source(tmp_path / "new")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8)).save(
        source / "good" / "zz.png"
    )
    rows = list(csv.DictReader(io.StringIO(scored(finished, source, tmp_path / "s.csv").decode())))
    [odd] = [row for row in rows if row["unreadable"]]
    assert odd["path"].endswith("zz.png") and odd["score"] == ""
    assert "Got colour (3 channels)" in odd["unreadable"]
    assert len([row for row in rows if row["score"]]) == len(rows) - 1 > 5


@pytest.mark.parametrize("megabytes", [0, 2048])
def test_an_evaluation_does_not_depend_on_what_fits_in_memory(megabytes, finished):
    judged = evaluate_run(finished.path, memory_megabytes=megabytes).evaluation
    assert judged.metrics == evaluate_run(finished.path).evaluation.metrics


def test_a_part_is_found_by_its_path():
    names = [f"{i}.png" for i in range(300)]
    parts = np.array([("train", "test", "left out")[i % 3] for i in range(300)], object)
    found = PartLookup.of(names, parts).find([*reversed(names), "new.png"], 301)
    assert found.tolist() == [*parts[::-1], None]
    assert PartLookup.of([], parts[:0]).find(["a"], 1).tolist() == [None]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_scores_that_drift_is_looked_for_in_are_every_nth(
    suffix, finished, shards, tmp_path, small_parts, monkeypatch
):
    out = tmp_path / f"scores{suffix}"
    (tmp_path / "parts").mkdir()
    for file in sorted((shards / "parts").rglob("*.png")):
        (tmp_path / "parts" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "parts" / "004.png").write_bytes(b"no image")
    n_images = score_run(finished.path, str(tmp_path / "parts"), out).n_images
    scores = read_scores(out)
    assert sample_scores(out, n_images).tolist() == scores.tolist()
    monkeypatch.setattr(job, "_SAMPLED", 9)
    step = -(-n_images // 9)
    assert step > 1
    assert sample_scores(out, n_images).tolist() == scores[::step].tolist()
