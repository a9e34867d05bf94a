"""Denoisers, inpainters and super-resolvers: judged by what they should give, beside the input left
as it is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from identity import onnx_file
from PIL import Image

import residua
from residua.errors import InputError, ShapeError
from residua.images.resize import fit_to
from residua.runs.evaluate import evaluate_run

ONE = {"values": "unit", "size": (8, 8), "channels": 1}


@pytest.fixture(scope="module")
def pairs():
    """Clean digits, and the same with noise."""
    clean = residua.load_images("digits").test.array()
    noise = np.random.default_rng(0).normal(0, 60, clean.shape)
    return clean, np.clip(clean + noise, 0, 255).astype(np.uint8)


def denoiser(clean, noisy):
    """Gives three quarters of the way from a noisy digit to the clean one."""
    known = {x.tobytes(): y for x, y in zip(np.rint(noisy).astype(np.uint8), clean, strict=True)}

    def model(x):
        bytes_ = np.rint(x * 255).astype(np.uint8)
        clean_ = np.stack([known.get(one.tobytes(), one) for one in bytes_])
        return x + 0.75 * (clean_.astype(np.float32) / 255 - x)

    return model


def test_a_denoiser_is_judged_against_the_clean_images_beside_the_noisy_ones(pairs):
    clean, noisy = pairs
    model = residua.wrap(denoiser(clean, noisy), **ONE)
    true = float(np.square((noisy.astype(float) - clean) / 255).mean())
    for record in (
        model.evaluate(noisy, targets=clean),
        residua.wrap(denoiser(clean, noisy), targets=clean, **ONE).evaluate(noisy),
        residua.wrap(denoiser(clean, noisy), targets=lambda images: clean, **ONE).evaluate(noisy),
    ):
        assert record.metrics["mse"].value == pytest.approx(true / 16, rel=1e-3)
        assert record.baselines["input_unchanged"]["mse"].value == pytest.approx(true, rel=1e-4)
        assert {"psnr", "ssim"} <= record.baselines["input_unchanged"].keys()
        found = {one.code: one for one in record.findings}
        assert not {"collapsed-reconstruction", "underfitting", "misread-scale"} & found.keys()
        assert found["not-better-than-baseline"].severity == "ok"
        assert found["not-better-than-baseline"].measured["baseline"] == "input_unchanged"
        assert record.provenance["targets"] == "arrays"


def test_a_denoiser_that_does_nothing_adds_nothing_to_its_input(pairs):
    clean, noisy = pairs
    record = residua.wrap(lambda x: x, **ONE).evaluate(noisy, targets=clean)
    found = {one.code: one for one in record.findings}
    assert found["not-better-than-baseline"].severity == "warning"


def test_a_super_resolver_is_judged_at_the_size_it_gives():
    large = residua.load_images("digits").test.array((16, 16))

    def doubled(x):
        return np.clip(fit_to(x, (16, 16)) * 0.9, 0, 1)

    with pytest.raises(ShapeError, match="targets= if it changes the size"):
        residua.wrap(doubled, **ONE)
    model = residua.wrap(doubled, targets=lambda images: images, **ONE)
    assert model.contract.rebuilt == (16, 16)
    record, evidence = model.judge(large, train=large[:50])
    small = fit_to(fit_to(large, (8, 8)), (16, 16))
    truth = large.astype(np.float32) / 255
    assert record.metrics["mse"].value == pytest.approx(
        float(np.square(0.9 * small - truth).mean()), rel=1e-4
    )
    assert record.baselines["input_unchanged"]["mse"].value == pytest.approx(
        float(np.square(small - truth).mean()), rel=1e-4
    )
    assert {"mean_image", "pca_2"} <= record.baselines.keys()
    assert (
        evidence.gallery.images.shape[1:]
        == evidence.gallery.reconstructions.shape[1:]
        == (16, 16, 1)
    )
    lifted = evidence.gallery.index
    assert np.allclose(
        evidence.gallery.error_maps, np.square(0.9 * small - truth)[lifted, :, :, 0], atol=1e-5
    )
    assert model.error_maps(large[:2])[0].shape == (16, 16)


def write(folder, images, suffix=".png"):
    folder.mkdir(parents=True)
    for row, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{row:03d}{suffix}")
    return str(folder)


def test_targets_of_a_folder_are_found_by_name_whatever_the_order_and_suffix(tmp_path, pairs):
    clean, noisy = (one[:12] for one in pairs)
    inputs = residua.load_images(write(tmp_path / "noisy", noisy))
    inputs = inputs[np.arange(len(inputs))[::-1]]
    targets = write(tmp_path / "clean", clean, ".bmp")
    record = residua.wrap(denoiser(*pairs), targets=targets, **ONE).evaluate(inputs)
    true = float(np.square((noisy.astype(float) - clean) / 255).mean())
    assert record.metrics["mse"].value == pytest.approx(true / 16, rel=1e-3)
    (tmp_path / "clean" / "003.bmp").unlink()
    with pytest.raises(
        ShapeError, match=r"one target of its own name.*1 of 12 images, such as '003'"
    ):
        residua.wrap(denoiser(*pairs), targets=targets, **ONE).evaluate(inputs)


def test_targets_that_do_not_fit_are_refused(pairs):
    clean, noisy = pairs
    model = residua.wrap(lambda x: x, **ONE)
    with pytest.raises(ShapeError, match="targets must be one per image"):
        model.evaluate(noisy, targets=clean[:-1])
    with pytest.raises(InputError, match="targets must be judged as reconstructions"):
        model.evaluate(noisy, targets=clean, job="detect")


def test_a_run_keeps_the_source_of_its_targets_and_a_function_of_them_is_refused(
    tmp_path, pairs, monkeypatch
):
    clean, noisy = (one[:40] for one in pairs)
    source = write(tmp_path / "noisy", noisy)
    write(tmp_path / "clean", clean)
    path = onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1])
    monkeypatch.chdir(tmp_path)
    run = residua.wrap(path, values="unit", targets="clean").save(tmp_path / "run", source=source)
    monkeypatch.chdir("/")
    record, _ = evaluate_run(run)
    assert record.provenance["targets"] == str(tmp_path / "clean")
    true = np.square(0.9 * noisy.astype(float) / 255 - clean / 255).mean()
    # of the images that the split calls test
    assert record.metrics["mse"].value == pytest.approx(true, rel=0.2)
    assert "input_unchanged" in record.baselines
    with pytest.raises(InputError, match="must be a SOURCE to be kept"):
        residua.wrap(path, values="unit", targets=clean).save(tmp_path / "other", source=source)
    state = json.loads((run / "wrapped.json").read_text("utf-8"))
    (run / "wrapped.json").write_text(
        json.dumps({**state, "targets": "https://127.0.0.1:1/x/", "made_here": ""}), "utf-8"
    )
    with pytest.raises(InputError, match="must be named by you"):
        evaluate_run(run)
