"""An evaluation as a single HTML file, as console tables, as JSON."""

from residua.evaluation.report.console import print_evaluation
from residua.evaluation.report.page import write_html
from residua.evaluation.report.public import to_json, write_json

__all__ = ["print_evaluation", "to_json", "write_html", "write_json"]
