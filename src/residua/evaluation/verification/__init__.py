"""Every figure of a report made again from the scores and labels that the report carries."""

from residua.evaluation.verification.numbers import VerifiedNumber
from residua.evaluation.verification.printed import Verification
from residua.evaluation.verification.verify import verify_report

__all__ = ["Verification", "VerifiedNumber", "verify_report"]
