"""Images that the model was trained on, or copies of them, among those it is judged on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from residua.findings.figures import MOST_GROUPS, Figure, Group, Picture
from residua.findings.kind import (
    JOBS,
    Answer,
    Estimate,
    Finding,
    FindingKind,
    JudgedFacts,
    Severity,
)
from residua.metrics.names import metric_inside

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks

_MOST_EXAMPLES = 20
_LOOKED_FOR = (
    " Copies that were re-encoded, resized, brightened, cropped, flipped or rotated were looked for"
    " too. How alike a copy has to be follows from the images that are compared, so a search among"
    " more or fewer images may judge doubtful pairs in another way."
)
_HEADLINES = ("roc_auc", "accuracy", "mse")
# From these on: share of the judged images, change of a figure in [0, 1], change of an error as a
# share of it.
_ERROR, _WARNING = (0.05, 0.02, 0.1), (0.005, 0.005, 0.02)


def find_leakage(
    leaks: Leaks,
    *,
    metrics: Mapping[str, Estimate] | None = None,
    without: Mapping[str, Estimate] | None = None,
    judged: str = "images judged here",
    seen: str = "training images",
    why: str = "The model has seen those pictures",
) -> Finding | None:
    """Say which judged images are copies of seen ones, of what kind, and what every metric is
    without them.

    Error: one in twenty, or the headline figure (ROC AUC, accuracy or error) changes by .02 without
    them, an error by a tenth of itself, or nothing is left to judge. Warning: one in two hundred,
    or a change by .005 or a fiftieth. Note: less.

    Parameters
    ----------
    leaks : Leaks
        From `residua.images.duplicates.leaks_of`.
    metrics, without : mapping of str to Estimate, optional
        Of all judged images, and of those that are no copies.
    judged, seen : str
        What the two are called.
    why : str
        What the seen images were used for, as a sentence.

    Examples
    --------
    >>> from residua.images.duplicates import exact_leaks
    >>> names = np.array(["x.png", "y.png"], object)
    >>> leaks = exact_leaks(np.array(["a1", "b2"], object), np.array(["b2", "c3"], object), names)
    >>> told = find_leakage(leaks)
    >>> told.severity, told.measured["n_leaked"], told.measured["kinds"]
    ('error', 1, {'exact': 1})
    """
    n, n_leaked = len(leaks.kinds), int(leaks.leaked.sum())
    if n == 0:
        return None
    measured = {
        "n_leaked": n_leaked,
        "n_images": n,
        "looked_for": "copies of every kind" if leaks.is_thorough else "exact copies",
    }
    if n_leaked == 0:
        return Finding(
            code=KIND.code,
            severity="ok",
            measured=measured,
            meaning=(
                f"None of the {n:,} {judged} is"
                f" {'a copy' if leaks.is_thorough else 'an exact copy'} of one of the {seen}."
                f"{_LOOKED_FOR if leaks.is_thorough else ''}"
            ),
            what_to_do="",
        )
    shown = {name: one.model_dump(mode="json") for name, one in (without or {}).items()}
    by_kind = ", ".join(f"{count:,} {name}" for name, count in list(leaks.tally.items())[:6])
    return Finding(
        code=KIND.code,
        severity=_severity(n_leaked / n, metrics or {}, without or {}),
        measured={
            **measured,
            "kinds": leaks.tally,
            "examples": [one._asdict() for one in leaks.examples(_MOST_EXAMPLES)],
            **({"metrics_without": shown} if without is not None else {}),
        },
        meaning=(
            f"{n_leaked:,} of the {n:,} {judged} {'is a copy' if n_leaked == 1 else 'are copies'}"
            f" of {seen} ({by_kind}). {why}, so they do not show how the model"
            f" does on new images.{_compared(metrics or {}, without or {})}"
        ),
        what_to_do=(
            "Remove the copies from one of the two. Or put copies into one group: --groups twins"
            " (groups='twins') where no groups are named, else one name in the column `group` of a"
            " manifest. Then fit again."
        ),
    )


def _severity(
    share: float, metrics: Mapping[str, Estimate], without: Mapping[str, Estimate]
) -> Severity:
    name = _headline(metrics, without)
    changed, place = 0.0, 1
    if name is not None:
        value, left = metrics[name].value, without[name].value
        if value is not None and left is None:
            return "error"
        place = 2 if name == "mse" else 1
        changed = (
            0.0
            if value is None or left is None
            else abs(value - left) / (max(abs(value), 1e-12) if place == 2 else 1)
        )
    if share >= _ERROR[0] or changed >= _ERROR[place]:
        return "error"
    return "warning" if share >= _WARNING[0] or changed >= _WARNING[place] else "note"


def _headline(metrics: Mapping[str, Estimate], without: Mapping[str, Estimate]) -> str | None:
    names = ("accuracy",) if "log_loss" in metrics else _HEADLINES  # a classifier's is its accuracy
    return next((name for name in names if name in metrics and name in without), None)


def _compared(metrics: Mapping[str, Estimate], without: Mapping[str, Estimate]) -> str:
    name = _headline(metrics, without)
    if name is None or metrics[name].value is None:
        return ""
    one, said = without[name], metric_inside(name)
    if one.value is None:
        return f" Without them too few images are left for {said}."
    interval = "" if one.low is None or one.high is None else f" ({one.low:.4g} to {one.high:.4g})"
    return (
        f" Without them {said} is {one.value:.4g}{interval} instead of {metrics[name].value:.4g}."
    )


def draw_leaks(
    leaks: Leaks, images_of: Callable[[int], tuple[Any, Any]], *, caption: str
) -> Figure | None:
    """Each leaked image beside the seen image that it is a copy of; None where nothing leaked.

    `images_of` gives the seen image and its copy by the place among the judged images.
    """
    leaked = np.flatnonzero(leaks.leaked).tolist()
    groups = []
    for place in leaked[:MOST_GROUPS]:
        seen, copy = images_of(place)
        pair = Picture.of(seen, str(leaks.of[place])), Picture.of(copy, str(leaks.paths[place]))
        groups.append(Group(pair, str(leaks.kinds[place])))
    n_more = len(leaked) - len(groups)
    return Figure(tuple(groups), caption=caption, n_more=n_more) if groups else None


def _ask(facts: JudgedFacts) -> list[Answer]:
    finding = find_leakage(
        facts.leaks,
        metrics=None if facts.metrics_without_leaks is None else facts.metrics,
        without=facts.metrics_without_leaks,
        judged=facts.leaks_between[0],
        seen=facts.leaks_between[1],
    )
    answers: list[Answer] = [(finding, facts.leak_figure)]
    if facts.calibration_leaks is not None and facts.calibration_leaks.leaked.any():
        answers.append(
            find_leakage(
                facts.calibration_leaks,
                judged="images of test",
                seen="images of calibration",
                why="The threshold is chosen on those pictures",
            )
        )
    return answers


KIND = FindingKind(
    "leakage",
    "Training images among the test images",
    find_leakage,
    _ask,
    needs=("leaks",),
    jobs=(*JOBS, "check"),
)
