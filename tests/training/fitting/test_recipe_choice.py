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
from residua.training.fitting.recipe_choice import candidates, choose_recipe, difference
from residua.training.fitting.splits import hold_out
from residua.training.loop.settings import TrainingSettings
from residua.training.recipes import make_recipe
from residua.training.synthesis import Draws, make_anomalies


@pytest.fixture(autouse=True)
def brief_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of each schedule instead of a seventh, and a narrow network: the tests are about
    the choice, not about its quality."""
    narrow = make_recipe("joint-one-class", width=4, latent=4)
    monkeypatch.setattr(choosing, "_SHARE_OF_SCHEDULE", 0.01)
    monkeypatch.setattr(
        choosing,
        "candidates",
        lambda images, **asked: {
            name: narrow if name == narrow.name else recipe
            for name, recipe in candidates(images, **asked).items()
        },
    )


@pytest.fixture(scope="module")
def zeros() -> ImageSet:
    train = residua.load_images("digits", normal="0").train
    return train[np.flatnonzero(~train.is_anomalous)]


def test_it_chooses_the_candidate_that_separates_best_and_says_so(zeros: ImageSet) -> None:
    told: list[str] = []
    fitted_on, validation = hold_out(zeros, 0.2, seed=0)
    choice = choose_recipe(fitted_on, validation, TrainingSettings(), on_note=told.append)
    best = max(choice.separation, key=lambda name: choice.separation[name])
    assert list(choice.separation) == list(candidates(zeros))
    assert choice.recipe == choosing.candidates(zeros)[best]
    assert told[-1] == choice.words and f"auto chose {best}" in choice.words
    assert "joint-one-class after 1% of its schedule less " in choice.words
    assert choice.separation[best] > 0.5


def separating(monkeypatch: pytest.MonkeyPatch, **shares: float) -> list[str]:
    """Each recipe wins so large a share against each normal image; the list is of those tried."""
    asked: list[str] = []

    def wins(recipe, *_: object) -> np.ndarray:
        asked.append(recipe.name)
        name = recipe.name.split("-")[0]
        noise = np.random.default_rng(len(asked)).normal(0, 0.01, (20, 10))
        return np.clip(shares[name] + noise, 0, 1)

    monkeypatch.setattr(choosing, "_wins", wins)
    return asked


def chosen_at(side: int) -> tuple[str, str]:
    images = ImageSet.from_arrays(np.zeros((40, side, side), np.uint8))
    choice = choose_recipe(images[:30], images[30:], TrainingSettings(), on_note=lambda _: None)
    return choice.recipe.name, choice.words


def test_what_is_dear_is_not_tried_where_nothing_better_could_be_shown(monkeypatch) -> None:
    asked = separating(monkeypatch, pca=0.9, neighbours=1.2, joint=1.2)
    name, words = chosen_at(12)
    assert (name, asked) == ("neighbours", ["pca", "neighbours"])
    assert "joint-one-class was not tried: even a perfect recipe could not be shown" in words


def test_among_small_images_the_one_that_is_ahead_is_kept(monkeypatch) -> None:
    separating(monkeypatch, pca=0.8, neighbours=0.7, joint=0.75)
    assert chosen_at(12)[0] == "pca"
    separating(monkeypatch, pca=0.8, neighbours=0.7, joint=0.85)
    name, words = chosen_at(12)
    assert name == "joint-one-class" and "less pca, in pairs: +0.05" in words


@pytest.mark.parametrize("main", ["memory", "inspect"])
def test_among_large_images_the_main_one_is_kept_unless_another_is_shown_better(
    monkeypatch, main
) -> None:
    monkeypatch.setattr(choosing, "has_lite", lambda: main == "memory")
    asked = separating(monkeypatch, pca=0.801, neighbours=0.7, **{main: 0.8})
    name, words = chosen_at(80)
    assert name == main and asked == ["pca", "neighbours", main]
    assert ("of its schedule" in words) == (main == "inspect")
    separating(monkeypatch, pca=0.95, neighbours=0.7, **{main: 0.8})
    assert chosen_at(80)[0] == "pca"


def test_a_backbone_is_left_out_where_none_is_wanted_and_missed_where_it_is_not_installed(
    monkeypatch,
) -> None:
    separating(monkeypatch, pca=0.8, neighbours=0.7, inspect=0.8, memory=0.8)
    images = ImageSet.from_arrays(np.zeros((40, 80, 80), np.uint8))
    told: list[str] = []
    for backbone, has_lite in ((False, True), (True, False)):
        monkeypatch.setattr(choosing, "has_lite", lambda has_lite=has_lite: has_lite)
        choice = choose_recipe(
            images[:30], images[30:], TrainingSettings(), backbone=backbone, on_note=told.append
        )
        assert choice.recipe.name == "inspect"
    assert sum("pip install 'residua[lite]'" in one for one in told) == 1
    asked = make_options("detect", backbone="none")
    assert asked.chooses_recipe and not asked.takes_backbone
    assert make_options("detect", backbone="none", latent=3).recipe == "plain"
    assert make_options("detect").takes_backbone


def test_the_interval_of_a_difference_covers_what_is_true() -> None:
    rng, inside = np.random.default_rng(0), 0
    for _ in range(200):
        made, normal = rng.normal(1, 1, (24, 1)), rng.normal(0, 1, (12,))
        other = made + rng.normal(0, 1, made.shape)
        kept = normal + rng.normal(0, 1, normal.shape)
        found = difference((made > normal) * 1.0, (other > kept) * 1.0)
        inside += found.low <= 0.7602 - 0.6915 <= found.high
    assert inside >= 184  # of 200; 190 are expected


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
    assert list(candidates(small)) == ["pca", "neighbours", "joint-one-class"]
    assert list(candidates(large)) == ["pca", "neighbours", "memory"]
    assert list(candidates(large, backbone=False)) == ["pca", "neighbours", "inspect"]


def test_a_detector_fits_by_auto_and_keeps_the_recipe_it_chose(zeros: ImageSet) -> None:
    detector = residua.OneClassDetector(recipe="auto", epochs=2).fit(zeros)
    assert detector.bundle_.config.recipe in candidates(zeros)
    assert any(note.startswith("auto chose") for note in detector.notes_)


def test_too_few_images_to_compare_by_take_the_first_candidate_and_say_so() -> None:
    few = ImageSet.from_arrays(np.arange(12 * 64, dtype=np.uint8).reshape(12, 8, 8))
    detector = residua.OneClassDetector(epochs=1).fit(few)
    assert detector.bundle_.config.recipe == "neighbours"
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


def test_made_images_of_several_sizes_are_scored_together(monkeypatch) -> None:
    """One at a time each filled a batch of its own: sixteen times the work."""
    rng, batches = np.random.default_rng(0), []
    images = ImageSet.from_arrays(
        [rng.integers(0, 256, (20 + k % 3, 24)).astype(np.uint8) for k in range(20)]
    )
    score = choosing.score_images

    def watched(graph, some, *, batch_size):
        batches.append((len(some), batch_size))
        return score(graph, some, batch_size=batch_size)

    monkeypatch.setattr(choosing, "score_images", watched)
    given = images[:10], images[10:], TrainingSettings(), None, None, choosing.prepare_each
    choosing._wins(make_recipe("pca"), *given)
    assert batches == [(5, 16), *[(10, 16)] * 6]


def test_a_candidate_is_trained_as_a_fit_trains_it(zeros: ImageSet, monkeypatch) -> None:
    """Batch norm learns in the mode of training alone, which Lightning does not set."""
    modes: list[bool] = []
    monkeypatch.setattr(
        choosing, "train_network", lambda recipe, network, *_: modes.append(network.training)
    )
    fitted_on, validation = hold_out(zeros, 0.2, seed=0)
    choose_recipe(fitted_on, validation, TrainingSettings(), on_note=lambda _: None)
    assert modes == [True]
