"""One declaration of a fit: the command, `run.json`, the report's command and the estimators."""

from __future__ import annotations

import inspect
import json
import logging
import re
import shlex
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import torch
from typer.main import get_command

from residua.cli import app, fit as cli_fit
from residua.errors import InputError
from residua.runs.command import fit_command
from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from residua.training.estimators import Autoencoder, AutoencoderClassifier, OneClassDetector
from residua.training.fitting.fit import fit
from residua.training.fitting.options import (
    OPTIONS,
    ClassifyOptions,
    DetectOptions,
    ReconstructOptions,
    flag,
    make_options,
    option_names,
)
from residua.training.loop.settings import TrainingSettings
from residua.training.recipes import RECIPES, make_recipe
from residua.training.scoring.prepare import Aspect
from residua.training.strategies import STRATEGIES
from training_wing import blobs

ESTIMATORS = (Autoencoder, OneClassDetector, AutoencoderClassifier)
OF_THE_PROCESS = {"out", "memory", "resume", "quiet", "help", "config", "logger"}
OF_THE_SOURCE = {
    "source",
    "normal",
    "bits",
    "follow_links",
    "root",
    "separator",
    "groups",
    "product",
}
OF_THE_COMMAND = {"devices", "nodes"}
NOT_SPELLED = {"weight_decay", "job", "settings", "recipe_options"}

ANOTHER_JOBS = [
    ("classify", {"trim": 0.3}),
    ("classify", {"normal": ("good",)}),
    ("classify", {"recipe": "plain"}),
    ("classify", {"policy": "recall>=0.99"}),
    ("classify", {"loss_name": "absolute"}),
    ("classify", {"error": "ssim"}),
    ("classify", {"density": ("mahalanobis",)}),
    ("classify", {"family": "dense"}),
    ("classify", {"tied": True}),
    ("classify", {"backbone": "timm:x"}),
    ("reconstruct", {"policy": "recall>=0.99"}),
    ("reconstruct", {"strategy": "joint"}),
    ("reconstruct", {"class_weight": "balanced"}),
    ("detect", {"class_weight": "balanced"}),
    ("detect", {"separator": "|"}),
    ("detect", {"strategy": "joint"}),
    ("detect", {"mirrored": True}),
    ("detect", {"distance": "euclidean"}),
]


@pytest.mark.parametrize(("job", "given"), ANOTHER_JOBS, ids=str)
def test_an_option_of_another_job_is_refused_by_name(job, given):
    (name,) = given
    with pytest.raises(InputError, match=f"{flag(name)} is for --job .* Got --job {job}"):
        make_options(job, **given)


def test_all_of_them_are_named_at_once():
    with pytest.raises(InputError) as caught:
        make_options("classify", trim=0.3, policy="max-f1", normal=("a",))
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("model", "wrong"),
    [(ClassifyOptions, {"trim": 0.3}), (ReconstructOptions, {"policy": "x"}), (DetectOptions, {"separator": "|"})],
)  # fmt: skip
def test_the_declaration_itself_has_no_place_for_them(model, wrong):
    with pytest.raises(ValueError, match="Extra inputs"):
        model(**wrong)


def test_every_option_of_the_command_is_declared_and_every_declared_one_can_be_given():
    command = get_command(app).commands["fit"]
    spelled = {parameter.name for parameter in command.params} - OF_THE_PROCESS
    spelled = {"loss_name" if name == "loss" else name for name in spelled}
    declared = frozenset().union(*map(option_names, OPTIONS))
    assert spelled <= declared
    own = {name for model in OPTIONS.values() for name in model.model_fields}
    assert (own | set(TrainingSettings.model_fields)) - NOT_SPELLED - {"multilabel"} <= spelled


def test_choices_of_the_command_are_those_of_the_declaration():
    hints = get_type_hints(cli_fit)
    choices = {name: set(_choices(hint)) for name, hint in hints.items() if _choices(hint)}
    assert choices["job"] == set(OPTIONS)
    assert choices["aspect"] == set(get_args(Aspect))
    assert choices["strategy"] == set(STRATEGIES)
    fields = {
        **TrainingSettings.model_fields,
        **RECIPES["plain"].model_fields,
        **STRATEGIES["joint"].model_fields,
        **ClassifyOptions.model_fields,
        "loss": RECIPES["plain"].model_fields["loss_name"],
    }
    for name in choices.keys() - {"job", "aspect", "strategy"}:
        assert choices[name] == set(_choices(fields[name].annotation)), name


def _choices(hint):
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(one for part in get_args(hint) for one in _choices(part))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_asks_for_what_is_declared_with_the_same_defaults(estimator):
    model = OPTIONS[estimator._job]
    spelled = inspect.signature(estimator.__init__).parameters
    names = set(spelled) - {"self"}
    assert names <= option_names(estimator._job)
    own = {*model.model_fields, *TrainingSettings.model_fields}
    assert own - NOT_SPELLED - OF_THE_SOURCE - OF_THE_COMMAND <= names
    standard = make_options(estimator._job)
    assert estimator()._options() == standard
    for name in names & own:
        default = spelled[name].default
        where = standard if name in model.model_fields else standard.settings
        assert ((default,) if default == "auto" and name == "augment" else default) == getattr(
            where, name
        )


def test_options_of_a_network_speak_of_plain_unless_a_recipe_is_named():
    assert make_options("detect").recipe == "auto"
    assert make_options("reconstruct").recipe == "plain"
    assert make_options("detect", tied=True, family="dense").recipe == "plain"
    assert make_options("detect", backbone="timm:x").recipe == "memory"
    assert make_options("detect", backbone="timm:x", latent=3).recipe == "feature"


def test_a_memory_beside_a_trained_network_cannot_drop_the_images_that_it_holds() -> None:
    with pytest.raises(InputError, match=r"--trim 0\.1 with --recipe feature"):
        make_options("detect", recipe="feature", trim=0.1)
    assert make_options("detect", recipe="memory", trim=0.1).trim == 0.1
    assert make_options("detect", trim=0.1).takes_backbone
    assert make_options("detect", recipe="sparse", weight=0.1).recipe_options == {"weight": 0.1}


@pytest.mark.parametrize("job", OPTIONS)
def test_options_come_back_from_json_as_they_were(job):
    asked = make_options(job, source="parts", size=32, epochs=3, latent=4, augment=("flip",))
    state = RunState(options=asked)
    assert RunState.model_validate_json(state.model_dump_json()) == state


def old_state(job: str, **options) -> dict:
    settings = {
        "epochs": 2, "minutes": None, "batch_size": None, "learning_rate": None, "weight_decay": None,
        "patience": None, "seed": 3, "precision": "auto", "augment": [], "trim": options.pop("trim", 0.0),
        "device": "auto", "threads": None, "devices": 1, "nodes": 1,
    }  # fmt: skip
    flat = {
        "source": "parts", "job": job, "recipe": "plain", "recipe_options": {"latent": 2}, "normal": ["good"],
        "size": None, "aspect": None, "policy": "max-f1", "class_weight": "balanced", "separator": "|",
        "bits": None, "follow_links": False, "root": None, "settings": settings,
    }  # fmt: skip
    return {"format": "residua-run", "format_version": 1, "options": {**flat, **options}, "finished": True}  # fmt: skip


def test_a_run_of_format_1_is_read_as_what_it_did(tmp_path):
    def read(state):
        (tmp_path / "run.json").write_text(json.dumps(state))
        return TrainedRun(tmp_path).read_state()

    state = read(old_state("detect", trim=0.1))
    assert state.format_version == 2 and state.finished
    assert state.options == make_options(
        "detect", source="parts", recipe="plain", latent=2, normal=("good",), policy="max-f1",
        trim=0.1, epochs=2, seed=3,
    )  # fmt: skip
    classifier = read(old_state("classify", recipe="joint")).options
    assert (classifier.strategy, classifier.separator, classifier.class_weight) == ("joint", "|", "balanced")  # fmt: skip
    assert not hasattr(classifier, "policy")
    assert read(old_state("reconstruct")).options.trim == 0


def test_the_command_that_is_told_asks_for_the_same(tmp_path, monkeypatch):
    """Each job's options through the command that the report shows, and back."""
    asked = [
        make_options("reconstruct", source="a b", latent=3, family="dense", tied=True, loss_name="absolute"),
        make_options("detect", source="x", normal=("good", "fine, new"), recipe="plain", error="ssim", density=("mahalanobis",),
                     policy="max-f1", trim=0.1, bits=12, follow_links=True, root=str(tmp_path), size=32, aspect="keep"),
        make_options("classify", source="x", strategy="sequential", width=8, class_weight="balanced", separator="|",
                     mirrored=False, augment=(), patience=3, precision="fp32", threads=1),
        make_options("classify", source="x", weight="learn", mirrored=True, augment=("flip", "crop")),
    ]  # fmt: skip
    taken = []
    monkeypatch.setattr("residua.runs.fit.fit_run", lambda options, out, **_: taken.append(options))
    for options in asked:
        words = shlex.split(fit_command(TrainedRun(tmp_path / "run"), RunState(options=options)))
        get_command(app).main([*words[1:], "--quiet"], standalone_mode=False)
        left = {**options.model_dump(), "recipe_options": None}
        assert {**taken[-1].model_dump(), "recipe_options": None} == left
        assert {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in taken[-1].recipe_options.items()} == options.recipe_options  # fmt: skip


@pytest.mark.parametrize(
    "made", [Autoencoder(latent=2, epochs=2), OneClassDetector(latent=2, epochs=2)]
)
def test_a_fit_leaves_the_users_generators_and_loggers_as_they_were(made):
    logger = logging.getLogger("lightning.pytorch")
    logger.setLevel(logging.INFO)
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002  the global one, which is the user's
    before, expected = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    made.fit(blobs(30, (8, 8)))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], expected)  # noqa: NPY002
    assert logger.level == logging.INFO


def test_a_classifier_leaves_the_users_generator_as_it_was():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    AutoencoderClassifier(width=4, epochs=1).fit(blobs(20, (8, 8)), [0, 1] * 10)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_seed_gives_the_same_weights_whatever_the_users_generator_holds():
    scores = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        options = make_options("detect", latent=2, epochs=2, seed=5)
        fitted = fit(options, _images())
        scores.append(fitted.bundle.calibration_scores)
    assert np.array_equal(*scores)


def _images():
    from residua.images import ImageSet

    return ImageSet.from_arrays(blobs(40, (8, 8)))


def test_no_option_of_training_stands_in_more_places_than_it_has_to():
    """`trim` stood in ten files: in the declaration, the command, three signatures and the training."""
    source = Path(inspect.getfile(fit)).parents[2]
    files = {path.name for path in source.rglob("*.py") if re.search(r"\btrim\b", path.read_text())}
    assert files <= {
        "options.py",
        "help_groups.py",
        "fit.py",
        "base.py",
        "detector.py",
        "autoencoder.py",
        "images.py",
    }


def test_ready_settings_of_a_classifier_leave_the_augmentation_to_the_images_unless_they_name_it():
    assert ClassifyOptions(settings=TrainingSettings(seed=3)).settings.augment == ("auto",)
    assert ClassifyOptions(settings=TrainingSettings(augment=())).settings.augment == ()
    assert DetectOptions(settings=TrainingSettings(seed=3)).settings.augment == ()


def test_an_option_that_a_recipe_lacks_is_told_in_words():
    with pytest.raises(
        InputError, match=r"recipe plain: option widht: must be one that it takes.*family"
    ):
        make_recipe("plain", widht=3)
