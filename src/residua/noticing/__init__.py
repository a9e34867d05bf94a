"""What judging notices beyond metrics, whatever the model: copies of training images, drift, blind spots; and what to show."""

from residua.noticing.chosen import choose_images, nearest_rows
from residua.noticing.detection import errors_shown, notice_in_detection
from residua.noticing.leaks import MOST_COMPARED, look_for_leaks
from residua.noticing.shown import as_bytes, shown_masks

__all__ = [
    "MOST_COMPARED",
    "as_bytes",
    "choose_images",
    "errors_shown",
    "look_for_leaks",
    "nearest_rows",
    "notice_in_detection",
    "shown_masks",
]
