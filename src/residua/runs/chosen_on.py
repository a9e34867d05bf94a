"""Which images outside its parts a run has used: those of another source that chose its threshold,
and corrections that it learnt from, so that judging them is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from residua._files import read_json, write_json
from residua.records import OperatingPoint
from residua.runs.learning.record import read_record
from residua.runs.model import JudgedModel
from residua.runs.run_folder import Run

_NAME = "threshold_images.json"


def keep_chosen_on(folder: Run, point: OperatingPoint, pixel_hashes: Iterable[Any] | None) -> None:
    """Store the hashes beside the threshold that was chosen on them; None for the run's own
    calibration images, which it knows.
    """
    path = folder.path / _NAME
    if pixel_hashes is None:
        path.unlink(missing_ok=True)
        return
    write_json(path, {"threshold": point.threshold, "pixels": [str(one) for one in pixel_hashes]})


def read_chosen_on(folder: Run, point: OperatingPoint | None) -> list[str]:
    """The hashes of images of another source that chose this threshold."""
    try:
        told = read_json(folder.path / _NAME)
        is_of = point is not None and told["threshold"] == point.threshold
        return [str(one) for one in told["pixels"]] if is_of else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def with_chosen_on(model: JudgedModel, folder: Run) -> JudgedModel:
    """The model with those hashes, where they are of the threshold that it has."""
    corrected = read_record(folder)
    used = [] if corrected is None else corrected.pixels
    hashes = np.array([*used, *read_chosen_on(folder, model.facts.operating_point)], object)
    return replace(model, calibration=replace(model.calibration, elsewhere=hashes))
