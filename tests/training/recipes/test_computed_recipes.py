"""`pca` and `neighbours`: baselines as models, computed from the images without a step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import residua
from residua import Autoencoder, OneClassDetector
from residua.baselines import DETECTORS, pca_scores, pixel_neighbour_scores
from residua.errors import InputError, TrainingError
from residua.images import ImageSet
from residua.metrics.names import RECIPES_OF_BASELINES
from residua.runs.baselines import detecting_baselines, reconstructing_baselines
from residua.runs.benchmark.benchmark import BenchmarkOptions, run_benchmark
from residua.runs.bundle_model import model_of_bundle
from residua.runs.evaluate import _not_applicable
from residua.runs.fit import fit_run
from residua.runs.parts import JudgedImages
from residua.training.fitting.options import make_options
from residua.training.fitting.session import FitSession, Hold
from residua.training.loop.settings import TrainingSettings
from residua.training.networks import ImageShape
from residua.training.recipes import RECIPES, make_recipe
from residua.training.recipes.neighbours import Neighbours
from residua.training.scoring.bank import Bank
from residua.training.scoring.prepare import Prepare
from residua.training.scoring.prepared_store import StoredImages
from residua.training.scoring.principal import principal_components
from training_wing import blobs

SHAPES = [((8, 8), 1), ((40, 52), 3)]


def images_of(size, channels):
    """Training images, and others of which some have a defect."""
    others = blobs(30, size, channels, seed=4)
    others[::3, : size[0] // 3, : size[1] // 2] = 200
    return blobs(90, size, channels), others


def as_floats(images):
    return images.astype(np.float32) / 255


@pytest.mark.parametrize(("size", "channels"), SHAPES)
@pytest.mark.parametrize(
    ("recipe", "baseline"),
    [
        (make_recipe("pca", latent=6), pca_scores),
        (make_recipe("neighbours"), pixel_neighbour_scores),
    ],
    ids=["pca", "neighbours"],
)
def test_scores_are_those_of_the_baseline(recipe, baseline, size, channels):
    train, others = images_of(size, channels)
    detector = OneClassDetector(recipe).fit(train, calibration=others[1::3])
    expected = baseline(as_floats(train), as_floats(others), latent=6)
    # The baseline's randomised components are approximate, more so than those of the recipe.
    tolerance = 2e-3 if baseline is pca_scores else 1e-5
    assert np.allclose(detector.anomaly_scores(others), expected, rtol=tolerance)


def test_all_components_of_digits_give_the_residuals_of_an_exact_decomposition(digits):
    from sklearn.decomposition import PCA

    train = digits.train[np.flatnonzero(~digits.train.is_anomalous)]
    detector = OneClassDetector("pca").fit(train, calibration=digits.calibration)
    flat, test = (
        as_floats(np.stack(list(some))).reshape(len(some), -1) for some in (train, digits.test)
    )
    exact = PCA(4, svd_solver="full").fit(flat.astype(np.float64))
    rest = test - exact.inverse_transform(exact.transform(test))
    assert np.allclose(detector.anomaly_scores(digits.test), (rest**2).mean(1), rtol=1e-4)


@pytest.mark.parametrize(("latent", "components"), [(None, 10), (20, 20)])
def test_few_images_give_few_components_unless_more_are_asked_for(latent, components):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 52, 1), np.uint8)
    detector = OneClassDetector(make_recipe("pca", latent=latent)).fit(
        pixels[:30], calibration=pixels[30:]
    )
    assert detector.bundle_.graph.scorer.network.latent == components


def test_components_of_images_in_a_file_are_those_of_images_in_memory(tmp_path):
    pixels = blobs(300, (9, 12), 3)
    images = ImageSet.from_arrays(pixels)
    prepare = Prepare((9, 12), "stretch")
    in_file = Hold(FitSession(0, tmp_path / "checkpoint"))(prepare, images)
    assert isinstance(in_file, StoredImages)
    in_memory = torch.from_numpy(as_floats(pixels)).permute(0, 3, 1, 2)
    found = [principal_components(some, 5) for some in (in_file.as_unit(), in_memory)]
    assert torch.allclose(found[0][0], found[1][0])
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)
    products = found[0][1] @ found[0][1].T
    assert torch.allclose(products, torch.eye(5), atol=1e-5)


def test_images_that_show_fewer_directions_give_fewer_components():
    alike = np.full((20, 8, 8), 90, np.uint8)
    assert OneClassDetector("pca").fit(alike).transform(alike).shape == (20, 1)
    assert OneClassDetector("pca").fit(alike).anomaly_scores(alike).max() < 1e-9
    two = np.concatenate([alike[:10], alike[10:] // 2])
    assert Autoencoder(make_recipe("pca", latent=9)).fit(two).transform(two).shape == (20, 1)


def test_the_nearest_of_a_bank_are_measured_without_cancellation():
    torch.manual_seed(0)
    vectors = 1000 + torch.rand(50, 30)
    bank = Bank(30, n_nearest=3)
    bank.fit(vectors)
    found = bank(vectors[:7])
    assert float(found.distances[:, 0].max()) < 1e-3  # an ulp of 1000 is 6e-5
    exact = torch.cdist(vectors[:7].double(), vectors.double()).sort(1).values[:, 1:3]
    assert torch.allclose(found.distances[:, 1:].double(), exact, rtol=1e-3)
    assert torch.allclose(found.vectors, vectors[:7])


def test_a_bank_of_fewer_vectors_than_are_asked_for_gives_what_it_has():
    bank = Bank(2, n_nearest=5)
    bank.fit(torch.tensor([[0.0, 0.0], [0.0, 3.0]]))
    assert bank(torch.tensor([[0.0, 1.0]])).distances.tolist() == [[1.0, 2.0]]


def test_the_nearest_image_is_the_reconstruction_and_the_map_shows_where_it_differs():
    train = blobs(40, (12, 12))
    broken = train[:1].copy()
    broken[0, 2:4, 2:4] = 255
    detector = OneClassDetector("neighbours").fit(train, calibration=blobs(10, (12, 12), seed=2))
    assert np.allclose(detector.reconstruct(broken)[0], as_floats(train[0]), atol=1e-6)
    (error_map,) = detector.error_maps(broken)
    assert error_map[2:4, 2:4].min() > 0.1 and error_map[6:].max() < 1e-9


def test_all_training_images_teach_it_or_a_sample_that_is_told(monkeypatch):
    train = blobs(60, (8, 8))
    whole = OneClassDetector("neighbours").fit(train, calibration=train[:9])
    assert (whole.bundle_.config.training.images, len(whole.bundle_.graph.scorer.network)) == (
        60,
        60,
    )
    assert whole.bundle_.config.training.validation_images == 0
    monkeypatch.setattr(Neighbours, "most_images", lambda *_: 20)
    part = OneClassDetector("neighbours", seed=3).fit(train, calibration=train[:9])
    assert len(part.bundle_.graph.scorer.network) == part.bundle_.config.training.learnt_from == 20
    assert any("20 of the 60 training images, drawn by seed 3" in note for note in part.notes_)


def test_a_bank_is_bounded_by_images_and_by_megabytes():
    sizes = [(8, 1), (28, 1), (64, 1), (64, 3), (1024, 3)]
    most = [make_recipe("neighbours").most_images(ImageShape(n, n, c)) for n, c in sizes]
    assert most == [10_000, 10_000, 4096, 1365, 64]


@pytest.mark.parametrize("name", ["pca", "neighbours"])
def test_what_is_asked_of_training_is_told_to_be_unused(name):
    detector = OneClassDetector(name, epochs=3, learning_rate=0.1).fit(blobs(20, (8, 8)))
    assert any("--epochs, --learning-rate are not used" in note for note in detector.notes_)
    assert {name: len(column) for name, column in detector.history_.items()} == {
        "epoch": 0,
        "train_loss": 0,
        "validation_loss": 0,
        "seconds": 0,
    }
    with pytest.raises(TrainingError, match=f"recipe {name}.*trained in steps"):
        make_recipe(name).loss(torch.nn.Identity(), torch.zeros(1), torch.Generator())


def test_devices_are_refused():
    from residua.training.fitting.options import check_options

    with pytest.raises(InputError, match="computed, not trained in steps"):
        check_options(make_options("detect", recipe="pca", devices=2))


def test_trim_drops_what_lies_far_from_the_others():
    train = np.concatenate([blobs(57, (8, 8)), np.full((3, 8, 8, 1), 255, np.uint8)])
    train[57:, :4] = 0
    detector = OneClassDetector("neighbours", trim=0.05).fit(train, calibration=train[:9])
    assert len(detector.bundle_.graph.scorer.network) == 57
    assert detector.bundle_.config.training.trimmed == 3
    assert (
        float(detector.anomaly_scores(train[57:58])[0]) > detector.anomaly_scores(train[:57]).max()
    )


def test_neighbours_only_detect_and_have_no_latent_vector():
    with pytest.raises(InputError, match="recipe neighbours is for --job detect"):
        make_options("reconstruct", recipe="neighbours")
    with pytest.raises(InputError, match="latent"):
        make_recipe("neighbours", latent=3)
    detector = OneClassDetector("neighbours").fit(blobs(20, (8, 8)))
    with pytest.raises(InputError, match="has none"):
        detector.transform(blobs(2, (8, 8)))


@pytest.mark.parametrize(("name", "twin"), [("pca", "pca"), ("neighbours", "pixel_neighbours")])
def test_the_baseline_that_it_is_does_not_stand_beside_it(digits, name, twin):
    train, few = digits.train, digits.test[:9]
    detector = OneClassDetector(name).fit(train, calibration=digits.calibration)
    model = model_of_bundle(detector.bundle_)
    beside = detecting_baselines(model, train, few)
    assert set(beside) == {*DETECTORS} - {twin}
    told = {
        one.what: one.reason
        for one in _not_applicable(model, JudgedImages(few, fitted_on=train), ())
    }
    assert "computed" in told["untrained baseline"]
    assert "made as this baseline is" in told[f"baseline {twin}"]


def test_images_that_lie_in_the_model_are_not_asked_for_their_own_scores(digits):
    columns = {}
    for name in ("pca", "neighbours"):
        detector = OneClassDetector(name).fit(digits.train, calibration=digits.calibration)
        columns[name] = {one for one in detector._record.training if "history" not in one}
    assert columns == {"pca": {"train_scores", "train_mse"}, "neighbours": set()}


def test_a_reconstructor_goes_there_and_back_and_is_judged_without_its_twin(digits):
    few = digits.test[:9]
    autoencoder = Autoencoder("pca", latent=8).fit(digits.train)
    model = model_of_bundle(autoencoder.bundle_)
    prepared = model.prepare(few)
    beside = reconstructing_baselines(model, digits.train)(prepared, prepared)
    assert {name.partition("/")[0] for name in beside} == {"mean_image"}
    assert model.network.untrained(digits.train) is None
    codes = autoencoder.transform(few)
    assert codes.shape == (9, 8)
    back = autoencoder.inverse_transform(codes)
    assert np.allclose(back, autoencoder.reconstruct(few), atol=1e-6)


def test_a_benchmark_shows_a_baseline_among_its_recipes_once():
    record = run_benchmark(
        BenchmarkOptions(
            source="digits",
            normal=("3",),
            recipes=("pca", "neighbours"),
            settings=TrainingSettings(epochs=1),
        )
    )
    columns = record["summary"]["columns"]
    assert {"pca", "neighbours", "mean_image"} <= set(columns)
    assert "pixel_neighbours" not in columns and not any("untrained" in name for name in columns)
    assert record["summary"]["best_recipe"] == "neighbours"


def test_a_run_is_finished_without_a_plan(tmp_path, monkeypatch):
    monkeypatch.setattr("residua.runs.fit.check_images", lambda *_, **__: None)
    np.savez(tmp_path / "blobs.npz", x_train=blobs(60, (8, 8)), x_test=blobs(9, (8, 8), seed=1))
    options = make_options("detect", source=str(tmp_path / "blobs.npz"), recipe="pca", seed=2)
    run = fit_run(options, tmp_path / "run")
    state = run.read_state()
    assert state.finished and state.plan is None
    assert fit_run(options, tmp_path / "run", resume=True).read_state() == state
    scored = run.model().scores(residua.load_images(str(tmp_path / "blobs.npz")).test)
    assert scored.shape == (9,) and np.isfinite(scored).all()


def test_each_baseline_that_is_told_to_be_a_recipe_is_one():
    assert set(RECIPES_OF_BASELINES.values()) <= set(RECIPES)
