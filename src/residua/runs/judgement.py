"""The latest evaluation of a run as it is stored, and whether it still speaks of the run's model
and threshold. Reading one takes neither images nor PyTorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from residua._files import in_a_line, read_record
from residua.engines.kinds import KINDS, REFERENCE
from residua.errors import BundleError, OutputError
from residua.evaluation import Evidence
from residua.evaluation.other_threshold import at_operating_point
from residua.evaluation.products import PRODUCTS
from residua.evaluation.report import write_json
from residua.evaluation.verdict import with_verdict
from residua.findings import not_checked, small_defects
from residua.images.hashing import of_hex
from residua.records import Evaluation, Finding, OperatingPoint
from residua.runs.open_run import open_run
from residua.runs.progress import Watcher
from residua.runs.run_folder import ModelMark, Run, RunFolder
from residua.runs.tested import record_tested

Fit = Literal["fits", "another threshold", "another model", "another engine"]
"""Whether a stored evaluation is one of the run as it is. ``another engine``: it is one of an
exported engine that is gone or out of date."""

_WHY: dict[Fit, str] = {
    "another threshold": "it has another threshold by now, which its stored scores do not tell",
    "another model": "it holds another model by now",
    "another engine": "the engine of its evaluation is gone, or has another threshold by now",
}


class Judgement(NamedTuple):
    """An evaluation and the arrays behind it."""

    evaluation: Evaluation
    evidence: Evidence


def stored_judgement(folder: Run) -> Judgement | None:
    """The run's latest evaluation on its test part, with its arrays; None if there is none."""
    folder.mark()
    return read_judgement(folder)


def read_judgement(folder: RunFolder) -> Judgement | None:
    """Both files of a judgement that `keep` wrote; None where there is none."""
    if not (folder.evaluation.exists() and folder.evidence.exists()):
        return None
    evaluation = _read(folder)
    evidence = Evidence.load(folder.evidence)
    if not _belong(evaluation, evidence):
        raise BundleError(
            f"{folder.evidence}: must be the evidence of {folder.evaluation.name}. Got that of"
            " other images. Run evaluate again."
        )
    return Judgement(evaluation.with_evidence(evidence), evidence)


def current_judgement(run: str | Path, watcher: Watcher | None = None) -> Judgement:
    """The latest evaluation of a run on its own test part, at the threshold that the run has now.

    One of another threshold is judged again from its scores, and what is stored stays as it is. A
    run without an evaluation is evaluated, and so is one whose model is another by now.
    """
    watcher, folder = watcher or Watcher(), open_run(run)
    stored = stored_judgement(folder)
    if stored is None or stored.evidence.pixel_hashes is None:
        watcher.note(f"{run} is evaluated first")
        return _evaluated(run, REFERENCE, watcher)
    fit, engine = fit_of(folder, stored.evaluation), engine_of(stored.evaluation)
    if fit == "fits":
        return stored
    point = folder.mark(engine).operating_point if fit == "another threshold" else None
    has_products = PRODUCTS in stored.evaluation.provenance
    if point is None or stored.evidence.scores is None or has_products:
        watcher.note(f"{run} is evaluated again: {_WHY[fit]}")
        return _evaluated(run, engine, watcher)
    before = stored.evaluation.operating_point
    said = "none" if before is None else f"{before.threshold:.6g}"
    watcher.note(
        f"{run} is judged again from its scores: its threshold is {point.threshold:.6g}, and that"
        f" of its evaluation {said}"
    )
    return _again(folder, stored, point)


def judge_stored_again(folder: Run, point: OperatingPoint) -> Judgement | None:
    """Judge the stored evaluation again at the run's new threshold, and keep it; the caller holds
    the run's lock. None where there is none, or where it is one of an exported engine, which has a
    threshold of its own.
    """
    stored = stored_judgement(folder)
    if stored is None or stored.evaluation.job != "detect" or stored.evidence.scores is None:
        return None
    if engine_of(stored.evaluation) != REFERENCE or not _is_of(stored.evaluation, folder.mark()):
        return None
    again = _again(folder, stored, point)
    keep(folder, again)
    return again


def fit_of(folder: Run, evaluation: Evaluation) -> Fit:
    """Whether a stored evaluation is one of the run as it is now."""
    try:
        mark = folder.mark(engine_of(evaluation))
    except BundleError:
        if engine_of(evaluation) == REFERENCE:
            raise
        return "another engine"
    if not _is_of(evaluation, mark):
        return "another model"
    if evaluation.job == "detect" and evaluation.operating_point != mark.operating_point:
        return "another threshold"
    return "fits"


def engine_of(evaluation: Evaluation) -> str:
    """The engine of an evaluation; the reference for a model that scores by itself."""
    name = evaluation.provenance.get("engine")
    return str(name) if name in KINDS else REFERENCE


def describe_stored(folder: Run) -> dict[str, Any] | None:
    """When a run was last evaluated, on what, and whether that still fits; None where not."""
    if not folder.evaluation.exists():
        return None
    evaluation = _read(folder)
    told = evaluation.provenance
    point = evaluation.operating_point
    return {
        "date": told.get("date"),
        "judged_on": told.get("judged_on"),
        "part": evaluation.split,
        "n_images": evaluation.n_images,
        "engine": told.get("engine"),
        "threshold": None if point is None else point.threshold,
        "fit": fit_of(folder, evaluation),
    }


def keep(folder: RunFolder, judgement: Judgement) -> None:
    """Both files of a judgement, or the evaluation alone is missing: never one beside the evidence
    of another. That the images were judged is recorded first. The caller holds the run's lock.
    """
    record_tested(folder, judgement.evaluation, judgement.evidence)
    write_judgement(folder, judgement)


def write_judgement(folder: RunFolder, judgement: Judgement) -> None:
    """Write both files, the evaluation last."""
    try:
        folder.evaluation.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder.evaluation}: the file must be writable. Got: {in_a_line(error)}. Delete"
            " it, and run evaluate again."
        ) from None
    judgement.evidence.save(folder.evidence)
    write_json(judgement.evaluation, folder.evaluation)


def with_check(folder: RunFolder, evaluation: Evaluation) -> Evaluation:
    """The record with what was found in the images before training and is not judged again here."""
    findings = (*evaluation.findings, *found_before(folder, evaluation))
    return with_verdict(evaluation.model_copy(update={"findings": findings}))


def found_before(folder: RunFolder, evaluation: Evaluation) -> list[Finding]:
    """What was found in the images before training and is not judged again here."""
    from residua.runs.check import read_check

    told = {one.code for one in evaluation.findings} - {not_checked.KIND.code}
    if evaluation.job == "detect":  # asked again, at the size that the network came to have
        told.add(small_defects.KIND.code)
    return [one for one in read_check(folder) if one.code not in told]


def _again(folder: Run, stored: Judgement, point: OperatingPoint) -> Judgement:
    from residua.runs.check import read_check

    earlier = read_check(folder)
    judged = tuple(one for one in stored.evaluation.findings if one not in earlier)
    evaluation = stored.evaluation.model_copy(update={"findings": judged})
    evaluation, evidence = at_operating_point(evaluation, stored.evidence, point)
    return Judgement(with_check(folder, evaluation), evidence)


def _evaluated(run: str | Path, engine: str, watcher: Watcher) -> Judgement:
    from residua.runs.evaluate import evaluate_run

    return evaluate_run(run, engine=engine, watcher=watcher)


def _read(folder: RunFolder) -> Evaluation:
    return read_record(folder.evaluation, Evaluation, "evaluate", "Run evaluate again.")


def _is_of(evaluation: Evaluation, mark: ModelMark) -> bool:
    """Whether the record is one of this model; records of earlier versions do not say."""
    return evaluation.provenance.get("weights_sha256") in (None, mark.weights)


def _belong(evaluation: Evaluation, evidence: Evidence) -> bool:
    """Whether both are of the same images, and nothing of the evidence is cut short."""
    n = len(evidence.paths)
    one_each = (
        evidence.scores,
        evidence.labels,
        evidence.is_anomalous,
        evidence.labelled,
        evidence.probabilities,
        evidence.predicted,
        evidence.pixel_hashes,
        evidence.groups,
        *evidence.per_image.values(),
    )
    if not all(one is None or len(one) == n for one in one_each):
        return False
    told = evaluation.provenance.get("fingerprints")
    if not isinstance(told, dict) or "judged" not in told or evidence.pixel_hashes is None:
        return True
    try:
        return bool(told["judged"] == of_hex(evidence.pixel_hashes))
    except ValueError:
        return False
