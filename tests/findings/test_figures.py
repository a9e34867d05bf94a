import numpy as np
import pytest

from residua.errors import BundleError, ShapeError
from residua.findings.figures import (
    MOST_GROUPS,
    MOST_PICTURES,
    MOST_SIDE,
    Figure,
    Group,
    Histogram,
    Picture,
)

RNG = np.random.default_rng(0)


def picture(caption="a.png", side=8, channels=1):
    return Picture(RNG.integers(0, 256, (side, side, channels), dtype=np.uint8), caption)


def same(one, two):
    assert (one.caption, one.n_more, len(one.groups)) == (two.caption, two.n_more, len(two.groups))
    for left, right in zip(one.groups, two.groups, strict=True):
        assert left.caption == right.caption
        assert [p.caption for p in left.pictures] == [p.caption for p in right.pictures]
        assert all(
            np.array_equal(p.pixels, q.pixels)
            for p, q in zip(left.pictures, right.pictures, strict=True)
        )


def test_what_is_stored_without_pickle_is_read_back(tmp_path):
    drawn = Histogram.of({"train": RNG.random(50), "test é": RNG.random(20)}, "mse")
    given = Figure.of(
        [Group((picture("é </script>"), picture(side=5, channels=3)), "twins")],
        histogram=drawn,
        caption="Seen",
    )
    np.savez(tmp_path / "x.npz", **given.to_arrays())
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        read = Figure.from_arrays({name: archive[name] for name in archive.files})
    same(given, read)
    assert read.histogram.quantity == "mse" and list(read.histogram.counts) == ["train", "test é"]
    assert all(
        np.array_equal(read.histogram.counts[name], drawn.counts[name]) for name in drawn.counts
    )


def test_more_groups_and_pictures_than_fit_are_cut_and_groups_counted():
    given = Figure.of([[picture()] * (MOST_PICTURES + 3)] * (MOST_GROUPS + 5))
    assert len(given.groups) == MOST_GROUPS and given.n_more == 5
    assert all(len(group.pictures) == MOST_PICTURES for group in given.groups)


@pytest.mark.parametrize("shape", [(300, 200), (300, 200, 1), (300, 200, 3), (1, 900, 3), (7, 5)])
def test_pictures_are_shrunk_keeping_their_shape(shape):
    pixels = Picture.of(RNG.random(shape).astype(np.float32)).pixels
    assert pixels.dtype == np.uint8 and max(pixels.shape[:2]) <= MOST_SIDE
    assert pixels.shape[2] == (3 if shape[-1] == 3 else 1) and min(pixels.shape) >= 1


def test_floats_become_bytes_and_what_is_no_number_is_black():
    assert Picture.of(np.array([[0.0, 1.0, 2.0, -1.0, np.nan]])).pixels.ravel().tolist() == [
        0,
        255,
        255,
        0,
        0,
    ]


@pytest.mark.parametrize("shape", [(3,), (4, 4, 2), (2, 4, 4, 3), (0, 4)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ShapeError, match="must have shape"):
        Picture.of(np.zeros(shape))


def test_a_figure_with_a_part_missing_is_refused():
    arrays = Figure.of([[picture()]]).to_arrays()
    del arrays["0.0"]
    with pytest.raises(BundleError, match="must be whole"):
        Figure.from_arrays(arrays)


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [1e-9, 1.0, 1e9, 1.0, 1.0], [-3.0, 2.0]])
def test_a_histogram_counts_every_finite_value_once(values):
    drawn = Histogram.of({"one": [*values, np.nan, np.inf]}, "x")
    assert drawn.counts["one"].sum() == len(values) and (np.diff(drawn.edges) > 0).all()


def test_nothing_finite_makes_no_histogram():
    assert Histogram.of({"one": [np.nan]}) is None and Histogram.of({}) is None
