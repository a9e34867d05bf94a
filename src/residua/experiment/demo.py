"""`residua demo`: the digits that come with scikit-learn, as reconstructor and as one-class detector, in one report."""

from __future__ import annotations

from pathlib import Path

from residua.experiment.evaluate import Judged, evaluate_run
from residua.experiment.fit import Watcher, fit_run
from residua.experiment.run_folder import RunOptions
from residua.report import write_html
from residua.training.settings import TrainingSettings

_NORMAL = "0"
_LATENT = 16


def run_demo(out: str | Path, *, seed: int = 0, watcher: Watcher | None = None) -> tuple[Path, list[Judged]]:
    """Fit, evaluate and report both jobs under `out`; runs that are finished there are used again.

    Returns
    -------
    report, judgements
        The path of the HTML file, and what it shows.
    """
    watcher = watcher or Watcher()
    out = Path(out)
    judged = []
    for job, normal in (("reconstruct", None), ("detect", (_NORMAL,))):
        options = RunOptions.model_validate(
            {
                "source": "digits",
                "job": job,
                "normal": normal,
                "recipe_options": {"latent": _LATENT},
                "settings": TrainingSettings(seed=seed),
            }
        )
        watcher.note(f"— {job}: {'every digit' if normal is None else f'the digit {_NORMAL} is normal, all others are not'} —")
        run = fit_run(options, out / job, resume=True, watcher=watcher)
        judged.append(evaluate_run(run.path, watcher=watcher))
    report = write_html(
        out / "report.html",
        "residua demo: autoencoders on handwritten digits",
        [(one.evaluation, one.evidence) for one in judged],
        subtitle="1,797 images of 8 x 8 pixels that come with scikit-learn, trained and judged on this machine.",
    )
    return report, judged
