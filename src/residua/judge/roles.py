"""What the files of a judgement are read as, and the names that arrays and columns go by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """What a file is read as: the option's name, the array or column names it goes by, and whether it holds numbers.

    Columns called `besides` stand beside those of a matrix and are not part of it.
    """

    name: str
    known_as: tuple[str, ...]
    is_numeric: bool = True
    is_matrix: bool = False
    besides: tuple[str, ...] = ()


IMAGES = Role("images", ("images", "x", "x_test", "arr_0", "inputs", "originals"), is_matrix=True)
RECONSTRUCTIONS = Role(
    "reconstructions", ("reconstructions", "x_hat", "decoded", "reconstructed", "outputs", "arr_0", "x"), is_matrix=True
)
_SCORE_NAMES = ("scores", "score", "anomaly_score", "anomaly_scores", "error", "errors", "reconstruction_error", "mse", "arr_0")
SCORES = Role("scores", _SCORE_NAMES)
TRAIN_SCORES = Role("train-scores", ("train_scores", "train_errors", *_SCORE_NAMES))
CALIBRATION_SCORES = Role("calibration-scores", ("calibration_scores", *_SCORE_NAMES))
_LABEL_NAMES = ("labels", "label", "y", "y_test", "y_true", "target", "targets", "class", "truth", "anomalous", "arr_0")
LABELS = Role("labels", _LABEL_NAMES, is_numeric=False, is_matrix=True)
CALIBRATION_LABELS = Role("calibration-labels", ("calibration_labels", *_LABEL_NAMES), is_numeric=False)
PREDICTIONS = Role(
    "predictions",
    ("predictions", "prediction", "y_pred", "predicted", "pred", "probabilities", "outputs", "arr_0"),
    is_numeric=False,
    is_matrix=True,
    besides=_LABEL_NAMES,
)
