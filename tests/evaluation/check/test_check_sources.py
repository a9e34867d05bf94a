"""`residua check`: planted faults are told, clean sources are not accused, a gate says no."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from residua.cli import app, main
from residua.errors import SourceError
from residua.evaluation.check import check_sources, image_statistics, sources
from residua.images import ImageSet
from residua.metrics import roc_auc


def pictures(n: int, seed: int = 0, size: int = 24) -> np.ndarray:
    """Coarse forms with fine grain, no two alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 160, (n, 6, 6)).repeat(size // 6, axis=1).repeat(size // 6, axis=2)
    return (coarse + rng.integers(0, 60, (n, size, size))).astype(np.uint8)


def clean(n: int = 200) -> dict:
    splits = ["train"] * (n // 2) + ["calibration"] * (n // 4) + ["test"] * (n // 4)
    return {
        "images": pictures(n),
        "splits": splits,
        "labels": (["good"] * 9 + ["bad"]) * (n // 10),
        "normal": "good",
    }


def codes(found) -> dict[str, str]:
    return {finding.code: finding.severity for finding in found.findings}


def test_a_clean_source_is_not_accused() -> None:
    assert codes(check_sources([ImageSet.from_arrays(**clean())])) == {"leakage": "ok"}


def test_copies_across_parts_and_within_are_two_findings_and_have_pictures() -> None:
    source = clean()
    source["images"][150:153] = source["images"][:3, ::-1]
    source["images"][10] = source["images"][11]
    found = check_sources([ImageSet.from_arrays(**source)])
    assert codes(found) == {"leakage": "warning", "duplicates": "note"}  # 3 of 100
    assert found.findings[0].measured["kinds"] == {"flipped": 3}
    assert len(found.figures["leakage"].groups) == 3
    assert found.findings[0].code == "leakage"


def test_groups_in_several_parts_are_told_once_and_none_found_says_what_was_looked_for():
    groups = np.arange(200) % 100
    found = check_sources([ImageSet.from_arrays(**clean(), groups=groups)]).findings
    assert sum(one.code == "torn-groups" for one in found) == 1
    leaks = next(one for one in found if one.code == "leakage")
    assert "re-encoded, resized, brightened, cropped, flipped or rotated" in leaks.meaning
    assert "more or fewer images may judge doubtful pairs in another way" in leaks.meaning


def test_calibration_images_among_test_images_are_told_apart_from_training_images():
    data = clean()
    data["images"][160:190] = data["images"][110:140]
    found = check_sources([ImageSet.from_arrays(**data)])
    of_train, of_calibration = (one for one in found.findings if one.code == "leakage")
    if of_train.severity == "error":
        of_train, of_calibration = of_calibration, of_train
    assert of_train.severity == "ok"
    assert (of_calibration.severity, of_calibration.measured["n_leaked"]) == ("error", 30)
    assert "30 of the 50 images of test are copies of images of calibration" in (
        of_calibration.meaning
    )
    assert "The threshold is chosen on those pictures" in of_calibration.meaning


def test_one_picture_with_two_labels_is_told() -> None:
    source = clean()
    source["images"][9] = source["images"][8]
    assert codes(check_sources([ImageSet.from_arrays(**source)])) == {
        "leakage": "ok",
        "duplicates": "warning",
    }


@pytest.mark.parametrize("search", ["search_duplicates", "image_statistics", "_labelled_copies"])
def test_a_check_that_fails_is_told_and_the_others_are_made(
    search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(sources, search)

    def broken(*arguments, only_exact=False, **options):
        if only_exact:
            return real(*arguments, only_exact=True, **options)
        raise ValueError("zip() argument 2 is shorter\nand more")

    monkeypatch.setattr(sources, search, broken)
    source = clean()
    source["images"][150] = source["images"][0]
    source["images"] = source["images"][:, :, : 24 if search == "search_duplicates" else 23]
    found = check_sources([ImageSet.from_arrays(**source)])
    told = codes(found)
    assert told["not-checked"] == "warning"
    (failed,) = (one for one in found.findings if one.code == "not-checked")
    assert failed.measured["error"] == "ValueError: zip() argument 2 is shorter"
    leakage = next(one for one in found.findings if one.code == "leakage")
    assert leakage.measured["n_leaked"] == 1
    assert leakage.measured["looked_for"] == (
        "exact copies" if search == "search_duplicates" else "copies of every kind"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, SourceError])
def test_an_interruption_a_lack_of_memory_and_a_users_mistake_end_a_check(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments, **options):
        raise error("stop")

    monkeypatch.setattr(sources, "search_duplicates", broken)
    with pytest.raises(error):
        check_sources([ImageSet.from_arrays(**clean(40))])


def test_debug_shows_the_traceback_of_a_failed_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments, **options):
        raise ValueError("cells differ")

    monkeypatch.setattr(sources, "image_statistics", broken)
    np.save(tmp_path / "x.npy", pictures(12))
    log = logging.getLogger("residua.findings")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "level", log.level)
    with pytest.raises(SystemExit) as leaving:
        main(["--debug", "check", str(tmp_path / "x.npy")])
    shown = capsys.readouterr()
    assert leaving.value.code == 0
    assert "Traceback" in shown.err
    assert "could not be checked" in shown.out
    log.handlers.clear()
    with pytest.raises(SystemExit):
        main(["check", str(tmp_path / "x.npy")])
    assert "Traceback" not in capsys.readouterr().err


def test_images_that_show_nothing_are_told_as_that_and_not_as_copies_with_two_labels() -> None:
    source = clean()
    source["images"][:30] = 0
    found = check_sources([ImageSet.from_arrays(**source)])
    assert codes(found) == {"leakage": "ok", "constant-images": "error"}
    told = next(one for one in found.findings if one.code == "constant-images")
    assert (told.measured["n_constant"], told.measured["n_black"]) == (30, 30)


def test_a_part_on_another_scale_and_a_shortcut_are_told() -> None:
    source = clean()
    source["images"] = source["images"].astype(np.float32) / 255
    source["images"][150:] /= 255
    assert codes(check_sources([ImageSet.from_arrays(**source)]))["mixed-scale"] == "error"
    source = clean()
    bad = np.array(source["labels"]) == "bad"
    source["images"] = [
        np.pad(image, 6, mode="edge") if one else image
        for image, one in zip(source["images"], bad, strict=True)
    ]
    found = check_sources([ImageSet.from_arrays(**source)])
    assert codes(found)["shortcut"] == "error"
    assert next(one for one in found.findings if one.code == "shortcut").measured["feature"] in {
        "height",
        "width",
        "compression",
    }


def test_of_several_sources_the_first_is_what_is_trained_on() -> None:
    train, test = pictures(60), pictures(40, seed=1)
    test[5] = train[7]
    sets = [ImageSet.from_arrays(train, source="a"), ImageSet.from_arrays(test, source="b")]
    leakage = check_sources(sets).findings[0]
    assert leakage.measured["examples"] == [{"path": "b[5]", "of": "a[7]", "kind": "exact"}]
    darker = ImageSet.from_arrays(test // 3, source="c")
    assert codes(check_sources([sets[0], darker]))["unlike-parts"] == "error"


@pytest.fixture
def folder(tmp_path):
    for row, image in enumerate(pictures(40)):
        path = tmp_path / "parts" / ("train" if row < 30 else "test") / "good" / f"{row:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path / "parts"


def test_the_command_lists_findings_writes_json_and_pictures_and_is_a_gate(
    folder, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with Image.open(folder / "train" / "good" / "03.png") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "test" / "good" / "copy.png")
    result = CliRunner().invoke(
        app, ["check", "parts", "--json", "check.json", "--pictures", "sheets", "-q"]
    )
    assert result.exit_code == 0
    value = json.loads((folder.parent / "check.json").read_text())
    leakage = next(one for one in value["findings"] if one["code"] == "leakage")
    assert leakage["measured"]["kinds"] == {"rotated": 1}
    with Image.open(folder.parent / "sheets" / "leakage.png") as sheet:
        assert sheet.width > 100
    with pytest.raises(SystemExit) as leaving:
        main(["check", "parts", "--strict"])
    assert leaving.value.code == 3
    said = capsys.readouterr()
    assert "leakage" in said.err
    assert "1 rotated" in said.out.replace("\n", " ")


def test_the_command_loads_no_torch(folder) -> None:
    code = (
        "import sys\nfrom residua.cli import main\ntry:\n    main(['check', sys.argv[1],"
        " '-q'])\nexcept SystemExit as leaving:\n    sys.exit(leaving.code or 'torch' in"
        " sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0


@pytest.mark.parametrize("size", [24, 28, 80])
def test_jpeg_shows_in_the_compression_of_small_and_of_large_images_and_in_no_others(
    size: int,
) -> None:
    plain = (
        gaussian_filter(np.random.default_rng(0).normal(120, 60, (80, size, size)), (0, 1, 1))
        .clip(0, 255)
        .astype(np.uint8)
    )
    stored = [np.asarray(Image.open(_as_jpeg(one))) for one in plain[40:]]
    found = image_statistics(ImageSet.from_arrays([*plain[:40], *stored]))["compression"]
    assert abs(np.median(found[:40])) < 0.1
    assert roc_auc(np.arange(80) >= 40, found) > 0.95


def _as_jpeg(picture: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=60)
    return file


def test_names_that_suggest_groups_are_a_hint_before_training():
    pictures = np.random.default_rng(0).integers(0, 200, (36, 24, 24)).astype(np.uint8)
    paths = [f"part{part:02d}_view{view}.png" for part in range(12) for view in range(3)]
    found = check_sources([ImageSet.from_arrays(pictures, paths=paths)])
    assert found.hint.endswith(r"--groups 'part(\d+)'") and "12 groups" in found.hint
    assert found.to_json()["hint"] == found.hint
    named = ImageSet.from_arrays(pictures, paths=paths, groups=[path[:6] for path in paths])
    assert check_sources([named]).hint is None
    assert check_sources([ImageSet.from_arrays(pictures)]).hint is None


def test_copies_of_one_group_are_no_fault_unless_their_labels_differ():
    pictures = np.random.default_rng(0).integers(0, 200, (60, 24, 24)).astype(np.uint8)
    pictures[1], pictures[3] = pictures[0], pictures[2]
    groups = [0, 0, 1, 1, *range(2, 58)]
    labels = ["good"] * 60

    def copies(**told) -> list[int]:
        images = ImageSet.from_arrays(pictures, **told)
        found = check_sources([images]).findings
        return [one.measured["n_groups"] for one in found if one.code == "duplicates"]

    assert copies(labels=labels) == [2]
    assert copies(labels=labels, groups=groups) == []
    assert copies(labels=["bad", *labels[1:]], groups=groups) == [1]


def test_the_measure_of_compression_is_that_of_its_definition():
    def high(grey, down, right):  # as many blocks on each grid as there are between two of them
        blocks = [
            dctn(grey[8 * row + down :, 8 * column + right :][:8, :8], norm="ortho")
            for row in range((50 - 12) // 8)
            for column in range((61 - 12) // 8)
        ]
        return np.abs(blocks)[:, np.add.outer(range(8), range(8)) >= 8].mean()

    grey = np.random.default_rng(0).integers(0, 256, (50, 61)) / 255
    between = np.mean([high(grey, down, right) for down in (4, 12) for right in (4, 12)])
    image = ImageSet.from_arrays(np.rint(grey[None] * 255).astype(np.uint8))
    found = image_statistics(image)
    assert found["compression"][0] == pytest.approx(
        np.log((between + 0.002) / (high(grey, 8, 8) + 0.002)), abs=1e-6
    )
    assert (found["brightness"][0], found["contrast"][0]) == pytest.approx(
        (grey.mean(), grey.std()), abs=1e-6
    )
