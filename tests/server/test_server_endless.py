"""A network that never comes back: its client is told, others go on where it can be ended, and the
server still ends."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest

from residua.engines import Scores
from residua.server import batcher
from residua.server.batcher import Batcher

onnx = pytest.importorskip("onnx")
IMAGE = np.zeros((4, 4, 1), np.uint8)


class Endless:
    """Scores a black image at once, and a white one never."""

    name, batch_size = "endless", 1

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def score(self, images, **_):
        if images[0].max() and not self.let_go.wait(30):
            raise AssertionError("nobody let go")
        if images[0].max():
            raise RuntimeError("ended")
        n = len(images)
        return Scores(np.zeros(n, np.float32), np.zeros(n, np.bool_), {}, None, None, None)


class Ended(Endless):
    """The same, and it can be ended."""

    def end(self):
        self.let_go.set()


def run(engine, then):
    async def whole():
        feeding = Batcher(engine, seconds=0.2)
        try:
            return await then(feeding)
        finally:
            started = time.monotonic()
            await feeding.close()
            assert time.monotonic() - started < 1, "closing does not wait for the network"

    return asyncio.run(whole())


def test_what_can_be_ended_is_ended_and_the_next_image_is_scored():
    async def then(feeding):
        with pytest.raises(RuntimeError, match="ended"):
            await feeding.score(IMAGE + 255, pictures=False)
        return (await feeding.score(IMAGE, pictures=False)).score, feeding.is_running

    assert run(Ended(), then) == (0, True)


def test_what_cannot_be_ended_is_given_up_and_the_server_is_not_ready(monkeypatch):
    monkeypatch.setattr(batcher, "_GRACE_SECONDS", 0.1)
    engine = Endless()

    async def then(feeding):
        with pytest.raises(TimeoutError, match="did not come back"):
            await feeding.score(IMAGE + 255, pictures=False)
        await asyncio.sleep(0.05)
        return feeding.is_running

    assert run(engine, then) is False
    engine.let_go.set()


def _looping(path):
    """An ONNX file whose loop goes on for 2 ** 62 turns."""
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["x", "x"], ["y"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"]),
        ],
    )
    turns = helper.make_tensor("turns", TensorProto.INT64, [], [2**62])
    go = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    graph = helper.make_graph(
        [helper.make_node("Loop", ["turns", "yes", "images"], ["score"], body=body)],
        "endless",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])],
        [turns, go],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)


def test_a_loop_without_an_end_in_a_file_is_ended(tmp_path):
    from types import SimpleNamespace

    from residua.engines.file_engines import OnnxEngine

    pytest.importorskip("onnxruntime")
    _looping(tmp_path / "loop.onnx")
    card = SimpleNamespace(engine="onnx", batch_size=1)
    engine = OnnxEngine(card, tmp_path / "loop.onnx", 1)
    threading.Timer(0.3, engine.end).start()
    started = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)terminat"):
        engine.run(np.zeros(1, np.float32), ["score"])
    assert time.monotonic() - started < 10
