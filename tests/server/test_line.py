"""The page of a watched line: what the table says, while another process writes it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from chromium import BROWSER
from residua.runs.watching import WatchOptions, watch_run
from residua.runs.watching.table import WatchTable
from residua.server import Line, line as module
from serving import asking
from training_wing import blobs

TOKEN = "a-token-of-some-length"
N, DARKER_FROM = 130, 70


@pytest.fixture(scope="module")
def watched(run, tmp_path_factory):
    """The table of a line that gets darker, and whose last file is no image."""
    place = tmp_path_factory.mktemp("line") / "camera 1"
    place.mkdir()
    for row, image in enumerate(blobs(N, seed=4)):
        if row % 20 == 7:
            image[:5, :5] = 255 - image[:5, :5] // 4
        light = 0.6 if row >= DARKER_FROM else 1
        Image.fromarray((image[..., 0] * light).astype(np.uint8)).save(place / f"{row:03d}.png")
    (place / "999.png").write_bytes(b"no image")
    options = WatchOptions(out=place.parent / "table", once=True, settle=0, patience=0, block=50)
    return place, options.out, watch_run(run, str(place), options)


@pytest.fixture
def copied(watched, tmp_path):
    """The table, to be changed; and a way to change its status."""
    _, table, _ = watched
    shutil.copytree(table, tmp_path / "table")

    def changed(**more):
        path = tmp_path / "table" / ".status.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | more))
        return Line(tmp_path / "table").state()

    return tmp_path / "table", changed


def test_the_page_tells_what_the_table_holds(watched, model):
    _, folder, status = watched
    table = pd.read_parquet(folder, engine="pyarrow")
    with asking(model, line=Line(folder)) as client:
        told = client.get("/v1/watch").json()
        (period,) = told["periods"]
        assert told["n_images"] == period["n_images"] == len(table) == N + 1
        assert period["n_flagged"] == table.anomalous.sum() == status["n_flagged"] > 0
        assert period["share"]["n"] == table.anomalous.notna().sum() == N
        assert told["n_unreadable"] == period["n_unreadable"] == 1
        assert [one["n"] for one in told["images"]] == list(range(N + 1, N - 23, -1))
        assert told["state"] == "stopped" and "The watch was stopped" in told["words"]
        assert {one["what"] for one in told["tests"]} == {*status["drift"]["evidence"]}
        alarm = next(one for one in told["alarms"] if one["what"] == "brightness")
        assert alarm["kind"] == "drift" and alarm["since_image"] > DARKER_FROM - 30
        since = alarm["since_image"]
        assert [one["n"] for one in alarm["before"]] == list(range(since - 4, since))
        assert [one["n"] for one in alarm["since"]][-1] == alarm["found_at_image"]
        row = table[table.n == 5].iloc[0]
        image = client.get("/v1/watch/images/5").json()
        assert image["row"]["path"] == row.path and image["scored"]["score"] == row.score
        assert image["scored"]["pictures"]["map"].startswith("data:image/png")
        assert client.get("/v1/watch/images/999").status_code == 404
        page = client.get("/watch")
        assert page.status_code == 200 and "http" not in page.text.replace("http-equiv", "")
    with asking(model, line=Line(folder), token=TOKEN) as client:
        assert client.get("/v1/watch").status_code == 401
        assert client.get("/v1/watch/images/5").status_code == 401


def test_a_line_that_stalls_is_told_apart_from_a_watch_that_does_not_run(copied, monkeypatch):
    _, changed = copied
    now = datetime.now(UTC)

    def told(**more):
        return changed(**{"is_running": True, "time": now.isoformat(), **more})

    assert told().state == "running"
    monkeypatch.setattr(module.clock, "time", lambda: now.timestamp() + 600)
    fresh = (now + timedelta(seconds=595)).isoformat()
    stalled = told(time=fresh)
    assert stalled.state == "no-images" and "The last image came 10 minutes ago" in stalled.words
    stuck = told(time=fresh, n_waiting=7)
    assert stuck.state == "stuck" and "7 images wait and none is scored" in stuck.words
    late = (now + timedelta(seconds=300)).isoformat()
    stuck = told(time=fresh, n_waiting=1, waiting_since=late)
    assert stuck.state == "stuck" and "1 image waits and none is scored" in stuck.words
    after_a_pause = told(time=fresh, n_waiting=1, waiting_since=fresh)
    assert after_a_pause.state == "running" and "1 image waits" in after_a_pause.words
    killed = told()
    assert killed.state == "stopped" and "last one was written 10 minutes ago" in killed.words
    assert Line(copied[0] / "none").state().state == "no-table"
    (copied[0] / "fresh").mkdir()
    told = {"is_running": True, "time": datetime.now(UTC).isoformat(), "n_waiting": 40}
    (copied[0] / "fresh" / ".status.json").write_text(json.dumps(told))
    assert "40 images wait and none is scored yet" in Line(copied[0] / "fresh").state().words


def test_a_table_that_another_process_changes_is_read_as_far_as_it_is_whole(copied):
    folder, _ = copied
    (_, _), (second, part), (third, _) = WatchTable(folder).parts()
    part.write_bytes(b"damaged")
    (folder / ".status.json").write_text("{")
    state = Line(folder).state()
    assert state.damaged == [part.name]
    assert state.periods[0].n_images == N + 1 - (third - second) and state.images[0].n == N + 1
    assert [row["n"] for row in WatchTable(folder).rows_of(second - 1, third)] == [
        second - 1,
        third,
    ]


def test_without_a_status_the_numbers_are_those_of_the_table(watched, tmp_path):
    shutil.copytree(watched[1], tmp_path / "table", ignore=shutil.ignore_patterns(".*"))
    for part in sorted((tmp_path / "table").iterdir())[:-1]:
        part.unlink()
    (part,) = (tmp_path / "table").iterdir()
    table = pd.read_parquet(part)
    before = int(part.stem[5:]) - 1
    table = pd.concat([table] * 40)  # more than the page shows
    table["n"] = range(before + 1, before + 1 + len(table))
    table.assign(camera="left").to_parquet(part)
    state = Line(tmp_path / "table").state()
    assert (state.n_images, state.n_flagged) == (before + len(table), None)
    assert [one.n for one in state.images] == list(range(state.n_images, state.n_images - 24, -1))


@pytest.mark.parametrize("cells", [{"time": None}, {"time": 7}, {"n": "x"}, {"score": "x"}])
def test_a_table_of_other_cells_is_left_out(copied, cells):
    folder, changed = copied
    part = WatchTable(folder).parts()[-1][1]
    pd.read_parquet(part).assign(**cells).to_parquet(part)
    drift = {"evidence": {"score": "x"}, "needed": {"score": 1}, "alarms": [{"what": 1}]}
    state = changed(last_images=[], seconds_from_file_to_row={"median": float("nan")}, drift=drift)
    assert state.n_images == N + 1 and state.tests == []
    assert state.damaged in ([], [part.name])


def test_no_more_files_are_read_than_the_periods_take_and_none_twice(tmp_path, monkeypatch):
    from residua.runs.watching import table as tables

    for day in range(9):
        times = [f"2026-01-{day + 1:02d}T0{row}:00:00.000+00:00" for row in range(4)]
        pd.DataFrame(
            {"n": range(day * 4 + 1, day * 4 + 5), "time": times, "unreadable": None}
            | {
                "anomalous": [True, None, None, False],
                "undecided": [None, "no product", None, None],
            }
        ).astype({"unreadable": "string"}).to_parquet(
            tmp_path / f"part-{day * 4 + 1:012d}.parquet", engine="pyarrow"
        )
    read = []
    batches = tables._batches
    monkeypatch.setattr(
        tables, "_batches", lambda part, names: read.append(part.name) or batches(part, names)
    )
    table = WatchTable(tmp_path)
    first = table.periods(86_400, 3)
    assert [one["images"] for one in first] == [4, 4, 4] and len(read) == 4
    assert (first[0]["judged"], first[0]["flagged"]) == (3, 1)
    assert table.periods(86_400, 3) == first and len(read) == 4
    assert len(table.periods(3_600, 3)) == 3


def test_only_images_of_the_watched_folder_are_shown(copied, watched, model):
    folder, changed = copied
    place, _, _ = watched
    row = {"n": 500, "path": "../table/.status.json", "time": "2026-01-01T00:00:00+00:00"}
    (place.parent / "other.png").write_bytes((place / "000.png").read_bytes())
    outside = [row, row | {"n": 501, "path": "../other.png"}, row | {"n": 502, "path": "gone.png"}]
    changed(last_images=outside, n_images=502)
    with asking(model, line=Line(folder)) as client:
        answers = [client.get(f"/v1/watch/images/{n}") for n in (500, 501, 502)]
    assert [one.status_code for one in answers] == [422, 422, 422]
    words = [one.json()["message"] for one in answers]
    assert (
        "does not lie in the folder that is watched" in words[0] and words[0][-8:] == words[1][-8:]
    )
    assert "the file is gone" in words[2]


def marked(test):
    for mark in BROWSER:
        test = mark(test)
    return test


@marked
def test_the_page_is_read_on_a_phone_and_asks_nobody_else(browser, watched, model):
    with asking(model, line=Line(watched[1]), token=TOKEN) as client:
        page = browser.new_page(viewport={"width": 375, "height": 740}, color_scheme="dark")
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{client.base_url}/watch")
        page.wait_for_selector("#token-form:not([hidden])")
        page.fill("#token", TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector(".alarm.drift .shot img")
        page.wait_for_function("document.querySelectorAll('#images .shot img').length === 46")
        assert page.inner_text("#badge") == "stopped"
        assert "Yes, since about image" in page.inner_text("#drift-words")
        assert page.locator("#rates tbody tr").count() == 1
        assert "unreadable" in page.inner_text(f"[data-n='{N + 1}']")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        assert all(url.startswith((str(client.base_url), "data:")) for url in asked)
        page.close()
