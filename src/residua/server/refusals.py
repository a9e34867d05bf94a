"""Why a request is refused.

A status code, a stable word, and a sentence that says how to mend it.
"""

from __future__ import annotations

from residua.errors import ResiduaError
from residua.records import Record

RETRY_SECONDS = 1


class Problem(Record):
    """The body of every answer that is not a success."""

    code: str
    message: str


class RefusedError(ResiduaError):
    """A request that is refused; `headers` go with the answer."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}

    @property
    def problem(self) -> Problem:
        """What the client is told."""
        return Problem(code=self.code, message=str(self))


def too_busy(status: int, code: str, message: str) -> RefusedError:
    """A refusal that says when to come again."""
    return RefusedError(status, code, message, {"Retry-After": str(RETRY_SECONDS)})
