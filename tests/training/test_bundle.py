"""The saved model: whole or refused, never executed, replaced in one step."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from residua import OneClassDetector, _files
from residua._files import sha256
from residua.errors import BundleError, OutputError
from residua.records import OperatingPoint
from residua.training import bundle
from residua.training.bundle import (
    TrainingRecord,
    clear_leftovers,
    load_bundle,
    save_bundle,
    save_operating_point,
)
from training_wing import blobs

JSON, WEIGHTS = "bundle.json", "model.safetensors"


@pytest.fixture(scope="module")
def detector():
    return OneClassDetector(latent=2, epochs=1).fit(blobs(40, (8, 8)))


@pytest.fixture
def saved(detector, tmp_path):
    return save_bundle(detector.bundle_, tmp_path / "bundle")


def rewrite(folder: Path, change, *, checksum: bool = True) -> None:
    """Edit the JSON, with a right checksum unless said otherwise: what somebody with ill intent
    would do."""
    body = json.loads((folder / JSON).read_text())
    body.pop("checksum") if checksum else None
    change(body)
    if checksum:
        body["checksum"] = _files.checksum(body)
    (folder / JSON).write_text(json.dumps(body))


def set_in(*keys, value):
    def change(body):
        for key in keys[:-1]:
            body = body[key]
        body[keys[-1]] = value

    return change


def test_the_umask_decides_who_may_read_the_weights(detector, tmp_path):
    before = os.umask(0o022)
    try:
        save_bundle(detector.bundle_, tmp_path / "bundle")
    finally:
        os.umask(before)
    assert {
        oct((tmp_path / "bundle" / name).stat().st_mode & 0o777)
        for name in ("bundle.json", WEIGHTS)
    } == {"0o644"}


def test_a_bundle_is_two_files_of_data(saved):
    assert sorted(path.name for path in saved.iterdir()) == [JSON, WEIGHTS]
    body = json.loads((saved / JSON).read_text())
    assert body["format"] == "residua-bundle"
    assert "threshold" not in load_file(saved / WEIGHTS)


def test_what_comes_back_is_what_was_saved(saved, detector):
    loaded = load_bundle(saved)
    assert loaded.config == detector.bundle_.config
    assert np.array_equal(loaded.calibration_scores, detector.bundle_.calibration_scores)
    assert np.array_equal(
        loaded.calibration_is_anomalous, detector.bundle_.calibration_is_anomalous
    )
    assert loaded.graph.threshold == detector.bundle_.graph.threshold
    for name, value in detector.bundle_.graph.state_dict().items():
        assert torch.equal(loaded.graph.state_dict()[name], value), name


def test_loading_leaves_torchs_generator_alone(saved):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_bundle(saved)
    assert torch.equal(torch.rand(3), expected)


def _truncate_weights(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_byte(folder):
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-50] ^= 1
    (folder / WEIGHTS).write_bytes(data)


def _pickle_as(name):
    def damage(folder):
        class Run:
            def __reduce__(self):
                return Path.mkdir, (folder.parent / "executed",)

        (folder / name).write_bytes(pickle.dumps(Run()))

    return damage


def _zip_as(name):
    def damage(folder):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("data.pkl", pickle.dumps([1]))
        (folder / name).write_bytes(buffer.getvalue())

    return damage


def _text(text):
    return lambda folder: (folder / JSON).write_text(text)


DAMAGES = {
    "truncated weights": (_truncate_weights, "truncated"),
    "damaged weights": (_flip_a_byte, "SHA-256"),
    "empty weights": (lambda folder: (folder / WEIGHTS).write_bytes(b""), "truncated"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), "must be there"),
    "no JSON": (lambda folder: (folder / JSON).unlink(), "must hold bundle.json"),
    "pickled weights": (_pickle_as(WEIGHTS), "Restore a copy"),
    "pickled JSON": (_pickle_as(JSON), "JSON that residua wrote"),
    "zipped weights": (_zip_as(WEIGHTS), "Restore a copy"),
    "zipped JSON": (_zip_as(JSON), "JSON that residua wrote"),
    "truncated JSON": (
        lambda folder: (folder / JSON).write_text((folder / JSON).read_text()[:-40]),
        "JSON that residua wrote",
    ),
    "empty JSON": (_text(""), "JSON that residua wrote"),
    "a JSON list": (_text("[1, 2]"), "JSON that residua wrote"),
    "a JSON number": (_text("5"), "JSON that residua wrote"),
    "an empty object": (_text("{}"), "JSON that residua wrote"),
    "no UTF-8": (
        lambda folder: (folder / JSON).write_bytes(b'{"a": "\xff\xfe"}'),
        "JSON that residua wrote",
    ),
    "deep JSON": (_text("[" * 1_000_000), "JSON that residua wrote"),
    "deep objects": (
        _text('{"checksum":' * 100_000 + "1" + "}" * 100_000),
        "JSON that residua wrote",
    ),
    "a number of a million digits": (
        _text('{"checksum": ' + "9" * 1_000_000 + "}"),
        "JSON that residua wrote",
    ),
    "huge JSON": (_text(" " * (17 * 2**20)), "it holds more than 16,777,216 bytes"),
    "edited threshold": (
        lambda folder: rewrite(
            folder, set_in("config", "operating_point", "threshold", value=9.0), checksum=False
        ),
        "edited or damaged",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_bundle_is_refused_with_a_sentence_and_nothing_runs(what, saved):
    damage, sentence = DAMAGES[what]
    damage(saved)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(saved)
    assert not (saved.parent / "executed").exists()


FORGERIES = {
    "another format": (set_in("format", value="other"), "must be a residua-bundle"),
    "a later version": (set_in("format_version", value=2), "Install that version"),
    "an unknown recipe": (set_in("config", "recipe", value="os.system"), "known recipe"),
    "an unknown option": (
        set_in("config", "recipe_options", value={"command": "rm"}),
        "option command",
    ),
    "an unknown field": (set_in("config", "code", value="import os"), "fields that do not fit"),
    "another latent size": (
        set_in("config", "recipe_options", "latent", value=3),
        "weights must fit",
    ),
    "a latent size for all memory": (
        set_in("config", "recipe_options", "latent", value=10**10),
        "weights must fit",
    ),
    "an image size for all memory": (
        set_in("config", "size", value=[8192, 8192]),
        "weights must fit",
    ),
    "an absurd image size": (set_in("config", "size", value=[10**9, 10**9]), "at most 8192"),
    "a negative image size": (set_in("config", "size", value=[-8, 8]), "weights must fit"),
    "more channels": (set_in("config", "channels", value=3), "weights must fit"),
    "a batch size of none": (set_in("config", "batch_size", value=0), "fields that do not fit"),
    "a threshold that is text": (
        set_in("config", "operating_point", "threshold", value="low"),
        "fields that do not fit",
    ),
    "files that are a list": (set_in("files", value=[]), "JSON that residua wrote"),
    "a file size that is text": (
        set_in("files", WEIGHTS, "bytes", value="many"),
        "JSON that residua wrote",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_json_with_a_right_checksum_is_refused_before_memory_is_asked_for(what, saved):
    change, sentence = FORGERIES[what]
    rewrite(saved, change)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(saved)


def reweigh(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)

    def listed(body):
        body["files"][WEIGHTS] = {
            "bytes": (folder / WEIGHTS).stat().st_size,
            "sha256": sha256(folder / WEIGHTS),
        }

    rewrite(folder, listed)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("calibration.scores"),
        lambda tensors: tensors.pop(next(name for name in tensors if name.startswith("scorer"))),
        lambda tensors: tensors.update(extra=torch.zeros(3)),
        lambda tensors: tensors.update(
            {"calibration.scores": torch.zeros(3, dtype=torch.bfloat16)}
        ),
    ],
    ids=["no calibration", "a weight missing", "a weight too many", "bfloat16 scores"],
)
def test_weights_of_another_set_are_refused(change, saved):
    reweigh(saved, change)
    with pytest.raises(BundleError, match="weights must fit the recipe"):
        load_bundle(saved)


def test_another_threshold_rewrites_the_json_alone(saved, detector):
    before = (saved / WEIGHTS).stat()
    point = OperatingPoint(threshold=0.25, policy="0.25", how="by hand")
    save_operating_point(load_bundle(saved).with_operating_point(point), saved)
    after = (saved / WEIGHTS).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    loaded = load_bundle(saved)
    assert loaded.config.operating_point == point
    assert loaded.graph.threshold == 0.25
    assert loaded.config.model_copy(
        update={"operating_point": None}
    ) == detector.bundle_.config.model_copy(update={"operating_point": None})


def test_saving_again_replaces_the_bundle_and_leaves_nothing_beside_it(saved):
    other = OneClassDetector(latent=3, epochs=1).fit(blobs(40, (8, 8)))
    save_bundle(other.bundle_, saved)
    assert load_bundle(saved).config == other.bundle_.config
    assert [path.name for path in saved.parent.iterdir()] == ["bundle"]
    assert sorted(path.name for path in saved.iterdir()) == [JSON, WEIGHTS]


def test_a_folder_that_holds_anything_else_is_never_replaced(detector, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds thesis\.tex"):
        save_bundle(detector.bundle_, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failure_while_saving_leaves_the_old_bundle_whole(saved, detector, monkeypatch):
    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(bundle, "save_file", fail)
    with pytest.raises(OutputError, match="no space left"):
        save_bundle(detector.bundle_, saved)
    assert load_bundle(saved).config == detector.bundle_.config
    assert [path.name for path in saved.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("target", ["file", "file/bundle"])
def test_a_place_that_cannot_be_written_is_an_output_error(target, detector, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="must be"):
        save_bundle(detector.bundle_, tmp_path / target)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_writer_killed_between_its_two_renames_loses_no_bundle(saved, tmp_path):
    scores = load_bundle(saved).calibration_scores
    saved.rename(tmp_path / ".bundle.4711.old")
    (tmp_path / ".bundle.4711.part").mkdir()
    assert np.array_equal(load_bundle(saved).calibration_scores, scores)
    clear_leftovers(saved)
    assert [path.name for path in tmp_path.iterdir()] == [".bundle.4711.old"]
    (tmp_path / ".bundle.4711.old").rename(saved)
    (tmp_path / ".bundle.4712.old").mkdir()
    clear_leftovers(saved)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_training_record_takes_what_an_older_or_another_bundle_holds():
    record = TrainingRecord.model_validate({"network": "conv", "seconds": 2, "trimmed": 3})
    assert record.network == "conv"
    assert record.calibration_images == {}
    assert record.model_dump(mode="json")["trimmed"] == 3
