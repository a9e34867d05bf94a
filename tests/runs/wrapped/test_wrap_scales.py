"""What goes in is not what comes out: scales are told, read off where the model says so, and
noticed where they are wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import residua
from residua._check import Problems
from residua.errors import InputError, RangeError, ShapeError
from residua.records import assumptions_of
from residua.runs.wrapped.contract import Contract
from residua.runs.wrapped.readings import explained
from residua.runs.wrapped.scales import SCALES, read_scale

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def pictures(n=40, seed=0, channels=1):
    """Smooth pictures that use the whole range."""
    from scipy.ndimage import gaussian_filter

    fields = gaussian_filter(
        np.random.default_rng(seed).normal(size=(n, 8, 8, channels)), (0, 1, 1, 0)
    )
    return np.rint(255 * (fields - fields.min()) / np.ptp(fields)).astype(np.uint8)


def on(scale, layout_axes=(0, 1, 2, 3)):
    """A model that gives back what it gets, through images in [0, 1], with an error of .05 in each
    pixel."""
    into, out = scale

    def model(x):
        return out.to_model(np.clip(into.from_model(x), 0, 1) * 0.95)

    return model


def scale(told, channels=1):
    problems = Problems("wrap")
    found = read_scale(told, option="inputs", channels=channels, problems=problems)
    problems.raise_any()
    return found


@pytest.mark.parametrize(
    "inputs", ["unit", "-1..1", "0-255", {"mean": 0.1307, "std": 0.3081}, (0.4, 0.2)]
)
@pytest.mark.parametrize("outputs", ["0-1", "symmetric", "bytes", {"mean": (0.5,), "std": (0.25,)}])
def test_every_pair_of_scales_gives_the_true_error(inputs, outputs):
    model = residua.wrap(
        on((scale(inputs), scale(outputs))), inputs=inputs, outputs=outputs, size=(8, 8), channels=1
    )
    images = pictures()
    record = model.evaluate(images, job="reconstruct")
    true = float(np.square(0.05 * (images / 255)).mean())
    assert record.metrics["mse"].value == pytest.approx(true, rel=1e-3)
    assert not {one.code for one in record.findings} & {"misread-scale", "clipped-values"}
    assert (record.provenance["inputs"], record.provenance["outputs"]) == (
        scale(inputs).words,
        scale(outputs).words,
    )
    assert assumptions_of(record.provenance) == ()


def test_a_mean_and_deviation_per_channel_are_undone_per_channel():
    one = scale(IMAGENET, 3)
    seen = []

    def model(x):
        seen.append(x)
        return x

    wrapped = residua.wrap(model, values=IMAGENET, size=(8, 8), channels=3, layout="nchw")
    images = pictures(5, channels=3)
    assert np.allclose(wrapped.reconstruct(images), images / 255, atol=1e-6)
    white = seen[0].max(axis=(0, 2, 3))
    assert white == pytest.approx(
        [(1 - m) / s for m, s in zip(one.mean, one.std, strict=True)], rel=1e-5
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"values": "0..1"}, "values must name a scale"),
        (
            {
                "inputs": {"mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4)},
                "outputs": "unit",
            },
            "Divide both by 255",
        ),
        ({"inputs": {"mean": 0.5}, "outputs": "unit"}, "a mean and a deviation"),
        ({"inputs": ((0.5, 0.5), (0.2, 0.2)), "outputs": "unit"}, "one per channel"),
        ({"inputs": (0.5, 0.0), "outputs": "unit"}, "must be mean and deviation of images in 0-1"),
        ({"values": "unit", "outputs": "unit"}, "must not be told beside"),
        ({"inputs": "unit"}, "of what comes out"),
        ({"outputs": "unit"}, "of what goes in"),
    ],
)
def test_a_scale_that_is_none_or_open_is_refused(told, words):
    with pytest.raises((RangeError, ShapeError, InputError), match=words):
        residua.wrap(lambda x: x, size=(8, 8), channels=3, **told)


def test_what_is_read_off_is_an_assumption_and_what_is_told_is_none():
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Sigmoid())
    read = residua.wrap(module, size=(8, 8), channels=1)
    told = residua.wrap(
        module, size=(8, 8), channels=1, inputs="symmetric", outputs="unit", latent=64
    )
    assert [one.about for one in read.assumptions] == [
        "scale of what comes out",
        "scale of what goes in",
        "size of the code",
    ]
    assert read.assumptions[0].because == "the last operation is a sigmoid"
    assert told.assumptions == ()
    assert (told.contract.inputs, told.contract.outputs) == (SCALES["symmetric"], SCALES["unit"])
    images = pictures(4)
    assert assumptions_of(read.evaluate(images).provenance) == read.assumptions


@pytest.mark.parametrize(
    ("true", "told"),
    [
        (("symmetric", "unit"), ("unit", "unit")),
        (("unit", "unit"), ("symmetric", "unit")),
        (("symmetric", "symmetric"), ("symmetric", "unit")),
        (({"mean": 0.1307, "std": 0.3081}, "unit"), ("unit", "unit")),
        (("unit", {"mean": 0.45, "std": 0.22}), ("unit", "unit")),
        (("bytes", "unit"), ("unit", "unit")),
    ],
)
def test_a_wrong_scale_is_refused_or_a_finding_of_severity_error(true, told):
    """The model knows two rows of pixels at a time, so that it gives nonsense for what lies on
    another scale."""
    into, out = (scale(one) for one in true)

    def model(x):
        images = into.from_model(x)
        inside = np.where((images >= -0.01) & (images <= 1.01), images, 0.5)
        return out.to_model(0.97 * inside + 0.01)

    images = pictures()
    right = residua.wrap(model, inputs=true[0], outputs=true[1], size=(8, 8), channels=1).evaluate(
        images
    )
    assert right.metrics["mse"].value < 0.001
    assert "misread-scale" not in {one.code for one in right.findings}
    try:
        wrong = residua.wrap(
            model, inputs=told[0], outputs=told[1], size=(8, 8), channels=1
        ).evaluate(images)
    except RangeError as error:
        assert "outputs=" in str(error)
        return
    found = {one.code: one for one in wrong.findings}
    assert found["misread-scale"].severity == "error"
    assert found["misread-scale"].measured["better_explained"] > 0.9


def test_a_model_trained_on_symmetric_input_with_a_sigmoid_is_noticed_and_not_called_useless_in_silence():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Flatten(),
        torch.nn.Linear(64, 16),
        torch.nn.Linear(16, 64),
        torch.nn.Sigmoid(),
        torch.nn.Unflatten(1, (1, 8, 8)),
    )
    images = residua.load_images("digits")
    x = torch.from_numpy(images.train.array().astype(np.float32) / 255).permute(0, 3, 1, 2)
    optimiser = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(250):
        loss = torch.square(module(2 * x - 1) - x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    right = residua.wrap(
        module, inputs="symmetric", outputs="unit", size=(8, 8), channels=1
    ).evaluate(images.test)
    read_off = residua.wrap(module, size=(8, 8), channels=1).evaluate(images.test)
    assert right.metrics["mse"].value == pytest.approx(loss.item(), rel=0.3)
    assert read_off.metrics["mse"].value > 1.5 * right.metrics["mse"].value
    found = {one.code: one for one in read_off.findings}
    assert found["misread-scale"].measured["better"] == ["symmetric (-1..1)", "unit (0-1)"]
    assert "misread-scale" not in {one.code for one in right.findings}


def test_what_is_clipped_is_counted_and_told():
    def overshoots(x):
        return np.where(x > 0.99, 1.6, x)

    black_and_white = np.where(pictures() > 127, 255, 0).astype(np.uint8)
    record = residua.wrap(overshoots, values="unit", size=(8, 8), channels=1).evaluate(
        black_and_white
    )
    found, white = (
        {one.code: one for one in record.findings}["clipped-values"],
        (black_and_white > 0).mean(),
    )
    assert found.severity == "error"
    assert (found.measured["clipped_share"], found.measured["mean_beyond"]) == pytest.approx(
        (white, 0.6 * white)
    )
    linear = residua.wrap(
        lambda x: 1.04 * x - 0.02, values="unit", size=(8, 8), channels=1
    ).evaluate(black_and_white)
    assert {one.code: one for one in linear.findings}["clipped-values"].severity == "note"


def test_a_run_of_an_earlier_version_holds_one_scale_for_both():
    old = {"origin": "onnx", "layout": "nhwc", "values": "symmetric", "size": [8, 8], "channels": 1}
    assert (
        Contract.model_validate(old).inputs
        == Contract.model_validate(old).outputs
        == SCALES["symmetric"]
    )


def test_what_is_explained_is_one_for_a_copy_and_none_for_the_mean():
    x = np.random.default_rng(0).random((5, 4, 4, 1), np.float32)
    assert explained(x, x) == 1
    assert explained(np.full_like(x, x.mean()), x) == pytest.approx(0, abs=1e-6)
