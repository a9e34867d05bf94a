"""An export that does not reproduce the scores is refused with the numbers, and leaves nothing
behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from exporting import exported, shaken, verification

from residua.engines import KINDS, load_engine
from residua.engines.kinds import find_kind
from residua.errors import BundleError, GateError, InputError
from residua.images import ImageSet
from residua.training.export import build_engine, onnx_file
from residua.training.export.verify import (
    ScorePair,
    measure_deviation,
    measure_price,
    refuse_if_dear,
    refuse_if_different,
)


def compared(reference, engine, *, map_difference=0.0):
    reference, engine = np.array(reference, np.float32), np.array(engine, np.float32)
    return ScorePair(
        reference, engine, float(np.abs(reference - engine).max()), map_difference, 1.0
    )


def test_a_graph_that_computes_something_else_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    bundle = shaken("plain", 1)
    forward = onnx_file._Whole.forward

    def brighter(self, images):
        score, *others = forward(self, images)
        return (score * 1.01, *others)

    monkeypatch.setattr(onnx_file._Whole, "forward", brighter)
    with pytest.raises(
        GateError, match=r"scores differ by up to [\d.e-]+, where [\d.e-]+ is allowed"
    ):
        build_engine(
            bundle, KINDS["onnx"], tmp_path / "export", verification(bundle), weights_sha256="0"
        )
    assert list(tmp_path.iterdir()) == []


def test_an_operator_that_onnx_lacks_is_refused_by_name(tmp_path, monkeypatch):
    def export(*_, **__):
        raise torch.onnx.OnnxExporterError("Exporting the operator 'aten::fold' is not supported")

    bundle = shaken("plain", 1)
    monkeypatch.setattr("torch.onnx.export", export)
    with pytest.raises(GateError, match=r"exist in ONNX.*aten::fold.*--engine torch"):
        build_engine(
            bundle, KINDS["onnx"], tmp_path / "export", verification(bundle), weights_sha256="0"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("other", "threshold", "words"),
    [
        (compared([1, 2, 3], [1, 2, 3.1]), 9, "scores differ"),
        (compared([1, 2, 3], [1, 2, 3], map_difference=0.1), 9, "error maps differ"),
        (compared([1, 2, 3], [1, 2.000001, 3]), 2.0, "1 of 3 decisions differ"),
        (compared([1, 2, 3], [1, 2, np.nan]), 9, "scores differ"),
    ],
)
def test_what_differs_is_named(other, threshold, words):
    if np.isnan(other.engine).any():
        other = ScorePair(other.reference, other.engine, 3e38, 0.0, 1.0)
    with pytest.raises(GateError, match=words):
        refuse_if_different("onnx", other, measure_deviation(other, threshold, threshold))


def test_scores_within_the_deviation_of_the_threshold_are_counted():
    other = compared([1, 2, 3], [1, 2, 3.0001])
    assert measure_deviation(other, 2.99995, 2.99995).near_threshold == 1
    assert measure_deviation(other, 2.5, 2.5).near_threshold == 0


def test_a_precision_that_ranks_otherwise_is_refused():
    flags = np.array([False, False, True, True])
    turned = compared([1, 2, 3, 4], [4, 3, 2, 1])
    price = measure_price(turned, measure_deviation(turned, 9, 9), flags)
    assert (price.roc_auc_reference, price.roc_auc, price.rank_correlation) == (1.0, 0.0, -1.0)
    with pytest.raises(GateError, match=r"loses 1\.0000 of the ROC AUC"):
        refuse_if_dear("onnx-int8", price)
    with pytest.raises(GateError, match=r"correlate by -1\.0000 only"):
        refuse_if_dear(
            "onnx-int8", measure_price(turned, measure_deviation(turned, 9, 9), flags & False)
        )


def test_a_damaged_file_and_one_that_was_not_exported_are_refused(tmp_path):
    import shutil

    _, folder, _ = exported("plain", 1, "onnx")
    shutil.copytree(folder, tmp_path / "export")
    with pytest.raises(BundleError, match=r"exported first.*--format openvino"):
        load_engine(tmp_path / "export", "openvino")
    data = bytearray((tmp_path / "export" / "model.onnx").read_bytes())
    data[-1] ^= 1
    (tmp_path / "export" / "model.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="the file that was verified"):
        load_engine(tmp_path / "export", "onnx")


def test_a_file_of_eight_bits_refuses_floats_and_names_the_way():
    bundle, folder, _ = exported("plain", 1, "onnx")
    with pytest.raises(InputError, match="--input float32"):
        load_engine(folder, "onnx").score([np.zeros((*bundle.config.size, 1), np.float32)])


def test_engines_that_are_not_there_are_refused_with_those_that_are():
    with pytest.raises(InputError, match="Did you mean openvino"):
        find_kind("torch", "float32") and load_engine(".", "openvno")
    with pytest.raises(InputError, match="precision of onnx must be one of float32, int8"):
        find_kind("onnx", "bfloat16")
    with pytest.raises(InputError, match="exported to a file"):
        load_engine(".", "torch")


def test_without_images_there_is_no_verification(tmp_path):
    bundle = shaken("plain", 1)
    none = verification(bundle)
    empty = type(none)(none.images[:0], none.is_anomalous[:0], none.training)
    with pytest.raises(InputError, match="images to verify on"):
        build_engine(bundle, KINDS["onnx"], tmp_path / "export", empty, weights_sha256="0")
    assert isinstance(empty.images, ImageSet)
