"""A review over HTTP: who may answer, what is refused, and that `learn` reads what comes of it."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time

import httpx
import numpy as np
import pytest

from residua.errors import InputError, OutputError
from residua.runs.learning.corrections import read_corrections
from residua.runs.learning.learn import learn_run
from residua.runs.progress import Watcher
from residua.runs.trained_run import TrainedRun
from residua.server import open_review
from serving import encoded
from training_wing import blobs

TOKEN = "a-token-of-some-length"


def state(client: httpx.Client, reviewer: str = "anna", view: str = "open", **more) -> dict:
    told = client.get("/v1/review", params={"reviewer": reviewer, "view": view, **more})
    assert told.status_code == 200, told.text
    return told.json()


def say(client: httpx.Client, image: str, answer: str, reviewer: str = "anna", **more) -> dict:
    sent = {"reviewer": reviewer, "image": image, "answer": answer, **more}
    told = client.post("/v1/review/answers", json=sent)
    assert told.status_code == 200, told.text
    return told.json()


def table(client: httpx.Client) -> list[dict[str, str]]:
    return list(csv.DictReader(client.get("/v1/review/corrections.csv").text.splitlines()))


def test_an_image_is_shown_answered_and_taken_back(reopen, reviewing):
    review = reopen()
    with reviewing(review) as client:
        first = state(client)["images"][0]
        shown = client.get(f"/v1/review/images/{first}", params={"reviewer": "anna"}).json()
        assert shown["flagged"]
        assert shown["said"] == []
        assert shown["scored"]["pictures"]["map"].startswith("data:image/")
        assert shown["scored"]["score"] > state(client)["threshold"]
        told = say(client, first, "defect", kind="corner", note="top left")
        assert (told["n_answered"], told["kinds"]) == (1, ["corner"])
        assert first not in told["images"]
        assert told["n_trained"] > 0
        assert shown["part"] in {"train", "validation", "calibration", "test"}
        assert told["command"].startswith(f"residua learn {review.run} ")
        assert table(client)[0]["note"] == "top left"
        undone = client.post("/v1/review/undo", json={"reviewer": "anna"}).json()
        assert (undone["back"], undone["n_answered"]) == (first, 0)
        assert table(client) == []


def test_two_reviewers_get_different_images_and_see_each_other_only_after_answering(
    reopen, reviewing
):
    with reviewing(reopen()) as client:
        mine, theirs = (state(client, name)["images"] for name in ("anna", "ben"))
        assert not {*mine} & {*theirs}
        say(client, mine[0], "good", note="fine")
        assert state(client, "ben", "second")["images"] == [mine[0]]
        unseen = client.get(f"/v1/review/images/{mine[0]}", params={"reviewer": "ben"}).json()
        assert unseen["said"] == []
        told = say(client, mine[0], "defect", "ben")
        assert told["views"]["disagree"] == 1
        seen = client.get(f"/v1/review/images/{mine[0]}", params={"reviewer": "ben"}).json()
        assert {one["reviewer"] for one in seen["said"]} == {"anna", "ben"}
        assert state(client, "anna", "disagree", after=mine[0])["images"] == []


def test_learn_reads_the_corrections_and_names_what_is_disputed(reopen, run, tmp_path):
    review = reopen()
    for item in review.items[:6]:
        is_bad = item.path.startswith("bad")
        kind = "corner" if is_bad else None
        review.answer(item, "anna", "defect" if is_bad else "good", kind, "=1+2; and more")
    disputed, skipped = review.items[6:8]
    review.answer(disputed, "anna", "good", None, None)
    review.answer(disputed, "ben", "defect", None, None)
    review.answer(skipped, "anna", "skip", None, None)
    notes: list[str] = []
    path = str(tmp_path / "review" / "corrections.csv")
    record = learn_run(run, path, tmp_path / "run2", watcher=Watcher(on_note=notes.append))
    assert [one.path for one in record.corrections] == [one.path for one in review.items[:6]]
    assert {one.reviewer for one in record.corrections} == {"anna"}
    assert all(one.time for one in record.corrections)
    assert {one.note for one in record.corrections} == {"'=1+2; and more"}
    assert {one.kind for one in record.corrections if one.label == "defect"} <= {"corner"}
    assert any(
        "2 images without a label" in one and f"disagree on {disputed.path}" in one for one in notes
    )


def test_answers_that_do_not_hold_are_refused(reopen, reviewing):
    review = reopen()
    with reviewing(review) as client:
        for sent, status, words in (
            ({"answer": "maybe"}, 422, "answer"),
            ({"reviewer": "=cmd"}, 422, "letter or a digit"),
            ({"reviewer": "x" * 61}, 422, "reviewer"),
            ({"note": "x" * 501}, 422, "note"),
            ({"note": "x" * 20_000}, 413, "16,000 bytes"),
            ({"kind": "-1"}, 422, "kind"),
            ({"answer": "defect", "kind": "False alarm"}, 422, "kind of defect"),
            ({"answer": "defect", "kind": "none of these"}, 422, "kind of defect"),
            ({"image": "../../etc/passwd"}, 404, "no such image"),
            ({"path": "/etc/passwd"}, 422, "path"),
        ):
            whole = {"reviewer": "anna", "image": review.items[0].id, "answer": "good", **sent}
            told = client.post("/v1/review/answers", json=whole)
            assert told.status_code == status, sent
            assert words in told.json()["message"]
        assert client.get("/v1/review", params={"reviewer": "\n"}).status_code == 422
        assert review.book.answers == {}


def test_other_sites_and_those_without_the_token_may_not_answer(reopen, reviewing):
    review = reopen()
    sent = {"reviewer": "anna", "image": review.items[0].id, "answer": "good"}
    bearer = {"authorization": f"Bearer {TOKEN}"}
    with reviewing(review, token=TOKEN) as client:
        assert client.get("/review").status_code == 200
        for path in ("/v1/review?reviewer=anna", f"/v1/review/images/{sent['image']}?reviewer=a"):
            assert client.get(path).status_code == 401
        assert client.post("/v1/review/answers", json=sent).status_code == 401
        elsewhere = {**bearer, "origin": "https://evil.example"}
        assert client.post("/v1/review/answers", json=sent, headers=elsewhere).status_code == 403
        form = {**bearer, "content-type": "text/plain"}
        body = json.dumps(sent)
        told = client.post("/v1/review/answers", content=body, headers=form)
        assert told.status_code == 415
        assert review.book.answers == {}
        assert client.post("/v1/review/answers", json=sent, headers=bearer).status_code == 200
        for path in ("/v1/review/images/..%2F..%2Fetc%2Fpasswd", "/v1/review/images/" + "f" * 16):
            told = client.get(path, params={"reviewer": "anna"}, headers=bearer)
            assert told.status_code == 404


def test_an_image_that_cannot_be_read_any_more_is_said_and_can_be_skipped(
    reopen, reviewing, run, model, tmp_path
):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        (photos / name).write_bytes(encoded(blobs(1, seed=ord(name[0]))[0]))
    (photos / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    notes: list[str] = []
    watcher = Watcher(on_note=notes.append)
    review = open_review(run, str(photos), model, folder=tmp_path / "other", watcher=watcher)
    assert any("1 image cannot be read and is not asked about: c.png" in one for one in notes)
    assert (review.n_trained(), review.items[0].part) == (0, None)
    (photos / review.items[0].path).write_bytes(b"no image")
    with reviewing(review) as client:
        first, second = state(client)["images"]
        told = client.get(f"/v1/review/images/{first}", params={"reviewer": "anna"})
        assert told.status_code == 415
        (photos / review.items[1].path).unlink()
        told = client.get(f"/v1/review/images/{second}", params={"reviewer": "anna"})
        assert told.status_code == 422
        assert review.items[1].path in told.json()["message"]
        assert say(client, first, "skip")["images"] == [second]
    review.close()


def test_a_review_goes_on_after_a_crash_and_takes_in_new_images(reopen):
    review = reopen()
    asked = [item.path for item in review.items]
    review.answer(review.items[0], "anna", "good", None, None)
    notes: list[str] = []
    again = reopen(watcher=Watcher(on_note=notes.append))
    assert [item.path for item in again.items] == asked
    assert again.next_images("anna", "open")[0] == again.items[1].id
    assert again.n_flagged_open() == again.n_flagged() - 1
    assert notes == []


def test_a_folder_holds_one_review_of_one_process(reopen, run, model, photos, tmp_path):
    review = reopen()
    with pytest.raises(OutputError, match="only one process may review"):
        open_review(run, str(photos), model, folder=tmp_path / "review")
    review.answer(review.items[0], "anna", "good", None, None)
    review.close()
    with pytest.raises(InputError, match="holds the review of one source"):
        open_review(run, str(photos / "bad"), model, folder=tmp_path / "review")


def test_a_list_of_images_elsewhere_is_reviewed_and_read_again(
    reopen, run, model, photos, tmp_path
):
    listed = [item.path for item in reopen().items[:3]]
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(f"./{one},\n" for one in listed))
    source, folder = str(tmp_path / "list.csv"), tmp_path / "listed"
    review = open_review(run, source, model, folder=folder, root=photos)
    for item in review.items:
        assert review.read(item)
        review.answer(item, "anna", "defect" if "bad" in item.path else "good", None, None)
    review.close()
    read = read_corrections(str(review.book.table), TrainedRun(run).origin(), ("good",))
    assert {one.path.removeprefix("./") for one in read.said} == set(listed)


@pytest.mark.parametrize("source", ["digits", "a.npy"])
def test_images_that_are_no_files_are_refused(run, model, tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", blobs(3))
    with pytest.raises(InputError, match="must be files of their own"):
        open_review(run, source, model, folder=tmp_path / "review")


@pytest.mark.slow
def test_killed_in_the_middle_the_next_server_has_every_answer(run, photos, scored, tmp_path):
    folder = tmp_path / "review"
    shutil.copytree(scored, folder)
    command = [sys.executable, "-m", "residua", "serve", str(run), "--review", str(photos)]
    with subprocess.Popen(
        [*command, "--review-out", str(folder), "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        told = next(line for line in server.stderr if "page" in line)
        address = told.split(" served at ")[1].split()[0]
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
            while client.get("/readyz").status_code != 200:
                time.sleep(0.02)
            images = [
                one
                for _ in range(4)
                for one in [state(client)["images"][0]]
                if say(client, one, "good")
            ]
        server.send_signal(signal.SIGKILL)
    with (folder / "corrections.csv").open(newline="") as file:
        assert len({row["path"] for row in csv.DictReader(file)}) == len(images) == 4
    assert len((folder / "answers.jsonl").read_text().splitlines()) == 4
