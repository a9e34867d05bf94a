"""`residua demo`: scikit-learn's digits, as reconstructor, one-class detector and classifier, in
one report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from residua.evaluation.report import write_html
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.judgement import Judgement
from residua.runs.progress import Watcher
from residua.training.fitting.options import FitOptions, make_options

_NORMAL = "0"
_LATENT = 16
_WIDTH, _EPOCHS = 16, 40


def run_demo(
    out: str | Path, *, seed: int = 0, watcher: Watcher | None = None
) -> tuple[Path, list[Judgement]]:
    """Fit, evaluate and report the three jobs under `out`; runs that are finished there are used
    again.

    Returns
    -------
    report, judgements
        The path of the HTML file, and what it shows.
    """
    watcher = watcher or Watcher()
    out = Path(out)
    judged = []
    for options, words in _jobs(seed):
        watcher.note(f"— {options.job}: {words} —")
        run = fit_run(options, out / options.job, resume=True, watcher=watcher)
        judged.append(evaluate_run(run.path, watcher=watcher))
    report = write_html(
        out / "report.html",
        "residua demo: autoencoders on handwritten digits",
        [(one.evaluation, one.evidence) for one in judged],
        subtitle=(
            "1,797 images of 8 x 8 pixels that come with scikit-learn, trained and judged on this"
            " machine."
        ),
    )
    return report, judged


def _jobs(seed: int) -> list[tuple[FitOptions, str]]:
    """The three jobs with the same size of code, each with what it is about in a few words."""
    common: dict[str, Any] = {"source": "digits", "latent": _LATENT, "seed": seed}
    return [
        (make_options("reconstruct", **common), "every digit"),
        (
            make_options("detect", normal=(_NORMAL,), **common),
            f"the digit {_NORMAL} is normal, all others are not",
        ),
        (
            make_options("classify", width=_WIDTH, epochs=_EPOCHS, **common),
            "which digit it is, and the image again, from one code",
        ),
    ]
