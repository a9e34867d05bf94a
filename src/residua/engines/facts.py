"""What everybody who uses a model asks of it, whoever trained it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from residua.images.reading import Reading
from residua.records import Job, OperatingPoint


class ModelFacts(BaseModel):
    """The facts that a bundle, a card of an exported file and a wrapped run share.

    ``size`` is (height, width) as the network sees images, ``reading`` says how values become
    brightness, ``classes`` name the columns of a classifier's probabilities, and with
    ``multilabel`` several of them may hold at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Job
    recipe: str
    size: tuple[int, int]
    channels: int = Field(ge=1)
    normal: tuple[str, ...] | None = None
    classes: tuple[int | str, ...] | None = None
    multilabel: bool = False
    operating_point: OperatingPoint | None = None
    reading: Reading = Reading()

    @property
    def threshold(self) -> float:
        """The threshold of the operating point; infinite where there is none."""
        return float("inf") if self.operating_point is None else self.operating_point.threshold
