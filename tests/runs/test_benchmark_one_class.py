"""`residua benchmark`: the protocol, the figures, going on after a stop, and what the command
prints."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from residua.cli import main
from residua.errors import InputError, LabelError
from residua.images import ImageSet, load_images
from residua.runs.benchmark import benchmark
from residua.runs.benchmark.benchmark import BenchmarkOptions, run_benchmark
from residua.runs.benchmark.cases import find_cases
from residua.runs.benchmark.folder import BenchmarkFolder
from residua.runs.benchmark.progress import BenchmarkProgress
from residua.runs.benchmark.summary import summarise
from residua.runs.progress import Watcher
from runs import write_source
from training_wing import blobs

KEYS = {
    "source", "protocol", "machine", "command", "residua_version", "recipes", "rows", "baselines", "skipped", "seconds",
    "summary",
}  # fmt: skip
BASELINES = {"pixel_neighbours", "pca", "mean_image", "brightness", "contrast"}


def options(source="digits", **more) -> BenchmarkOptions:
    return BenchmarkOptions.model_validate(
        {"source": str(source), "normal": ("0", "1"), "settings": {"epochs": 1}, **more}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("benchmark") / "table"


@pytest.fixture(scope="module")
def result(folder):
    """Two classes, two recipes, two seeds, on the digits."""
    return run_benchmark(options(recipes=("plain", "denoising"), seeds=2), out=folder)


def area(label, name, value, **more):
    return {
        "class": label,
        "name": name,
        "recipe": name,
        "roc_auc": {"value": value},
        "seconds_fit": 1.0,
        **more,
    }


def test_one_class_is_compared_by_groups_and_says_how_many():
    rng = np.random.default_rng(0)
    flags, parts = np.arange(120) >= 60, np.arange(120) // 4
    ours = flags + 0.4 * rng.normal(size=30)[parts]
    theirs = rng.normal(size=30)[parts]
    scored = {"is_anomalous": flags, "scores": ours, "seed": 0}
    beside = [area("0", "pca", 0.5, scores=theirs)]
    summaries = [
        summarise([area("0", "plain", 0.95, **scored, **more)], beside)
        for more in ({}, {"groups": parts.tolist()})
    ]
    alone, grouped = (one["difference"] for one in summaries)
    assert grouped["n_groups"] == 30
    assert grouped["low"] < alone["low"]
    assert "paired over test images of 30 groups" in summaries[1]["verdict"]
    few = [area("0", "plain", 0.95, **scored, groups=(parts // 8).tolist())]
    assert "no interval: " in summarise(few, beside)["verdict"]


# --- the figures
# ----


def test_the_result_is_the_public_object_and_strict_json(result):
    assert set(result) == KEYS
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert {"cpu", "cores", "memory_gb", "torch", "threads", "load"} <= set(result["machine"])


def test_every_class_recipe_and_seed_has_a_row_and_every_class_its_baselines(result):
    fits = [(row["class"], row["recipe"], row["seed"]) for row in result["rows"]]
    assert fits == [
        (label, recipe, seed)
        for label in "01"
        for recipe in ("plain", "denoising")
        for seed in (0, 1)
    ]
    for label in "01":
        names = [one["name"] for one in result["baselines"] if one["class"] == label]
        assert sorted(names) == sorted(BASELINES | {"untrained plain", "untrained denoising"})


def test_seeds_train_differently_on_the_same_parts(result):
    first, second = result["rows"][:2]
    assert first["roc_auc"]["value"] != second["roc_auc"]["value"]
    for count in ("n_train", "n_calibration", "n_test", "n_test_anomalous"):
        assert first[count] == second[count]


def test_the_area_is_that_of_the_kept_scores_over_the_labelled_test_part(result, folder):
    kept = BenchmarkFolder(folder).fit("1", "plain", 0)
    test = load_images("digits", normal="1").test
    assert kept["is_anomalous"] == test.is_anomalous.tolist()
    estimate = kept["roc_auc"]
    assert estimate["value"] == pytest.approx(roc_auc_score(kept["is_anomalous"], kept["scores"]))
    assert estimate["low"] < estimate["value"] < estimate["high"]
    assert "scores" not in result["rows"][0]


def test_the_summary_is_the_mean_over_classes_of_the_mean_over_seeds(result):
    values = np.array(
        [row["roc_auc"]["value"] for row in result["rows"] if row["recipe"] == "plain"]
    ).reshape(2, 2)
    column = result["summary"]["columns"]["plain"]
    assert column["mean"] == pytest.approx(values.mean())
    assert column["seed_spread"] == pytest.approx(values.mean(axis=0).std(ddof=1))
    assert column["classes"]["1"] == pytest.approx(values[1].mean())


# --- the protocol
# ----


def test_training_sees_normal_train_images_alone():
    images = load_images("digits")
    (case,), _ = find_cases(images, ("3",), seed=0)
    assert set(case.train.labels.tolist()) == set(case.calibration.labels.tolist()) == {3}
    parts = [set(part.paths.tolist()) for part in (case.train, case.calibration, case.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_without_a_split_the_parts_are_those_of_any_other_command():
    (case,), _ = find_cases(load_images("digits", seed=5), ("3",), seed=5)
    named = load_images("digits", normal="3", seed=5)
    assert case.test.paths.tolist() == named.test.paths.tolist()
    assert set(case.train.paths.tolist()) == set(
        named.train.paths[~named.train.is_anomalous].tolist()
    )
    assert case.notes == named.notes


def of_its_own(n_train: int, labels=("a", "b"), test=("a", "b")) -> ImageSet:
    """A source with a test part of its own: `n_train` training images a label, three of each in
    test."""
    column = [label for label in labels for _ in range(n_train)] + [
        label for label in test for _ in range(3)
    ]
    splits = ["train"] * (n_train * len(labels)) + ["test"] * (3 * len(test))
    return ImageSet.from_arrays(blobs(len(column)), column, splits=splits)


def test_a_test_part_of_the_source_is_taken_as_it_is():
    images = of_its_own(20)
    cases, skipped = find_cases(images, None, seed=0)
    assert [case.label for case in cases] == ["a", "b"]
    assert skipped == []
    for case in cases:
        assert case.test.paths.tolist() == images.test.paths.tolist()
        assert len(case.train) + len(case.calibration) == 20


def test_images_without_a_label_are_not_judged():
    images = of_its_own(20, test=("a", None, "b"))
    (case, _), _ = find_cases(images, None, seed=0)
    assert case.test.labels.tolist() == ["a"] * 3 + ["b"] * 3


def test_each_takes_the_labels_in_train_and_no_others():
    cases, _ = find_cases(
        of_its_own(20, labels=("good",), test=("good", "crack", "dent")), None, seed=0
    )
    assert [case.label for case in cases] == ["good"]
    assert int(cases[0].test.is_anomalous.sum()) == 6


def test_a_class_that_is_too_small_is_skipped_with_a_note():
    images = ImageSet.from_arrays(
        blobs(26),
        ["a"] * 20 + ["b"] * 2 + ["a", "a", "b", "b"],
        splits=["train"] * 22 + ["test"] * 4,
    )
    cases, skipped = find_cases(images, None, seed=0)
    assert [case.label for case in cases] == ["a"]
    assert skipped == [
        "class b was skipped: train holds 2 images of it, and it takes 4 beside those for"
        " calibration"
    ]


@pytest.mark.parametrize("test", [("a",), ("b",), ()])
def test_a_test_part_of_one_kind_is_refused_with_what_it_holds(test):
    with pytest.raises(LabelError, match=r"test holds \d normal and \d anomalous"):
        find_cases(of_its_own(20, labels=("a",), test=test), None, seed=0)


def test_a_train_part_without_labels_is_refused():
    with pytest.raises(LabelError, match="train must have labels"):
        find_cases(ImageSet.from_arrays(blobs(9)), None, seed=0)


def test_unknown_labels_and_recipes_are_named_before_any_work():
    with pytest.raises(LabelError, match="'x' where there are 0, 1, 2"):
        run_benchmark(options(normal=("0", "x")))
    with pytest.raises(InputError, match="Did you mean plain"):
        run_benchmark(options("no such folder", recipes=("plan",)))


# --- going on
# ----


def no_fit(*_, **__):
    pytest.fail("a finished fit was done again")


def test_what_is_finished_is_not_done_again_and_the_figures_stay(result, folder, monkeypatch):
    monkeypatch.setattr(benchmark, "fit", no_fit)
    told = []
    again = run_benchmark(
        options(recipes=("plain", "denoising"), seeds=2),
        out=folder,
        watcher=Watcher(on_note=told.append),
    )
    assert "8 of 8 fits are finished already and not done again" in told
    assert {key: again[key] for key in ("rows", "baselines", "summary")} == {
        key: result[key] for key in ("rows", "baselines", "summary")
    }


def test_a_stopped_benchmark_ends_with_the_figures_of_an_uninterrupted_one(tmp_path, monkeypatch):
    whole = run_benchmark(options(), out=tmp_path / "whole")
    fit, fits = benchmark.fit, []

    def stopped_at_the_second(*arguments, **more):
        fits.append(1)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **more)

    monkeypatch.setattr(benchmark, "fit", stopped_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(options(), out=tmp_path / "stopped")
    resumed = run_benchmark(options(), out=tmp_path / "stopped")
    assert len(fits) == 3
    assert [row["roc_auc"] for row in resumed["rows"]] == [row["roc_auc"] for row in whole["rows"]]
    assert [one["roc_auc"] for one in resumed["baselines"]] == [
        one["roc_auc"] for one in whole["baselines"]
    ]


def test_recipes_classes_and_seeds_may_be_fewer_or_more(result, folder, monkeypatch):
    monkeypatch.setattr(benchmark, "fit", no_fit)
    part = run_benchmark(options(normal=("1",), recipes=("denoising",)), out=folder)
    assert part["rows"] == [
        row
        for row in result["rows"]
        if (row["class"], row["recipe"], row["seed"]) == ("1", "denoising", 0)
    ]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"settings": {"epochs": 2}}, "epochs 2 .begun with 1."),
        ({"size": 16}, "size 16"),
        ({"settings": {"seed": 1}}, "seed 1"),
    ],
)
def test_other_options_than_those_it_was_begun_with_are_refused_by_name(
    result, folder, changed, named
):
    with pytest.raises(InputError, match=named):
        run_benchmark(options(**changed), out=folder)


def test_a_damaged_file_is_named(tmp_path):
    kept = BenchmarkFolder(tmp_path)
    kept.begin({"source": "digits"})
    kept.keep({"class": "0", "recipe": "plain", "seed": 0})
    (tmp_path / "fits" / "0--plain--0.json").write_text("{")
    with pytest.raises(InputError, match=r"0--plain--0.json: must be what"):
        kept.fit("0", "plain", 0)


def test_labels_that_look_alike_as_file_names_stay_apart(tmp_path):
    kept, labels = BenchmarkFolder(tmp_path), ["a/b", "a_b", "a b", "../a", "ä", "a--plain"]
    kept.begin({})
    for label in labels:
        kept.keep({"class": label, "recipe": "plain", "seed": 0})
    assert [kept.fit(label, "plain", 0)["class"] for label in labels] == labels
    assert len(list((tmp_path / "fits").iterdir())) == len(labels)


# --- the verdict
# ----


@pytest.mark.parametrize(
    ("shift", "said"),
    [(0.1, "It beats"), (-0.1, "It falls behind"), (0.0, "No difference to")],
)
def test_the_verdict_follows_the_paired_interval(shift, said):
    base = [0.6, 0.7, 0.8, 0.75, 0.65]
    noise = [0.01, -0.012, 0.004, -0.006, 0.005]
    rows = [area(str(k), "plain", value + shift + noise[k], seed=0) for k, value in enumerate(base)]
    summary = summarise(rows, [area(str(k), "pca", value) for k, value in enumerate(base)])
    assert said in summary["verdict"]
    assert summary["difference"]["value"] == pytest.approx(shift, abs=0.001)


def test_the_best_recipe_is_compared_with_the_strongest_baseline():
    rows = [
        area(label, name, value)
        for label in "ab"
        for name, value in (("plain", 0.6), ("restore", 0.9))
    ]
    baselines = [
        area(label, name, value)
        for label in "ab"
        for name, value in (("pca", 0.7), ("brightness", 0.5))
    ]
    summary = summarise(rows, baselines)
    assert (summary["best_recipe"], summary["strongest_baseline"]) == ("restore", "pca")
    assert summary["difference"]["value"] == pytest.approx(0.2)
    assert "of 2 recipes" in summary["verdict"]


def test_one_class_is_compared_over_its_test_images():
    rng = np.random.default_rng(0)
    truth = [False] * 60 + [True] * 60
    good, poor = (np.where(truth, shift, 0) + rng.normal(size=120) for shift in (3.0, 0.3))
    scored = [
        area("good", name, roc_auc_score(truth, scores), scores=scores.tolist(), is_anomalous=truth)
        for name, scores in (("plain", good), ("pca", poor))
    ]
    difference = summarise(scored[:1], scored[1:])["difference"]
    assert 0 < difference["low"] < difference["value"] < difference["high"]
    assert difference["n"] == 120


def test_a_baseline_that_separates_backwards_counts_turned_around():
    rng = np.random.default_rng(0)
    truth = np.repeat([False, True], 60)
    good, dark = rng.normal(size=120) + 0.5 * truth, -(rng.normal(size=120) + 3 * truth)
    scored = [
        area(
            "good",
            name,
            roc_auc_score(truth, scores),
            scores=scores.tolist(),
            is_anomalous=truth.tolist(),
        )
        for name, scores in (("plain", good), ("brightness", dark))
    ]
    scored[1]["roc_auc"]["high"] = 0.1
    summary = summarise(scored[:1], scored[1:])
    column = summary["columns"]["brightness"]
    assert column["turned"] == ["good"] and column["mean"] > 0.9
    assert summary["difference"]["high"] < 0
    assert "turned around" in summary["verdict"] and "It falls behind" in summary["verdict"]


@pytest.mark.parametrize(
    ("value", "said"), [(0.9, "lies 0.200 above"), (0.6, "lies 0.100 below"), (0.7, "equals")]
)
def test_without_an_interval_the_verdict_says_so(value, said):
    summary = summarise([area("good", "plain", value)], [area("good", "pca", 0.7)])
    assert summary["difference"]["low"] is None
    assert (
        f"It {said} the strongest baseline (pca, 0.700), on too little for an interval."
        in summary["verdict"]
    )


def test_time_left_is_learnt_from_fits_of_the_same_recipe():
    fits = [("0", "plain", 0), ("0", "restore", 0), ("1", "plain", 0), ("1", "restore", 0)]
    known = [(fits[0], 10.0), (fits[1], 100.0)]
    assert BenchmarkProgress(fits, known, Watcher()).seconds_left() == pytest.approx(110)
    assert BenchmarkProgress(fits, [], Watcher()).seconds_left() is None


# --- the command
# ----


def run(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_command_prints_the_table_and_writes_the_json(tmp_path, capsys):
    source = write_source(tmp_path / "parts")
    asked = (
        "benchmark",
        source,
        "--normal",
        "good",
        "--epochs",
        1,
        "--threads",
        1,
        "--out",
        tmp_path / "out",
    )
    assert run(*asked, "--json", tmp_path / "table.json") == 0
    printed = capsys.readouterr()
    written = json.loads((tmp_path / "table.json").read_text())
    assert set(written) == KEYS
    for word in (
        "good",
        "plain",
        "neighbours",
        "brightness",
        f"{written['rows'][0]['roc_auc']['value']:.3f}",
    ):
        assert word in printed.out
    assert "[1/1] class good, plain, seed 0" in printed.err
    assert run(*asked, "--json", "-", "--quiet") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["rows"] == written["rows"]
    assert printed.err == ""


def test_a_mistake_ends_with_2_and_one_sentence(capsys):
    assert run("benchmark", "digits", "--normal", "11", "--quiet") == 2
    assert "the normal label must occur in the source. Got '11'" in capsys.readouterr().err


def test_a_narrow_terminal_shows_every_column_whole(result, folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert (
        run(
            "benchmark",
            "digits",
            "--normal",
            "0,1",
            "--recipe",
            "plain,denoising",
            "--seeds",
            2,
            "--epochs",
            1,
            "--out",
            folder,
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "…" not in out
    for column in ("plain", "denoising", "untrained", "neighbours", "brightness", "contrast"):
        assert column in out
