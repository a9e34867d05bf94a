"""`residua report`: the page of a run's latest evaluation."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from residua.errors import BundleError
from residua.evaluation import Evidence
from residua.experiment.evaluate import Judged, evaluate_run
from residua.experiment.fit import Watcher
from residua.experiment.run_folder import RunFolder
from residua.records import Evaluation
from residua.report import write_html


def report_run(run: str | Path, out: str | Path, *, watcher: Watcher | None = None) -> Path:
    """Write the report of `run` to `out`, from its stored evaluation, or after evaluating it."""
    folder = RunFolder(Path(run))
    judged = stored_judgement(folder) or evaluate_run(folder.path, watcher=watcher)
    return write_html(out, f"residua: {folder.path.resolve().name}", [(judged.evaluation, judged.evidence)])


def stored_judgement(folder: RunFolder) -> Judged | None:
    """The run's latest evaluation on its own test part, with the arrays behind it; None if there was none."""
    folder.read_state()
    if not (folder.evaluation.exists() and folder.evidence.exists()):
        return None
    try:
        evaluation = Evaluation.model_validate_json(folder.evaluation.read_text("utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder.evaluation}: must be what evaluate wrote. Got: {error}. Run evaluate again.") from None
    return Judged(evaluation, Evidence.load(folder.evidence))
