"""Criteria before the test, the dossier after it, and steps of the protocol that do not hold."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

import residua
from residua.cli import main
from residua.errors import BundleError, GateError, InputError
from residua.evaluation.verification import verify_report
from residua.runs.dossier import accept_run, beside_run, make_dossier, write_dossier
from residua.runs.evaluate import evaluate_run
from residua.runs.threshold import change_threshold
from residua.runs.trained_run import TrainedRun

CRITERIA = """
[use]
purpose = "Find parts with a bright corner."
[criteria]
roc_auc = {at_least = 0.2}
[sample]
normal = 5
each_kind = 2
"""


@pytest.fixture(scope="module")
def criteria(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("criteria") / "criteria.toml"
    path.write_text(CRITERIA, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tested(finished, criteria, tmp_path_factory) -> Path:
    """A run whose criteria were accepted, and which was evaluated then."""
    folder = tmp_path_factory.mktemp("tested") / "run"
    shutil.copytree(finished.path, folder)
    accept_run(folder, criteria)
    evaluate_run(folder)
    return folder


@pytest.fixture
def copy(tested, tmp_path) -> Path:
    shutil.copytree(tested, tmp_path / "copy")
    return tmp_path / "copy"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_criteria_that_stood_before_the_test_are_met_and_verified_from_the_file_alone(
    tested, tmp_path
):
    html, data, made = residua.write_dossier(tested, tmp_path / "parts.html")
    assert made.broken == ()
    assert made.word == "met"
    states = {one.key: one.state for one in made.headings}
    assert states.pop("monitoring") == "open"
    assert set(states.values()) == {"shown"}
    assert all(one.artefacts for one in made.headings if one.state == "shown")
    for path in (html, data):
        found = verify_report(path)
        assert found.differing == ()
        assert found.broken == ()
        assert len(found.figures) > 20
    beside = beside_run(verify_report(html), html, tested, made.artefacts.acceptances[0].sha256)
    assert beside.differing == ()
    assert beside_run(verify_report(html), html, None, "0" * 64).differing


def test_without_criteria_nothing_is_met_and_without_a_test_the_figures_are_open(run, criteria):
    made = make_dossier(run.path)
    assert made.word == "not shown"
    assert {one.key: one.state for one in made.headings}["criteria"] == "open"
    accept_run(run.path, criteria)
    made = make_dossier(run.path)
    assert made.word == "not shown"
    assert {one.key: one.state for one in made.headings}["figures"] == "open"


def test_an_evaluation_names_the_criteria_by_the_hash_that_was_told(tested, tmp_path):
    _, _, made = write_dossier(tested, tmp_path / "dossier.html")
    (accepted,) = made.artefacts.acceptances
    told = next(one for one in made.headings if one.key == "versions").rows[0]
    assert told[3] == f"version 1, {accepted.sha256[:12]}"


def test_a_second_version_names_the_first_and_is_refused_after_the_test(copy, run, criteria):
    first, second = accept_run(run.path, criteria), accept_run(run.path, criteria, by="A. Miller")
    assert (second.version, second.replaces) == (2, first.mark)
    with pytest.raises(GateError, match="judged already"):
        accept_run(copy, criteria)


def test_images_are_known_by_their_pixels_whoever_judged_them(run, criteria, source, tmp_path):
    """Copies under other names, in another format, some of them, judged as another source."""
    recorded = run.read_images()
    names = recorded["path"][recorded["part"] == "test"].tolist()
    for index, name in enumerate(names[:3]):
        with Image.open(source / name) as image:
            (tmp_path / "copies").mkdir(exist_ok=True)
            image.save(tmp_path / "copies" / f"renamed-{index}.bmp")
    evaluate_run(run.path, str(tmp_path / "copies"))
    with pytest.raises(GateError, match="copies"):
        accept_run(run.path, criteria)


def test_an_evaluation_from_before_evaluations_were_recorded_counts(copy, criteria):
    (copy / "tested.json").unlink()
    assert any("no record of when" in one for one in make_dossier(copy).broken)
    (copy / "acceptance.json").unlink()
    with pytest.raises(GateError, match=r"evaluation\.json"):
        accept_run(copy, criteria)


def test_criteria_for_other_images_keep_the_evaluation_of_those(run, criteria, tmp_path, source):
    other = tmp_path / "delivery"
    for label in ("good", "bad"):
        (other / label).mkdir(parents=True)
        for path in sorted((source / label).iterdir())[:9]:
            with Image.open(path) as image:
                image.transpose(Image.Transpose.ROTATE_180).point(lambda v: v // 2 + 9).save(
                    other / label / path.name
                )
    accept_run(run.path, criteria, on=str(other))
    evaluate_run(run.path, str(other))
    made = make_dossier(run.path)
    assert made.artefacts.acceptances[-1].n_images == 18
    assert made.report is not None
    assert not [one for one in made.broken if "criteria" in one]


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("acceptance.json", "at_least = 0.2", "at_least = 0.1", "acceptance.json.*edited"),
        ("tested.json", '"threshold": ', '"threshold": 1', "tested.json.*edited"),
        ("evaluation.json", '"what_to_do": "', '"what_to_do": "x', "not one that was recorded"),
    ],
)
def test_an_edited_file_is_named(copy, name, old, new, said):
    edit(copy / name, old, new)
    try:
        made = make_dossier(copy)
    except BundleError as error:
        assert re.search(said, str(error))
        return
    assert any(re.search(said, one) for one in made.broken), made.broken
    assert made.word != "met"


def test_a_file_of_other_weights_is_named(copy):
    with (copy / "bundle" / "model.safetensors").open("ab") as file:
        file.write(b" ")
    assert any("weights" in one for one in make_dossier(copy).broken)


def test_a_threshold_that_was_moved_after_the_test_is_named(copy):
    change_threshold(copy, "quantile:0.5")
    assert any("2 thresholds" in one for one in make_dossier(copy).broken)


def test_an_edited_dossier_differs(tested, tmp_path):
    html, data, _ = write_dossier(tested, tmp_path / "parts.html")
    told = json.loads(data.read_text(encoding="utf-8"))
    told["criteria"][0]["figure"] = "1.000 [0.99, 1.00] of 30"
    data.write_text(json.dumps(told), encoding="utf-8")
    assert any("figure" in one.name for one in verify_report(data).differing)
    edit(html, "holds</span>", "fine</span>")
    assert any("printed" in one.name for one in verify_report(html).differing)


def test_damaged_records_are_refused_and_not_taken_for_none(copy, criteria, tmp_path):
    (copy / "tested.json").write_text("{", encoding="utf-8")
    with pytest.raises(BundleError, match=r"tested\.json"):
        make_dossier(copy)
    with pytest.raises(InputError, match="readable"):
        accept_run(copy, tmp_path / "none.toml")


def test_the_commands_say_what_holds_and_gate_on_it(copy, criteria, tmp_path, capsys):
    out = tmp_path / "d.html"
    with pytest.raises(SystemExit) as ended:
        main(["dossier", str(copy), "--out", str(out), "--strict"])
    assert ended.value.code == 0
    assert "Acceptance criteria: met." in capsys.readouterr().out
    (copy / "evaluation.json").unlink()
    for arguments in (["accept", str(copy), str(criteria)], ["dossier", str(copy), "--strict"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 3
    assert TrainedRun(copy).exists()
