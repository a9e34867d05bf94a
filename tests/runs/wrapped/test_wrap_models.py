"""Models as people have them: the size of the code, odd outputs, odd shapes, paths, random ones."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
import torch
from identity import few_digits, onnx_file
from onnx import helper
from torch import nn

import residua
from residua.errors import BundleError, InputError, ShapeError
from residua.runs.open_run import open_run
from residua.runs.wrapped.outputs import are_probabilities
from residua.runs.wrapped_run import open_wrapped
from residua.server.load import advise_on_engine
from training_wing import blobs

layers = keras.layers
ONE = {"size": (8, 8), "channels": 1}


class Two(nn.Module):
    """An encoder and a decoder, registered in the wrong order, that gives the code as well."""

    def __init__(self, code=3):
        super().__init__()
        self.decoder, self.encoder = nn.Linear(code, 64), nn.Linear(64, code)

    def forward(self, x):
        code = self.encoder(x.flatten(1))
        return torch.sigmoid(self.decoder(code)).reshape(x.shape), code


class Skipping(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 1, 8), nn.ConvTranspose2d(1, 1, 8)

    def forward(self, x):
        return torch.sigmoid(self.up(self.down(x)) + x)


class Sampling(nn.Module):
    def __init__(self, noise):
        super().__init__()
        self.noise = noise

    def forward(self, x):
        return x * 0.9 + self.noise * torch.randn_like(x)


def keras_model(*inner, shape=(8, 8, 1)):
    return keras.Sequential([keras.Input(shape), *inner])


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> str:
    return few_digits(tmp_path_factory.mktemp("few"))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "latent"),
    [
        (lambda: Two(3), 3),
        (Skipping, 64),
        (
            lambda: nn.Sequential(
                nn.Conv2d(1, 4, 4, 4), nn.ConvTranspose2d(4, 1, 4, 4), nn.Sigmoid()
            ),
            16,
        ),
        (lambda: torch.jit.trace(Two(5), torch.zeros(1, 1, 8, 8)), 5),
    ],
    ids=["linear", "skip", "convolutions", "script"],
)
def test_the_size_of_a_torch_code_is_what_is_alive_at_once(make, latent):
    model = residua.wrap(make(), **ONE)
    assert model.contract.latent == latent
    assert (model.contract.outputs.name, model.contract.layout) == ("unit", "nchw")


def test_the_size_of_a_code_is_measured_in_keras_and_in_onnx(tmp_path):
    flat = [
        layers.Flatten(),
        layers.Dense(6, "relu"),
        layers.Dense(64, "sigmoid"),
        layers.Reshape((8, 8, 1)),
    ]
    assert residua.wrap(keras_model(*flat)).contract.latent == 6
    encoder = keras_model(layers.Flatten(), layers.Dense(3))
    decoder = keras_model(layers.Dense(64, "sigmoid"), layers.Reshape((8, 8, 1)), shape=(3,))
    image = keras.Input((8, 8, 1))
    assert residua.wrap(keras.Model(image, decoder(encoder(image)))).contract.latent == 3
    options = {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
    torch.onnx.export(Two(4).eval(), (torch.zeros(1, 1, 8, 8),), tmp_path / "m.onnx", **options)
    model = residua.wrap(tmp_path / "m.onnx")
    assert (model.contract.latent, model.contract.outputs.name) == (4, "unit")


def test_pca_beside_a_model_has_as_many_numbers_as_its_code_else_several_sizes():
    images = residua.load_images("digits")
    train, test = images.train[:300], images.test[:120]
    errors = {}
    for latent in (2, 32):
        told = residua.wrap(lambda x: x * 0.9, values="unit", latent=latent, **ONE)
        record = told.evaluate(test, train=train)
        assert set(record.baselines) == {"mean_image", "pca"}
        errors[latent] = record.baselines["pca"]["mse"].value
    open_ = residua.wrap(lambda x: x * 0.9, values="unit", **ONE).evaluate(test, train=train)
    assert set(open_.baselines) == {"mean_image", "pca_2", "pca_8", "pca_32"}
    for latent, error in errors.items():
        assert open_.baselines[f"pca_{latent}"]["mse"].value == pytest.approx(error, rel=1e-6)
    found = {one.code: one for one in open_.findings}
    assert found["not-better-than-baseline"].measured["baselines"].keys() == {"mean_image"}
    assert found["unknown-code-size"].severity == "note"
    assert residua.wrap(Two(3), **ONE).evaluate(test, train=train).baselines.keys() == {
        "mean_image",
        "pca",
    }


def test_a_keras_input_without_channels_is_one_of_grey_images():
    model = residua.wrap(
        keras_model(
            layers.Flatten(),
            layers.Dense(8),
            layers.Dense(80, "sigmoid"),
            layers.Reshape((10, 8)),
            shape=(10, 8),
        )
    )
    assert (model.contract.layout, model.contract.size, model.contract.channels) == (
        "nhw",
        (10, 8),
        1,
    )
    images = blobs(3, (10, 8))
    expected = model.model.predict_on_batch(np.asarray(images, np.float32).reshape(3, 10, 8) / 255)
    assert np.allclose(model.reconstruct(images)[..., 0], expected, atol=1e-6)


class Subclassed(keras.Model):
    def __init__(self, named=False):
        super().__init__()
        self.named = named
        self.decode, self.encode = layers.Dense(64, "sigmoid"), layers.Dense(5)
        self.flat, self.back = layers.Flatten(), layers.Reshape((8, 8, 1))

    def call(self, x):
        code = self.encode(self.flat(x))
        x_hat = self.back(self.decode(code))
        return {"code": code, "x_hat": x_hat} if self.named else x_hat


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_a_subclassed_keras_model_is_taken_built_or_not_with_a_mapping_of_outputs_or_not(
    built, named
):
    model = Subclassed(named)
    if built:
        model(np.zeros((1, 8, 8, 1), np.float32))
    wrapped = residua.wrap(model, **({} if built and not named else ONE))
    assert wrapped.contract.latent == 5
    assert wrapped.reconstruct(blobs(2, (8, 8))).shape == (2, 8, 8, 1)
    assert wrapped.n_classes == 0


def test_a_code_is_no_probability_and_rows_that_sum_to_one_are():
    images = blobs(4, (8, 8))
    with_code = residua.wrap(Two(3), **ONE)
    assert with_code.n_classes == 0
    assert [one.taken for one in with_code.assumptions if one.about == "outputs of the model"] == [
        "output 2 of 2 left aside"
    ]
    with pytest.raises(InputError, match="gives x_hat alone"):
        with_code.probabilities(images)
    sure = residua.wrap(lambda x: (x, np.full((len(x), 2), 0.5, np.float32)), values="unit", **ONE)
    assert sure.n_classes == 2
    assert [one.to_tell for one in sure.assumptions] == ["classes="]


def test_classes_name_the_columns_in_the_models_order():
    def model(x):
        bright = (x.mean(axis=(1, 2, 3)) > 0.3).astype(np.float32)
        return x, np.stack([bright, 1 - bright], axis=1)

    images = np.concatenate(
        [np.zeros((6, 8, 8, 1), np.uint8), np.full((6, 8, 8, 1), 200, np.uint8)]
    )
    labels = ["dark"] * 6 + ["light"] * 6
    wrapped = residua.wrap(model, values="unit", classes=("light", "dark"), **ONE)
    assert wrapped.evaluate(images, labels).metrics["accuracy"].value == 1
    one_column = residua.wrap(
        lambda x: (x, model(x)[1][:, :1]), values="unit", classes=("dark", "light"), **ONE
    )
    assert one_column.evaluate(images, labels).metrics["accuracy"].value == 1
    with pytest.raises(ShapeError, match="probabilities of the 3 classes"):
        residua.wrap(model, values="unit", classes=("a", "b", "c"), **ONE)
    with pytest.raises(ShapeError, match="rows that sum to 1"):
        residua.wrap(
            lambda x: (x, 3 * model(x)[1]), values="unit", classes=("light", "dark"), **ONE
        )


def test_labels_that_nothing_says_the_use_of_are_refused_and_those_of_a_set_are_told():
    model = residua.wrap(lambda x: x * 0.9, values="unit", **ONE)
    images, labels = blobs(12, (8, 8)), ["good", "bad"] * 6
    with pytest.raises(InputError, match=r"Pass normal="):
        model.evaluate(images, labels)
    assert model.evaluate(images, labels, normal="good").job == "detect"
    assert model.evaluate(images, labels, job="reconstruct").job == "reconstruct"
    aside = model.evaluate(residua.load_images("digits").test[:30])
    assert "labels of the images" in {one["about"] for one in aside.provenance["assumptions"]}
    with pytest.raises(InputError, match="has its own labels"):
        model.evaluate(residua.load_images("digits").test, [0])


def test_channels_that_move_from_last_to_first_are_refused_and_not_scrambled():
    with pytest.raises(ShapeError, match="x_hat of the input's shape"):
        residua.wrap(lambda x: x.transpose(0, 3, 1, 2), values="unit", size=(8, 8), channels=3)


def test_a_keras_file_is_taken_by_its_path_and_pickles_are_refused_with_the_way_out(tmp_path):
    model = keras_model(layers.Conv2D(1, 3, padding="same", activation="sigmoid"))
    model.save(tmp_path / "m.keras")
    wrapped, images = residua.wrap(str(tmp_path / "m.keras")), blobs(3, (8, 8))
    assert np.allclose(
        wrapped.reconstruct(images), residua.wrap(model).reconstruct(images), atol=1e-6
    )
    (tmp_path / "broken.keras").write_bytes(b"no archive")
    with pytest.raises(BundleError, match="must load again from its file"):
        residua.wrap(tmp_path / "broken.keras")
    for name, way in (
        ("m.pt", "torch.jit.load"),
        ("m.pth", "weights_only=True"),
        ("m.h5", "keras.models.load_model"),
    ):
        with pytest.raises(InputError, match=way):
            residua.wrap(name)


def test_a_rescaling_first_layer_says_bytes_or_leaves_the_question_open():
    end = layers.Conv2D(1, 3, padding="same", activation="sigmoid")
    model = residua.wrap(keras_model(layers.Rescaling(1 / 255), end))
    assert (model.contract.inputs.name, model.contract.outputs.name) == ("bytes", "unit")
    with pytest.raises(ShapeError, match="a model that rescales them itself"):
        residua.wrap(keras_model(layers.Rescaling(1 / 100), end))


def test_a_module_is_left_as_it_was_frozen_parts_double_precision_and_all():
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.BatchNorm2d(2),
        nn.Dropout(0.5),
        nn.Conv2d(2, 1, 1),
        nn.Sigmoid(),
    )
    module.double().train()
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model = residua.wrap(module, batch_size=1, **ONE)
    assert not model.is_random
    assert [one.training for one in module] == [True, False, True, True, True]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    channels_last = residua.wrap(module.float().to(memory_format=torch.channels_last), **ONE)
    images = blobs(3, (8, 8))
    assert np.allclose(channels_last.reconstruct(images), model.reconstruct(images), atol=1e-5)


def test_a_random_model_is_told_with_how_far_it_moves_and_averaging_brings_it_nearer():
    images = residua.load_images("digits", normal="0")
    moved = {}
    for samples in (1, 16):
        torch.manual_seed(0)
        model = residua.wrap(Sampling(0.3), values="unit", samples=samples, **ONE)
        assert model.is_random
        model.choose_threshold("quantile:0.9", images.calibration)
        found = {one.code: one for one in model.evaluate(images.test).findings}["random-model"]
        moved[samples] = found.measured["moves"]
        assert found.severity == "error"
        assert found.measured["n_images"] == min(256, len(images.test))
    assert moved[16] < moved[1] / 4
    steady = residua.wrap(Sampling(0.0), values="unit", **ONE).evaluate(images.test)
    assert "random-model" not in {one.code for one in steady.findings}


def test_a_random_model_that_is_saved_is_not_served_as_one_that_repeats_itself(few, tmp_path):
    still = residua.wrap(onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1]), values="unit")
    noisy = onnx.load(tmp_path / "m.onnx")
    noisy.graph.node[-1].output[0] = "dimmed"
    noisy.graph.node.extend(
        [
            helper.make_node("RandomNormalLike", ["dimmed"], ["noise"], scale=0.1),
            helper.make_node("Add", ["dimmed", "noise"], ["out"]),
        ]
    )
    onnx.save(noisy, tmp_path / "noisy.onnx")
    run = still.save(tmp_path / "still", source=few, normal="0")
    assert not open_run(run).is_random
    assert "a score depends on its image alone" in advise_on_engine(run, "torch")
    run = residua.wrap(tmp_path / "noisy.onnx", values="unit").save(
        tmp_path / "noisy", source=few, normal="0"
    )
    assert open_run(run).is_random
    assert open_wrapped(run)[0].is_random
    assert "another score each time" in advise_on_engine(run, "torch")


def test_probabilities_are_rows_that_sum_to_one():
    assert are_probabilities(np.array([[0.25, 0.75], [1, 0]]))
    assert not are_probabilities(np.array([[0.25, 0.7]]))
    assert not are_probabilities(np.array([[1.5, -0.5]]))
    assert not are_probabilities(np.array([[1, 0]]))
