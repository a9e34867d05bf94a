"""The page on which one drops an image, that of a review, and that of a watched line.

Each is one file with its style and script in it, which asks this server and nobody else.
"""

from __future__ import annotations

import base64
import hashlib
import string
from functools import cache
from importlib import resources
from typing import Literal

Name = Literal["page", "review", "watch"]

_OTHER = 'One image of your own: <a href="./">score it</a>.'
_FRAMES: dict[Name, dict[str, str]] = {
    "page": {
        "title": "residua",
        "heading": "Score an image",
        "begins": "drop",
        "skip": "To the image",
        "without": " The API works without: POST the image to v1/score.",
        "foot": "Images are scored in this server's memory and kept nowhere.",
    },
    "review": {
        "title": "residua review",
        "heading": "Review",
        "begins": "card",
        "skip": "To the image",
        "without": "",
        "foot": _OTHER,
    },
    "watch": {
        "title": "residua watch",
        "heading": "Watched line",
        "begins": "last",
        "skip": "To the last images",
        "without": "",
        "foot": f"{_OTHER} As JSON: <code>v1/watch</code>.",
    },
}
"""What differs in the frame of the pages."""


@cache
def page(name: Name = "page") -> str:
    """The page as text; the same for every model, which it asks the server about."""
    return string.Template(_asset("frame.html")).substitute(
        _FRAMES[name], body=_asset(f"{name}.html"), style=_style(name), script=_script(name)
    )


def page_policy(name: Name = "page") -> str:
    """The page's content security policy: its own style and script, and this server."""
    style, script = _hash(_style(name)), _hash(_script(name))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; img-src data: blob:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _style(name: Name) -> str:
    """What all pages share, and what is the page's own."""
    return _asset("page.css") + ("" if name == "page" else _asset(f"{name}.css"))


def _script(name: Name) -> str:
    return _asset("ask.js") + _asset(f"{name}.js")


def _asset(name: str) -> str:
    return resources.files("residua.server").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
