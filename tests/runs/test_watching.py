"""A line that is watched: every image has one row, whatever happens in between."""

from __future__ import annotations

import http.server
import io
import json
import os
import sqlite3
import sys
import threading
import time
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from residua.errors import InputError, OutputError, PolicyError
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.runs.watching import WatchOptions, store, telling, watch, watch_run
from residua.runs.watching.arrivals import FolderArrivals
from residua.runs.watching.drift import LOOKS
from residua.runs.watching.shift_report import _summary
from residua.runs.watching.store import WatchStore
from runs import add_image


def unseen():
    return store.Seen(np.zeros(0, np.uint64), np.zeros(0, np.int64))


@pytest.fixture
def line(tmp_path):
    """Nine images that have come."""
    place = tmp_path / "line"
    (place / "day 1").mkdir(parents=True)
    for row in range(9):
        add_image(place / ("day 1" if row % 2 else "") / f"{row:02d}.png", row)
    return place


@pytest.fixture
def options(tmp_path):
    def made(**more):
        asked = {"out": tmp_path / "table", "once": True, "settle": 0, "patience": 0, **more}
        return WatchOptions(**asked)

    return made


def table_of(options):
    return pd.read_parquet(options.out, engine="pyarrow").sort_values("n").reset_index(drop=True)


def test_what_arrives_is_scored_as_score_does_and_once(finished, line, options, tmp_path):
    (line / "broken.png").write_bytes(b"no image")
    (line / "notes.txt").write_text("no image")
    (line / "link.png").symlink_to(line / "00.png")
    first = watch_run(finished.path, str(line), options(block=4))
    (line / "link.png").unlink()
    score_run(finished.path, str(line), tmp_path / "scores.csv")
    expected = pd.read_csv(tmp_path / "scores.csv").set_index("path").sort_index()
    table = table_of(options())
    assert table.n.tolist() == list(range(1, 11)) and first["n_images"] == 10
    found = table.set_index("path").sort_index()
    same = ["score", "threshold", "p_value", "mse", "mae", "ssim"]
    np.testing.assert_array_equal(found[same].astype(np.float32), expected[same].astype(np.float32))
    assert found.loc["broken.png", "unreadable"] == expected.loc["broken.png", "unreadable"]
    assert found.anomalous.isna().sum() == first["n_unreadable"] == 1
    add_image(line / "day 1" / "late.png", 50)
    again = watch_run(finished.path, str(line), options(block=4))
    assert table_of(options()).path.tolist() == [*table.path, "day 1/late.png"]
    assert again["n_images"] == 11 and (line / "00.png").exists()


def test_paths_on_standard_input_are_scored_once_and_a_missing_file_is_told(
    finished, line, options, monkeypatch
):
    sent = [str(line / "00.png"), "", str(line / "00.png"), str(line / "gone.png")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(sent)))
    watch_run(finished.path, "-", options(once=False))
    assert sorted(table_of(options()).path) == [sent[0], sent[3]]
    assert table_of(options()).unreadable.notna().sum() == 1


def test_a_half_written_file_is_waited_for(finished, line, options, monkeypatch):
    whole = (line / "00.png").read_bytes()
    (line / "slow.png").write_bytes(whole[:60])
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            (line / "slow.png").write_bytes(whole)

    monkeypatch.setattr(watch.time, "sleep", nap)
    watch_run(finished.path, str(line), options(patience=60))
    found = table_of(options()).set_index("path")
    assert found.loc["slow.png", "score"] == found.loc["00.png", "score"] and len(naps) >= 2


def test_a_file_that_changes_is_not_whole_and_an_unchanged_folder_is_not_read_again(
    tmp_path, monkeypatch
):
    arrivals = FolderArrivals(tmp_path, unseen(), settle=0.05)
    arrivals.none_waited = 0.0
    assert arrivals.take(5) == [] and arrivals.none_waited > time.time() - 60
    assert arrivals.waiting() == {"n_waiting": 0, "waiting_since": None}
    (tmp_path / "a.png").write_bytes(b"1")
    assert arrivals.take(5) == []
    (tmp_path / "a.png").write_bytes(b"12")
    time.sleep(0.06)
    assert arrivals.take(5) == []
    time.sleep(0.06)
    assert arrivals.waiting()["n_waiting"] == 1
    assert arrivals.waiting()["waiting_since"].startswith("20")
    assert arrivals.take(5) == ["a.png"]
    old = time.time() - 60
    os.utime(tmp_path, (old, old))
    assert list(arrivals.found()) == ["a.png"]
    monkeypatch.setattr(os, "scandir", None)
    assert list(arrivals.found()) == []


def test_files_on_a_drive_that_is_away_are_not_missing(tmp_path):
    place = tmp_path / "drive"
    place.mkdir()
    (place / "a.png").write_bytes(b"1")
    arrivals = FolderArrivals(place, unseen(), settle=9, patience=0)
    assert arrivals.take(5) == [] and list(arrivals.pending) == ["a.png"]
    place.rename(tmp_path / "away")
    assert arrivals.take(5) == [] and list(arrivals.pending) == ["a.png"]
    place.mkdir()
    assert arrivals.take(5) == ["a.png"]


def test_an_image_of_another_kind_is_told_and_its_neighbours_are_scored(finished, line, options):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)).save(
        line / "colour.png"
    )
    watch_run(finished.path, str(line), options())
    found = table_of(options()).set_index("path")
    assert "images must be grey" in found.loc["colour.png", "unreadable"]
    assert found.score.notna().sum() == 9


class Killed(BaseException):
    """The process ends here."""


def test_a_watch_that_is_killed_anywhere_loses_and_doubles_nothing(
    finished, line, options, monkeypatch
):
    """At each step in turn: before and after every transaction and every file that is written."""
    steps = {"n": 0, "at": 0}

    def step():
        steps["n"] += 1
        if steps["n"] == steps["at"]:
            raise Killed

    def dying(function):
        def wrapped(*given, **more):
            step()
            made = function(*given, **more)
            step()
            return made

        return wrapped

    for name in ("keep", "write_block", "close_block"):
        monkeypatch.setattr(WatchStore, name, dying(getattr(WatchStore, name)))
    monkeypatch.setattr(watch.Watch, "_finish", lambda self: None)
    monkeypatch.setattr(watch, "_WRITE_EVERY", 0)
    monkeypatch.setattr(watch, "_WRITE_SHARE", 0)
    monkeypatch.setattr(watch._Looking, "batch_size", 2)
    kills, n_added = 0, 9
    for at in range(1, 200):
        steps.update(n=0, at=at)
        try:
            watch_run(finished.path, str(line), options(block=3))
        except Killed:
            kills += 1
            add_image(line / f"more{at:03d}.png", at)
            n_added += 1
            continue
        break
    table = table_of(options())
    assert kills > 10
    assert sorted(table.path) == sorted(str(path.relative_to(line)) for path in line.rglob("*.png"))
    assert table.n.tolist() == list(range(1, n_added + 1))


def test_a_full_disk_is_waited_for(finished, line, options, monkeypatch):
    notes, naps = [], []
    keep = WatchStore.keep

    def full(self, rows, state, **more):
        if rows and len(naps) < 2:
            self.database.execute("pragma max_page_count=1")
        else:
            self.database.execute("pragma max_page_count=100000")
        return keep(self, [{**row, "pad": "x" * 9000} for row in rows], state, **more)

    monkeypatch.setattr(WatchStore, "keep", full)
    monkeypatch.setattr(watch.time, "sleep", naps.append)
    watch_run(finished.path, str(line), options(), watcher=Watcher(on_note=notes.append))
    assert len(naps) >= 2 and "full" in notes[0] and "Nothing is scored until then" in notes[0]
    assert sorted(table_of(options()).n) == list(range(1, 10))


def test_two_watches_of_one_table_are_refused_and_so_is_a_run_that_cannot_decide(
    finished, line, options
):
    with WatchStore(options().out).opened(), pytest.raises(OutputError, match="only one watch"):
        watch_run(finished.path, str(line), options())
    with pytest.raises(InputError, match="watch needs a folder"):
        watch_run(finished.path, str(line / "none"), options())
    with pytest.raises(PolicyError, match=r"needs at least 99 normal calibration images"):
        watch_run(finished.path, str(line), options(policy="fdr<=0.01"))
    with pytest.raises(InputError, match="--block must be at least 1"):
        watch_run(finished.path, str(line), options(block=0))


def test_a_policy_for_batches_decides_about_blocks(finished, line, options):
    status = watch_run(finished.path, str(line), options(policy="fdr<=0.5", block=5))
    table = table_of(options())
    assert "fdr<=0.5 in blocks of 5 images. On average" in status["policy"]
    rule = watch.batch_policy("fdr<=0.5", "test")
    reference = finished.model().p_values
    for _, block in table.groupby((table.n - 1) // 5):
        decision = rule.decide(reference, block.p_value.to_numpy())
        assert block.anomalous.tolist() == (block.score > decision.threshold).tolist()
    assert status["n_flagged"] == table.anomalous.sum() > 0
    share = status["flagged_share_lately"]
    assert share["value"] == table.anomalous.mean()
    assert share["n"] == len(table)


def flagging(finished, line, options, **more):
    return watch_run(finished.path, str(line), options(policy="fdr<=0.9", block=9, **more))


def test_flagged_images_are_told_to_a_command_without_a_shell(finished, line, options, tmp_path):
    add_image(line / "a; touch evil $(id).png", 3)
    log = tmp_path / "log"
    code = f"import sys; open({str(log)!r}, 'a').write(sys.argv[1] + chr(10))"
    status = flagging(finished, line, options, on_flag=f'{sys.executable} -c "{code}" {{path}}')
    table = table_of(options())
    told = log.read_text().splitlines()
    assert sorted(told) == sorted(str(line / path) for path in table.path[table.anomalous])
    assert status["telling"]["told"] == len(told) > 0 and not (tmp_path / "evil").exists()


@pytest.mark.parametrize("answer", [200, 302])
def test_flagged_images_are_posted_and_a_redirect_is_not_followed(
    answer, finished, line, options, monkeypatch
):
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(telling, "ATTEMPTS", 1)
    try:
        url = f"http://127.0.0.1:{server.server_port}/flagged?line=1"
        status = flagging(finished, line, options, post=url)
    finally:
        server.shutdown()
        server.server_close()
    n = int(table_of(options()).anomalous.sum())
    assert {path for path, _ in bodies} == {"/flagged?line=1"}
    assert status["telling"]["told" if answer == 200 else "given_up"] == n
    assert {json.loads(body)["n"] for _, body in bodies} == set(
        table_of(options()).n[table_of(options()).anomalous]
    )


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "http://u:p@x/", "example.com"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(InputError, match="--post must be an http or https address"):
        telling.check_url(url)


def test_old_blocks_are_deleted_and_their_images_stay_known(finished, line, options):
    watch_run(finished.path, str(line), options(block=4))
    status = watch_run(finished.path, str(line), options(block=4, keep_days=0))
    assert status["n_images"] == 9 and not list(options().out.glob("part-0*1.parquet"))


def test_names_that_are_seen_are_told_from_new_ones(monkeypatch):
    monkeypatch.setattr(store, "_MERGED_FROM", 10)
    seen = unseen()
    names = [f"{row}.png" for row in range(25)]
    for name in names:
        assert seen.is_new([name]) == [True]
        seen.add([name], [(1, 2)])
    assert seen.is_new([*names, "25.png"]) == [False] * 25 + [True] and len(seen) == 25
    assert seen.is_changed(["3.png", "3.png", "25.png"], [(1, 2), (1, 3), (1, 3)]) == [0, 1, 0]
    seen.add(["3.png"], [(1, 3)])
    for row in range(30, 50):
        seen.add([f"{row}.png"], [None])
    assert seen.is_changed(["3.png", "40.png"], [(1, 3), (1, 3)]) == [False, False]


def test_a_file_that_changes_after_it_was_scored_is_told_once_and_not_scored_again(
    finished, line, options, monkeypatch
):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{line / '02.png'}\n"))
    watch_run(finished.path, "-", options(once=False))
    watch_run(finished.path, str(line), options())
    for name in ("00.png", "02.png", "day 1/01.png"):
        add_image(line / name, 77)
    notes = []
    status = watch_run(finished.path, str(line), options(), watcher=Watcher(on_note=notes.append))
    assert status["n_changed"] == 3 and status["n_images"] == 10
    (note,) = [one for one in notes if "has changed since it was scored" in one]
    assert "is not scored again" in note and "Give each image a name of its own" in note
    assert watch_run(finished.path, str(line), options())["n_changed"] == 3
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{line / '02.png'}\n{line / '02.png'}\n"))
    status = watch_run(finished.path, "-", options(once=False))
    assert status["n_changed"] == 4 and status["n_images"] == 10


def test_a_name_that_is_no_text_stops_nothing(finished, tmp_path, options):
    place = tmp_path / "line"
    place.mkdir()
    try:
        add_image(place / os.fsdecode(b"\xff\xe9.png"), 1)
    except OSError:
        pytest.skip("this file system takes text alone")
    status = watch_run(finished.path, str(place), options())
    assert table_of(options()).path.tolist() == ["\ufffd\ufffd.png"]
    assert status["last_images"][0]["path"] == "\ufffd\ufffd.png"
    assert watch_run(finished.path, str(place), options())["n_images"] == 1


def test_the_state_of_an_earlier_version_is_taken_over(finished, line, options):
    watch_run(finished.path, str(line), options())
    with sqlite3.connect(options().out / ".state.sqlite") as database:
        database.execute("alter table seen drop column mark")
    database.close()
    add_image(line / "00.png", 77)
    status = watch_run(finished.path, str(line), options())
    assert (status["n_images"], status["n_changed"]) == (9, 0)


def test_a_state_that_is_no_database_is_told(finished, line, options):
    options().out.mkdir()
    (options().out / ".state.sqlite").write_bytes(b"damaged" * 1000)
    with pytest.raises(OutputError, match="state of the watch must be readable"):
        watch_run(finished.path, str(line), options())


def test_images_that_cannot_be_read_are_in_no_share_of_flagged_ones(finished, tmp_path, options):
    (tmp_path / "broken.png").write_bytes(b"no image")
    status = watch_run(finished.path, str(tmp_path), options(every="1h"))
    assert (status["n_images"], status["n_unreadable"]) == (1, 1)
    assert status["flagged_share_lately"] is None
    (page,) = options().out.with_name("table.reports").glob("*.html")
    assert "no image was scored" in page.read_text()


def test_each_period_gets_a_report_of_its_images(finished, line, options, monkeypatch):
    noon = 1_700_000_000 // 3600 * 3600.0
    now = [noon + 60]
    monkeypatch.setattr(watch.time, "time", lambda: now[0])
    monkeypatch.setattr(
        watch,
        "datetime",
        type("Clock", (datetime,), {"now": lambda zone: datetime.fromtimestamp(now[0], zone)}),
    )
    watch_run(finished.path, str(line), options(every="1h"))
    (line / "00.png").unlink()
    now[0] += 3600
    add_image(line / "<late>.png", 50)
    watch_run(finished.path, str(line), options(every="1h"))
    reports = options().out.with_name("table.reports")
    first, second = (json.loads(path.read_text()) for path in sorted(reports.glob("*.json")))
    assert (first["n_images"], second["n_images"]) == (9, 1)
    assert second["most_anomalous"][0]["path"] == "<late>.png"
    assert first["flagged_share"]["n"] == 9 and first["drift"]["alarms_of_this_period"] == []
    page = sorted(reports.glob("*.html"))[1].read_text()
    assert "&lt;late&gt;.png" in page and "<late>" not in page and 'src="data:image/png' in page
    assert len(pd.read_parquet(options().out)) == 10
    with pytest.raises(InputError, match="--every must be a number of minutes, hours or days"):
        watch_run(finished.path, str(line), options(every="soon"))


def test_the_flagged_share_of_a_report_is_of_images_that_are_judged():
    rows = {name: [0.0] * 4 for name in ("score", "threshold", "p_value", *LOOKS)}
    rows |= {"n": [1, 2, 3, 4], "path": ["a"] * 4, "time": ["t"] * 4}
    rows |= {"anomalous": [True, None, None, False], "undecided": [None, "no product", None, None]}
    share = _summary(rows)["flagged_share"]
    assert share["n"] == 3 and share["value"] == pytest.approx(1 / 3)
