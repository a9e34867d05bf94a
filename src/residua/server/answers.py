"""What the service answers, as records: the schema that OpenAPI publishes is made from them.

A refusal is one too: a status code, a stable word, and a sentence that says how to mend it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from residua.errors import ResiduaError
from residua.records import Finding, Record

RETRY_SECONDS = 1


class Problem(Record):
    """The body of every answer that is not a success."""

    code: str
    message: str


class RefusedError(ResiduaError):
    """A request that is refused; `headers` go with the answer."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}

    @property
    def problem(self) -> Problem:
        """What the client is told."""
        return Problem(code=self.code, message=str(self))


def too_busy(status: int, code: str, message: str) -> RefusedError:
    """A refusal that says when to come again."""
    return RefusedError(status, code, message, {"Retry-After": str(RETRY_SECONDS)})


class State(Record):
    """Whether the server lives, or is ready."""

    status: Literal["alive", "ready", "warming-up", "stopped"]


class ImageFacts(Record):
    """The image as decoded; `converted` names what was done (turned, alpha, frames, ...)."""

    width: int
    height: int
    channels: int
    bits: int
    format: str
    converted: list[str]


class Pictures(Record):
    """Pictures as `data:` URIs.

    The image as it was read, what the network made of it, and where they differ.

    The colour scale of `map` ends at the error `brightest`: the same for every image where the run
    was evaluated, else this image's own.
    """

    image: str
    reconstruction: str | None
    map: str
    brightest: float
    one_scale_for_all: bool


class Rank(Record):
    """Where the score lies among those of the normal calibration images."""

    n_normals: int
    n_below: int


class ImageScore(Record):
    """One image's score, decision and findings; higher scores are more anomalous."""

    score: float | None = Field(description="null where the network's result is no finite number")
    product: str | None = Field(description="as the request names it; null where it names none")
    threshold: float | None
    anomalous: bool | None = Field(
        description="score > threshold; null where there is no threshold"
    )
    p_value: float | None = Field(
        description=(
            "how often a normal image scores at least so high; null where there is no score or no"
            " normal calibration image is known"
        )
    )
    policy: str | None
    decision: str = Field(description="the decision in words")
    rank: Rank | None
    errors: dict[str, float | None] = Field(description="mse, mae and ssim of the reconstruction")
    predicted: list[str] | None = Field(
        description="of a classifier: the likeliest class, or the labels that hold"
    )
    kind: str | None = Field(
        description="of a flagged image, where the model knows kinds of defects: the likeliest"
    )
    probabilities: dict[str, float] | None = Field(
        description="each class's of a classifier; each kind's where the model knows kinds"
    )
    findings: list[Finding]
    image: ImageFacts
    pictures: Pictures | None


class BatchItem(Record):
    """One image of a batch: either its result or why it has none."""

    index: int
    name: str | None
    result: ImageScore | None
    problem: Problem | None


class BatchScores(Record):
    """The images of a batch, in the order they came."""

    images: list[BatchItem]


class Histogram(Record):
    """How many of the normal calibration images have a score between each two `edges`."""

    edges: list[float]
    counts: list[int]


class ModelFacts(Record):
    """What this server scores with, and what it takes."""

    name: str
    job: str
    recipe: str
    engine: str
    height: int
    width: int
    channels: int
    normal: list[str] | None
    classes: list[str] | None
    kinds: list[str] | None = Field(description="of defects, that a detector has learnt to tell")
    threshold: float | None
    policy: str | None
    how: str | None
    products: dict[str, float | None] | None = Field(
        description="the threshold of each product, where each has its own; null where it has none"
    )
    calibration: Histogram | None
    formats: list[str]
    limits: dict[str, Any]
    version: str
    notice: str | None = Field(
        description="what has changed since the server started, such as the run's threshold"
    )
