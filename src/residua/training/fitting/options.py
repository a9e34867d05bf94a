"""What is asked of a fit: one declaration for the command, `run.json` and the estimators.

It stands below `runs`, because the fit itself reads it and estimators have no run.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from residua.records import Job
from residua.training.loop.settings import TrainingSettings
from residua.training.scoring.prepare import Aspect


class RunOptions(BaseModel):
    """What was asked of `fit`; stored, so that `--resume` can prove it is asked the same.

    For a classifier `recipe` is the strategy's name; `separator` stands between labels of which
    several may hold at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    job: Job
    recipe: str = "plain"
    recipe_options: dict[str, Any] = Field(default_factory=dict)
    normal: tuple[str, ...] | None = None
    size: int | None = None
    aspect: Aspect | None = None
    policy: str | None = None
    class_weight: Literal["balanced"] | None = None
    separator: str | None = Field(default=None, min_length=1)
    bits: int | None = Field(default=None, ge=1, le=32)
    follow_links: bool = False
    root: str | None = None
    settings: TrainingSettings = Field(default_factory=TrainingSettings)
