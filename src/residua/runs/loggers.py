"""Where a fit and its evaluation are written beside the run: TensorBoard, MLflow, Weights & Biases
or CSV, through Lightning's own loggers.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from residua._files import read_file, write_text
from residua._text import without_secrets
from residua.errors import InputError, MissingExtraError
from residua.evaluation.report import write_html
from residua.evaluation.report.words import by_severity
from residua.records import Estimate, Evaluation
from residua.training.bundle import BundleConfig
from residua.training.loop.processes import is_follower
from residua.training.loop.settings import Epoch

FOLDER = "logs"
"""Where loggers write that are named, in a RUN or in the working folder."""
_REPORT_FILE = "report.html"


@dataclass(frozen=True)
class LoggerKind:
    """One logger of Lightning.

    Attributes
    ----------
    lightning : str
        The name of its class in ``lightning.pytorch.loggers``.
    package : str
        What it needs.
    options : callable
        Of the class, from the folder, a name for the fit, and the version to go on with or None.
    extra : str
        What installs that.
    text, file : callable
        How a text with a name, and a file, are written; None where it has no place for a file.
    """

    lightning: str
    package: str
    options: Callable[[Path, str, str | None], dict[str, Any]]
    text: Callable[[Any, str, str], Any]
    file: Callable[[Any, Path], Any] | None = None
    extra: str = "loggers"


def _mlflow_options(folder: Path, name: str, version: str | None) -> dict[str, Any]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # or MLflow reports its own use
    store = os.environ.get("MLFLOW_TRACKING_URI")
    if store is None and find_spec("sqlalchemy") is not None:
        store = f"sqlite:///{folder.resolve().as_posix()}/mlflow.db"
    elif store is None:  # the small package knows files alone, and newer versions want to be asked
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        store = (folder / "mlruns").resolve().as_uri()
    return {
        "experiment_name": "residua",
        "run_name": name,
        "tracking_uri": store,
        "run_id": version,
    }


def _wandb_html(logger: Any, path: Path) -> None:
    import wandb

    logger.experiment.log({"report": wandb.Html(path.read_text(encoding="utf-8"))})


def _beside_csv(logger: Any, name: str, text: str) -> None:
    folder = Path(logger.log_dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / name, text)


LOGGERS: dict[str, LoggerKind] = {
    "csv": LoggerKind(
        "CSVLogger",
        "lightning",
        lambda folder, _, version: {"save_dir": folder, "name": "csv"},
        lambda logger, name, text: _beside_csv(logger, f"{name}.md", text),
        lambda logger, path: _beside_csv(logger, path.name, path.read_text(encoding="utf-8")),
    ),
    "tensorboard": LoggerKind(
        "TensorBoardLogger",
        "tensorboard",
        lambda folder, _, version: {"save_dir": folder, "name": "tensorboard", "version": version},
        lambda logger, name, text: logger.experiment.add_text(name, text, global_step=0),
    ),
    "mlflow": LoggerKind(
        "MLFlowLogger",
        "mlflow",
        _mlflow_options,
        lambda logger, name, text: logger.experiment.log_text(logger.run_id, text, f"{name}.md"),
        lambda logger, path: logger.experiment.log_artifact(logger.run_id, str(path)),
    ),
    "wandb": LoggerKind(
        "WandbLogger",
        "wandb",
        lambda folder, name, version: {
            "save_dir": folder,
            "project": "residua",
            "name": name,
            "id": version,
            "resume": "allow",
        },
        lambda logger, name, text: logger.log_text(name, ["text"], [[text]]),
        _wandb_html,
        extra="wandb",
    ),
}


class RunLogger:
    """A logger of Lightning that is told of a fit and of what the model is worth.

    Losses have the epoch as their step, counted over all trainings of the fit. A metric is three
    numbers: ``test/roc_auc``, ``test/roc_auc_low`` and ``test/roc_auc_high``. Where images lie and
    what may be a secret in an address is not logged.

    Raises MissingExtraError if the package of the logger is not installed. Raises InputError if
    there is no such logger.

    - `logger`: str or a logger of Lightning. One of `LOGGERS`, or an object that is made already.
    - `folder`: Where a named logger writes.
    - `name`: Of the fit, for loggers that show one.
    - `resume`: Go on with what the last logger of this name wrote in `folder`.
    """

    def __init__(
        self, logger: Any, folder: Path, name: str = "residua", *, resume: bool = False
    ) -> None:
        self._step = self._before = 0
        self._training = 1
        self._note: Path | None = None
        if not isinstance(logger, str):
            if not hasattr(logger, "log_metrics"):
                find_logger(logger)
            self.logger = logger
            self._kind = next(
                (one for one in LOGGERS.values() if one.lightning == type(logger).__name__), None
            )
            return
        kind = self._kind = find_logger(logger)
        from lightning.pytorch import loggers as of_lightning

        note = folder / f"{logger}.json"
        version = None
        if resume and note.exists():
            told = json.loads(read_file(note))
            version, self._step = told["version"], told["step"]
        try:
            self.logger = getattr(of_lightning, kind.lightning)(
                **kind.options(folder, name, version)
            )
        except ModuleNotFoundError:
            raise MissingExtraError(kind.package, kind.extra, f"the logger {logger}") from None
        self._note = note

    def on_epoch(self, epoch: Epoch) -> None:
        """Losses of an epoch."""
        if epoch.training != self._training:
            self._training, self._before = epoch.training, self._step
        self._step = self._before + epoch.epoch
        self._log(
            {
                "train_loss": epoch.train_loss,
                "validation_loss": epoch.validation_loss,
                "epoch_seconds": epoch.seconds,
            }
        )

    def fitted(self, config: BundleConfig) -> None:
        """Options, the network, and the operating point with its rates."""
        training = config.training
        told = {
            "job": config.job,
            "recipe": config.recipe,
            "network": training.network,
            "parameters": training.parameters,
            **_flat(training.options or {}),
        }
        self.logger.log_hyperparams(told)
        if config.operating_point is not None:
            self._log({"calibration/threshold": config.operating_point.threshold})
            self._estimates("calibration", config.operating_point.rates)
            self._text("threshold", config.operating_point.how)
        self.end()

    def evaluated(self, record: Evaluation) -> None:
        """Metrics with their intervals, the findings as a text, and the report as a file."""
        told = json.dumps(record.model_dump(mode="json"))
        clean = Evaluation.model_validate_json(without_secrets(told))
        self._estimates(clean.split, clean.metrics)
        self._text("findings", _findings(clean))
        kind, evidence = self._kind, record.evidence
        if kind is not None and kind.file is not None and evidence is not None:
            with TemporaryDirectory() as folder:
                path = Path(folder) / _REPORT_FILE
                kind.file(self.logger, write_html(path, "residua", [clean.with_evidence(evidence)]))
        self.end()

    def end(self, *, is_failed: bool = False) -> None:
        """Write what is pending, and how it ended; more may come, of an evaluation."""
        self.logger.save()
        if self._note is not None:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            note = {"version": self.logger.version, "step": self._step}
            write_text(self._note, json.dumps(note))
        self.logger.finalize("failed" if is_failed else "success")

    def _estimates(self, prefix: str, estimates: Mapping[str, Estimate]) -> None:
        self._log(
            {
                f"{prefix}/{name}{end}": value
                for name, one in estimates.items()
                for end, value in (("", one.value), ("_low", one.low), ("_high", one.high))
                if value is not None
            }
        )

    def _log(self, numbers: dict[str, float]) -> None:
        named = {_name(name): value for name, value in numbers.items() if math.isfinite(value)}
        self.logger.log_metrics(named, step=self._step)

    def _text(self, name: str, text: str) -> None:
        if self._kind is not None:
            self._kind.text(self.logger, name, text)


@contextmanager
def logging_to(
    logger: str | None, run: str | Path, *, resume: bool = False
) -> Iterator[RunLogger | None]:
    """A logger that writes into the folder of a run, for as long as the block runs; None without
    one, and in processes that only help another to train.
    """
    if logger is None or is_follower():
        yield None
        return
    logged, is_done = RunLogger(logger, Path(run) / FOLDER, Path(run).name, resume=resume), False
    try:
        yield logged
        is_done = True
    finally:
        if not is_done:
            logged.end(is_failed=True)


def find_logger(name: Any) -> LoggerKind:
    """The logger of that name.

    Examples
    --------
    >>> find_logger("mlflow").lightning
    'MLFlowLogger'
    """
    if not isinstance(name, str) or name not in LOGGERS:
        raise InputError(
            f"logger: must be one of {', '.join(LOGGERS)}, or a logger of Lightning. Got {name!r}."
            " Choose one of them."
        )
    return LOGGERS[name]


def _name(name: str) -> str:
    """A name that every logger takes: MLflow refuses brackets.

    >>> _name("test/recall[scratch]_low")
    'test/recall.scratch_low'
    """
    return re.sub(r"[^\w\-./ ]", "_", name.replace("]", "").replace("[", "."))


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            text = without_secrets(value) if isinstance(value, str) else value
            flat[f"{prefix}{name}"] = text
    return flat


def _findings(record: Evaluation) -> str:
    """The verdict and the findings as Markdown."""
    verdict = record.verdict
    head = [] if verdict is None else [f"**{verdict.word}**. {' '.join(verdict.because)}"]
    told = [
        f"**{one.severity}** `{one.code}`: {one.meaning} {one.what_to_do}".rstrip()
        for one in by_severity(record.findings)
    ]
    return "\n\n".join([*head, *told])
