"""`auto`: chosen by made anomalies, never by labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import residua
from residua.errors import InputError
from residua.images import ImageSet
from residua.training.fitting import recipe_choice as choosing
from residua.training.fitting.options import make_options
from residua.training.fitting.recipe_choice import candidates, choose_recipe
from residua.training.fitting.splits import hold_out
from residua.training.loop.settings import TrainingSettings
from residua.training.synthesis import Draws, make_anomalies


@pytest.fixture(autouse=True)
def brief_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fiftieth of each schedule instead of a seventh: the tests are about the choice, not about
    its quality."""
    monkeypatch.setattr(choosing, "_SHARE_OF_SCHEDULE", 0.02)


@pytest.fixture(scope="module")
def zeros() -> ImageSet:
    train = residua.load_images("digits", normal="0").train
    return train[np.flatnonzero(~train.is_anomalous)]


def test_it_chooses_the_candidate_that_separates_best_and_says_so(zeros: ImageSet) -> None:
    told: list[str] = []
    fitted_on, validation = hold_out(zeros, 0.2, seed=0)
    choice = choose_recipe(fitted_on, validation, TrainingSettings(), on_note=told.append)
    best = max(choice.separation, key=lambda name: choice.separation[name])
    assert set(choice.separation) == set(candidates(zeros))
    assert choice.recipe == candidates(zeros)[best]
    assert told[-1] == choice.words and f"auto chose {best}" in choice.words
    assert choice.separation[best] > 0.5


def test_the_same_seed_chooses_alike(zeros: ImageSet) -> None:
    fitted_on, validation = hold_out(zeros, 0.2, seed=0)
    first, second = (
        choose_recipe(
            fitted_on, validation, TrainingSettings(seed=3), on_note=lambda _: None
        ).separation
        for _ in range(2)
    )
    assert first == second


def test_labels_change_nothing() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 12, 12), np.uint8)
    chosen = []
    for labels in (None, ["a"] * 20 + ["b"] * 20):
        images = ImageSet.from_arrays(pixels, labels)
        fitted_on, validation = images[:30], images[30:]
        chosen.append(
            choose_recipe(
                fitted_on, validation, TrainingSettings(), on_note=lambda _: None
            ).separation
        )
    assert chosen[0] == chosen[1]


def test_small_objects_and_large_surfaces_have_other_candidates() -> None:
    small = ImageSet.from_arrays(np.zeros((4, 28, 28), np.uint8))
    large = ImageSet.from_arrays(np.zeros((4, 128, 128), np.uint8))
    assert "joint-one-class" in candidates(small) and "inspect" in candidates(large)


def test_a_detector_fits_by_auto_and_keeps_the_recipe_it_chose(zeros: ImageSet) -> None:
    detector = residua.OneClassDetector(recipe="auto", epochs=2).fit(zeros)
    assert detector.bundle_.config.recipe in ("plain", "joint-one-class")
    assert any(note.startswith("auto chose") for note in detector.notes_)


def test_too_few_images_to_compare_by_take_the_first_candidate_and_say_so() -> None:
    few = ImageSet.from_arrays(np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8))
    detector = residua.OneClassDetector(epochs=1).fit(few)
    assert detector.bundle_.config.recipe == "plain"
    assert any("too few to compare recipes" in note for note in detector.notes_)


def test_a_size_of_the_code_speaks_of_plain_as_in_the_command(zeros: ImageSet) -> None:
    with pytest.raises(InputError, match="auto picks the network itself"):
        make_options("detect", recipe="auto", latent=4)
    assert make_options("detect", latent=4).recipe == "plain"
    detector = residua.OneClassDetector(latent=4, epochs=1).fit(zeros)
    assert detector.bundle_.config.recipe == "plain"


@pytest.mark.parametrize("shape", [(5, 1, 16, 16), (4, 3, 24, 40)])
def test_made_anomalies_are_images_of_the_same_kind_and_differ(shape: tuple[int, ...]) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    made = make_anomalies(Draws(torch.Generator().manual_seed(1), images.device), images)
    assert set(made) == {"defect", "joined", "blended", "scrambled", "warped", "squeezed"}
    for name, anomalies in made.items():
        assert anomalies.shape == images.shape, name
        assert float(anomalies.min()) >= 0 and float(anomalies.max()) <= 1, name
        assert not torch.equal(anomalies, images), name
