"""Runs that look at images in tiles, or within a region: one path through training, exports,
evaluation and the server."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import residua
from residua.cli.engine_table import print_export
from residua.engines import KINDS
from residua.engines.interface import score_with
from residua.errors import InputError
from residua.images.region import Region
from residua.metrics import PixelTally
from residua.runs.engines import export_run, open_trained
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.learning.features import StoredFeatures
from residua.runs.learning.learn import learn_run
from residua.runs.progress import Watcher
from residua.runs.trained_run import TrainedRun
from residua.server import load_model
from residua.training.bundle import load_bundle
from residua.training.fitting.options import make_options

ROWS, COLUMNS = 4, 6  # digits a picture, of 8 x 8 pixels each


def pictures(n: int, *, odd: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of real zeros, (n, 32, 48), and the masks of the one other digit in odd ones."""
    digits, rng = load_digits(), np.random.default_rng(seed)
    shades = (digits.images * 15.9).astype(np.uint8)
    zeros, others = shades[digits.target == 0], shades[digits.target == 4]
    grid = zeros[rng.integers(len(zeros), size=(n, ROWS, COLUMNS))]
    masks = np.zeros(grid.shape, np.bool_)
    for row in range(n if odd else 0):
        place = (row, *rng.integers((ROWS, COLUMNS)))
        grid[place], masks[place] = others[rng.integers(len(others))], True
    whole = [one.swapaxes(2, 3).reshape(n, 8 * ROWS, 8 * COLUMNS) for one in (grid, masks)]
    return whole[0], whole[1]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    lines = ["path,label,mask,split"]
    for label, split, n in (("good", "train", 40), ("good", "test", 12), ("odd", "test", 12)):
        images, masks = pictures(n, odd=label == "odd", seed=len(lines))
        for row in range(n):
            names = [f"{split}-{label}-{row}.png", f"{split}-{label}-{row}-mask.png"]
            Image.fromarray(images[row]).save(folder / names[0])
            if label == "odd":
                Image.fromarray(masks[row].astype(np.uint8) * 255).save(folder / names[1])
            lines.append(f"{names[0]},{label},{names[1] if label == 'odd' else ''},{split}")
    (folder / "set.csv").write_text("\n".join(lines) + "\n")
    return folder / "set.csv"


def fit_tiled(source, out, told=None, **options) -> TrainedRun:
    given = {"job": "detect", "source": str(source), "normal": ("good",), "recipe": "pca"}
    watcher = Watcher(on_note=told.append) if told is not None else Watcher()
    return fit_run(
        make_options(**{**given, "size": 16, "seed": 0, **options}), out, watcher=watcher
    )


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def run(source, notes, tmp_path_factory) -> TrainedRun:
    inside = np.ones((4, 6), np.uint8)
    inside[:, 0] = 0
    return fit_tiled(
        source,
        tmp_path_factory.mktemp("run") / "run",
        notes,
        tiles="2",
        region=Region.of_mask(inside),
    )


def test_the_fit_tells_the_tiles_and_what_may_vanish_and_stores_both(run, notes):
    told = next(
        one
        for one in notes
        if one.startswith("images are cut to the box around the region, 83% of the picture")
    )
    assert (
        "boxes of 32x40 (height x width) are cut into 2 x 2 tiles of 18x22" in told
        and "narrower than about 4 px" in told
    )
    config = load_bundle(run.bundle).config
    assert (config.tiling.rows, config.tiling.columns) == (2, 2)
    assert config.region.share == pytest.approx(5 / 6)
    assert config.training.images + config.training.validation_images == 32
    assert told in run.summary()["notes"]


def test_the_same_scores_and_maps_from_torch_from_files_and_from_the_server(run, source, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    copied = TrainedRun(tmp_path / "run")
    images = residua.load_images(source).test
    expected = score_with(open_trained(copied, "torch", Watcher()).engine, images, maps=True)
    assert expected.maps[0].shape == (32, 48) and not expected.maps[0][:, :8].any()
    assert 0 < expected.anomalous.sum() < len(images)
    for name in ("onnx", "openvino"):
        pytest.importorskip("onnxruntime" if name == "onnx" else name)
        card = export_run(copied.path, KINDS[name])
        assert "anomalous" not in card.outputs and card.outputs["score"].startswith("of tiles")
        scored = score_with(open_trained(copied, name, Watcher()).engine, images, maps=True)
        np.testing.assert_allclose(scored.score, expected.score, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(scored.anomalous, expected.anomalous)
        np.testing.assert_allclose(scored.maps, expected.maps, atol=1e-5)
        served = load_model(copied.path, name).engine.score([images[0]], maps=True, columns=False)
        assert served.score[0] == pytest.approx(scored.score[0], rel=1e-6)


def test_a_small_defect_is_seen_in_tiles_and_fades_in_the_whole_picture(run, source, tmp_path):
    whole = fit_tiled(source, tmp_path / "whole")
    tiled = fit_tiled(source, tmp_path / "tiled", tiles="auto")
    found = [evaluate_run(one.path).evaluation.metrics["roc_auc"].value for one in (whole, tiled)]
    assert found[1] > found[0] + 0.05 and found[1] > 0.9, found


def test_pixels_outside_the_region_count_nowhere(run, source):
    evaluation = evaluate_run(run.path).evaluation
    assert "cut into 2 x 2 tiles" in str(evaluation.provenance["resize"])
    images, engine = residua.load_images(source).test, run.model().engine
    maps = engine.score(list(images), maps=True).maps
    cut = PixelTally()
    for mask, one in zip(images.masks, maps, strict=True):
        cut.add(None if mask is None else mask[:, 8:], one[:, 8:])
    assert evaluation.metrics["pixel_roc_auc"].value == cut.roc_auc()
    assert evaluation.metrics["aupro"].value == cut.aupro()
    changed = images[0].copy()
    changed[:, :8] = 255 - changed[:, :8]
    one, other = engine.score([images[0]]), engine.score([changed])
    assert one.score[0] == other.score[0] and one.columns["mse"][0] == other.columns["mse"][0]


def test_tiles_learn_and_a_false_alarm_in_one_hides_no_defect_in_another(run, source, tmp_path):
    images = residua.load_images(source)
    before = run.model().engine
    odd = np.flatnonzero(images.test.is_anomalous)[:6]
    # A picture with a false alarm in one place, and the same with a defect in another one too.
    alarm = images.test[0].copy()
    alarm[2:12, 12:22] = 255 - alarm[2:12, 12:22]
    both = alarm.copy()
    both[20:30, 36:46] = 128
    for name, picture in (("good/alarm", alarm), ("good/again", alarm // 2 + alarm // 4)):
        (tmp_path / "said/good").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture[..., 0]).save(tmp_path / "said" / f"{name}.png")
    for number, n in enumerate(odd):
        kind = tmp_path / "said/defect" / ("four" if number % 2 else "other")
        kind.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images.test[int(n)][..., 0]).save(kind / f"{n}.png")
    record = learn_run(run.path, str(tmp_path / "said"), tmp_path / "run2")
    learnt = TrainedRun(tmp_path / "run2")
    bundle, after = load_bundle(learnt.bundle), learnt.model().engine
    assert (record.n_alarms, record.defects.n) == (2, len(odd))
    paths = learnt.read_images("path", "part")
    held = np.isin(images.paths, paths["path"][paths["part"] == "calibration"])
    scored = score_with(after, images[np.flatnonzero(held)])
    np.testing.assert_allclose(
        np.sort(scored.score), np.sort(bundle.calibration_scores), rtol=1e-4, atol=1e-4
    )
    assert before.score([alarm]).anomalous[0] and not after.score([alarm]).anomalous[0]
    assert after.score([both]).anomalous[0]
    kinds = after.score([both]).probabilities
    assert kinds.shape == (1, 3) and kinds.sum() == pytest.approx(1)
    export_run(learnt.path, KINDS["onnx"])
    exported = TrainedRun(learnt.path).model("onnx").engine.score([alarm, both])
    np.testing.assert_allclose(exported.score, after.score([alarm, both]).score, atol=1e-4)
    again = learn_run(learnt.path, str(tmp_path / "said"), tmp_path / "run3")
    assert again.threshold_after == pytest.approx(record.threshold_after)


def test_the_tile_under_the_mask_of_a_defect_teaches(run, source, tmp_path):
    images = residua.load_images(source).test
    row = int(np.flatnonzero(images.is_anomalous)[0])
    Image.fromarray(images[row][..., 0]).save(tmp_path / "a.png")
    taught = []
    for corner in (np.s_[:4, 12:16], np.s_[-4:, -4:]):
        mask = np.zeros(images[row].shape[:2], np.uint8)
        mask[corner] = 255
        Image.fromarray(mask).save(tmp_path / "mask.png")
        (tmp_path / "said.csv").write_text("path,label,mask\na.png,defect,mask.png\n")
        learn_run(run.path, str(tmp_path / "said.csv"), tmp_path / f"run{len(taught)}")
        stored = StoredFeatures.load(TrainedRun(tmp_path / f"run{len(taught)}"))
        taught.append(stored.of("defect").teaches.tolist())
    assert taught == [[[True, False, False, False]], [[False, False, False, True]]]


def test_images_of_another_size_are_told_and_the_region_scales_with_them(run, source, tmp_path):
    (tmp_path / "larger").mkdir()
    image = Image.open(source.parent / "test-good-0.png")
    image.resize((96, 64), Image.Resampling.BILINEAR).save(tmp_path / "larger" / "a.png")
    told: list[str] = []
    evaluate_run(run.path, str(tmp_path / "larger"), watcher=Watcher(on_note=told.append))
    assert any("1 image of other sizes" in one and "scale with each image" in one for one in told)
    larger = np.asarray(Image.open(tmp_path / "larger" / "a.png"))[..., None]
    error_map = run.model().engine.score([larger], maps=True).maps[0]
    assert error_map.shape == (64, 96) and error_map[:, 16:].all() and not error_map[:, :16].any()


def test_a_region_of_another_shape_than_the_images_is_told(source, run, tmp_path):
    Image.fromarray(np.ones((6, 4), np.uint8)).save(tmp_path / "turned.png")
    told: list[str] = []
    fit_tiled(source, tmp_path / "run", told, region=tmp_path / "turned.png")
    assert "height / width 1.50, and is stretched to the images' 0.67" in " ".join(told)
    assert "stretched to" not in " ".join(run.summary()["notes"])


def test_the_file_of_a_model_with_a_region_takes_the_box_around_it(source, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    (tmp_path / "region.json").write_text(
        json.dumps({"polygons": [[[0.25, 0], [1, 0], [1, 1], [0.25, 1]]]})
    )
    run = fit_tiled(source, tmp_path / "run", region=tmp_path / "region.json")
    print_export(export_run(run.path, KINDS["onnx"]), run.export)
    assert "not whole ones" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(InputError, match="wrap: a file must take whole images"):
        residua.wrap(run.export / "model.onnx", size=(32, 36), channels=1, values="unit")
    session = onnxruntime.InferenceSession(str(run.export / "model.onnx"))
    assert {"anomalous"}.isdisjoint(one.name for one in session.get_outputs())
    image = residua.load_images(source).test[0]
    expected = run.model().engine.score([image], maps=True)
    score, error_map = session.run(["score", "error_map"], {"images": image[None, :, 12:]})
    assert score[0] == pytest.approx(expected.score[0], rel=1e-5)
    np.testing.assert_allclose(error_map[0], expected.maps[0][:, 12:], atol=1e-6)
    assert not expected.maps[0][:, :12].any()


def test_the_estimator_takes_tiles_and_a_region_and_keeps_them(source, tmp_path):
    images = residua.load_images(source, normal="good")
    detector = residua.OneClassDetector("pca", size=16, tiles=2, region=np.ones((2, 2)), seed=0)
    scores = detector.fit(images.train).anomaly_scores(images.test)
    detector.save(tmp_path / "run")
    loaded = residua.OneClassDetector.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.anomaly_scores(images.test), scores)
    assert loaded.get_params()["tiles"] == 2 and loaded.get_params()["region"].share == 1
    with pytest.raises(InputError, match="must see whole images"):
        loaded.transform(images.test)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"job": "classify", "tiles": 2}, "--tiles is for --job detect"),
        ({"job": "reconstruct", "region": np.ones((2, 2))}, "--region is for --job detect"),
        ({"job": "detect", "tiles": "many"}, "auto or a whole number from 1 to 64. Got many"),
        ({"job": "detect", "tiles": 0}, r"^fit: --tiles must be auto .* to 64\. Got 0\. [^.]*\.$"),
        ({"job": "detect", "tiles": 2, "trim": 0.1}, "trim drops whole images"),
        ({"job": "detect", "product": "folder", "trim": 0.1}, "the most varied one"),
        ({"job": "detect", "region": "none.png"}, r"fit: none.png: must hold a region.*[^.]\.$"),
    ],
)
def test_what_tiles_cannot_be_combined_with_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        make_options(**options)
