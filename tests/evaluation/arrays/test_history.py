"""Losses of epochs are refused by their names and told by their fall; honest scores are not
accused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from residua.errors import InputError
from residua.evaluation.arrays import judge
from residua.findings import find_loss_history

RNG = np.random.default_rng(0)
LOSSES = 0.3 * np.exp(-np.arange(30) / 6) + 0.02 + RNG.normal(0, 0.0015, 30)


def codes(record) -> dict[str, str]:
    return {finding.code: finding.severity for finding in record.findings}


@pytest.mark.parametrize(
    "name", ["history.csv", "history.npz", "history.json", "semicolons.csv", "mapping"]
)
@pytest.mark.parametrize("role", ["scores", "train_scores", "images"])
def test_columns_of_a_history_are_refused_wherever_they_are_given(
    tmp_path: Path, name: str, role: str
) -> None:
    columns = {
        "epoch": list(range(30)),
        "loss": LOSSES.tolist(),
        "val_loss": (1.1 * LOSSES).tolist(),
    }
    path = tmp_path / name
    if name.endswith(".csv"):
        comma = "," if name == "history.csv" else ";"
        rows = zip(*columns.values(), strict=True)
        path.write_text(
            "\n".join([comma.join(columns), *(comma.join(map(str, row)) for row in rows)])
        )
    elif name == "history.npz":
        np.savez(path, **{key: columns[key] for key in ("loss", "val_loss")})
    else:
        path.write_text(json.dumps(columns))
    source = columns if name == "mapping" else str(path)
    beside = {
        "images": {"reconstructions": RNG.random((30, 8, 8))},
        "train_scores": {"scores": RNG.random(30)},
    }.get(role, {})
    with pytest.raises(InputError, match="history of training"):
        judge(**{role: source}, **beside)


def test_one_loss_per_image_is_a_score(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    path.write_text(
        "id,loss\n" + "".join(f"{i},{value}\n" for i, value in enumerate(RNG.random(20)))
    )
    assert judge(scores=f"{path}:loss")[0].n_images == 20


def test_an_array_of_losses_is_an_error_and_sorted_numbers_are_a_warning() -> None:
    assert codes(judge(scores=LOSSES)[0])["loss-history"] == "error"
    assert codes(judge(scores=np.sort(LOSSES)[::-1])[0])["loss-history"] == "warning"
    assert codes(judge(scores=RNG.random(40), train_scores=LOSSES)[0])["loss-history"] == "error"


def test_honest_scores_are_not_accused() -> None:
    accused = sum(
        find_loss_history(RNG.lognormal(size=n)) is not None
        for n in (8, 12, 30, 300)
        for _ in range(1_000)
    )
    assert accused <= 1
    assert "loss-history" not in codes(judge(scores=LOSSES, labels=[0, 1] * 15)[0])
    rising, few, negative = LOSSES[::-1], LOSSES[:7], LOSSES - 1
    assert all(
        find_loss_history(numbers) is None for numbers in (rising, few, negative, np.ones(30), [])
    )


def test_of_several_arrays_without_names_none_is_taken_for_reconstructions(tmp_path: Path) -> None:
    x = RNG.random((20, 8, 8))
    path = tmp_path / "both.npz"
    np.savez(path, x, x * 0.9)
    with pytest.raises(InputError, match=r"both.npz:arr_0"):
        judge(images=path, reconstructions=path)
    record, _ = judge(images=f"{path}:arr_0", reconstructions=f"{path}:arr_1")
    assert record.metrics["mse"].value == pytest.approx(np.square(0.1 * x).mean())
    np.savez(path, x=x, y=np.arange(20))
    with pytest.raises(InputError, match="called reconstructions"):
        judge(images=path, reconstructions=path)
