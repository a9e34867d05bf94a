"""A kind of finding, and what it is asked from: the one record of what is known of a model and of
the images it was judged on.
"""

# ruff: noqa: RUF009  `_fact` is a field of a dataclass, with words

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from residua.findings.figures import Figure, Histogram
from residua.records import Assumption, Estimate, Finding, Job, OperatingPoint, Severity, Standing

if TYPE_CHECKING:
    from residua.images import ImageSet
    from residua.images.duplicates import Leaks
    from residua.images.group_names import SuspectedGroups
    from residua.metrics.scale import ScaleAudit

# What the file of a finding takes from here.
__all__ = [
    "JOBS",
    "Answer",
    "ChangedScores",
    "Estimate",
    "Figure",
    "Finding",
    "FindingKind",
    "Histogram",
    "JudgedFacts",
    "LabelVotes",
    "Severity",
    "Standing",
]

Task = Job | Literal["check"]
"""What is judged: a model at its job, or images before there is a model."""
ScoreOf = Callable[["ImageSet"], NDArray[Any]]
"""The scores of images, (n_images,), by the model that is judged."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Rows = NDArray[np.int64]
Misreading = tuple[tuple[str, str], float, tuple[str, str], float, int]
"""The stated scales of input and output with the share that they explain, better ones
with theirs, and the number of images.
"""


_T = TypeVar("_T")
Fact: TypeAlias = _T | Any
"""A value where somebody knows it, else None. A kind that names it in ``needs`` may rely on it, so
type checkers are not to ask each time.
"""


def _fact(words: str) -> Any:
    """A fact that is None where nobody knows it; `words` name it in a reason."""
    return field(default=None, metadata={"words": words})


# Facts that a model brings with it, and not the data: a file has no network and no training.
OF_MODEL = ("latent_of", "leaks", "train_errors", "baselines")


@dataclass(frozen=True)
class LabelledCopies:
    """Groups of rows that are one picture, within one part, and the group that each image is named
    to be of; see `find_duplicates`.
    """

    groups: Sequence[Rows]
    paths: NDArray[Any]
    labels: NDArray[Any]
    part: str
    named: NDArray[Any] | None = None


@dataclass(frozen=True)
class MaskMeasures:
    """What was measured of masks, for `find_empty_masks`, `find_suspicious_masks` and
    `find_small_defects`.
    """

    of_defects: Floats
    defect_paths: Sequence[str]
    shares: Floats
    own: Floats
    n_normal_marked: int = 0
    unmarked: Floats | None = None
    borders: Floats | None = None
    readings: Mapping[str, Floats] | None = None
    widths: Floats | None = None
    sizes: NDArray[Any] | None = None


@dataclass(frozen=True)
class ChangedScores:
    """Scores of some normal images, (n,), `unchanged` and by each change that was planted into
    them, and pictures of one of them; see `find_blind_spots`.
    """

    unchanged: NDArray[Any]
    scores: Mapping[str, NDArray[Any]]
    figure: Figure | None = None


@dataclass(frozen=True)
class LabelVotes:
    """What a judge that has not seen the labels says of some images: their ``rows``, the index of
    the label of each, and probabilities, (n, n_classes); see `find_label_noise`.
    """

    rows: Rows
    true: Rows
    probabilities: NDArray[Any]
    classes: Sequence[str]


@dataclass(frozen=True)
class JudgedFacts:
    """Everything that findings may need; a fact that nobody knows is None.

    A kind of finding names the facts it needs, so that it is asked only where they are known.
    Arrays of one value per image are in one order. ``job`` is what is judged; ``check`` means that
    there are images and no model yet.

    >>> JudgedFacts(job="detect", scores=np.ones(3)).lacks(("scores", "is_anomalous"))
    ('labels of the images',)
    """

    job: Task
    confidence: float = 0.95
    seed: int = 0
    n_images: int = 0
    # what the record says
    metrics: Fact[Mapping[str, Estimate]] = _fact("metrics")
    operating_point: Fact[OperatingPoint] = _fact("a threshold")
    baselines: Fact[Mapping[str, Mapping[str, Estimate]]] = _fact("baselines")
    standings: Mapping[str, Standing] = field(default_factory=dict)
    counts: Fact[Mapping[str, int]] = _fact("the number of images of each kind")
    assumptions: tuple[Assumption, ...] | None = None
    # of every job
    n_unlabelled: Fact[int] = _fact("labels of the images")
    leaks: Fact[Leaks] = _fact("the images that the model was fitted on")
    metrics_without_leaks: Mapping[str, Estimate] | None = None
    leak_figure: Figure | None = None
    calibration_leaks: Leaks | None = None
    leaks_between: tuple[str, str] = ("images judged here", "training images")
    train_errors: Fact[NDArray[Any]] = _fact("scores or errors of training images")
    errors: Fact[Mapping[str, Floats]] = _fact("errors of reconstructions")
    # of a detector: labelled and is_anomalous speak of all images, as scores do
    scores: Fact[NDArray[Any]] = _fact("anomaly scores")
    labelled: Fact[Bools] = _fact("labels of the images")
    is_anomalous: Fact[Bools] = _fact("labels of the images")
    doubt: str | None = None
    score_column: Fact[str] = _fact("the name of the column of scores")
    nameless_scores: Fact[Sequence[NDArray[Any]]] = _fact("scores without names and labels")
    known_normal: Fact[NDArray[Any]] = _fact("scores of images known to be normal")
    tuned_on_judged: Fact[str] = _fact("a policy that chose the threshold on the judged images")
    calibration: Fact[NDArray[Any]] = _fact("scores of normal calibration images")
    calibration_groups: NDArray[Any] | None = None
    calibration_images: ImageSet | None = None
    calibration_paths: NDArray[Any] | None = None
    changed: Fact[ChangedScores] = _fact("a model that scores other images")
    train_images: ImageSet | None = None
    score_of: Fact[ScoreOf] = _fact("a model that scores other images")
    # of a reconstructor
    audit: Fact[ScaleAudit] = _fact("arrays whose scale was read from their values")
    oversteps: Fact[Sequence[tuple[str, float, float]]] = _fact("values beyond black and white")
    pictures: Fact[tuple[NDArray[Any], NDArray[Any]]] = _fact("images with their reconstructions")
    from_arrays: Fact[Literal[True]] = _fact("arrays whose pairing is not known")
    # of a classifier: true and probabilities speak of the labelled images alone
    classes: Fact[Sequence[str]] = _fact("classes")
    positive: str | None = None
    confusion: Fact[NDArray[Any]] = _fact("predicted classes of labelled images")
    true: Fact[Rows] = _fact("classes of the images")
    predicted: Rows | None = None
    probabilities: Fact[NDArray[Any]] = _fact("probabilities of classes")
    picture_of: Callable[[int], NDArray[Any]] | None = None
    multilabel: Fact[tuple[Bools, NDArray[Any]]] = _fact("several labels per image")
    # of the network and of its run
    latent_of: Fact[Callable[[], NDArray[Any] | None]] = _fact("a network with a latent code")
    asked_twice: Fact[Callable[[], tuple[NDArray[Any], NDArray[Any]]]] = _fact(
        "a model whose output changes from call to call"
    )
    misreading: Fact[Misreading] = _fact("a model whose scales were stated")
    chosen_on: Fact[NDArray[Any]] = _fact("hashes of the calibration images")
    # of the images
    images: Fact[ImageSet] = _fact("images")
    paths: Fact[NDArray[Any]] = _fact("names of the images")
    pixel_hashes: Fact[NDArray[Any]] = _fact("hashes of the images")
    statistics: Fact[Mapping[str, Floats]] = _fact("images")
    features: Fact[Mapping[str, Floats]] = _fact("images")
    votes_of: Callable[[], LabelVotes] | None = None
    masks: Fact[MaskMeasures] = _fact("masks of the defects")
    network_size: Fact[tuple[int, int]] = _fact("the size that a network sees")
    is_tiled: bool = False
    # of sources, before there is a model
    quarantined: Fact[Sequence[tuple[str, str]]] = _fact("files of the source")
    sizes: Fact[NDArray[Any]] = _fact("sizes of the images as stored")
    class_counts: Fact[Mapping[str, Mapping[str, int]]] = _fact("labels of the images")
    normal: tuple[str, ...] | None = None
    labels: NDArray[Any] | None = None
    parts: Fact[NDArray[Any]] = _fact("parts of the source")
    groups: Fact[NDArray[Any]] = _fact("groups of the images")
    suspected: Fact[SuspectedGroups] = _fact("names or near-twins that suggest groups")
    copies: Fact[Sequence[LabelledCopies]] = _fact("near-duplicates")
    groups_by_part: Mapping[str, NDArray[Any]] | None = None
    features_by_part: Fact[Mapping[str, Mapping[str, Floats]]] = _fact("images in several parts")
    dtype: str = "uint8"
    # checks that failed while the facts were gathered
    not_made: tuple[Finding, ...] = ()

    def lacks(self, needs: Sequence[str]) -> tuple[str, ...]:
        """Those of `needs` that nobody knows, in words, each once."""
        words = {spec.name: spec.metadata.get("words", spec.name) for spec in fields(self)}
        return tuple(dict.fromkeys(words[one] for one in needs if getattr(self, one) is None))

    @property
    def _flags(self) -> Bools:
        """Which images are anomalous; none of them where no image has a label."""
        none = np.zeros(len(self.labelled), np.bool_)
        return none if self.is_anomalous is None else np.asarray(self.is_anomalous)

    @property
    def normal_rows(self) -> Rows:
        """Rows of images that are labelled as normal."""
        return np.flatnonzero(self.labelled & ~self._flags)

    @property
    def anomalous_rows(self) -> Rows:
        """Rows of images that are labelled as anomalous."""
        return np.flatnonzero(self.labelled & self._flags)

    @property
    def known(self) -> tuple[NDArray[Any], Bools]:
        """Scores of the labelled images, and which of them are anomalous."""
        return self.scores[self.labelled], self._flags[self.labelled]

    @property
    def are_normal(self) -> bool:
        """Whether some images are labelled as normal."""
        return bool(self.labelled.any() and len(self.normal_rows))

    def groups_of(self, rows: NDArray[Any]) -> NDArray[Any] | None:
        """The groups of some of the judged images; None where nobody named groups."""
        return None if self.groups is None else np.asarray(self.groups[rows])

    @property
    def new_rows(self) -> Rows:
        """Rows of normal images; where none is labelled so, of images without a label."""
        return self.normal_rows if self.are_normal else np.flatnonzero(~self.labelled)

    @property
    def new_errors(self) -> NDArray[Any]:
        """What `train_errors` are compared with: errors of all images, or scores of new ones."""
        if self.job == "detect":
            return np.asarray(self.scores[self.new_rows])
        return self.errors["mse"]

    def baselines_in(self, metric: str) -> dict[str, Estimate]:
        """What each baseline reaches in `metric`."""
        return {name: values[metric] for name, values in self.baselines.items() if metric in values}


JOBS: tuple[Task, ...] = ("detect", "reconstruct", "classify")
Answer = Finding | tuple[Finding | None, Figure | None] | None
"""A finding, alone or with the figure that shows it; None where there is nothing to say."""


@dataclass(frozen=True)
class FindingKind:
    """A stable code, a title of a few words, the function that makes the finding, and how it is
    asked.

    Attributes
    ----------
    find : callable
        The public function: arrays to a finding, or None.
    ask : callable, optional
        From the facts to an answer or several. It is called only where every fact in `needs` is
        known. None for a finding that is made where its cause is met (a single image sent to the
        server, a metric asked for by name).
    needs : tuple of str
        Names of facts of `JudgedFacts`.
    jobs : tuple of Task
        What the finding can be about.
    unless : str
        Code of a finding that makes this one pointless.
    noun : str
        What is being checked, should the check fail; the code in words where empty.
    """

    code: str
    title: str
    find: Callable[..., Finding | None]
    ask: Callable[[JudgedFacts], Answer | list[Answer]] | None = None
    needs: tuple[str, ...] = ()
    jobs: tuple[Task, ...] = JOBS
    unless: str = ""
    noun: str = ""

    @property
    def check(self) -> str:
        """The noun that `not-checked` uses."""
        return self.noun or self.code.replace("-", " ")


def told(answers: Any) -> list[tuple[Finding, Figure | None]]:
    """The findings of what `FindingKind.ask` returned, each with its figure or None."""
    listed = answers if isinstance(answers, list) else [answers]
    pairs = [one if isinstance(one, tuple) else (one, None) for one in listed]
    return [(finding, figure) for finding, figure in pairs if finding is not None]
