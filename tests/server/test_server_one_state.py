"""A server tells when its run has another threshold by now, and obeys or refuses every parameter."""

from __future__ import annotations

import logging
import shutil

import pytest

from residua.runs.threshold import change_threshold
from residua.server import load_model
from serving import asking

BINARY = {"content-type": "application/octet-stream"}
NOTICE = "residua-notice"


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def test_a_threshold_that_changes_while_a_run_is_served_is_told(copied, good, caplog):
    model = load_model(copied)
    with asking(model) as client, caplog.at_level(logging.WARNING, "residua.server"):
        before = client.post("/v1/score", content=good, headers=BINARY)
        assert NOTICE not in before.headers
        assert client.get("/v1/model").json()["notice"] is None
        point = change_threshold(copied, "quantile:0.5")
        after = client.post("/v1/score", content=good, headers=BINARY)
        told = after.headers[NOTICE]
        assert after.json()["threshold"] == before.json()["threshold"] != point.threshold
        assert f"The run's threshold is {point.threshold:.6g} (quantile:0.5) by now" in told
        assert f"decides with {model.facts.operating_point.threshold:.6g}" in told
        assert client.get("/v1/model").json()["notice"] == told
        assert client.get("/healthz").headers[NOTICE] == told
        assert [record.message for record in caplog.records] == [f"{copied}: {told}"]
    assert load_model(copied).notice() is None


def test_strangers_are_not_told_thresholds(copied):
    with asking(load_model(copied), token="a-token-of-some-length") as client:
        change_threshold(copied, "quantile:0.5")
        assert NOTICE not in client.get("/healthz").headers
        assert NOTICE not in client.get("/v1/model").headers
        allowed = {"Authorization": "Bearer a-token-of-some-length"}
        assert NOTICE in client.get("/v1/model", headers=allowed).headers


def test_an_exported_file_whose_run_changed_is_told(copied):
    pytest.importorskip("onnxruntime")
    from residua.engines import KINDS
    from residua.runs.engines import export_run

    export_run(copied, KINDS["onnx"])
    model = load_model(copied, "onnx")
    assert model.notice() is None
    change_threshold(copied, "quantile:0.5")
    assert "quantile:0.5" in model.notice()
    shutil.rmtree(copied)
    assert model.notice() is None


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("score?threshold=0.5", "pictures and product"),
        ("map?style=raw&x=1", "style and product"),
        ("score-batch?a=1", "product"),
    ],
)
def test_unknown_parameters_are_refused_by_name(client, good, address, known):
    answer = client.post(f"/v1/{address}", content=good, headers=BINARY)
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown-parameter")
    message = answer.json()["message"]
    name = {"score": "threshold", "map": "x"}.get(address.partition("?")[0], "a")
    assert f"no parameter '{name}'" in message
    assert f"It takes {known}." in message
    assert ("residua threshold" in message) == (name == "threshold")
    assert client.get("/v1/model?x=1").status_code == 422
