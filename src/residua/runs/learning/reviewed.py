"""`review.json`: what a review page asked about, beside the `corrections.csv` that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from residua._files import read_record, write_json
from residua.records import Record

NAME = "review.json"


class Reviewed(Record):
    """The review of one source: ``source`` as it was named, ``root`` the folder that the paths of
    `corrections.csv` are relative to, and the model (weights, threshold, engine) whose scores
    ordered the images. ``random_share`` is the share of images that were drawn at random.
    ``product`` is what told which product an image shows; None: as in the run.
    """

    format: Literal["residua-review"] = "residua-review"
    format_version: Literal[1] = 1
    source: str
    root: str
    run: str
    weights: str
    threshold: float
    engine: str
    random_share: float
    product: str | None = None


def read_reviewed(folder: Path) -> Reviewed | None:
    """What was reviewed into `folder`; None where nothing was.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    mend = "Review into another folder, or name the folder of the images with --root."
    return read_record(path, Reviewed, "`residua serve --review`", mend)


def keep_reviewed(folder: Path, reviewed: Reviewed) -> None:
    """Write `review.json`."""
    write_json(folder / NAME, reviewed.model_dump(mode="json"))


def root_of(source: str) -> str | None:
    """The folder of the images that a review's `corrections.csv` names; None for other sources."""
    path = Path(source)
    reviewed = read_reviewed(path.parent) if path.suffix.lower() == ".csv" else None
    return None if reviewed is None else reviewed.root
