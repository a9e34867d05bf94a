"""Near-copies of corrections leave the parts that judge,
and a sample holds new good images alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import InputError
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.learning.learn import learn_run
from residua.runs.progress import Watcher
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import load_bundle
from runs import add_image, options


def saved_anew(path: Path, to: Path) -> None:
    """The picture at another size and with loss."""
    with Image.open(path) as image:
        big = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
        big.save(to, quality=90)


@pytest.fixture(scope="module")
def textured(tmp_path_factory) -> tuple[TrainedRun, Path]:
    """A detector of pictures that differ enough to tell copies of them, and their folder."""
    folder, rng = tmp_path_factory.mktemp("textured"), np.random.default_rng(5)
    for label, n in (("good", 90), ("bad", 12)):
        (folder / "parts" / label).mkdir(parents=True)
        for number in range(n):
            rough = Image.fromarray(rng.integers(0, 256, (8, 8)).astype(np.uint8))
            image = rough.resize((32, 32), Image.Resampling.BICUBIC)
            image.save(folder / "parts" / label / f"{number:03d}.png")
    asked = options(folder / "parts", recipe="pca", recipe_options={}, settings={"epochs": None})
    return fit_run(asked, folder / "run"), folder / "parts"


def test_near_copies_leave_test_and_count_in_calibration_as_exact_copies_do(textured, tmp_path):
    run, source = textured
    columns = run.read_images("path", "part")
    of = {
        part: [str(path) for path in columns["path"][columns["part"] == part] if "good" in path]
        for part in ("test", "calibration")
    }
    (tmp_path / "said" / "good").mkdir(parents=True)
    near = [*of["test"][:3], *of["calibration"][:2]]
    for number, path in enumerate(near):
        saved_anew(source / path, tmp_path / "said" / "good" / f"{number}.jpg")
    (tmp_path / "sample").mkdir()
    for number, path in enumerate([of["test"][3], of["test"][4]]):
        saved_anew(source / path, tmp_path / "sample" / f"{number}.jpg")
    add_image(tmp_path / "sample" / "new.png", 7)
    notes: list[str] = []
    record = learn_run(
        run.path,
        str(tmp_path / "said"),
        tmp_path / "run2",
        sample=str(tmp_path / "sample"),
        watcher=Watcher(on_note=notes.append),
    )
    (left_out,) = (one for one in notes if "of the sample left out" in one)
    assert left_out.startswith("2 images of the sample left out, as near-copies of images that")
    assert record.sampled == 1
    assert (record.n_moved, record.n_moved_near, record.n_held_near) == (3, 3, 2)
    assert record.n_unsearched == 0
    assert "3 test images of the run left the test part (3 as near-copies" in record.about_parts()
    learnt = TrainedRun(tmp_path / "run2").read_images("path", "part")
    assert sorted(learnt["path"][learnt["part"] == "corrected"]) == sorted(near[:3])
    judged = evaluate_run(tmp_path / "run2", str(source)).evaluation
    reused = [one for one in judged.findings if one.code == "test-reused"]
    assert reused[0].measured["n_reused"] >= len(near)


def test_where_the_images_are_gone_it_says_what_was_not_searched(textured, tmp_path):
    shutil.copytree(textured[1], tmp_path / "parts")
    asked = options(tmp_path / "parts", recipe="pca", recipe_options={}, settings={"epochs": None})
    run = fit_run(asked, tmp_path / "run")
    (tmp_path / "parts").rename(tmp_path / "moved")
    (tmp_path / "said" / "good").mkdir(parents=True)
    saved_anew(tmp_path / "moved" / "good" / "000.png", tmp_path / "said" / "good" / "0.jpg")
    notes: list[str] = []
    record = learn_run(
        run.path, str(tmp_path / "said"), tmp_path / "run2", watcher=Watcher(on_note=notes.append)
    )
    parts = run.read_images("part")["part"].tolist()
    assert record.n_unsearched == parts.count("test") + parts.count("calibration")
    assert any("could not be compared with the corrections" in note for note in notes)
    (tmp_path / "moved").rename(tmp_path / "parts")
    found = evaluate_run(tmp_path / "run2").evaluation.findings
    assert [one.severity for one in found if one.code == "test-reused"] == ["error"]


def test_a_sample_joins_calibration_and_must_hold_no_corrected_image(
    finished, corrections, tmp_path
):
    (tmp_path / "sample").mkdir()
    for number in range(20, 26):
        add_image(tmp_path / "sample" / f"{number}.png", number)
    learn_run(finished.path, str(corrections), tmp_path / "run2", sample=str(tmp_path / "sample"))
    without = load_bundle(finished.bundle).calibration_scores
    assert len(load_bundle(tmp_path / "run2" / "bundle").calibration_scores) >= len(without) - 1
    shutil.copy(corrections / "defect" / "new0.png", tmp_path / "sample")
    with pytest.raises(InputError, match="must not hold corrected images"):
        learn_run(
            finished.path, str(corrections), tmp_path / "run3", sample=str(tmp_path / "sample")
        )


def test_a_sample_must_hold_good_images_and_each_counts_once(finished, corrections, tmp_path):
    for number in range(20, 24):
        place = tmp_path / "sample" / ("good" if number < 23 else "defect")
        place.mkdir(parents=True, exist_ok=True)
        add_image(place / f"{number}.png", number)
    shutil.copy(tmp_path / "sample" / "good" / "20.png", tmp_path / "sample" / "good" / "copy.png")
    with pytest.raises(InputError, match=r"1 image labelled as defects: defect/23"):
        learn_run(
            finished.path, str(corrections), tmp_path / "run2", sample=str(tmp_path / "sample")
        )
    shutil.rmtree(tmp_path / "sample" / "defect")
    record = learn_run(
        finished.path, str(corrections), tmp_path / "run2", sample=str(tmp_path / "sample")
    )
    assert record.sampled == 3
