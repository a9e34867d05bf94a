"""Where the wings meet: split, fit, score, evaluate, diagnose, report, on a RUN folder."""

from residua.experiment.benchmark import BenchmarkOptions, run_benchmark
from residua.experiment.benchmark_progress import FitReport
from residua.experiment.compare import compare_runs
from residua.experiment.demo import run_demo
from residua.experiment.engines import EngineRow, export_run, measure_engines
from residua.experiment.evaluate import Judged, evaluate_run, model_provenance
from residua.experiment.fit import fit_run
from residua.experiment.probe import probe_run
from residua.experiment.report import report_run
from residua.experiment.run_folder import RunFolder, RunOptions
from residua.experiment.score import make_task, score_run
from residua.experiment.threshold import change_threshold
from residua.experiment.watching import Watcher
from residua.piecewise import ScoreJob, ScoreSummary

__all__ = [
    "BenchmarkOptions",
    "EngineRow",
    "FitReport",
    "Judged",
    "RunFolder",
    "RunOptions",
    "ScoreJob",
    "ScoreSummary",
    "Watcher",
    "change_threshold",
    "compare_runs",
    "evaluate_run",
    "export_run",
    "fit_run",
    "make_task",
    "measure_engines",
    "model_provenance",
    "probe_run",
    "report_run",
    "run_benchmark",
    "run_demo",
    "score_run",
]
