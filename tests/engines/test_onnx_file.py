"""Weights that an ONNX file keeps elsewhere: found wherever they are named, read from its own
folder, refused in exports."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training" / "export"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runs" / "wrapped"))

from exporting import exported
from identity import onnx_file, with_weights_beside

from residua.engines import load_engine, onnx_file as onnx_files
from residua.engines.card import read_card, write_card
from residua.engines.onnx_file import check_inside, external_files, open_session
from residua.errors import BundleError


def test_the_table_of_fields_is_that_of_onnx():
    messages = {
        "model": onnx.ModelProto,
        "training": onnx.TrainingInfoProto,
        "graph": onnx.GraphProto,
        "function": onnx.FunctionProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "sparse": onnx.SparseTensorProto,
        "tensor": onnx.TensorProto,
        "entry": onnx.StringStringEntryProto,
    }
    names = {message.DESCRIPTOR.full_name: name for name, message in messages.items()}
    leads = {"tensor", "sparse"}
    for _ in messages:  # whatever leads to a tensor, through any number of messages
        for name, message in messages.items():
            for field in message.DESCRIPTOR.fields:
                if (
                    field.message_type is not None
                    and names.get(field.message_type.full_name) in leads
                ):
                    leads.add(name)
    for name, message in messages.items():
        fields = {
            field.number: names[field.message_type.full_name]
            for field in message.DESCRIPTOR.fields
            if field.message_type is not None and names.get(field.message_type.full_name) in leads
        }
        if name == "tensor":
            fields = {13: "entry"}
            assert onnx.TensorProto.DESCRIPTOR.fields_by_name["external_data"].number == 13
            assert onnx.TensorProto.DESCRIPTOR.fields_by_name["data_location"].number == 14
        assert onnx_files._FIELDS.get(name, {}) == fields


def outside(name="far", location="weights.bin"):
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 2.0])
    del tensor.float_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    if location is not None:
        tensor.external_data.add(key="location", value=location)
    return tensor


def model_of(nodes=(), constants=(), functions=()):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(list(nodes), "g", [value], [value], list(constants))
    return helper.make_model(graph, functions=list(functions))


def nested():
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=outside(location="deep/inner.bin"))],
        "i",
        [],
        [],
    )
    return helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (model_of(), ()),
        (model_of(constants=[outside()]), ("weights.bin",)),
        (model_of(nodes=[nested()]), ("deep/inner.bin",)),
        (
            model_of(
                functions=[
                    helper.make_function(
                        "d", "F", ["a"], ["b"], [nested()], [helper.make_opsetid("", 17)]
                    )
                ]
            ),
            ("deep/inner.bin",),
        ),
    ],
    ids=["whole", "initializer", "subgraph", "function"],
)
def test_external_weights_are_found_wherever_a_tensor_may_stand(tmp_path, model, expected):
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert external_files(tmp_path / "m.onnx") == expected


def test_a_tensor_outside_that_names_no_place_and_what_is_no_model_are_refused(tmp_path):
    path = tmp_path / "m.onnx"
    for data in (
        model_of(constants=[outside(location=None)]).SerializeToString(),
        b"\xff" * 40,
        b"\x3a\xff\x01a",
    ):
        path.write_bytes(data)
        with pytest.raises(BundleError, match="must be an ONNX model"):
            external_files(path)


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/hosts", "a/../../w.bin", "C:\\w.bin", "..\\w.bin", ""]
)
def test_weights_that_lead_out_of_the_folder_are_refused(tmp_path, location):
    with pytest.raises(BundleError, match="leads out of it"):
        check_inside(tmp_path / "m.onnx", (location,))


def test_weights_that_are_a_link_or_below_one_or_absent_are_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "w.bin").write_bytes(b"1")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "w.bin").symlink_to(tmp_path / "real" / "w.bin")
    check_inside(tmp_path / "m.onnx", ("real/w.bin",))
    for name in ("w.bin", "linked/w.bin"):
        with pytest.raises(BundleError, match="is a link"):
            check_inside(tmp_path / "m.onnx", (name,))
    with pytest.raises(BundleError, match="must lie beside the model"):
        check_inside(tmp_path / "m.onnx", ("none.bin",))


def test_weights_are_those_of_the_files_own_folder_wherever_the_command_runs(tmp_path, monkeypatch):
    for name, by in (("own", 0.9), ("other", 0.1)):
        (tmp_path / name).mkdir()
        with_weights_beside(tmp_path / name / "model.onnx", (8, 8), by)
    monkeypatch.chdir(tmp_path / "other")
    for path in (tmp_path / "own" / "model.onnx", Path("../own/model.onnx")):
        made = open_session(path, "a test").run(
            None, {"images": np.ones((1, 8, 8, 1), np.float32)}
        )[0]
        assert made.mean() == pytest.approx(0.9)


def test_an_exported_file_that_reads_others_is_refused_though_its_checksum_is_right(
    tmp_path, monkeypatch
):
    _, folder, card = exported("plain", 1, "onnx")
    copied = tmp_path / "training" / "export"
    shutil.copytree(folder, copied)
    monkeypatch.chdir(copied)
    model = onnx.load(copied / "model.onnx")
    onnx.save(
        model,
        copied / "model.onnx",
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    files = {"model.onnx": onnx_files_sha(copied / "model.onnx")}
    write_card(card.model_copy(update={"files": files}), copied)
    read_card(copied, card.kind)
    with pytest.raises(
        BundleError, match=r"must hold all of its weights\. This one reads 'weights.bin'"
    ):
        load_engine(copied, "onnx")
    (copied / "model.onnx").write_bytes(os.urandom(99))
    write_card(
        card.model_copy(update={"files": {"model.onnx": onnx_files_sha(copied / "model.onnx")}}),
        copied,
    )
    with pytest.raises(BundleError, match="must be an ONNX model"):
        load_engine(copied, "onnx")


def test_a_model_that_onnx_runtime_refuses_is_told_in_a_sentence(tmp_path):
    path = onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1])
    model = onnx.load(path)
    model.graph.node[1].op_type = "NoSuchOperation"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="must be an ONNX model"):
        open_session(path, "a test")


def onnx_files_sha(path):
    from residua._files import sha256

    return sha256(path)
