"""What happens to arrays on their way is named; honest reconstructions, however poor, are not
accused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from residua.evaluation import evaluate_reconstruction
from residua.findings import find_mispaired

RNG = np.random.default_rng(0)
X = (load_digits().images[:200] / 16).astype(np.float32)[..., np.newaxis]
COLOUR = np.concatenate([X, np.roll(X, 20, 0) * 0.5, 0.3 * np.ones_like(X)], axis=3)


def components(x: np.ndarray, n: int) -> np.ndarray:
    flat = x.reshape(len(x), -1).astype(np.float64)
    mean = flat.mean(0)
    directions = np.linalg.svd(flat - mean, full_matrices=False)[2][:n]
    return (
        (((flat - mean) @ directions.T) @ directions + mean)
        .clip(0, 1)
        .reshape(x.shape)
        .astype(np.float32)
    )


def honest(x: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "nearly a copy": (x + RNG.normal(0, 0.001, x.shape)).clip(0, 1).astype(np.float32),
        "two components": components(x, 2),
        "twelve components": components(x, 12),
        "blurred": gaussian_filter(x, (0, 1, 1, 0)),
        "noisy": (x + RNG.normal(0, 0.2, x.shape)).clip(0, 1).astype(np.float32),
        "dull": 0.6 * x + 0.2,
        "dark": 0.7 * x,
        "the mean image": np.broadcast_to(x.mean(0), x.shape),
        "black": np.zeros_like(x),
        "grey": np.full_like(x, 0.5),
        "noise alone": RNG.random(x.shape, np.float32),
    }


@pytest.mark.parametrize(
    "images",
    [X, COLOUR, 1 - 0.4 * X, X.reshape(200, 1, 64, 1)],
    ids=["grey", "colour", "bright", "flat"],
)
@pytest.mark.parametrize("model", honest(X))
def test_an_honest_model_is_not_accused_however_poor_it_is(images: np.ndarray, model: str) -> None:
    assert find_mispaired(images, honest(images)[model]) is None


CHANGES = {
    "scale": lambda r: r / 255,
    "negative": lambda r: 1 - r,
    "mirrored left to right": lambda r: r[:, :, ::-1],
    "mirrored top to bottom": lambda r: r[:, ::-1],
    "turned by 180 degrees": lambda r: r[:, ::-1, ::-1],
    "transposed: rows are columns": lambda r: r.swapaxes(1, 2),
    "turned by 90 degrees": lambda r: np.rot90(r, 1, (1, 2)),
    "turned by 270 degrees": lambda r: np.rot90(r, 3, (1, 2)),
    "order of rows": lambda r: r[RNG.permutation(len(r))],
    "channels 2, 1, 0": lambda r: r[..., ::-1],
}


@pytest.mark.parametrize("model", ["nearly a copy", "twelve components"])
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_done_to_the_reconstructions_is_named_with_the_error_without_it(
    change: str, model: str
) -> None:
    made = honest(COLOUR)[model]
    found = find_mispaired(COLOUR, CHANGES[change](made))
    assert (found.severity, found.measured["change"]) == ("error", change)
    assert found.measured["mse_without_it"] == pytest.approx(
        np.square(COLOUR - made).mean(), rel=0.1, abs=1e-6
    )


@pytest.mark.parametrize(("shift", "words"), [(1, "1 rows before"), (-2, "2 rows after")])
def test_rows_that_moved_together_are_told_with_their_number(shift: int, words: str) -> None:
    found = find_mispaired(X, np.roll(components(X, 12), -shift, 0))
    assert found.measured["shift"] == shift
    assert words in found.meaning


def test_one_array_given_twice_is_told_and_two_blank_ones_are_not() -> None:
    found = find_mispaired(X, X.copy())
    assert (found.severity, found.measured["change"]) == ("error", "none")
    assert find_mispaired(np.zeros_like(X), np.zeros_like(X)) is None
    assert find_mispaired(np.zeros((0, 4, 4, 1)), np.zeros((0, 4, 4, 1))) is None


def test_a_wrong_scale_that_was_told_is_found_and_so_are_bright_pictures_on_minus_1_to_1() -> None:
    bright = (0.7 + 0.3 * X).astype(np.float32)
    record = evaluate_reconstruction(bright, 2 * components(bright, 4) - 1)
    told = next(finding for finding in record.findings if finding.code == "mispaired")
    assert (told.measured["change"], told.severity) == ("scale", "error")
    assert "another scale" in told.meaning


@pytest.mark.parametrize(
    "images",
    [X[:40], gaussian_filter(RNG.random((40, 16, 16, 1)), (0, 2, 2, 0))],
    ids=["digits", "smooth"],
)
def test_rows_of_a_weak_model_in_another_order_are_told_too(images: np.ndarray) -> None:
    weak = components(images, 3)
    assert find_mispaired(images, weak) is None
    for seed in range(5):
        told = find_mispaired(images, weak[np.random.default_rng(seed).permutation(len(weak))])
        assert told is not None
        assert (told.severity, told.measured["change"]) in {
            ("error", "order of rows"),
            ("error", "unrelated rows"),
        }
