"""What the server answers is what `residua score` writes: the same bits, whatever else goes on."""

from __future__ import annotations

import base64
import csv
import io
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.engines import Scores
from residua.runs.fit import fit_run
from residua.runs.learning.learn import learn_run
from residua.runs.score import score_run
from residua.server import load_model
from runs import options
from serving import asking, encoded, with_engine
from training_wing import blobs

BINARY = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images of several sizes and formats, one of them with 16 bits."""
    place = tmp_path_factory.mktemp("images")
    for index, size in enumerate(
        [(12, 12), (12, 12), (30, 17), (12, 12), (9, 40), (12, 12), (100, 80), (12, 12)]
    ):
        (place / f"{index}.png").write_bytes(encoded(blobs(1, size, seed=index)[0]))
    (place / "8.jpg").write_bytes(encoded(blobs(1, (40, 40), seed=8)[0], "JPEG"))
    (place / "9.png").write_bytes(encoded(np.arange(144, dtype=np.uint16).reshape(12, 12) * 400))
    return place


@pytest.fixture(scope="module")
def written(run, folder, tmp_path_factory) -> dict[str, dict[str, str]]:
    out = tmp_path_factory.mktemp("out") / "scores.csv"
    score_run(run, str(folder), out)
    with open(out, encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def same(answer: dict, row: dict[str, str]) -> bool:
    numbers = {"score": answer["score"], "threshold": answer["threshold"], **answer["errors"]}
    alike = answer["p_value"] == float(row["p_value"])
    return (
        alike
        and answer["anomalous"] == (row["anomalous"] == "true")
        and all(np.float32(value) == np.float32(row[name]) for name, value in numbers.items())
    )


def test_every_number_is_that_of_residua_score_bit_for_bit(client, folder, written):
    for name, row in written.items():
        answer = client.post("/v1/score", content=(folder / name).read_bytes(), headers=BINARY)
        assert answer.status_code == 200
        assert same(answer.json(), row), name


def test_scores_do_not_depend_on_how_they_are_asked_for_or_on_who_else_asks(
    client, folder, written
):
    names = [name for name in written for _ in range(5)]
    random.Random(0).shuffle(names)

    def ask(index: int) -> bool:
        name = names[index]
        data = (folder / name).read_bytes()
        if index % 3 == 0:
            answer = client.post("/v1/score", files={"image": (name, data)})
        elif index % 3 == 1:
            answer = client.post(
                "/v1/score",
                params={"pictures": True},
                content=data,
                headers={"content-type": "image/png"},
            )
        else:
            several = client.post(
                "/v1/score-batch", files=[("images", ("1", data)), ("images", ("2", data))]
            ).json()["images"]
            return all(same(one["result"], written[name]) for one in several)
        return same(answer.json(), written[name])

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(len(names))))


def test_a_batch_keeps_its_order_and_says_of_each_broken_image_why(client, good):
    files = [
        ("images", ("first.png", good)),
        ("images", ("notes.txt", b"not an image")),
        ("images", ("cut.png", good[:60])),
    ]
    images = client.post("/v1/score-batch", files=files).json()["images"]
    assert [(one["index"], one["name"]) for one in images] == [
        (0, "first.png"),
        (1, "notes.txt"),
        (2, "cut.png"),
    ]
    assert (
        images[0]["result"]["score"]
        == client.post("/v1/score", content=good, headers=BINARY).json()["score"]
    )
    assert [one["problem"] and one["problem"]["code"] for one in images] == [
        None,
        "not-an-image",
        "broken-image",
    ]


def test_the_answer_says_what_was_decided_and_why(client, model, good):
    answer = client.post("/v1/score", content=good, headers=BINARY).json()
    point = model.facts.operating_point
    assert (answer["threshold"], answer["policy"]) == (point.threshold, point.policy)
    assert answer["anomalous"] == (answer["score"] > point.threshold)
    assert answer["decision"].startswith("Anomalous: " if answer["anomalous"] else "Normal: ")
    assert answer["rank"]["n_below"] == int((model.normals < np.float32(answer["score"])).sum())
    assert answer["image"] == {
        "width": 12,
        "height": 12,
        "channels": 1,
        "bits": 8,
        "format": "PNG",
        "converted": [],
    }


def test_pictures_come_when_asked(client, good):
    assert client.post("/v1/score", content=good, headers=BINARY).json()["pictures"] is None
    pictures = client.post("/v1/score?pictures=true", content=good, headers=BINARY).json()[
        "pictures"
    ]
    for role in ("image", "reconstruction", "map"):
        data = base64.b64decode(pictures[role].partition(",")[2])
        assert Image.open(io.BytesIO(data)).size == (12, 12)


def test_the_map_has_the_images_own_size_and_its_raw_form_gives_the_errors_back(client, model):
    pixels = blobs(1, (30, 17), seed=5)[0]
    [expected] = model.engine.score([pixels], maps=True, reconstructions=False).maps
    for style, mode in (("overlay", "RGB"), ("heat", "RGB"), ("raw", "I;16")):
        answer = client.post(f"/v1/map?style={style}", content=encoded(pixels), headers=BINARY)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.size, picture.mode) == ((17, 30), mode)
    scale = float(answer.headers["residua-scale"])
    assert (
        np.abs(np.asarray(picture).astype(np.float64) / 65535 * scale - expected).max()
        <= 0.51 * scale / 65535
    )
    score = client.post("/v1/score", content=encoded(pixels), headers=BINARY).json()["score"]
    assert float(answer.headers["residua-score"]) == score


def test_colour_is_refused_by_a_grey_model_and_grey_stored_as_colour_is_not(client):
    grey = blobs(1, seed=4)[0]
    colour = np.concatenate([grey, grey // 2, grey // 3], axis=2)
    refused = client.post("/v1/score", content=encoded(colour), headers=BINARY)
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong-channels")
    scores = [
        client.post("/v1/score", content=encoded(pixels), headers=BINARY).json()["score"]
        for pixels in (grey, np.repeat(grey, 3, axis=2))
    ]
    assert scores[0] == scores[1]


class Answering:
    """An engine that always answers the same score."""

    batch_size, channels, name = 4, 1, "answering"

    def __init__(self, score: float) -> None:
        self._score = score

    def score(self, images, *, maps=False, reconstructions=False, columns=True):
        n = len(images)
        one = [np.zeros(image.shape[:2], np.float32) for image in images]
        score = np.full(n, self._score, np.float32)
        return Scores(
            score,
            score > 0.5,
            {"mse": score},
            one if maps else None,
            np.stack(images) if reconstructions else None,
        )


@pytest.mark.parametrize(("score", "anomalous"), [(np.nan, None), (np.inf, True), (-np.inf, False)])
def test_a_score_that_is_no_number_is_null_and_never_passes_as_normal(
    model, good, score, anomalous
):
    with asking(with_engine(model, Answering(score))) as client:
        answer = client.post("/v1/score", content=good, headers=BINARY).json()
    assert (answer["score"], answer["anomalous"], answer["rank"]) == (None, anomalous, None)
    assert "no finite number" in answer["decision"]


class Choking(Answering):
    """An engine that cannot take bright images, nor any batch with one in it."""

    def score(self, images, *, maps=False, reconstructions=False, columns=True):
        if any(image.max() == 255 and image.min() == 255 for image in images):
            raise RuntimeError("secret: /home/somebody/weights")
        return super().score(images, maps=maps, reconstructions=reconstructions, columns=columns)


def test_an_image_that_breaks_the_engine_is_our_fault_without_details_and_its_neighbours_are_scored(
    model, good
):
    white = encoded(np.full((12, 12, 1), 255, np.uint8))
    with asking(with_engine(model, Choking(0.25))) as client, ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda data: client.post("/v1/score", content=data, headers=BINARY),
                [good, white] * 8,
            )
        )
        assert [one.status_code for one in answers] == [200, 500] * 8
        assert answers[1].json()["code"] == "our-fault"
        assert answers[1].headers["x-content-type-options"] == "nosniff"
        assert "secret" not in answers[1].text
        assert client.get("/readyz").status_code == 200


def test_an_image_unlike_the_calibration_images_is_pointed_out(client, good):
    def findings(pixels) -> list[str]:
        answer = client.post("/v1/score", content=encoded(pixels), headers=BINARY).json()
        return [name for one in answer["findings"] for name in one["measured"]]

    assert client.post("/v1/score", content=good, headers=BINARY).json()["findings"] == []
    assert findings(blobs(1, (40, 12), seed=3)[0])[:1] == ["height"]
    assert "brightness" in findings(np.full((12, 12, 1), 250, np.uint8))


def test_model_facts_are_those_of_the_bundle(client, model):
    facts = client.get("/v1/model").json()
    assert (facts["job"], facts["recipe"], facts["threshold"]) == (
        "detect",
        "plain",
        model.facts.operating_point.threshold,
    )
    assert sum(facts["calibration"]["counts"]) == len(model.normals)
    assert facts["calibration"]["edges"][0] == pytest.approx(model.normals.min())


@pytest.fixture(scope="module")
def classifier(run, tmp_path_factory) -> Path:
    return fit_run(
        options(run.parent / "parts", "classify", strategy="joint"),
        tmp_path_factory.mktemp("runs") / "run",
    ).path


def test_a_classifier_answers_with_the_probabilities_that_score_writes(
    classifier, folder, tmp_path
):
    score_run(classifier, str(folder), tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with asking(load_model(classifier)) as client:
        assert client.get("/v1/model").json()["classes"] == ["bad", "good"]
        for row in rows[:3]:
            answer = client.post(
                "/v1/score", content=(folder / row["path"]).read_bytes(), headers=BINARY
            ).json()
            assert answer["predicted"] == [row["predicted"]]
            assert answer["decision"].startswith(f"{row['predicted']}: probability 0.")
            for name, chance in answer["probabilities"].items():
                assert np.float32(chance) == np.float32(row[f"p[{name}]"])


def test_a_detector_that_knows_kinds_answers_with_what_score_writes(run, tmp_path):
    bad = sorted((run.parent / "parts" / "bad").iterdir())
    for kind, some in (("corner", bad[:3]), ("other", bad[3:6])):
        (tmp_path / "said" / "defect" / kind).mkdir(parents=True)
        for path in some:
            shutil.copy(path, tmp_path / "said" / "defect" / kind)
    learn_run(run, str(tmp_path / "said"), tmp_path / "run2")
    score_run(tmp_path / "run2", str(run.parent / "parts"), tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    asked = [rows[0], next(row for row in rows if row["kind"]), rows[-1]]
    with asking(load_model(tmp_path / "run2")) as client:
        assert client.get("/v1/model").json()["kinds"] == ["corner", "other"]
        for row in asked:
            data = (run.parent / "parts" / row["path"]).read_bytes()
            answer = client.post("/v1/score", content=data, headers=BINARY).json()
            assert (answer["kind"] or "") == row["kind"]
            assert answer["predicted"] is None
            assert np.float32(answer["probabilities"]["corner"]) == np.float32(row["p[corner]"])
            assert ("probability 0." in answer["decision"]) == bool(row["kind"])


def test_an_exported_engine_serves_the_scores_that_residua_score_writes_with_it(
    run, folder, tmp_path
):
    pytest.importorskip("onnxruntime")
    served = tmp_path / "run"
    shutil.copytree(run, served)
    notes: list[str] = []
    model = load_model(served, "onnx", on_note=notes.append)
    assert any("exporting" in note for note in notes)
    eight_bits = tmp_path / "eight-bits"
    shutil.copytree(folder, eight_bits, ignore=shutil.ignore_patterns("9.png"))
    score_run(served, str(eight_bits), tmp_path / "scores.csv", engine="onnx")
    with open(tmp_path / "scores.csv", encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    with asking(model) as client:
        assert client.get("/v1/model").json()["engine"] == "onnx"
        for name, row in rows.items():
            answer = client.post(
                "/v1/score", content=(folder / name).read_bytes(), headers=BINARY
            ).json()
            assert answer["score"] == pytest.approx(float(row["score"]), rel=1e-4)
            assert answer["threshold"] == pytest.approx(float(row["threshold"]), rel=1e-6)
        refused = client.post("/v1/score", content=(folder / "9.png").read_bytes(), headers=BINARY)
        assert refused.status_code == 422
        assert "8 bits" in refused.text
