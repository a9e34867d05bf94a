"""Which column is which class: a header is obeyed, taken by place, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from residua.errors import InputError, LabelError, ShapeError
from residua.evaluation.arrays import judge
from residua.records import assumptions_of

RNG = np.random.default_rng(0)
N = 200


def predicted(k: int):
    """True classes 0..k-1 and probabilities that are right in all but 20 images."""
    y = RNG.integers(0, k, N)
    said = np.where(np.arange(N) < 20, (y + 1) % k, y)
    return y, np.full((N, k), 0.1 / k) + 0.9 * np.eye(k)[said]


def table(folder: Path, name: str, header: str | None, columns, before=None) -> str:
    lines = [] if header is None else [header]
    for row, values in enumerate(np.asarray(columns)):
        cells = [
            f"{value:.6f}" if np.asarray(columns).dtype.kind == "f" else str(value)
            for value in values
        ]
        lines.append(",".join([*(() if before is None else before(row)), *cells]))
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def labels_of(folder: Path, names) -> str:
    return table(folder, "y.csv", "label", np.asarray(names)[:, np.newaxis])


def judged(**given):
    record = judge(**given)[0]
    return (
        record.metrics["accuracy"].value,
        {one.about: one for one in assumptions_of(record.provenance)},
        record,
    )


@pytest.mark.parametrize(
    ("names", "header"),
    [
        (["bad", "good"], "bad,good"),
        (["good", "bad"], "good,bad"),
        (["good", "bad"], "p[good],p[bad]"),
        (["good", "bad"], "p_good,p_bad"),
        (["good", "bad"], "prob_good,prob_bad"),
        (["good", "bad"], "proba good,proba bad"),
        (["good", "bad"], "score_good,score_bad"),
        (["good", "bad"], "good_probability,bad_probability"),
        (["good", "bad"], '"P(good)","P(bad)"'),
        (["ok", "nok"], "ok,nok"),
        (["ok", "crack", "blowhole"], "ok,crack,blowhole"),
        (["2", "0", "1"], "2,0,1"),
        (["2", "0", "1"], "p_2,p_0,p_1"),
        (["b", "A"], "b,A"),
        (["b", "A"], "p_B,p_a"),
        (["a", "A"], "a,A"),
        (["A", "a", "b"], "p_A,p_a,p_b"),
        ([f"class {k}" for k in range(12)], ",".join(f"class {k}" for k in range(12))),
        ([str(k) for k in range(12)], ",".join(map(str, range(12)))),
        ([str(k) for k in range(12)], None),
    ],
)
def test_a_header_that_names_the_classes_is_obeyed_in_any_order(
    tmp_path: Path, names, header
) -> None:
    y, p = predicted(len(names))
    accuracy, told, record = judged(
        labels=labels_of(tmp_path, np.array(names)[y]),
        predictions=table(tmp_path, "p.csv", header, p),
    )
    assert accuracy == 0.9
    assert record.n_images == N
    assert ("order of the columns" in told) == (header is None)
    recall = record.metrics[f"recall[{names[1]}]"].value
    assert recall == pytest.approx((p.argmax(axis=1) == 1)[y == 1].mean())


def test_columns_beside_the_probabilities_are_left_alone(tmp_path: Path) -> None:
    y, p = predicted(2)
    names = np.array(["good", "bad"])
    ours = "path,camera,score,threshold,predicted,p[good],p[bad]"
    before = lambda row: [f"{row}.png", "left", "0.3", "0.5", names[p[row].argmax()]]  # noqa: E731
    path = table(tmp_path, "p.csv", ours, p, before)
    accuracy, _, record = judged(labels=labels_of(tmp_path, names[y]), predictions=path)
    assert accuracy == 0.9
    assert "log_loss" in record.metrics
    assert judged(labels=labels_of(tmp_path, names[y]), predictions=f"{path}:predicted")[0] == 0.9


def test_an_index_is_no_class_and_a_class_that_no_label_has_stays_one(tmp_path: Path) -> None:
    y, p = predicted(2)
    names = np.array(["good", "bad"])
    labels = labels_of(tmp_path, names[y])
    assert (
        judged(
            labels=labels,
            predictions=table(tmp_path, "p.csv", ",good,bad", p, lambda row: [str(row)]),
        )[0]
        == 0.9
    )
    three = np.column_stack([p * 0.9, np.full(N, 0.1)])
    for header in ("p_good,p_bad,p_ugly", "good,bad,ugly"):
        accuracy, _, record = judged(
            labels=labels, predictions=table(tmp_path, "p.csv", header, three)
        )
        assert accuracy == 0.9
        assert record.metrics["recall[ugly]"].value is None
    assert (
        judged(
            labels=labels,
            predictions=table(tmp_path, "p.csv", "good,bad,seconds", np.column_stack([p, y + 3.5])),
        )[0]
        == 0.9
    )


def test_a_single_column_is_of_the_class_that_it_names(tmp_path: Path) -> None:
    y, p = predicted(2)
    names = np.array(["good", "bad"])
    labels = labels_of(tmp_path, names[y])
    for column, header in (
        (0, "good"),
        (1, "bad"),
        (0, "p_good"),
        (1, "probability of bad"),
        (0, "Good"),
    ):
        accuracy, told, _ = judged(
            labels=labels, predictions=table(tmp_path, "p.csv", header, p[:, [column]])
        )
        assert accuracy == 0.9
        assert "class of the probabilities" not in told
    accuracy, told, _ = judged(
        labels=labels, predictions=table(tmp_path, "p.csv", "probability", p[:, [0]])
    )
    assert accuracy == 0.9
    assert told["class of the probabilities"].taken == "good"
    told_order = {
        "predictions": table(tmp_path, "p.csv", "probability", p[:, [1]]),
        "classes": ["good", "bad"],
    }
    assert judged(labels=labels, **told_order)[0] == 0.9
    assert judged(labels=y, predictions=table(tmp_path, "p.csv", "p_defect", p[:, [1]]))[0] == 0.9
    with pytest.raises(ShapeError, match="p_defect and labels bad, good"):
        judge(labels=labels, predictions=table(tmp_path, "p.csv", "p_defect", p[:, [1]]))


@pytest.mark.parametrize(
    "header", ["fine,defect", "p_good,p_schlecht", "good,defect", "prob_0,prob_2"]
)
def test_a_header_of_other_classes_is_refused_with_both_unless_they_are_told(
    tmp_path: Path, header: str
) -> None:
    y, p = predicted(2)
    names = np.array(["good", "bad"])
    given = {
        "labels": labels_of(tmp_path, names[y]),
        "predictions": table(tmp_path, "p.csv", header, p),
    }
    with pytest.raises(ShapeError, match="labels bad, good"):
        judge(**given)
    if "good" not in header:
        assert judged(**given, classes=["good", "bad"])[0] == 0.9


def test_columns_that_are_counted_go_by_their_numbers_and_the_classes_that_are_told(
    tmp_path: Path,
) -> None:
    y, p = predicted(3)
    names = np.array(["ok", "crack", "blowhole"])
    labels = labels_of(tmp_path, names[y])
    for header, columns in (
        ("0,1,2", [0, 1, 2]),
        ("prob_3,prob_1,prob_2", [2, 0, 1]),
        (None, [0, 1, 2]),
    ):
        given = {"labels": labels, "predictions": table(tmp_path, "p.csv", header, p[:, columns])}
        assert judged(**given, classes=names.tolist())[0] == 0.9
        _, told, record = judged(**given)
        assert told["order of the columns"].taken == "blowhole, crack, ok"
        assert any(
            one.code == "permuted-classes" and one.severity == "error" for one in record.findings
        )
    with pytest.raises(ShapeError, match="labels 1, 2, 3"):
        judge(labels=y + 1, predictions=table(tmp_path, "p.csv", "0,1,2", p))


def test_one_hot_labels_with_a_header_go_by_name(tmp_path: Path) -> None:
    y, p = predicted(3)
    one_hot = np.eye(3, dtype=int)[y]
    predictions = table(tmp_path, "p.csv", "p_c,p_a,p_b", p[:, [2, 0, 1]])
    assert (
        judged(labels=table(tmp_path, "y.csv", "a,b,c", one_hot), predictions=predictions)[0] == 0.9
    )
    dummies = table(tmp_path, "y.csv", ",a,b,c", one_hot.astype(bool), lambda row: [str(row)])
    assert judged(labels=dummies, predictions=predictions)[0] == 0.9
    several = (RNG.random((N, 3)) < 0.5).astype(int)
    answers = np.clip(several * 0.8 + 0.1, 0, 1)
    record = judge(
        labels=table(tmp_path, "y.csv", "a,b,c", several),
        predictions=table(tmp_path, "p.csv", "c,a,b", answers[:, [2, 0, 1]]),
    )[0]
    assert record.metrics["accuracy"].value == 1
    assert "recall[a]" in record.metrics


def test_a_hole_in_predictions_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    for text, words in (
        ("bad,good\n.1,.9\n.2,\n", "an empty cell in line 3"),
        (".1,.9\n#N/A,.2\n", "'#N/A' in line 2"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            judge(labels=["bad", "good"], predictions=str(path))


def test_what_is_told_must_fit(tmp_path: Path) -> None:
    y, p = predicted(3)
    with pytest.raises(LabelError, match="one column per class"):
        judge(labels=y, predictions=p, classes=["a", "b"])
    with pytest.raises(InputError, match="--classes must go with"):
        judge(scores=y, classes=["a", "b"])
