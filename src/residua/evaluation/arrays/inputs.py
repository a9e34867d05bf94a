"""What was given to the judge, which of it goes together, and how decisions are to be made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_column, as_scores
from residua.errors import InputError, RangeError, ShapeError
from residua.evaluation.arrays.column import Column
from residua.evaluation.labels import as_detection_labels
from residua.evaluation.pictures import read_pictures
from residua.evaluation.scale_options import ScaleOptions
from residua.metrics._confidence import check_confidence
from residua.records import Assumption
from residua.thresholds.calibration import Promised

Columns = Mapping[str, Column | None]


def with_one_length(columns: Columns) -> dict[str, Column]:
    """The columns, a first line read the other way where only so all are of one length."""
    given = {name: column for name, column in columns.items() if column is not None}
    if len({_length(column) for column in given.values()}) < 2:
        return given
    readings = [
        [column] if column.other is None else [column, column.other] for column in given.values()
    ]
    same = [one for one in product(*readings) if len({_length(column) for column in one}) == 1]
    if not same:
        return given
    # That a line is a header was read off it; that it is none was not.
    return dict(
        zip(given, max(same, key=lambda one: sum(column.headed for column in one)), strict=True)
    )


def _length(column: Column) -> int:
    return len(np.atleast_1d(column.values))


def joined(columns: Mapping[str, Column], problems: Problems) -> dict[str, Column]:
    """The columns with their rows in one order; a problem where they don't list the same images.

    Ids that are the same in another order are joined, and so are paths that differ by their folders
    alone, if no column is without ids. An index, which only counts rows, is compared with another
    index and joins nothing.
    """
    found = dict(columns)
    for counts in (False, True):
        named = [
            name
            for name, column in columns.items()
            if column.ids is not None and column.counts == counts
        ]
        for name in named[1:]:
            found[name] = _beside(named[0], name, found, problems)
    return found


def _beside(first: str, name: str, columns: Mapping[str, Column], problems: Problems) -> Column:
    """The column called `name` in the order of the one called `first`."""
    one, other = columns[first], columns[name]
    ids, others = _texts(one.ids), _texts(other.ids)
    if (
        len(ids) != len(others)
        or (ids == others).all()
        or (one.counts and _counts(ids) and _counts(others))
    ):
        return other
    order = _order(ids, others)
    without = [f"--{key}" for key, column in columns.items() if column.ids is None or column.counts]
    why = f"--{first} and --{name} list the same ids in another order"
    taken = "joined by id"
    if order is None:
        short, shorter = _file_names(ids), _file_names(others)
        order = _order(short, shorter)
        why, taken = (
            f"paths of --{first} and --{name} differ by their folders alone",
            "joined by the file's name",
        )
        if order is not None and (short == shorter).all():
            without = []  # nothing moves
    if order is None or one.counts or without or _counts(ids) or _counts(others):
        row = int(np.flatnonzero(ids != others)[0])
        got = f"{ids[row]!s} and {others[row]!s} for image {row + 1}"
        if order is not None and without and not one.counts:
            got += f", and no ids in {', '.join(without)}"
        return problems.instead(
            other,
            f"--{first} and --{name} must list the same images in the same order",
            got,
            "Sort both by id",
            ShapeError,
        )
    told = Assumption(
        about=f"rows of --{name}",
        taken=taken,
        because=why,
        to_tell="files that list the images in one order",
    )
    return replace(other.rows(order, told), ids=one.ids)


def _texts(ids: NDArray[np.object_] | None) -> NDArray[np.str_]:
    return np.array([str(one) for one in np.asarray(ids).tolist()], np.str_)


def _file_names(ids: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.array([one.replace("\\", "/").rpartition("/")[2] for one in ids.tolist()], np.str_)


def _order(ids: NDArray[np.str_], others: NDArray[np.str_]) -> NDArray[np.int64] | None:
    """Where in `others` each of `ids` stands; None unless both hold the same ids, each once."""
    by_id, by_other = np.argsort(ids, kind="stable"), np.argsort(others, kind="stable")
    ranked = ids[by_id]
    if (ranked[1:] == ranked[:-1]).any() or not np.array_equal(ranked, others[by_other]):
        return None
    order = np.empty(len(ids), np.int64)
    order[by_id] = by_other
    return order


def _counts(ids: NDArray[np.str_]) -> bool:
    """Whether ids count from 0 or 1: they may number the rows of their file, and no images."""
    return any(
        np.array_equal(ids, np.arange(start, start + len(ids)).astype(np.str_)) for start in (0, 1)
    )


@dataclass(frozen=True)
class Inputs:
    """What was given, read but not yet judged; None where it was not."""

    images: Column | None
    reconstructions: Column | None
    labels: Column | None
    scores: Column | None
    train_scores: Column | None
    predictions: Column | None
    calibration_scores: Column | None
    calibration_labels: Column | None
    groups: Column | None
    calibration_groups: Column | None

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What was assumed of any of them."""
        given = (getattr(self, one.name) for one in fields(self))
        return tuple(
            assumed for column in given if column is not None for assumed in column.assumptions
        )

    @property
    def ids(self) -> NDArray[Any] | None:
        """The first column of ids that came with per-image values."""
        given = (self.scores, self.predictions, self.images, self.labels, self.reconstructions)
        return next(
            (column.ids for column in given if column is not None and column.ids is not None), None
        )

    @property
    def names_of_groups(self) -> NDArray[Any] | None:
        """The group of each image; None where nobody named groups."""
        return None if self.groups is None else as_column(self.groups.values)

    @property
    def names_of_calibration_groups(self) -> NDArray[Any] | None:
        """The group of each calibration image; None where nobody named them."""
        given = self.calibration_groups
        return None if given is None else as_column(given.values)

    @property
    def pixels(self) -> tuple[Any, Any]:
        """Images and reconstructions as they were given; None where they were not."""
        return (
            self.images and self.images.values,
            self.reconstructions and self.reconstructions.values,
        )

    @property
    def train_errors(self) -> Any:
        """Scores or errors of training images as they were given; None where they were not."""
        return None if self.train_scores is None else self.train_scores.values

    @property
    def nameless_scores(self) -> list[Any] | None:
        """Scores that may be losses of epochs: no name and no label comes with them."""
        if self.scores is None or self.labels is not None:
            return None
        return [
            column.values
            for column in (self.scores, self.train_scores)
            if column is not None and column.ids is None
        ]

    @property
    def of_images(self) -> dict[str, Column | None]:
        """What has a row an image, by its option."""
        return {
            "scores": self.scores,
            "predictions": self.predictions,
            "labels": self.labels,
            "images": self.images,
            "reconstructions": self.reconstructions,
            "groups": self.groups,
        }

    @property
    def of_calibration(self) -> dict[str, Column | None]:
        """What has a row a calibration image, by its option."""
        return {
            "calibration-scores": self.calibration_scores,
            "calibration-labels": self.calibration_labels,
            "calibration-groups": self.calibration_groups,
        }

    def joined(self, problems: Problems) -> Inputs:
        """With the rows of each file in one order; a problem where files list other images."""
        found: dict[str, Column] = {}
        for columns in (self.of_images, self.of_calibration):
            found |= joined(with_one_length(columns), problems)
        return replace(self, **{name.replace("-", "_"): column for name, column in found.items()})

    def check_lengths(self, problems: Problems) -> None:
        """Note a problem where there is no image, or not as many of each."""
        for columns in (self.of_images, self.of_calibration):
            lengths = {
                f"--{name}": len(np.atleast_1d(column.values))
                for name, column in columns.items()
                if column is not None
            }
            if any(n == 0 for n in lengths.values()):
                problems.add(
                    "there must be at least one image",
                    f"none in {', '.join(name for name, n in lengths.items() if n == 0)}",
                    "Write the array again",
                    ShapeError,
                )
            elif len(set(lengths.values())) > 1:
                problems.add(
                    f"{' and '.join(lengths)} must have the same length",
                    ", ".join(f"{n} in {name}" for name, n in lengths.items()),
                    "Pass one of each per image, in the same order",
                    ShapeError,
                )

    def look_further(
        self, normal: str | None, scales: tuple[ScaleOptions, ScaleOptions], problems: Problems
    ) -> None:
        """Note what the evaluation itself would refuse, so that all problems are told at once."""
        for name, column in (
            ("scores", self.scores),
            ("calibration-scores", self.calibration_scores),
        ):
            if column is not None:
                as_scores(column.values, name=name, problems=problems)
        if self.train_scores is not None:
            as_scores(
                np.atleast_1d(self.train_scores.values), name="train-scores", problems=problems
            )
        if self.labels is not None and self.scores is not None:
            as_detection_labels(
                self.labels.values, 0, normal=normal, problems=problems, column=self.labels.name
            )
        if self.predictions is not None and np.asarray(self.predictions.values).dtype.kind == "f":
            n_bad = int(np.count_nonzero(~np.isfinite(self.predictions.values)))
            if n_bad:
                problems.add(
                    "predictions must be finite",
                    f"{n_bad} NaN or infinite values",
                    "Correct or leave out those images",
                    RangeError,
                )
        if self.images is not None and self.reconstructions is not None:
            read_pictures(*self.pixels, problems, of_images=scales[0], of_reconstructions=scales[1])

    def names(self, n_images: int) -> NDArray[Any]:
        """A name for each image: the ids that were given, else 1, 2, 3, ..."""
        return (
            np.asarray(self.ids, dtype=object)
            if self.ids is not None and len(self.ids) == n_images
            else np.array([str(i + 1) for i in range(n_images)], dtype=object)
        )


@dataclass(frozen=True)
class Decision:
    """How decisions are to be made, if at all."""

    threshold: float | None
    policy: str | None
    normal: str | None
    confidence: float
    prevalence: float | None
    positive: str | int | None = None
    classes: tuple[Any, ...] | None = None
    multilabel: bool | None = None
    promise: Promised = "new-groups"
    contamination: float | None = None


def check_combination(names: set[str], decision: Decision, problems: Problems) -> None:
    """Note what is missing or contradicts itself among the options named."""

    def need(name: str, with_it: str) -> None:
        if name in names and with_it not in names:
            problems.add(
                f"--{name} needs --{with_it}",
                f"no --{with_it}",
                f"Pass --{with_it} too",
                InputError,
            )

    if not names & {"images", "reconstructions", "scores", "predictions"}:
        problems.add(
            "arrays to judge must be given",
            ", ".join(f"--{name}" for name in sorted(names)) or "nothing",
            "Pass --images with --reconstructions, --scores, or --predictions with --labels",
        )
    need("images", "reconstructions")
    need("reconstructions", "images")
    need("predictions", "labels")
    need("calibration-labels", "calibration-scores")
    need("calibration-groups", "calibration-scores")
    check_confidence(decision.confidence, problems)
    if {"scores", "predictions"} <= names:
        problems.add(
            "one model is judged at a time",
            "--scores and --predictions",
            "Judge the detector and the classifier in two calls",
        )
    if decision.threshold is not None and decision.policy is not None:
        problems.add(
            "the threshold is either given or chosen",
            f"--threshold {decision.threshold} and --policy {decision.policy}",
            "Drop one of them",
        )
    if decision.threshold is not None and not np.isfinite(decision.threshold):
        problems.add(
            "--threshold must be a finite number",
            f"{decision.threshold}",
            "Write for instance 0.004",
        )
    if "predictions" in names and (decision.threshold is not None or decision.policy is not None):
        problems.add(
            "--threshold and --policy are for scores",
            "--predictions",
            "Pass a detector's --scores, or drop the threshold",
        )
    if decision.positive is not None and "predictions" not in names:
        problems.add(
            "--positive is for a classifier of two classes",
            "no --predictions",
            "Leave it out; of a detector's labels --normal names the normal ones",
        )
    told = {"--classes": decision.classes, "--multilabel": decision.multilabel}
    if "predictions" not in names and any(value is not None for value in told.values()):
        given = " and ".join(name for name, value in told.items() if value is not None)
        problems.add(
            f"{given} must go with a classifier's predictions", "no --predictions", "Leave it out"
        )
    if "calibration-scores" in names and decision.policy is None:
        problems.add(
            "--calibration-scores needs a --policy that chooses on them",
            "no --policy",
            "Pass --policy 'false-alarms<=0.01'",
        )
