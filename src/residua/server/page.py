"""The page on which one drops an image.

One file with its style and script in it, which asks this server and nobody else.
"""

from __future__ import annotations

import base64
import hashlib
import string
from functools import cache
from importlib import resources


@cache
def page() -> str:
    """The page as text; the same for every model, which it asks the server about."""
    return string.Template(_asset("page.html")).substitute(
        style=_asset("page.css"), script=_asset("page.js")
    )


def page_policy() -> str:
    """The page's content security policy.

    Only the style and script that are in it, pictures from memory, this server.
    """
    style, script = _hash(_asset("page.css")), _hash(_asset("page.js"))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; img-src data: blob:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _asset(name: str) -> str:
    return resources.files("residua.server").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
