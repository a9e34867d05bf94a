"""On which scale and in which layout arrays are read: the true number, or a refusal that shows the
way out."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import InputError, RangeError, ShapeError
from residua.evaluation import evaluate_reconstruction
from residua.records import assumptions_of

RNG = np.random.default_rng(0)
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def smooth(n: int = 60, side: int = 16, channels: int = 1) -> np.ndarray:
    images = RNG.normal(size=(n, side, side, channels))
    for axis in (1, 2):
        for _ in range(3):
            images = (images + np.roll(images, 1, axis) + np.roll(images, -1, axis)) / 3
    images -= images.min((1, 2, 3), keepdims=True)
    return (images / images.max((1, 2, 3), keepdims=True)).astype(np.float32)


X = smooth()
R = np.clip(X * 0.95 + 0.02 + RNG.normal(0, 0.01, X.shape), 0, 1).astype(np.float32)
TRUE = float(np.square(X - R, dtype=np.float64).mean())
SCALES = {
    "0-1": lambda x: x,
    "0-255": lambda x: 255 * x,
    "-1..1": lambda x: 2 * x - 1,
    "uint8": lambda x: (255 * x).round().astype(np.uint8),
    "int64": lambda x: (255 * x).round().astype(np.int64),
    "float64 0-255": lambda x: np.float64(255) * x,
    "uint16": lambda x: (65535 * x).round().astype(np.uint16),
    "12 bits": lambda x: (4095 * x).round().astype(np.uint16),
    "float16": lambda x: x.astype(np.float16),
}


def found(record, code: str):
    return next((finding for finding in record.findings if finding.code == code), None)


def mse(*arrays, **options) -> float:
    return evaluate_reconstruction(*arrays, **options).metrics["mse"].value


def taken(record) -> dict[str, str]:
    return {one.about: one.taken for one in assumptions_of(record.provenance)}


@pytest.mark.parametrize("of_images", SCALES)
@pytest.mark.parametrize("of_reconstructions", SCALES)
def test_the_error_is_the_true_one_whatever_the_two_scales_are(
    of_images: str, of_reconstructions: str
) -> None:
    images, reconstructions = SCALES[of_images](X), SCALES[of_reconstructions](R)
    if of_reconstructions == "12 bits":
        reconstructions[0, 0, 0] = (
            4095  # where no value reaches the end nothing says which bits are used
        )
    assert mse(images, reconstructions) == pytest.approx(TRUE, rel=0.08)


def test_every_scale_that_was_read_stands_in_the_record_and_what_was_told_does_not() -> None:
    record = evaluate_reconstruction(SCALES["uint8"](X), 2 * R - 1)
    assert taken(record) == {"scale of images": "0-255", "scale of reconstructions": "-1..1"}
    both = evaluate_reconstruction(X * 255, R * 255)
    assert set(taken(both).values()) == {"0-255"}
    told = evaluate_reconstruction(2 * X - 1, 2 * R - 1, scale="-1..1")
    assert taken(told) == {}
    assert told.metrics["mse"].value == pytest.approx(TRUE, rel=1e-4)


@pytest.mark.parametrize(
    ("images", "reconstructions"),
    [
        ((X - 0.1307) / 0.3081, (R - 0.1307) / 0.3081),
        ((X - 0.286) / 0.353, (R - 0.286) / 0.353),
        ((smooth(channels=3) - MEAN) / STD, (smooth(channels=3) - MEAN) / STD),
        (
            X * 0.3 - 0.15,
            R * 0.3 - 0.15,
        ),  # narrow and centred: -1..1, mean and deviation, or 0-1 minus a half
        (X - 0.5, R - 0.5),
        (X * 16, R * 16),  # scikit-learn's digits
        (X * 100, R * 100),
        (X / 255, R / 255),  # divided twice
        (X * 255 - 123.7, R * 255 - 123.7),
        (np.round(X * 9).astype(np.uint8), np.round(R * 9).astype(np.uint8)),
        (np.round(X * 3000).astype(np.uint16), np.round(R * 3000).astype(np.uint16)),
        (np.round(X * 255 - 128).astype(np.int8), np.round(R * 255 - 128).astype(np.int8)),
        (X.astype(np.float16).view(np.uint16), R.astype(np.float16).view(np.uint16)),
        (
            (2 * X - 1).astype(np.float16).view(np.uint16),
            (2 * R - 1).astype(np.float16).view(np.uint16),
        ),
        (X.view(np.uint32) >> 16, R.view(np.uint32) >> 16),  # bfloat16
    ],
)
def test_what_fits_no_scale_or_several_is_refused_with_its_range_and_the_way_out(
    images, reconstructions
) -> None:
    with pytest.raises(RangeError, match=r"values in \[.*--scale"):
        evaluate_reconstruction(images, reconstructions)


def test_mean_and_deviation_are_undone_where_they_are_told() -> None:
    assert mse(
        (X - 0.1307) / 0.3081, (R - 0.1307) / 0.3081, mean=0.1307, std=0.3081
    ) == pytest.approx(TRUE, rel=1e-3)
    wide = [(np.float64(array) - 0.1307) / 0.3081 for array in (X, R)]
    assert mse(*wide, mean=0.1307, std=0.3081) == pytest.approx(TRUE, rel=1e-6)
    x, r = smooth(channels=3), smooth(channels=3)
    expected = float(np.square(x - r, dtype=np.float64).mean())
    told = {"mean": "0.485,0.456,0.406", "std": (0.229, 0.224, 0.225)}
    assert mse((x - MEAN) / STD, (r - MEAN) / STD, **told) == pytest.approx(expected, rel=1e-3)
    first = [np.moveaxis((array - MEAN) / STD, 3, 1) for array in (x, r)]
    assert mse(*first, **told) == pytest.approx(expected, rel=1e-3)
    mixed = mse((x - MEAN) / STD, r * 255, **told, reconstructions_scale="auto")
    assert mixed == pytest.approx(expected, rel=1e-3)
    other = mse(
        x, (r - 0.5) / 0.25, scale="0-1", reconstructions_mean=0.5, reconstructions_std=0.25
    )
    assert other == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": "0..1"}, "must be auto or one of"),
        ({"scale": "0-255", "mean": 0.5}, "named, or given by mean"),
        ({"mean": 123.7, "std": 58.4}, "divide both by 255"),
        ({"mean": "half"}, "one number, or one per channel"),
        ({"mean": [0.5, 0.5], "std": 0.5}, "2 numbers for 1 channels"),
        ({"mean": [0.5, 0.5], "std": [0.5, 0.5, 0.5]}, "as many"),
        ({"scale": "0-255"}, "lie on the stated scale"),  # values to 1 of 255
        ({"scale": "-1..1", "reconstructions_scale": "0-2"}, "reconstructions_scale must be auto"),
    ],
)
def test_options_that_contradict_themselves_or_the_values_are_refused(options, words: str) -> None:
    with pytest.raises(InputError, match=words):
        evaluate_reconstruction(X, R, **options)
    with pytest.raises(RangeError, match="on the stated scale"):
        evaluate_reconstruction(X * 255, R, scale="0-1")


def test_an_overstep_is_clipped_counted_and_no_more_than_a_note() -> None:
    linear = R + RNG.normal(0, 0.02, R.shape).astype(np.float32)
    record = evaluate_reconstruction(X, linear)
    told = found(record, "clipped-values")
    assert told.severity == "note"
    assert told.measured["clipped_share"] == pytest.approx(
        ((linear < 0) | (linear > 1)).mean(), abs=1e-4
    )
    assert record.metrics["mse"].value == pytest.approx(
        np.square(X - linear.clip(0, 1)).mean(), rel=1e-4
    )


def test_clipping_far_more_than_an_overstep_is_an_error() -> None:
    record = evaluate_reconstruction(X, 2 * R - 1, scale="0-1")
    assert found(record, "clipped-values").severity == "error"
    loose = evaluate_reconstruction(X, R * 1.7)
    assert found(loose, "clipped-values").severity == "error"


def test_reconstructions_that_reach_no_end_are_read_by_the_images_they_fit() -> None:
    dull = (0.6 * R + 0.2).astype(np.float32)
    expected = float(np.square(X - dull, dtype=np.float64).mean())
    for images in (X, SCALES["uint8"](X), 2 * X - 1):
        assert mse(images, 2 * dull - 1) == pytest.approx(expected, rel=0.02)
    dark = 100 * X
    assert mse(SCALES["uint8"](X), dark) == pytest.approx(
        np.square(X - dark / 255).mean(), rel=0.02
    )
    unlike = RNG.normal(0, 0.2, X.shape)
    with pytest.raises(RangeError, match="which may be -1"):
        evaluate_reconstruction(SCALES["uint8"](X), unlike - 0.1)


def test_bright_8_bit_images_on_minus_1_to_1_show_it_by_their_steps() -> None:
    bright = (X * 100 + 150).round()
    images = (bright / 127.5 - 1).astype(np.float32)
    assert images.min() > 0
    near = np.clip(bright / 255 + RNG.normal(0, 0.01, X.shape), 0.52, 1)
    expected = pytest.approx(np.square(bright / 255 - near).mean(), rel=1e-3)
    for reconstructions, scale in ((near, "0-1"), (2 * near - 1, "-1..1")):
        record = evaluate_reconstruction(images, reconstructions)
        assert taken(record) in (
            {"scale of images": "-1..1", "scale of reconstructions": scale},
            {"scale of images and reconstructions": scale},
        )
        assert record.metrics["mse"].value == expected
    plain = (bright / 255).astype(np.float32)
    assert taken(evaluate_reconstruction(plain, R)) == {
        "scale of images": "0-1",
        "scale of reconstructions": "0-1",
    }


@pytest.mark.parametrize("scale", ["0-1", "0-255", "-1..1", "uint8", "uint16"])
def test_one_value_everywhere_is_read_by_the_other_side(scale: str) -> None:
    images = SCALES[scale](X)
    black = np.full_like(images, -1 if scale == "-1..1" else 0)
    assert mse(images, black) == pytest.approx(np.square(X).mean(), rel=0.01)
    assert mse(black, images) == pytest.approx(np.square(X).mean(), rel=0.01)
    mean = np.broadcast_to(images.mean(0), images.shape).astype(images.dtype)
    assert mse(images, mean) == pytest.approx(X.var(0).mean(), rel=0.05)


def test_one_value_that_means_another_grey_on_either_scale_is_refused() -> None:
    for images, value in ((2 * X - 1, 0.0), (X * 255, 1.0)):
        with pytest.raises(RangeError, match="--reconstructions-scale"):
            evaluate_reconstruction(images, np.full(X.shape, value))
    assert mse(SCALES["uint8"](X), np.full(X.shape, 0.5)) == pytest.approx(
        np.square(X - 0.5).mean(), rel=0.01
    )
    assert mse(np.zeros((3, 8, 8)), np.zeros((3, 8, 8))) == 0


def test_binary_images_of_any_type_stand_beside_soft_reconstructions() -> None:
    binary = X > 0.5
    expected = float(np.square(binary - R.astype(np.float64)).mean())
    for images in (
        binary,
        binary.astype(np.uint8),
        binary.astype(np.int64),
        binary * 255.0,
        binary * np.uint8(255),
    ):
        assert mse(images, R) == pytest.approx(expected, rel=1e-3)


def test_channels_first_are_recognised_on_each_side_by_itself() -> None:
    x, r = smooth(channels=3), smooth(channels=3)
    plain = evaluate_reconstruction(x, r).metrics
    for images, reconstructions in (
        (np.moveaxis(x, 3, 1), r),
        (x, np.moveaxis(r, 3, 1)),
        (np.moveaxis(x, 3, 1), np.moveaxis(r, 3, 1)),
    ):
        record = evaluate_reconstruction(images, reconstructions)
        assert record.metrics["ssim"].value == pytest.approx(plain["ssim"].value)
        assert any(value.startswith("channels first") for value in taken(record).values())
    assert evaluate_reconstruction(np.moveaxis(X, 3, 1), R).metrics["mse"].value == pytest.approx(
        TRUE, rel=1e-4
    )


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((9, 3, 16, 3), "where the channels are"),
        ((9, 3, 16, 1), "where the channels are"),
        ((40, 30, 3), "one colour picture"),
        ((5, 2, 8, 8, 3), "frames"),
        ((30,), "history of losses"),
        ((30, 2), "history of losses"),
    ],
)
def test_a_shape_that_can_be_read_in_two_ways_or_none_is_refused(
    shape: tuple[int, ...], words: str
) -> None:
    array = RNG.random(shape)
    with pytest.raises(ShapeError, match=words):
        evaluate_reconstruction(array, array)


def test_an_opaque_alpha_does_not_take_a_quarter_of_the_error() -> None:
    x, r = smooth(channels=3), smooth(channels=3)
    expected = pytest.approx(float(np.square(x - r, dtype=np.float64).mean()), rel=0.01)
    opaque = np.ones((60, 16, 16, 1), np.float32)
    four = [np.concatenate([array, opaque], axis=3) for array in (x, r)]
    assert mse(*four) == mse(four[0], r) == mse(x, four[1])
    assert mse(*four) == expected
    assert mse(*((255 * array).round().astype(np.uint8) for array in four)) == expected
    assert (
        taken(evaluate_reconstruction(*four))["layout of images"]
        == "three channels, without transparency"
    )


def test_one_picture_without_an_axis_of_images_is_no_set_of_rows() -> None:
    picture = smooth(1, 40)[0, :, :30, 0]
    with pytest.raises(ShapeError, match="one picture"):
        evaluate_reconstruction(picture, picture * 0.9)
    assert evaluate_reconstruction(picture[None], picture[None] * 0.9).n_images == 1
    assert evaluate_reconstruction(RNG.random((40, 30)), RNG.random((40, 30))).n_images == 40


def test_flat_beside_whole_takes_the_shape_of_the_whole() -> None:
    record = evaluate_reconstruction(X, R.reshape(60, -1))
    assert record.metrics["ssim"] == evaluate_reconstruction(X, R).metrics["ssim"]
    assert taken(record)["layout of reconstructions"] == "16 x 16"
    x = smooth(channels=3)
    r = (0.9 * x + 0.03).astype(np.float32)
    whole = evaluate_reconstruction(x, r).metrics["ssim"].value
    for flat in (r.reshape(60, -1), np.moveaxis(r, 3, 1).reshape(60, -1)):
        assert evaluate_reconstruction(x, flat).metrics["ssim"].value == pytest.approx(whole)
    with pytest.raises(ShapeError, match="first or last"):
        evaluate_reconstruction(x, RNG.random((60, x[0].size)))


def test_objects_are_stacked_and_bfloat16_is_named() -> None:
    held = np.empty(60, object)
    held[:] = list(R)
    assert mse(X, held) == pytest.approx(TRUE, rel=1e-4)
    with pytest.raises(RangeError, match="float32"):
        evaluate_reconstruction(X, R.view(np.uint32).astype(np.uint16).view("V2"))
    with pytest.raises(ShapeError, match="axes 1 and 2"):
        evaluate_reconstruction(X[:, :8], R[:, :, :8])
