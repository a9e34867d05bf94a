"""True arrays of a reconstructor, a detector and a classifier, and the disguises in which people
bring them.

A `World` is what is true. A `Disguise` changes how it is written down and not what is true.
`plausible.py` draws worlds, puts them through one disguise or two and asks the judge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, roc_auc_score

Arrays = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """How one column of numbers or names is written as a table."""

    header: tuple[str, ...] | None
    separator: str = ","
    decimal_comma: bool = False
    index: bool = False
    first_line: str = ""
    encoding: str = "utf-8"
    quoted: bool = False
    ids: tuple[str, ...] | None = None
    blank_end: bool = False


@dataclass(frozen=True)
class World:
    """Arrays to judge, the true metrics, how tables are written, and more arguments of the
    judge.
    """

    job: str
    arrays: Arrays
    truth: dict[str, float]
    tables: dict[str, Dialect] = field(default_factory=dict)
    arguments: Arrays = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def with_arrays(self, **arrays: Any) -> World:
        return replace(self, arrays={**self.arrays, **arrays})

    def write(self, folder: Path) -> Arrays:
        """The arguments of `judge`: arrays as they are, tables as files."""
        given: Arrays = dict(self.arguments)
        for role, values in self.arrays.items():
            given[role] = (
                values
                if role not in self.tables
                else _write(folder / f"{role}.csv", values, self.tables[role])
            )
        return given


@dataclass(frozen=True)
class Disguise:
    """One way to write a world down; `facet` is what it changes, so that a pair changes two things.

    `words`: one of them must stand in the finding of severity error that names the disguise.
    """

    name: str
    facet: str
    jobs: tuple[str, ...]
    wear: Callable[[World, np.random.Generator], World | None]
    words: tuple[str, ...]


def draw_world(job: str, random: np.random.Generator) -> World:
    return {"reconstruct": _reconstructor, "detect": _detector, "classify": _classifier}[job](
        random
    )


def _pictures(random: np.random.Generator, n: int, side: int, channels: int) -> np.ndarray:
    if channels == 1 and random.random() < 0.3:
        digits = load_digits().images
        own = digits[random.integers(0, len(digits), n)] / 16
        return np.repeat(np.repeat(own, side // 8, 1), side // 8, 2)[..., None].astype(np.float32)
    noise = random.normal(size=(n, side, side, channels))
    smooth = gaussian_filter(noise, (0, side / 12, side / 12, 0), mode="wrap")
    smooth -= smooth.min(axis=(1, 2, 3), keepdims=True)
    smooth /= smooth.max(axis=(1, 2, 3), keepdims=True)
    return (smooth * random.uniform(0.7, 1) if random.random() < 0.3 else smooth).astype(np.float32)


def _reconstructor(random: np.random.Generator) -> World:
    n, side, channels = (
        int(random.integers(20, 60)),
        int(random.choice([16, 24])),
        int(random.choice([1, 3])),
    )
    images = _pictures(random, n, side, channels)
    kind = random.integers(0, 3)
    if kind == 0:
        made = (
            images * random.uniform(0.9, 1)
            + 0.01
            + random.normal(0, random.uniform(0.005, 0.05), images.shape)
        )
    elif kind == 1:
        made = gaussian_filter(images, (0, 1, 1, 0))
    else:
        flat = images.reshape(n, -1)
        mean = flat.mean(axis=0)
        basis = np.linalg.svd(flat - mean, full_matrices=False)[2][: int(random.integers(3, 12))]
        made = ((flat - mean) @ basis.T @ basis + mean).reshape(images.shape)
    made = np.clip(made, 0, 1).astype(np.float32)
    error = float(np.mean((images.astype(np.float64) - made) ** 2))
    return World("reconstruct", {"images": images, "reconstructions": made}, {"mse": error})


def _detector(random: np.random.Generator) -> World:
    n = int(random.integers(120, 400))
    labels = (random.random(n) < random.uniform(0.08, 0.45)).astype(int)
    labels[:8] = 1
    scores = (random.normal(0, 1, n) + labels * random.uniform(1, 3)) * random.choice(
        [1, 0.004]
    ) + random.choice([0, 0.02])
    truth = {
        "roc_auc": roc_auc_score(labels, scores),
        "average_precision": average_precision_score(labels, scores),
    }
    return World("detect", {"labels": labels, "scores": scores}, truth)


_CLASSES = (
    ("bad", "good"),
    ("crack", "dent", "good"),
    ("bird", "car", "cat", "deer", "plane"),
    tuple(str(k) for k in range(12)),
    ("NG", "OK"),
    ("Ankle boot", "Bag", "Coat", "Dress"),
)


def _classifier(random: np.random.Generator) -> World:
    names = _CLASSES[random.integers(0, len(_CLASSES))]
    n, k = int(random.integers(150, 400)), len(names)
    share = random.dirichlet(np.full(k, 4.0))
    classes = random.choice(k, n, p=share)
    classes[: 6 * k] = np.tile(np.arange(k), 6)
    logits = random.normal(size=(n, k))
    logits[np.arange(n), classes] += random.uniform(1.5, 3)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = {
        "accuracy": accuracy_score(classes, chances.argmax(axis=1)),
        "log_loss": log_loss(classes, chances, labels=range(k)),
    }
    return World(
        "classify", {"labels": np.array(names)[classes], "predictions": chances}, truth, names=names
    )


def _write(path: Path, values: Any, dialect: Dialect) -> Path:
    rows = [[_cell(value) for value in np.atleast_1d(row)] for row in values]
    if dialect.decimal_comma:
        rows = [
            [cell.replace(".", ",") if _is_number(cell) else cell for cell in row] for row in rows
        ]
    if dialect.quoted:
        rows = [[f'"{cell}"' for cell in row] for row in rows]
    head = None if dialect.header is None else list(dialect.header)
    if dialect.ids is not None:
        rows, head = (
            [[name, *row] for name, row in zip(dialect.ids, rows, strict=True)],
            None if head is None else ["path", *head],
        )
    if dialect.index:
        rows, head = (
            [[str(row), *cells] for row, cells in enumerate(rows)],
            (None if head is None else ["", *head]),
        )
    lines = [dialect.separator.join(cells) for cells in ([] if head is None else [head]) + rows]
    text = dialect.first_line + "\n".join(lines) + "\n" + ("\n\n" if dialect.blank_end else "")
    path.write_bytes(text.encode(dialect.encoding))
    return path


def _cell(value: Any) -> str:
    return (
        f"{value:.17g}"
        if isinstance(value, float | np.floating)
        else ""
        if value is None
        else str(value)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# Scales
# ----

_MEAN, _STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
_BOTH, _IMAGES, _MADE = ("images", "reconstructions"), ("images",), ("reconstructions",)


def _scaled(
    sides: tuple[str, ...], scale: Callable[[np.ndarray], np.ndarray]
) -> Callable[..., World]:
    return lambda world, _: world.with_arrays(**{side: scale(world.arrays[side]) for side in sides})


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)


def _normalised(array: np.ndarray) -> np.ndarray:
    return (array - _MEAN) / _STD if array.shape[-1] == 3 else (array - 0.1307) / 0.3081


def _whitened(array: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, array.ndim))
    return (array - array.mean(axis=axes, keepdims=True)) / (
        array.std(axis=axes, keepdims=True) + 1e-6
    )


def _oversteps(world: World, random: np.random.Generator) -> World:
    """What a linear last layer gives: a little outside [0, 1]; the true error is that of what can
    be shown, clipped.
    """
    made = world.arrays["reconstructions"] + random.normal(
        0, 0.005, world.arrays["reconstructions"].shape
    ).astype(np.float32)
    error = float(np.mean((world.arrays["images"].astype(np.float64) - np.clip(made, 0, 1)) ** 2))
    return replace(world.with_arrays(reconstructions=made), truth={"mse": error})


_SCALE_WORDS = ("scale", "normalis", "0-255", "-1", "mean", "range", "clipped", "negative")
_SCALES = (
    ("bytes on both sides", _BOTH, _bytes),
    ("bytes beside floats", _IMAGES, _bytes),
    ("floats beside bytes", _MADE, _bytes),
    ("floats to 255 on both sides", _BOTH, lambda x: x * 255),
    ("floats to 255 beside 0-1", _IMAGES, lambda x: x * 255),
    ("0-1 beside floats to 255", _MADE, lambda x: x * 255),
    ("-1 to 1 on both sides", _BOTH, lambda x: 2 * x - 1),
    ("-1 to 1 beside 0-1", _IMAGES, lambda x: 2 * x - 1),
    ("0-1 beside -1 to 1", _MADE, lambda x: 2 * x - 1),
    ("mean and deviation on both sides", _BOTH, _normalised),
    ("mean and deviation beside 0-1", _IMAGES, _normalised),
    ("0-1 beside mean and deviation", _MADE, _normalised),
    ("each image standardised", _BOTH, _whitened),
    ("16 bits on both sides", _BOTH, lambda x: np.rint(x * 65535).astype(np.uint16)),
    ("12 bits in 16 on both sides", _BOTH, lambda x: np.rint(x * 4095).astype(np.uint16)),
    ("whole numbers to 255", _BOTH, lambda x: np.rint(x * 255).astype(np.int64)),
    ("percent", _BOTH, lambda x: x * 100),
    ("centred on both sides", _BOTH, lambda x: x - 0.5),
    ("bytes less their mean", _BOTH, lambda x: 255 * x - 123.7),
    ("divided by 255 twice", _MADE, lambda x: x / 255),
    ("divided by 255 twice on both sides", _BOTH, lambda x: x / 255),
    ("the negative", _MADE, lambda x: 1 - x),
    ("halves of floats", _BOTH, lambda x: x.astype(np.float16)),
    ("doubles", _BOTH, lambda x: x.astype(np.float64)),
)


def _bytes_beside_tanh(world: World, _: np.random.Generator) -> World:
    return world.with_arrays(
        images=_bytes(world.arrays["images"]),
        reconstructions=2 * world.arrays["reconstructions"] - 1,
    )


# Layouts
# ----


def _laid(
    sides: tuple[str, ...], change: Callable[[np.ndarray], np.ndarray]
) -> Callable[..., World]:
    return _scaled(sides, change)


def _opaque(world: World, _: np.random.Generator) -> World | None:
    if world.arrays["images"].shape[-1] != 3:
        return None
    sides = {name: np.concatenate([one, _full(one)], axis=3) for name, one in world.arrays.items()}
    return world.with_arrays(**sides)


def _full(array: np.ndarray) -> np.ndarray:
    """A channel of what is opaque on the array's scale."""
    return np.full_like(
        array[..., :1],
        np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1 if array.max() < 1.5 else 255,
    )


def _one_for_both(world: World, _: np.random.Generator) -> World:
    return world.with_arrays(reconstructions=world.arrays["images"])


def _swapped(world: World, _: np.random.Generator) -> World | None:
    made = world.arrays["reconstructions"]
    return world.with_arrays(reconstructions=made[..., ::-1]) if made.shape[-1] == 3 else None


def _shuffled_rows(world: World, random: np.random.Generator) -> World:
    return world.with_arrays(reconstructions=random.permutation(world.arrays["reconstructions"]))


# Labels of a detector
# ----


def _labels(change: Callable[[np.ndarray], Any], **arguments: Any) -> Callable[..., World]:
    def wear(world: World, _: np.random.Generator) -> World:
        return replace(
            world.with_arrays(labels=change(world.arrays["labels"])),
            arguments={**world.arguments, **arguments},
        )

    return wear


def _odd_names(labels: np.ndarray) -> np.ndarray:
    return np.where(labels == 1, "Bad", "Good ")


def _some_missing(world: World, random: np.random.Generator) -> World:
    labels = world.arrays["labels"].astype(float)
    known = random.random(len(labels)) < 0.8
    known[:8] = known[-8:] = True
    y, s = world.arrays["labels"][known], world.arrays["scores"][known]
    truth = {"roc_auc": roc_auc_score(y, s), "average_precision": average_precision_score(y, s)}
    return replace(world.with_arrays(labels=np.where(known, labels, np.nan)), truth=truth)


def _decisions(signed: bool) -> Callable[..., World]:
    def wear(world: World, _: np.random.Generator) -> World:
        scores = world.arrays["scores"]
        hard = (scores > np.quantile(scores, 0.7)).astype(int)
        return world.with_arrays(scores=2 * hard - 1 if signed else hard)

    return wear


# Classes
# ----


def _one_hot(world: World, _: np.random.Generator) -> World:
    classes = np.searchsorted(
        _ordered(world), world.arrays["labels"].astype(str), sorter=np.argsort(_ordered(world))
    )
    order = np.argsort(_ordered(world))
    return world.with_arrays(labels=np.eye(len(world.names), dtype=int)[order[classes]])


def _ordered(world: World) -> np.ndarray:
    return np.array(world.names)


def _headed(world: World, head: tuple[str, ...]) -> dict[str, Dialect]:
    """The tables with this header over the predictions, the rest of their dialect as it was."""
    return {
        **world.tables,
        "predictions": replace(world.tables.get("predictions", Dialect(None)), header=head),
    }


def _columns(prefix: str, *, header: bool, suffix: str = "") -> Callable[..., World]:
    def wear(world: World, random: np.random.Generator) -> World | None:
        order = random.permutation(len(world.names))
        if not header and (order == np.arange(len(order))).all():
            order = order[::-1]
        head = tuple(prefix + world.names[k] + suffix for k in order) if header else None
        told = world.with_arrays(predictions=world.arrays["predictions"][:, order])
        return replace(told, tables=_headed(told, head)) if head is not None else told

    return wear


def _other_case(world: World, _: np.random.Generator) -> World | None:
    predicted = np.array([name.upper() for name in world.names])[
        world.arrays["predictions"].argmax(axis=1)
    ]
    if (predicted == np.array(world.names)[world.arrays["predictions"].argmax(axis=1)]).all():
        return None
    return replace(
        world.with_arrays(predictions=predicted), truth={"accuracy": world.truth["accuracy"]}
    )


def _blanks(world: World, _: np.random.Generator) -> World:
    predicted = np.array([name + " " for name in world.names])[
        world.arrays["predictions"].argmax(axis=1)
    ]
    return replace(
        world.with_arrays(predictions=predicted), truth={"accuracy": world.truth["accuracy"]}
    )


def _signed(world: World, _: np.random.Generator) -> World | None:
    if len(world.names) != 2:
        return None
    y = (world.arrays["labels"] == world.names[1]).astype(int)
    predicted = world.arrays["predictions"].argmax(axis=1)
    return replace(
        world.with_arrays(labels=y, predictions=2 * predicted - 1),
        truth={"accuracy": world.truth["accuracy"]},
        tables={},
    )


def _logits(world: World, _: np.random.Generator) -> World:
    return world.with_arrays(predictions=np.log(world.arrays["predictions"]) + 3)


def _percent(world: World, _: np.random.Generator) -> World:
    return world.with_arrays(predictions=100 * world.arrays["predictions"])


def _one_column(which: int) -> Callable[..., World]:
    def wear(world: World, _: np.random.Generator) -> World | None:
        if len(world.names) != 2:
            return None
        told = world.with_arrays(predictions=world.arrays["predictions"][:, which])
        return replace(told, tables=_headed(told, (world.names[which],)))

    return wear


def _integers(world: World, _: np.random.Generator) -> World:
    classes = (world.arrays["labels"][:, None] == np.array(world.names)).argmax(axis=1)
    return world.with_arrays(labels=classes)


def _texts(world: World, _: np.random.Generator) -> World:
    classes = (world.arrays["labels"][:, None] == np.array(world.names)).argmax(axis=1)
    return world.with_arrays(labels=classes.astype(str))


# Tables
# ----


def _as_table(**changes: Any) -> Callable[..., World | None]:
    """Every one-dimensional array and the probabilities as tables of this dialect."""

    def wear(world: World, _: np.random.Generator) -> World | None:
        tables = dict(world.tables)
        for role, values in world.arrays.items():
            if np.ndim(values) > 2 or (np.ndim(values) == 2 and role != "predictions"):
                return None
            width = 1 if np.ndim(values) == 1 else np.shape(values)[1]
            own = {"labels": "label", "scores": "score", "predictions": "prediction"}[role]
            head = (own,) if width == 1 else tuple(world.names)
            start = tables.get(role, Dialect(head))
            if changes.get("decimal_comma") and role == "labels":
                tables[role] = replace(start, separator=";")
                continue
            tables[role] = replace(start, **changes)
        return replace(world, tables=tables)

    return wear


def _header_of_zero(world: World, random: np.random.Generator) -> World | None:
    told = _as_table()(world, random)
    if told is None or any(np.ndim(values) > 1 for values in world.arrays.values()):
        return None
    return replace(
        told,
        tables={role: replace(dialect, header=("0",)) for role, dialect in told.tables.items()},
    )


def _named_rows(shuffle: bool) -> Callable[..., World | None]:
    def wear(world: World, random: np.random.Generator) -> World | None:
        told = _as_table()(world, random)
        if told is None:
            return None
        n = len(world.arrays["labels"])
        names = np.array([f"part_{row:04d}.png" for row in random.permutation(n)])
        order = random.permutation(n) if shuffle else np.arange(n)
        other = "scores" if "scores" in world.arrays else "predictions"
        told = told.with_arrays(**{other: world.arrays[other][order]})
        ids = {"labels": tuple(names), other: tuple(names[order])}
        return replace(
            told,
            tables={role: replace(dialect, ids=ids[role]) for role, dialect in told.tables.items()},
        )

    return wear


_RECONSTRUCT, _DETECT, _CLASSIFY = ("reconstruct",), ("detect",), ("classify",)
_TABLED = ("detect", "classify")
_ORDER = ("order", "permut")

DISGUISES: tuple[Disguise, ...] = (
    *(
        Disguise(name, "scale", _RECONSTRUCT, _scaled(sides, change), _SCALE_WORDS)
        for name, sides, change in _SCALES
    ),
    Disguise("bytes beside -1 to 1", "scale", _RECONSTRUCT, _bytes_beside_tanh, _SCALE_WORDS),
    Disguise("a linear layer's oversteps", "scale", _RECONSTRUCT, _oversteps, _SCALE_WORDS),
    Disguise(
        "channels first",
        "layout",
        _RECONSTRUCT,
        _laid(_BOTH, lambda x: np.moveaxis(x, 3, 1)),
        ("channel",),
    ),
    Disguise(
        "channels first beside last",
        "layout",
        _RECONSTRUCT,
        _laid(_MADE, lambda x: np.moveaxis(x, 3, 1)),
        ("channel",),
    ),
    Disguise(
        "flat",
        "layout",
        _RECONSTRUCT,
        _laid(_BOTH, lambda x: x.reshape(len(x), -1)),
        ("shape", "flat"),
    ),
    Disguise(
        "flat beside images",
        "layout",
        _RECONSTRUCT,
        _laid(_MADE, lambda x: x.reshape(len(x), -1)),
        ("shape", "flat"),
    ),
    Disguise(
        "no axis of channels",
        "layout",
        _RECONSTRUCT,
        _laid(_BOTH, lambda x: x[..., 0] if x.shape[3] == 1 else x),
        (),
    ),
    Disguise(
        "colours in another order", "layout", _RECONSTRUCT, _swapped, ("colour", "channel", "BGR")
    ),
    Disguise(
        "mirrored reconstructions",
        "layout",
        _RECONSTRUCT,
        _laid(_MADE, lambda x: x[:, :, ::-1]),
        ("mirrored", "turned"),
    ),
    Disguise("an opaque fourth channel", "layout", _RECONSTRUCT, _opaque, ("channel",)),
    Disguise(
        "reconstructions a row late",
        "rows",
        _RECONSTRUCT,
        _laid(_MADE, lambda x: np.roll(x, 1, 0)),
        ("order", "row"),
    ),
    Disguise("one array for both sides", "rows", _RECONSTRUCT, _one_for_both, ("twice",)),
    Disguise(
        "reconstructions in another order",
        "rows",
        _RECONSTRUCT,
        _shuffled_rows,
        ("order", "row", "permut"),
    ),
    Disguise(
        "scikit-learn's -1 and 1",
        "labels",
        _DETECT,
        _labels(lambda y: np.where(y == 1, -1, 1)),
        ("-1", "normal"),
    ),
    Disguise(
        "-1 and 1, normal told",
        "labels",
        _DETECT,
        _labels(lambda y: np.where(y == 1, -1, 1), normal="1"),
        (),
    ),
    Disguise("1 and 2", "labels", _DETECT, _labels(lambda y: y + 1), ("normal",)),
    Disguise("names", "labels", _DETECT, _labels(lambda y: np.where(y == 1, "crack", "good")), ()),
    Disguise("names with capitals and blanks", "labels", _DETECT, _labels(_odd_names), ("normal",)),
    Disguise("booleans", "labels", _DETECT, _labels(lambda y: y.astype(bool)), ()),
    Disguise("floats as labels", "labels", _DETECT, _labels(lambda y: y.astype(float)), ()),
    Disguise("texts of numbers", "labels", _DETECT, _labels(lambda y: y.astype(str)), ()),
    Disguise("0 and 255", "labels", _DETECT, _labels(lambda y: y * 255), ("normal",)),
    Disguise(
        "1 is normal",
        "labels",
        _DETECT,
        _labels(lambda y: 1 - y),
        ("revers", "upside", "backwards", "below"),
    ),
    Disguise("some labels missing", "labels", _DETECT, _some_missing, ()),
    Disguise(
        "higher is more normal",
        "scores",
        _DETECT,
        _scaled(("scores",), lambda s: -s),
        ("revers", "backwards", "opposite"),
    ),
    Disguise(
        "decisions for scores",
        "scores",
        _DETECT,
        _decisions(signed=False),
        ("decision", "two values", "distinct", "hard"),
    ),
    Disguise(
        "signed decisions for scores",
        "scores",
        _DETECT,
        _decisions(signed=True),
        ("decision", "two values", "hard"),
    ),
    Disguise(
        "scores of float32",
        "scores",
        _DETECT,
        _scaled(("scores",), lambda s: s.astype(np.float32)),
        (),
    ),
    Disguise("one-hot labels", "labels", _CLASSIFY, _one_hot, ("one-hot", "multi-label", "class")),
    Disguise("classes as numbers", "labels", _CLASSIFY, _integers, _ORDER),
    Disguise("classes as texts of numbers", "labels", _CLASSIFY, _texts, _ORDER),
    Disguise("named columns", "columns", _CLASSIFY, _columns("", header=True), (*_ORDER, "column")),
    Disguise(
        "columns as residua writes them",
        "columns",
        _CLASSIFY,
        _columns("p[", header=True, suffix="]"),
        ("column",),
    ),
    Disguise(
        "columns named prob_", "columns", _CLASSIFY, _columns("prob_", header=True), ("column",)
    ),
    Disguise(
        "columns in the model's own order", "columns", _CLASSIFY, _columns("", header=False), _ORDER
    ),
    Disguise(
        "one column, named for the first",
        "columns",
        _CLASSIFY,
        _one_column(0),
        ("column", "order", "below"),
    ),
    Disguise(
        "one column, named for the second",
        "columns",
        _CLASSIFY,
        _one_column(1),
        ("column", "order", "below"),
    ),
    Disguise(
        "predictions in capitals",
        "columns",
        _CLASSIFY,
        _other_case,
        ("case", "name", "spell", "agree"),
    ),
    Disguise(
        "predictions with blanks",
        "columns",
        _CLASSIFY,
        _blanks,
        ("blank", "name", "spell", "agree"),
    ),
    Disguise("0/1 beside -1/+1", "both", _CLASSIFY, _signed, ("-1",)),
    Disguise("logits", "chances", _CLASSIFY, _logits, ("logit", "probabilit")),
    Disguise("percent of a class", "chances", _CLASSIFY, _percent, ("percent", "probabilit")),
    Disguise("a table", "table", _TABLED, _as_table(), ()),
    Disguise(
        "a table with its index", "table", _TABLED, _as_table(index=True), ("index", "column")
    ),
    Disguise("a header of 0", "table", _TABLED, _header_of_zero, ("header", "row")),
    Disguise(
        "semicolons and decimal commas",
        "table",
        _TABLED,
        _as_table(separator=";", decimal_comma=True),
        ("comma",),
    ),
    Disguise("tabs", "table", _TABLED, _as_table(separator="\t"), ()),
    Disguise("Excel's first line", "table", _TABLED, _as_table(first_line="sep=,\n"), ("sep=",)),
    Disguise("UTF-16", "table", _TABLED, _as_table(encoding="utf-16", separator="\t"), ("UTF",)),
    Disguise("a byte order mark", "table", _TABLED, _as_table(encoding="utf-8-sig"), ()),
    Disguise("quoted cells", "table", _TABLED, _as_table(quoted=True), ()),
    Disguise("blank lines at the end", "table", _TABLED, _as_table(blank_end=True), ()),
    Disguise("no header", "table", _TABLED, _as_table(header=None), ("header", "order", "permut")),
    Disguise("rows with names", "rows", _TABLED, _named_rows(shuffle=False), ()),
    Disguise(
        "rows with names in another order", "rows", _TABLED, _named_rows(shuffle=True), ("order",)
    ),
)
