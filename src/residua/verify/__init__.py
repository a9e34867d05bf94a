"""Every figure of a report made again from the scores and labels that the report carries."""

from residua.verify.figures import Figure
from residua.verify.verifying import Verification, verify_report

__all__ = ["Figure", "Verification", "verify_report"]
