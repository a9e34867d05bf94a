"""A table of scores that takes in what is new, and rows for what cannot be read."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from residua.cli import main
from residua.errors import InputError
from residua.runs.evaluate import evaluate_run
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.runs.tables import chunks
from residua.runs.threshold import change_threshold
from residua.training.scoring.engine import GraphEngine
from runs import add_image


@pytest.fixture
def folder(tmp_path):
    """Twelve images without labels."""
    place = tmp_path / "shift"
    place.mkdir()
    for row in range(12):
        add_image(place / f"{row:02d}.png", row)
    return place


@pytest.fixture
def seen(monkeypatch):
    """How many images went through the network."""
    n = []
    whole = GraphEngine.score

    def counting(self, images, **more):
        n.append(len(images))
        return whole(self, images, **more)

    monkeypatch.setattr(GraphEngine, "score", counting)
    return n


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def grow(folder):
    """Two images more, one between the others; one that changed, and one less."""
    add_image(folder / "05b.png", 50)
    add_image(folder / "99.png", 99)
    add_image(folder / "03.png", 30)
    (folder / "07.png").unlink()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_folder_that_has_grown_costs_what_is_new_and_gives_what_scoring_all_gives(
    suffix, finished, folder, tmp_path, seen, monkeypatch
):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    monkeypatch.setattr(chunks, "ROWS_A_CHUNK", 5)
    (folder / "08.png").write_bytes(b"no image")
    out = tmp_path / f"s{suffix}"
    score_run(finished.path, str(folder), out)
    grow(folder)
    seen.clear()
    done = score_run(finished.path, str(folder), out, resume=True)
    assert sum(seen) == 3
    assert (done.n_images, done.n_reused, done.n_gone, done.n_unreadable) == (12, 9, 2, 1)
    score_run(finished.path, str(folder), tmp_path / f"fresh{suffix}")
    assert out.read_bytes() == (tmp_path / f"fresh{suffix}").read_bytes()
    seen.clear()
    score_run(finished.path, str(folder), out, resume=True)
    assert sum(seen) == 0


def test_a_folder_that_grew_while_scoring_was_stopped_keeps_what_was_scored(
    finished, folder, tmp_path, seen, monkeypatch
):
    monkeypatch.setattr(chunks, "ROWS_A_CHUNK", 5)
    counting = GraphEngine.score

    def dying(self, images, **more):
        if len(seen) == 2:
            raise KeyboardInterrupt
        return counting(self, images, **more)

    monkeypatch.setattr(GraphEngine, "score", dying)
    with pytest.raises(KeyboardInterrupt):
        score_run(finished.path, str(folder), tmp_path / "s.csv")
    monkeypatch.setattr(GraphEngine, "score", counting)
    n_before = sum(seen)
    grow(folder)
    seen.clear()
    done = score_run(finished.path, str(folder), tmp_path / "s.csv", resume=True)
    assert n_before == 10 and done.n_reused == 8 and sum(seen) == 13 - 8
    score_run(finished.path, str(folder), tmp_path / "fresh.csv")
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()


def test_another_threshold_or_source_is_refused_and_the_file_stays(run, folder, tmp_path):
    out = tmp_path / "s.csv"
    score_run(run.path, str(folder), out)
    before = out.read_bytes()
    with pytest.raises(InputError, match=r"another source\. .*leave --resume out"):
        score_run(run.path, str(folder / "00.png"), out, resume=True)
    change_threshold(run.path, "quantile:0.5")
    with pytest.raises(InputError, match="another model"):
        score_run(run.path, str(folder), out, resume=True)
    assert out.read_bytes() == before


@pytest.mark.parametrize("how", ["edited", "damaged", "another version"])
def test_a_file_that_cannot_be_relied_on_is_written_anew_and_said_so(
    how, finished, folder, tmp_path, seen, monkeypatch
):
    out = tmp_path / "s.csv"
    score_run(finished.path, str(folder), out)
    if how == "edited":
        out.write_text(out.read_text().replace("false", "true"))
    elif how == "damaged":
        memory = tmp_path / ".s.csv.resume"
        memory.write_bytes(memory.read_bytes()[:300])
    else:
        monkeypatch.setattr("residua.runs.tables.job.__version__", "0.0.0")
    told: list[str] = []
    seen.clear()
    score_run(finished.path, str(folder), out, resume=True, watcher=Watcher(on_note=told.append))
    assert sum(seen) == 12 and any("all images are scored again" in note for note in told)
    assert {row["anomalous"] for row in rows_of(out)} <= {"true", "false"}
    score_run(finished.path, str(folder), tmp_path / "fresh.csv")
    assert out.read_bytes() == (tmp_path / "fresh.csv").read_bytes()


def test_what_cannot_be_read_has_a_row_in_its_place_and_strict_says_no(
    finished, folder, tmp_path, capsys
):
    (folder / "04.png").write_bytes(b"no image")
    (folder / "06.heic").write_bytes(b"no format that is decoded")
    out = tmp_path / "s.csv"
    command = ["score", str(finished.path), str(folder), "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--maps", str(tmp_path / "maps")])
    assert ended.value.code == 0
    assert "2 of 13 images could not be read" in " ".join(capsys.readouterr().out.split())
    rows = rows_of(out)
    assert [row["path"] for row in rows] == [f"{row:02d}.png" for row in range(12)] + ["06.heic"]
    for row in rows:
        is_bad = row["path"] in ("04.png", "06.heic")
        assert bool(row["unreadable"]) == is_bad
        assert (row["score"] == row["anomalous"] == row["mse"] == "") == is_bad
    assert len(list((tmp_path / "maps").iterdir())) == 11
    out.unlink()
    with pytest.raises(SystemExit) as ended:
        main([*command, "--strict"])
    assert ended.value.code == 3
    assert len(rows_of(out)) == 13


def test_an_image_that_was_to_be_judged_and_cannot_be_read_is_an_error(run, folder):
    (folder / "04.png").write_bytes(b"no image")
    found = {one.code: one for one in evaluate_run(run.path, str(folder)).evaluation.findings}
    assert found["unreadable-files"].severity == "error"
    assert found["unreadable-files"].measured["n_unreadable"] == 1


def test_a_test_image_of_the_run_that_broke_since_is_an_error_and_a_training_image_is_not(
    run, source, tmp_path
):
    own = tmp_path / "parts"
    shutil.copytree(source, own)
    facts = run.path / "run.json"
    facts.write_text(facts.read_text().replace(str(source), str(own)))
    recorded = run.read_images("path", "part")
    for part in ("train", "test"):
        first = str(recorded["path"][np.flatnonzero(recorded["part"] == part)[0]])
        (own / first).write_bytes(b"no image")
    found = {one.code: one for one in evaluate_run(run.path).evaluation.findings}
    assert found["unreadable-files"].severity == "error"
    assert found["unreadable-files"].measured["examples"][0][0] == first
    assert found["unreadable-files"].measured["n_unreadable"] == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_policy_for_batches_decides_about_all_images_together(
    suffix, finished, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(chunks, "ROWS_A_CHUNK", 5)
    (folder / "08.png").write_bytes(b"no image")
    out = tmp_path / f"s{suffix}"
    score_run(finished.path, str(folder), tmp_path / "plain.csv")
    scores = {row["path"]: row["score"] for row in rows_of(tmp_path / "plain.csv")}
    done = score_run(finished.path, str(folder), out, policy="fdr<=0.5")
    table = (
        pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)  # as a user reads it
    ).set_index("path")
    scored = table[table.unreadable.isna()]
    expected = false_discovery_control(scored.p_value) <= 0.5
    assert 0 < expected.sum() == done.n_anomalous == done.decision.n_flagged
    assert scored.anomalous.astype(bool).tolist() == expected.tolist()
    assert (scored.score > scored.threshold).tolist() == expected.tolist()
    assert table.loc["08.png", ["score", "p_value", "anomalous"]].isna().all()
    assert scored.score.to_numpy() == pytest.approx([float(scores[one]) for one in scored.index])
    with pytest.raises(InputError, match="another policy"):
        score_run(finished.path, str(folder), out, resume=True)
    again = score_run(finished.path, str(folder), out, resume=True, policy="fdr<=0.5")
    assert again.n_reused == 11 and again.n_anomalous == done.n_anomalous
