"""What metrics and baselines are called where people read of them."""

from __future__ import annotations

from dataclasses import replace

from residua.metrics import reported
from residua.metrics.reported import ReportedMetric

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

    Examples
    --------
    >>> metric_inside("balanced_accuracy"), metric_inside("roc_auc")
    ('balanced accuracy', 'ROC AUC')
    """
    label = metric_words(name).label
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def spelled(name: str) -> str:
    """A key as a person would write it.

    Examples
    --------
    >>> spelled("train_loss")
    'Train loss'
    """
    return metric_words(name).label


def _spelled(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def baseline_title(name: str) -> str:
    """A baseline's name as people say it.

    Examples
    --------
    >>> baseline_title("pca_32")
    'PCA with 32 numbers'
    """
    if name.startswith("pca_") and name[4:].isdigit():
        return f"PCA with {name[4:]} numbers"
    return BASELINES.get(name, spelled(name))
