"""What metrics and baselines are called where people read of them."""

from __future__ import annotations

from dataclasses import replace

from residua.metrics import reported
from residua.metrics.reported import ReportedMetric
from residua.records import Estimate

# The one metric of a job that is compared: the first that the record has.
PRIMARY = {
    "detect": ("roc_auc",),
    "reconstruct": ("mse",),
    "classify": ("accuracy", "linear_probe_accuracy"),
}
BASELINES = {
    "untrained": "Untrained network",
    "mean_image": "Mean image",
    "pca": "PCA",
    "input_unchanged": "The input, unchanged",
    "majority_class": "Commonest class",
    "pixels": "The same on the pixels",
    "pixel_linear": "Linear function of the pixels",
    "pixel_neighbours": "Nearest neighbours on pixels",
    "brightness": "Mean brightness",
    "contrast": "Contrast",
    "file_size": "File size",
}

RECIPES_OF_BASELINES = {"pca": "pca", "pixel_neighbours": "neighbours"}
"""The recipe that makes a model of a baseline, with threshold, report and export."""


def metric_words(name: str) -> ReportedMetric:
    """The declaration of a metric; ``recall[cat]`` is of one class.

    An unknown one is spelled out, and higher taken for better.
    """
    general, bracket, one_class = name.partition("[")
    if bracket and one_class.endswith("]"):
        of_all = metric_words(general)
        return replace(of_all, label=f"{of_all.label} of {one_class[:-1]}", meaning="", meanings={})
    found = (metric for metric in reported.METRICS if metric.name == name)
    return next(found, None) or ReportedMetric(name, _spelled(name), True, "plain", "", "")


def metric_inside(name: str) -> str:
    """A metric's name inside a sentence: small letters, but for abbreviations.

    >>> metric_inside("balanced_accuracy"), metric_inside("roc_auc")
    ('balanced accuracy', 'ROC AUC')
    """
    label = metric_words(name).label
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def difference_words(name: str, difference: Estimate) -> str:
    """A paired difference of a metric, with its signs: ``+0.150 [+0.069, +0.235]``.

    >>> difference_words("roc_auc", Estimate(value=0.15, low=0.069, high=0.235))
    '+0.150 [+0.069, +0.235]'
    >>> difference_words("mse", Estimate(value=-0.00123))
    '-0.00123, without an interval'
    """
    kind = metric_words(name).kind
    digits = {"share": "+.3f", "decibel": "+.1f"}.get(kind, "+#.3g")
    unit = " dB" if kind == "decibel" else ""
    if difference.value is None:
        return "not defined"
    value = f"{difference.value:{digits}}{unit}"
    if difference.low is None or difference.high is None:
        return f"{value}, without an interval"
    return f"{value} [{difference.low:{digits}}, {difference.high:{digits}}]"


def spelled(name: str) -> str:
    """A key as a person would write it.

    >>> spelled("train_loss")
    'Train loss'
    """
    return metric_words(name).label


def _spelled(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def baseline_title(name: str) -> str:
    """A baseline's name as people say it.

    >>> baseline_title("pca_32")
    'PCA with 32 numbers'
    """
    if name.startswith("pca_") and name[4:].isdigit():
        return f"PCA with {name[4:]} numbers"
    return BASELINES.get(name, spelled(name))
