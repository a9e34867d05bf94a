"""Kinds of defects are learnt, told and exported; flagged images are grouped to be named."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from residua.engines.kinds import KINDS
from residua.errors import LabelError, OutputError
from residua.images import load_images
from residua.runs.engines import export_run
from residua.runs.learning.features import StoredFeatures
from residua.runs.learning.groups import group_alike, group_flagged
from residua.runs.learning.learn import learn_run
from residua.runs.score import score_run
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import load_bundle, score_set
from residua.training.scoring.learned_score import LearnedScorer, Seen
from runs import add_image


def test_kinds_that_were_named_are_told_in_tables_and_exports(finished, source, tmp_path):
    for kind in ("corner", "noise", "single"):
        (tmp_path / "said" / "defect" / kind).mkdir(parents=True)
    for n in range(5):
        place = tmp_path / "said" / "defect"
        shutil.copy(source / f"bad/{n:03d}.png", place / "corner" / f"{n}.png")
        add_image(place / "noise" / f"{n}.png", 10 + n)
    add_image(tmp_path / "said" / "defect" / "single" / "0.png", 20)
    record = learn_run(finished.path, str(tmp_path / "said"), tmp_path / "run2")
    assert (record.kinds.names, record.kinds.n) == (("corner", "noise"), 10)
    assert record.about_kinds().startswith(
        "2 kinds of defects are told now: corner, noise; single not yet, as it takes two defects of"
        " a kind, of two parts. Of 10 defects"
    )
    (tmp_path / "new").mkdir()
    for number in range(40, 44):
        add_image(tmp_path / "new" / f"{number}.png", number)
    shutil.copy(source / "good/001.png", tmp_path / "new")
    score_run(tmp_path / "run2", str(tmp_path / "new"), tmp_path / "scores.csv")
    text = (tmp_path / "scores.csv").read_text(encoding="utf-8")
    rows = {row["path"]: row for row in csv.DictReader(text.splitlines())}
    assert {"kind", "p[corner]", "p[noise]", "p[none of these]"} <= set(rows["40.png"])
    assert {rows[f"{n}.png"]["kind"] for n in range(40, 44)} <= {"noise", "none of these", ""}
    assert all(float(rows[f"{n}.png"]["p[corner]"]) < 0.5 for n in range(40, 44))
    assert (rows["001.png"]["anomalous"], rows["001.png"]["kind"]) == ("false", "")
    images = load_images(str(tmp_path / "new"))
    told = score_set(load_bundle(tmp_path / "run2" / "bundle"), images).probabilities
    assert told.sum(axis=1) == pytest.approx(np.ones(len(images)), abs=1e-5)
    export_run(tmp_path / "run2", KINDS["onnx"])
    exported = TrainedRun(tmp_path / "run2").model("onnx").engine.score([*images]).probabilities
    assert np.allclose(exported, told, atol=1e-4)
    (tmp_path / "said" / "defect" / "corner").rename(tmp_path / "said" / "defect" / "CORNER2")
    (tmp_path / "said" / "defect" / "CORNER2").rename(tmp_path / "said" / "defect" / "CORNER")
    more = learn_run(tmp_path / "run2", str(tmp_path / "said"), tmp_path / "run3")
    assert more.kinds == record.kinds


def test_what_lies_under_the_masks_of_defects_teaches_their_kinds():
    draw = torch.Generator().manual_seed(0)

    def seen(n: int, at: int | None = None) -> Seen:
        marked = torch.randn(n, 6, generator=draw)
        if at is not None:
            marked[:, at] += 9
        return Seen(marked.norm(dim=1), marked, torch.zeros(n, 1))

    def joined(*some: Seen) -> Seen:
        return Seen(*(torch.cat(parts) for parts in zip(*some, strict=True)))

    normals, defects = seen(60), seen(8, 5)  # what stands out of a defect is not its kind
    kinds, asked = torch.arange(8) // 4, joined(seen(20, 0), seen(20, 1))
    shown = joined(seen(4, 0), seen(4, 1)), torch.arange(8)
    told = []
    for more in (shown, None):
        scorer = LearnedScorer(torch.nn.Identity())
        scorer.learn(normals, torch.arange(60) > 20, defects=defects, kinds=kinds, shown=more)
        likeliest = scorer.kinds(scorer._white(asked))[:, :2].argmax(1)
        told.append(float((likeliest == torch.arange(40) // 20).float().mean()))
    assert told[0] == 1 and told[1] < 0.9


def test_a_model_that_sees_no_places_learns_nothing_of_masks(finished, source, tmp_path):
    rows = ["path,label,kind,mask"]
    for n in range(4):
        shutil.copy(source / f"bad/{n:03d}.png", tmp_path / f"{n}.png")
        Image.fromarray(np.eye(12, dtype=np.uint8)).save(tmp_path / f"{n}-mask.png")
        rows.append(f"{n}.png,defect,{'one' if n % 2 else 'other'},{n}-mask.png")
    (tmp_path / "said.csv").write_text("\n".join(rows), encoding="utf-8")
    learn_run(finished.path, str(tmp_path / "said.csv"), tmp_path / "run2")
    assert not len(StoredFeatures.load(TrainedRun(tmp_path / "run2")).of("shown"))


def test_images_that_stand_out_alike_are_one_group():
    rng = np.random.default_rng(0)
    normal, flagged = rng.normal(size=(80, 6)), rng.normal(size=(30, 6))
    for kind in range(3):
        flagged[kind::3, kind] += 12
    seen = [
        Seen(torch.zeros(len(v)), torch.tensor(v).float(), torch.zeros(len(v), 1))
        for v in (flagged, normal)
    ]
    codes = group_alike(*seen)
    assert [len(set(codes[kind::3])) for kind in range(3)] == [1, 1, 1]
    assert len(set(codes)) == 3
    assert group_alike(seen[0].rows(torch.arange(2)), seen[1]).tolist() == [0, 0]


def test_flagged_images_are_grouped_to_be_named_and_learnt(finished, source, tmp_path):
    (tmp_path / "new").mkdir()
    for n in range(6):
        shutil.copy(source / f"bad/{n:03d}.png", tmp_path / "new")
        add_image(tmp_path / "new" / f"noise{n}.png", 20 + n)
    shutil.copy(source / "good/000.png", tmp_path / "new")
    found = group_flagged(finished.path, str(tmp_path / "new"), tmp_path / "kinds")
    flagged = {path for group in found.paths for path in group}
    assert "good/000.png" not in flagged
    page = found.page.read_text(encoding="utf-8")
    assert page.count("<img") == 2 * len(flagged)
    with pytest.raises(LabelError, match="groups of flagged images must be named"):
        learn_run(finished.path, str(tmp_path / "kinds"), tmp_path / "run2")
    for number in range(1, len(found.paths) + 1):
        folder = tmp_path / "kinds" / "defect"
        kind = "noise" if number == 1 else "corner"
        (folder / kind).mkdir(exist_ok=True)
        for file in (folder / f"group-{number:02}").iterdir():
            file.rename(folder / kind / file.name)
        (folder / f"group-{number:02}").rmdir()
    record = learn_run(finished.path, str(tmp_path / "kinds"), tmp_path / "run2")
    assert {one.kind for one in record.corrections} == {"noise", "corner"}
    assert any(one.part is not None for one in record.corrections)
    with pytest.raises(OutputError, match="must be new or empty"):
        group_flagged(finished.path, str(tmp_path / "new"), tmp_path / "kinds")
