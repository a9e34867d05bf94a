"""Bring your own model: Keras, PyTorch, ONNX or any function, judged like our own. Loads no
framework by itself.
"""

from residua.runs.wrapped.model import WrappedModel, wrap
from residua.runs.wrapped.runs import (
    change_wrapped_threshold,
    evaluate_wrapped,
    is_random,
    is_wrapped,
    judged_wrapped,
    open_wrapped,
    report_wrapped,
    score_wrapped,
)

__all__ = [
    "WrappedModel",
    "change_wrapped_threshold",
    "evaluate_wrapped",
    "is_random",
    "is_wrapped",
    "judged_wrapped",
    "open_wrapped",
    "report_wrapped",
    "score_wrapped",
    "wrap",
]
