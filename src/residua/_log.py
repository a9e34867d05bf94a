"""Python's ``logging`` under the name ``residua``: silent until a program asks for it."""

from __future__ import annotations

import logging

_ROOT = logging.getLogger("residua")
_ROOT.addHandler(logging.NullHandler())


def logger(name: str) -> logging.Logger:
    """The logger ``residua.NAME``.

    DEBUG tells each epoch, INFO what is decided and done, WARNING findings that stand against a
    model and files that are left out, ERROR findings of severity error.

    >>> logger("fit").name
    'residua.fit'
    """
    return _ROOT.getChild(name)
