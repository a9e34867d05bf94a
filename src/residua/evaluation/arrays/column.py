"""What the files of a judgement are read as, the names they go by, and what is read of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from residua.records import Assumption


@dataclass(frozen=True)
class Role:
    """What a file is read as: the option's name, the array or column names it goes by, and whether
    it holds numbers.

    Columns called `besides` stand beside those of a matrix and are not part of it.
    """

    name: str
    known_as: tuple[str, ...]
    is_numeric: bool = True
    is_matrix: bool = False
    besides: tuple[str, ...] = ()

    @property
    def is_classes(self) -> bool:
        """Whether a matrix of it has a column a class."""
        return self.is_matrix and not self.is_numeric

    @property
    def is_predicted(self) -> bool:
        """Whether it says what a classifier answered."""
        return self.name == "predictions"


_LABEL_NAMES = (
    "labels", "label", "y", "y_test", "y_true", "target", "targets", "class", "truth", "anomalous",
    "arr_0",
)  # fmt: skip
_IMAGE_NAMES = ("images", "x", "x_test", "arr_0", "inputs", "originals")
IMAGES = Role("images", _IMAGE_NAMES, is_matrix=True, besides=("label", "labels", "class"))
RECONSTRUCTIONS = Role(
    "reconstructions",
    ("reconstructions", "x_hat", "decoded", "reconstructed", "outputs", "arr_0", "x"),
    is_matrix=True,
)
_SCORE_NAMES = (
    "scores", "score", "anomaly_score", "anomaly_scores", "error", "errors", "reconstruction_error",
    "mse", "arr_0",
)  # fmt: skip
SCORES = Role("scores", _SCORE_NAMES)
TRAIN_SCORES = Role("train-scores", ("train_scores", "train_errors", *_SCORE_NAMES))
CALIBRATION_SCORES = Role("calibration-scores", ("calibration_scores", *_SCORE_NAMES))
LABELS = Role("labels", _LABEL_NAMES, is_numeric=False, is_matrix=True)
CALIBRATION_LABELS = Role(
    "calibration-labels", ("calibration_labels", *_LABEL_NAMES), is_numeric=False
)
_PREDICTION_NAMES = (
    "predictions", "prediction", "y_pred", "predicted", "pred", "probabilities", "outputs", "arr_0",
)  # fmt: skip
PREDICTIONS = Role(
    "predictions", _PREDICTION_NAMES, is_numeric=False, is_matrix=True, besides=_LABEL_NAMES
)
_GROUP_NAMES = ("groups", "group", "group_id", "arr_0")
GROUPS = Role("groups", _GROUP_NAMES, is_numeric=False)
CALIBRATION_GROUPS = Role(
    "calibration-groups", ("calibration_groups", *_GROUP_NAMES), is_numeric=False
)
COLUMNS = (
    IMAGES, RECONSTRUCTIONS, LABELS, SCORES, TRAIN_SCORES, CALIBRATION_SCORES, CALIBRATION_LABELS,
    GROUPS, CALIBRATION_GROUPS,
)  # fmt: skip
"""All but predictions, whose columns are read by the labels' classes."""
MAY_BE_MISSING = (LABELS, CALIBRATION_LABELS, GROUPS, CALIBRATION_GROUPS)
"""What an image may be without."""


@dataclass(frozen=True)
class Column:
    """Values, the ids that stood beside them (None without such a column), and what was assumed.

    ``classes`` names the columns of a matrix, where a header does. ``counts`` says that the ids
    only count rows, as an index does, ``headed`` that the first line was taken for a header.
    ``other`` is the other reading of that line, as data or as a header; None where it can be one
    thing only. ``name`` is what a single column or array is called in its file.
    """

    values: NDArray[Any]
    ids: NDArray[Any] | None = None
    assumptions: tuple[Assumption, ...] = ()
    classes: tuple[str, ...] | None = None
    counts: bool = False
    headed: bool = False
    other: Column | None = None
    name: str | None = None

    def rows(self, order: NDArray[Any], told: Assumption | None = None) -> Column:
        """The rows in another order, and why."""
        ids = None if self.ids is None else self.ids[order]
        more = () if told is None else (told,)
        return replace(
            self,
            values=self.values[order],
            ids=ids,
            assumptions=(*self.assumptions, *more),
            other=None,
        )
