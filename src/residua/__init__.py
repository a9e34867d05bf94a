"""residua trains image autoencoders and says, honestly, how good they are.

The judging wing (metrics, thresholds, diagnostics, evaluation, report) needs NumPy and no torch; the training wing
(estimators, recipes) comes with ``pip install 'residua[train]'``. Everything here is loaded when first used.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from residua._threads import wait_passively
from residua.errors import MissingExtraError

if TYPE_CHECKING:
    from residua import baselines, diagnostics, errors, metrics, records, thresholds
    from residua.comparison import compare_models
    from residua.estimators import Autoencoder, AutoencoderClassifier, OneClassDetector
    from residua.evaluation import Evidence, evaluate_classification, evaluate_detection, evaluate_reconstruction
    from residua.images import ImageSet, load_images
    from residua.probes import evaluate_codes
    from residua.records import Estimate, Evaluation, Finding, OperatingPoint
    from residua.report import print_evaluation, write_html
    from residua.thresholds import choose_threshold
    from residua.wrapping import wrap

__version__ = _version("residua")

_WHERE = {
    "Autoencoder": "estimators",
    "AutoencoderClassifier": "estimators",
    "OneClassDetector": "estimators",
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
    "compare_models": "comparison",
    "evaluate_codes": "probes",
    "print_evaluation": "report",
    "write_html": "report",
    "choose_threshold": "thresholds",
    "wrap": "wrapping",
}
_ROOMS = ("baselines", "diagnostics", "errors", "metrics", "records", "thresholds")
_NEED_TORCH = ("Autoencoder", "AutoencoderClassifier", "OneClassDetector")

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
    "diagnostics",
    "errors",
    "evaluate_classification",
    "evaluate_codes",
    "evaluate_detection",
    "evaluate_reconstruction",
    "load_images",
    "metrics",
    "print_evaluation",
    "records",
    "thresholds",
    "wrap",
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
