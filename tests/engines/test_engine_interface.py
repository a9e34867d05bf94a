"""What every engine shares, on an engine of three lines: no torch, no exported file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from residua.engines import KINDS, Scores, parse_engine, score_with
from residua.engines.interface import Endable, OneByOne, check_channels, join_scores
from residua.engines.kinds import find_kind
from residua.engines.speed import images_a_second
from residua.errors import InputError, ShapeError
from residua.images import ImageSet


class MeanEngine:
    """Scores an image by its mean; remembers the sizes of its batches and whether it was ended."""

    name, batch_size = "mean", 4

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.ended = False

    def end(self) -> None:
        self.ended = True

    def score(
        self,
        images: Sequence[np.ndarray],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        self.batches.append(len(images))
        score = np.array([image.mean() / 255 for image in images], np.float32)
        return Scores(
            score,
            score > 0.5,
            {"mse": score**2} if columns else {},
            [image[..., 0].astype(np.float32) for image in images] if maps else None,
            np.stack(images).astype(np.float32) if reconstructions and images else None,
        )


def grey(n: int) -> ImageSet:
    values = np.linspace(0, 255, n).astype(np.uint8)
    return ImageSet.from_arrays(np.broadcast_to(values[:, None, None], (n, 6, 7)).copy())


def test_a_set_is_scored_in_batches_of_the_engines_size_and_in_order():
    engine, told = MeanEngine(), []
    scores = score_with(engine, grey(10), progress=lambda done, total: told.append((done, total)))
    assert engine.batches == [4, 4, 2]
    assert told == [(4, 10), (8, 10), (10, 10)]
    assert np.array_equal(scores.score, np.sort(scores.score))
    assert scores.anomalous.tolist() == (scores.score > 0.5).tolist()
    assert scores.columns["mse"].shape == (10,)
    assert scores.maps is None


def test_maps_that_are_handed_over_are_not_kept():
    seen = {}
    scores = score_with(MeanEngine(), grey(6), on_map=seen.__setitem__)
    assert sorted(seen) == list(range(6))
    assert seen[5].shape == (6, 7)
    assert scores.maps is None


def test_no_images_have_no_scores():
    scores = score_with(MeanEngine(), grey(3)[:0])
    assert scores.score.shape == (0,)


def test_joined_scores_hold_what_each_batch_held():
    engine = MeanEngine()
    several = [engine.score(list(grey(n)), maps=True, reconstructions=True) for n in (2, 3)]
    joined = join_scores(several)
    assert joined.score.shape == (5,)
    assert len(joined.maps) == 5
    assert joined.reconstructions.shape == (5, 6, 7, 1)
    assert joined.probabilities is None


def test_one_by_one_runs_single_images_and_ends_the_engine_inside():
    inner = MeanEngine()
    engine = OneByOne(inner)
    assert isinstance(engine, Endable)
    assert len(engine.score(list(grey(5)), columns=False).score) == 5
    assert inner.batches == [1] * 5
    assert engine.score([]).score.shape == (0,)
    engine.end()
    assert inner.ended


def test_speed_is_measured_with_batches_that_few_images_fill():
    engine, turns = MeanEngine(), []
    found = images_a_second(
        {"mean": engine}, grey(2), [1, 5], turns=1, on_turn=lambda n, of: turns.append((n, of))
    )
    assert set(engine.batches) == {1, 5}
    assert turns == [(1, 1)]
    assert min(found["mean"].values()) > 0


def test_channels_that_differ_are_refused_and_equal_ones_are_not():
    check_channels([1, 1], 1)
    with pytest.raises(ShapeError, match=r"must be grey \(1 channel\).*Got colour"):
        check_channels([1, 3], 1)


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
def test_every_kind_is_found_by_name_and_by_what_it_is(kind):
    assert parse_engine(kind.name) is kind
    assert find_kind(kind.runtime, kind.precision) is kind
    assert kind.card.endswith(".json")
    assert kind.is_reference == (kind.name == "torch")


def test_cards_of_two_kinds_never_have_one_name():
    assert len({kind.card for kind in KINDS.values()}) == len(KINDS)


def test_what_is_no_engine_is_refused_with_what_was_probably_meant():
    with pytest.raises(InputError, match="Did you mean openvino-int8"):
        parse_engine("openvino-int")
    with pytest.raises(InputError, match="precision of onnx must be one of float32, int8"):
        find_kind("onnx", "bfloat16")
    with pytest.raises(InputError, match="runtime must be one of"):
        find_kind("tensorrt", "int8")
