"""What metrics and baselines are called where people read of them, which way is better, and what a
metric means in few words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["share", "error", "decibel", "plain"]


@dataclass(frozen=True)
class MetricWords:
    """A metric's name as people say it, where its better end lies, its format, and what it means in
    a few words.
    """

    label: str
    higher_is_better: bool
    kind: Kind
    meaning: str


METRICS: dict[str, MetricWords] = {
    "roc_auc": MetricWords(
        "ROC AUC", True, "share", "chance that an abnormal image scores above a normal one"
    ),
    "average_precision": MetricWords(
        "Average precision",
        True,
        "share",
        "precision averaged over all recalls; depends on the mix",
    ),
    "precision": MetricWords(
        "Precision", True, "share", "of the flagged images, how many are abnormal"
    ),
    "recall": MetricWords("Recall", True, "share", "of the abnormal images, how many are flagged"),
    "f1": MetricWords("F1", True, "share", "harmonic mean of precision and recall"),
    "false_alarm_rate": MetricWords(
        "False-alarm rate", False, "share", "of the normal images, how many are flagged"
    ),
    "flagged_rate": MetricWords("Flagged", False, "share", "of all images, how many are flagged"),
    "accuracy": MetricWords("Accuracy", True, "share", "share of images whose class is right"),
    "balanced_accuracy": MetricWords(
        "Balanced accuracy", True, "share", "recall averaged over the classes"
    ),
    "f1_macro": MetricWords("F1, mean over classes", True, "share", "each class counts the same"),
    "f1_weighted": MetricWords("F1, weighted", True, "share", "each image counts the same"),
    "matthews_correlation": MetricWords(
        "Matthews correlation", True, "share", "1 is perfect, 0 is chance"
    ),
    "cohen_kappa": MetricWords(
        "Cohen's kappa", True, "share", "agreement beyond chance; 1 is perfect"
    ),
    "brier_score": MetricWords(
        "Brier score", False, "share", "squared distance of the probabilities from the truth"
    ),
    "expected_calibration_error": MetricWords(
        "Calibration error", False, "share", "stated confidence minus share that is right"
    ),
    "element_wise_accuracy": MetricWords(
        "Element-wise accuracy", True, "share", "flattering where few labels hold"
    ),
    "linear_probe_accuracy": MetricWords(
        "Linear probe on the code", True, "share", "classes read off the code by a line"
    ),
    "neighbours_probe_accuracy": MetricWords(
        "Neighbours probe on the code",
        True,
        "share",
        "classes read off the nearest codes of training images",
    ),
    "hamming_loss": MetricWords("Hamming loss", False, "share", "share of labels that are wrong"),
    "log_loss": MetricWords(
        "Log loss", False, "plain", "how surprised the probabilities are by the truth"
    ),
    "mse": MetricWords("Mean squared error", False, "error", "per pixel, images in [0, 1]"),
    "mae": MetricWords("Mean absolute error", False, "error", "per pixel, images in [0, 1]"),
    "rmse": MetricWords("Root mean squared error", False, "error", "per pixel, images in [0, 1]"),
    "psnr": MetricWords(
        "PSNR", True, "decibel", "mean over images of the peak signal-to-noise ratio"
    ),
    "ssim": MetricWords("SSIM", True, "share", "structural similarity; 1 is identical"),
    "ms_ssim": MetricWords(
        "Multi-scale SSIM",
        True,
        "share",
        "structural similarity over several scales; 1 is identical",
    ),
    "msgms": MetricWords(
        "Gradient similarity", True, "share", "of edges, over several scales; 1 is identical"
    ),
    "contrast_normalised_error": MetricWords(
        "Contrast-normalised error", False, "error", "does not shrink when an image is dimmed"
    ),
    "kl_divergence": MetricWords(
        "KL divergence", False, "error", "between image and reconstruction, read as distributions"
    ),
    "pixel_roc_auc": MetricWords(
        "Pixel ROC AUC", True, "share", "chance that a defect pixel's error exceeds a good pixel's"
    ),
    "pixel_average_precision": MetricWords(
        "Pixel average precision", True, "share", "precision over all recalls, pixel by pixel"
    ),
    "precision_at_prevalence": MetricWords(
        "Precision at the stated prevalence", True, "share", "as it would be in production"
    ),
    "aupro": MetricWords(
        "AUPRO", True, "share", "overlap with each defect region, up to 30% false pixels"
    ),
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


def metric_words(name: str) -> MetricWords:
    """The words for a metric; ``recall[cat]`` is of one class.

    An unknown one is spelled out, and higher taken for better.
    """
    general, bracket, one_class = name.partition("[")
    if bracket and one_class.endswith("]"):
        words = metric_words(general)
        return replace(words, label=f"{words.label} of {one_class[:-1]}", meaning="")
    if name.startswith("top_") and name.endswith("_accuracy"):
        k = name.removeprefix("top_").removesuffix("_accuracy")
        return MetricWords(
            f"Top-{k} accuracy",
            True,
            "share",
            f"share of images whose class is among the {k} most probable",
        )
    return METRICS.get(name) or MetricWords(spelled(name), True, "plain", "")


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
    if name in METRICS:
        return METRICS[name].label
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
