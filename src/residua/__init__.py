"""residua trains image autoencoders and says, honestly, how good they are.

The judging wing (metrics, thresholds, findings, evaluation, report) needs NumPy and no torch; the
training wing (estimators, recipes) comes with ``pip install 'residua[train]'``. Everything here is
loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from residua._threads import wait_passively
from residua._version import __version__
from residua.errors import MissingExtraError

if TYPE_CHECKING:
    from residua import baselines, errors, findings, metrics, records, thresholds
    from residua.evaluation import (
        Evidence,
        evaluate_classification,
        evaluate_detection,
        evaluate_reconstruction,
    )
    from residua.evaluation.comparison import compare_models
    from residua.evaluation.probes import evaluate_codes
    from residua.evaluation.report import print_evaluation, write_html
    from residua.images import ImageSet, load_images
    from residua.records import Estimate, Evaluation, Finding, OperatingPoint
    from residua.runs.dossier import write_dossier
    from residua.runs.wrap import wrap
    from residua.thresholds import choose_threshold
    from residua.training.estimators import (
        Autoencoder,
        AutoencoderClassifier,
        OneClassDetector,
        scorer,
    )


_WHERE = {
    "Autoencoder": "training.estimators",
    "AutoencoderClassifier": "training.estimators",
    "OneClassDetector": "training.estimators",
    "scorer": "training.estimators",
    "Evidence": "evaluation",
    "evaluate_classification": "evaluation",
    "evaluate_detection": "evaluation",
    "evaluate_reconstruction": "evaluation",
    "ImageSet": "images",
    "load_images": "images",
    "Estimate": "records",
    "Evaluation": "records",
    "Finding": "records",
    "OperatingPoint": "records",
    "compare_models": "evaluation.comparison",
    "evaluate_codes": "evaluation.probes",
    "print_evaluation": "evaluation.report",
    "write_html": "evaluation.report",
    "choose_threshold": "thresholds",
    "wrap": "runs.wrap",
    "write_dossier": "runs.dossier",
}
_ROOMS = ("baselines", "errors", "findings", "metrics", "records", "thresholds")
_NEED_TORCH = ("Autoencoder", "AutoencoderClassifier", "OneClassDetector", "scorer")

__all__ = [
    "Autoencoder",
    "AutoencoderClassifier",
    "Estimate",
    "Evaluation",
    "Evidence",
    "Finding",
    "ImageSet",
    "OneClassDetector",
    "OperatingPoint",
    "__version__",
    "baselines",
    "choose_threshold",
    "compare_models",
    "errors",
    "evaluate_classification",
    "evaluate_codes",
    "evaluate_detection",
    "evaluate_reconstruction",
    "findings",
    "load_images",
    "metrics",
    "print_evaluation",
    "records",
    "scorer",
    "thresholds",
    "wrap",
    "write_dossier",
    "write_html",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"residua.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'residua' has no attribute {name!r}")
    if name in _NEED_TORCH:
        wait_passively()
    try:
        value = getattr(importlib.import_module(f"residua.{_WHERE[name]}"), name)
    except ModuleNotFoundError as error:
        if name in _NEED_TORCH and error.name in ("torch", "lightning", "safetensors"):
            raise MissingExtraError(error.name, "train", f"residua.{name}") from None
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
