"""A run as an HTTP service: one image or a batch in, score, decision, findings and map out.

And a page to drop images on, and one of a watched line.
"""

from residua.server.app import build_app
from residua.server.limits import Limits
from residua.server.line import Line
from residua.server.load import load_model, serve_wrapped
from residua.server.model import ServedModel
from residua.server.review import Review, open_review
from residua.server.run import Server

__all__ = [
    "Limits",
    "Line",
    "Review",
    "ServedModel",
    "Server",
    "build_app",
    "load_model",
    "open_review",
    "serve_wrapped",
]
