"""Tables as people export them give the true number, or are refused with the line that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from residua.errors import InputError, RangeError, ShapeError, SourceError
from residua.evaluation.arrays import judge
from residua.records import assumptions_of

RNG = np.random.default_rng(0)
SCORES = RNG.random(120).round(4)
LABELS = (SCORES + RNG.normal(0, 0.3, 120) > 0.5).astype(int)
TRUE = roc_auc_score(LABELS, SCORES)
TEXTS = [f"{score:.4f}" for score in SCORES]


def written(folder: Path, name: str, lines, encoding: str = "utf-8") -> str:
    path = folder / name
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return str(path)


def roc_auc(**given) -> float:
    record = judge(**given)[0]
    assert record.n_images == 120
    return record.metrics["roc_auc"].value


def abouts(**given) -> list[str]:
    return [one.about.partition(" /")[0] for one in assumptions_of(judge(**given)[0].provenance)]


@pytest.mark.parametrize(
    "lines",
    [
        ["score", *TEXTS],
        TEXTS,
        ["0", *TEXTS],
        [",score", *(f"{row},{text}" for row, text in enumerate(TEXTS))],
        [",0", *(f"{row},{text}" for row, text in enumerate(TEXTS))],
        ["Unnamed: 0,score", *(f"{row},{text}" for row, text in enumerate(TEXTS))],
        ["score;x", *(f"{text};1".replace(".", ",") for text in TEXTS)],
        ["score", *(text.replace(".", ",") for text in TEXTS)],
        [
            "sep=;",
            "score;path",
            *(f"{text};{row}.png".replace(".", ",", 1) for row, text in enumerate(TEXTS)),
        ],
        ["path\tscore", *(f"{row}.png\t{text}" for row, text in enumerate(TEXTS))],
        ['"path", "score"', *(f'"{row}.png", "{text}"' for row, text in enumerate(TEXTS))],
        ["# score", *TEXTS],
        ["score,", *(f"{text}," for text in TEXTS)],
        ["score", *TEXTS, "", ""],
    ],
)
def test_every_dialect_of_the_same_scores_gives_the_same_area(
    tmp_path: Path, lines: list[str]
) -> None:
    assert roc_auc(scores=written(tmp_path, "s.csv", lines), labels=LABELS) == pytest.approx(TRUE)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_every_encoding_gives_the_same_area(tmp_path: Path, encoding: str) -> None:
    labels = written(tmp_path, "y.csv", ["label", *np.where(LABELS, "Rißstelle", "gut")], encoding)
    assert roc_auc(scores=SCORES, labels=labels, normal="gut") == pytest.approx(TRUE)


def test_a_header_0_is_no_image_in_both_files_and_the_lengths_decide_where_one_has_none(
    tmp_path: Path,
) -> None:
    scores, labels = (
        written(tmp_path, "s.csv", ["0", *TEXTS]),
        written(tmp_path, "y.csv", ["0", *map(str, LABELS)]),
    )
    bare, plain = written(tmp_path, "b.csv", TEXTS), written(tmp_path, "l.csv", map(str, LABELS))
    for given in (
        (scores, labels),
        (scores, plain),
        (bare, labels),
        (bare, plain),
        (scores, LABELS),
        (SCORES, labels),
    ):
        assert roc_auc(scores=given[0], labels=given[1]) == pytest.approx(TRUE)
    assert "first line of --labels" in abouts(scores=scores, labels=labels)


def test_a_first_line_that_can_be_either_is_told(tmp_path: Path) -> None:
    whole = written(tmp_path, "s.csv", ["0", *(str(round(score * 1000)) for score in SCORES[1:])])
    labels = written(tmp_path, "y.csv", ["0", *map(str, LABELS[1:])])
    record = judge(scores=whole, labels=labels)[0]
    assert record.n_images == 120
    told = [
        one.taken for one in assumptions_of(record.provenance) if one.about.startswith("first line")
    ]
    assert told == ["data: 0", "data: 0"]
    plain = written(tmp_path, "y.csv", ["good", *np.where(LABELS[1:], "crack", "good")])
    assert abouts(scores=SCORES, labels=plain) == ["normal label"]


def test_indices_that_count_from_0_and_from_1_are_one_order(tmp_path: Path) -> None:
    ours = written(
        tmp_path, "s.csv", [",score", *(f"{row},{text}" for row, text in enumerate(TEXTS))]
    )
    theirs = written(
        tmp_path,
        "y.csv",
        ['"","label"', *(f'"{row + 1}",{label}' for row, label in enumerate(LABELS))],
    )
    assert roc_auc(scores=ours, labels=theirs) == pytest.approx(TRUE)


def test_a_first_score_of_0_stays_a_score(tmp_path: Path) -> None:
    scores = [0.0, *SCORES[1:]]
    path = written(tmp_path, "s.csv", ["0", *TEXTS[1:]])
    assert roc_auc(scores=path, labels=LABELS) == pytest.approx(roc_auc_score(LABELS, scores))


def test_a_header_of_a_word_that_nobody_knows_is_no_label(tmp_path: Path) -> None:
    names = np.where(LABELS, "crack", "good")
    labels, said = (
        written(tmp_path, "y.csv", ["quality", *names]),
        written(tmp_path, "p.csv", ["answer", *names[::-1]]),
    )
    record = judge(labels=labels, predictions=said)[0]
    assert record.n_images == 120
    assert record.metrics["accuracy"].value == (names == names[::-1]).mean()


def test_our_own_table_of_scores_is_read_from_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    columns = {
        "path": [f"{row}.png" for row in range(120)],
        "score": SCORES.astype(np.float32),
        "threshold": [0.5] * 120,
    }
    columns |= {"anomalous": SCORES > 0.5, "mse": SCORES[::-1]}
    pq.write_table(pa.table(columns), tmp_path / "scores.parquet")
    path = str(tmp_path / "scores.parquet")
    assert roc_auc(scores=path, labels=LABELS) == pytest.approx(TRUE)
    assert judge(scores=path)[1].paths[7] == "7.png"
    assert judge(scores=f"{path}:mse")[1].scores[0] == SCORES[-1]
    with pytest.raises(ShapeError, match="decisions are no labels"):
        judge(scores=path, labels=path)
    pq.write_table(pa.table({"score": [[0.1, 0.2]]}), tmp_path / "nested.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 nothing")
    for name in ("nested", "torn"):
        with pytest.raises(SourceError, match=f"{name}.parquet"):
            judge(scores=str(tmp_path / f"{name}.parquet"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["score", "0.5", "abc"], "'abc' in line 3"),
        (["sep=,", "score", "0.5", "abc"], "'abc' in line 4"),
        (["path,score", '"a', 'b.png",0.5', "c.png,nan"], "'nan' in line 4"),
        (["score", "0.5", "1_000"], "'1_000' in line 3"),
        (["score", '"1,234"', '"5,678"'], "a thousand and more or a decimal comma"),
        (["score", '"1,234.5"'], "a mark between thousands"),
        (["score", "0.5", "97%"], "'97%' in line 3. Write shares without percent signs"),
        (["a,b", "1,2", "3"], "others in line 3"),
        (['score,"b', "1,2"], "quotes closed"),
        (["a;b", "1;2", "3;4"], "must have one column"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_line_that_an_editor_shows(
    tmp_path: Path, lines, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        judge(scores=written(tmp_path, "s.csv", lines))


def test_probabilities_in_per_cent_and_logits_are_refused_by_name(tmp_path: Path) -> None:
    p = np.stack([1 - SCORES, SCORES], axis=1)
    with pytest.raises(RangeError, match="divide them by 100"):
        judge(labels=LABELS, predictions=p * 100)
    with pytest.raises(RangeError, match="softmax"):
        judge(labels=LABELS, predictions=np.log(p + 1e-9))
    with pytest.raises(RangeError, match="sum to 1"):
        judge(labels=LABELS, predictions=p * [1, 0.9])
    rounded = p.astype(np.float16).astype(np.float32)
    assert judge(labels=LABELS, predictions=rounded)[0].metrics["roc_auc"].value == pytest.approx(
        TRUE, abs=2e-3
    )


def shuffled(tmp_path: Path, folder: str = "", header: str = "path") -> str:
    rows = RNG.permutation(120)
    return written(
        tmp_path,
        "y.csv",
        [f"{header},label", *(f"{folder}{row}.png,{LABELS[row]}" for row in rows)],
    )


def test_files_that_list_the_same_images_in_another_order_are_joined_and_that_is_told(
    tmp_path: Path,
) -> None:
    scores = written(
        tmp_path,
        "s.csv",
        ["path,score", *(f"a/{row}.png,{text}" for row, text in enumerate(TEXTS))],
    )
    for folder in ("a/", "b/c/", "b\\"):
        given = {"scores": scores, "labels": shuffled(tmp_path, folder)}
        assert roc_auc(**given) == pytest.approx(TRUE)
        assert "rows of --labels" in "".join(abouts(**given))
    assert judge(scores=scores, labels=shuffled(tmp_path, "b/"))[1].paths[3] == "a/3.png"


def test_an_order_that_nothing_can_settle_is_refused(tmp_path: Path) -> None:
    index = written(
        tmp_path, "i.csv", [",score", *(f"{row},{text}" for row, text in enumerate(TEXTS))]
    )
    other = written(
        tmp_path, "j.csv", [",label", *(f"{row},{LABELS[row]}" for row in RNG.permutation(120))]
    )
    ids = written(
        tmp_path, "k.csv", ["id,label", *(f"{row},{LABELS[row]}" for row in RNG.permutation(120))]
    )
    counted = written(
        tmp_path, "l.csv", ["id,score", *(f"{row},{text}" for row, text in enumerate(TEXTS))]
    )
    doubled = written(
        tmp_path,
        "m.csv",
        ["path,score", *(f"{row // 2}.png,{text}" for row, text in enumerate(TEXTS))],
    )
    paths = written(
        tmp_path, "n.csv", ["path,score", *(f"{row}.png,{text}" for row, text in enumerate(TEXTS))]
    )
    for given in ((index, other), (counted, ids), (doubled, shuffled(tmp_path))):
        with pytest.raises(ShapeError, match="same images in the same order"):
            judge(scores=given[0], labels=given[1])
    images = RNG.random((120, 8, 8))
    with pytest.raises(ShapeError, match="no ids in --images"):
        judge(scores=paths, labels=shuffled(tmp_path), images=images, reconstructions=images)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(RangeError, match="finite"):
        judge(scores=np.where(np.arange(120) == 5, value, SCORES), labels=LABELS)


def test_rows_of_images_that_could_not_be_read_are_left_out_of_our_own_table(tmp_path: Path):
    rows = [f"{row}.png,{LABELS[row]},{text}," for row, text in enumerate(TEXTS)]
    rows[30:30] = ["broken.png,1,,the file is empty"]
    table = written(tmp_path, "scores.csv", ["path,label,score,unreadable", *rows])
    assert roc_auc(scores=table, labels=table) == pytest.approx(TRUE)
    assert "rows without a score" in abouts(scores=table, labels=table)
    other = written(tmp_path, "other.csv", ["path,label,score", "broken.png,1,", *rows[:9]])
    with pytest.raises(ShapeError):
        judge(scores=other, labels=other)
