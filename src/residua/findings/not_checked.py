"""A check that failed: told as a finding, so that it neither ends the work nor goes unsaid."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from residua.errors import ResiduaError
from residua.findings.kind import Finding, FindingKind

_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


def find_not_checked(check: str, error: Exception) -> Finding:
    """Say that a check could not be made, and why: what it looks for may be there.

    Parameters
    ----------
    check : str
        What was looked at, a noun: ``near-duplicates``.
    error : Exception
        What ended it; the first line of its message is told.

    Examples
    --------
    >>> find_not_checked("near-duplicates", ValueError("cells differ")).measured["error"]
    'ValueError: cells differ'
    """
    reason = ": ".join([type(error).__name__, *str(error).splitlines()[:1]])
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={"check": check, "error": reason},
        meaning=(
            f"{check[0].upper()}{check[1:]} could not be checked ({reason}). This result does"
            " not say whether they are in order."
        ),
        what_to_do=(
            "The other results stand. This is a fault of residua: please report it with the"
            " output of `residua --debug ...`."
        ),
    )


class Checks:
    """Makes checks one by one; ``not_made`` are the findings about those that failed.

    >>> checks = Checks()
    >>> checks.make("drift", lambda: 3), checks.make("blind spots", lambda: 1 / 0)
    (3, None)
    >>> [finding.measured["error"] for finding in checks.not_made]
    ['ZeroDivisionError: division by zero']
    """

    def __init__(self) -> None:
        self.not_made: list[Finding] = []

    def make(self, name: str, check: Callable[[], _Result]) -> _Result | None:
        """What `check` returns; None where it fails, which is then told in ``not_made``.

        What residua raises on purpose is raised again: it is the user's to mend. So is a lack of
        memory, after which nothing can be relied on.
        """
        try:
            return check()
        except (ResiduaError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  a check says something about the work; it must not cost the work
            _log.debug("%s could not be checked", name, exc_info=True)
            self.not_made.append(find_not_checked(name, error))
            return None


KIND = FindingKind(
    "not-checked",
    "A check that failed to run",
    find_not_checked,
)
